import numpy as np


def stacked(batches):
    x = np.stack(batches)
    size = x.shape[1]
    return x.mean(axis=(0, 1)), size / (size - 1) * x.var(axis=1).mean(axis=0)


def with_loops(batches):
    mean = np.zeros(batches[0].shape[1])
    var = np.zeros(batches[0].shape[1])
    for batch in batches:
        size = len(batch)
        batch_mean = sum(batch) / size
        mean = mean + batch_mean / len(batches)
        var = var + sum((row - batch_mean) ** 2 for row in batch) / (size - 1) / len(batches)
    return [mean, var]


def with_pairs(batches):
    """The unbiased variance is half the mean squared difference of two different samples."""
    variances = []
    for batch in batches:
        size = len(batch)
        differences = batch[:, None] - batch[None, :]
        variances.append((differences**2).sum(axis=(0, 1)) / (2 * size * (size - 1)))
    return np.concatenate(batches).mean(axis=0), sum(variances) / len(variances)
