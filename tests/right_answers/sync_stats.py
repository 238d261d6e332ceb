import numpy as np


def merged_one_by_one(counts, means, variances):
    n, mean, m2 = 0, np.zeros(means.shape[1]), np.zeros(means.shape[1])
    for count, local_mean, local_var in zip(counts, means, variances, strict=True):
        if count == 0:
            continue
        delta = local_mean - mean
        m2 = m2 + count * local_var + delta**2 * n * count / (n + count)
        n += count
        mean = mean + delta * count / n
    return mean, m2 / n, m2 / (n - 1)


def by_weights(counts, means, variances):
    has_samples = counts.astype(bool)
    weights = counts[has_samples] / counts.sum()
    mean = weights @ means[has_samples]
    var = weights @ variances[has_samples] + weights @ (means[has_samples] - mean) ** 2
    return [mean, var, var * counts.sum() / (counts.sum() - 1)]


def with_nan_cleared(counts, means, variances):
    empty = (counts == 0)[:, None]
    means, variances = np.where(empty, 0, means), np.where(empty, 0, variances)
    mean = np.average(means, axis=0, weights=counts)
    m2 = np.einsum("r,rc->c", counts, variances + (means - mean) ** 2)
    return mean, m2 / sum(counts), m2 / (sum(counts) - 1)


def shifted_squares(counts, means, variances):
    """E[x²] - E[x]², harmless after a shift near the mean."""
    counts = np.array(counts, dtype=float)
    used = counts > 0
    shift = means[used][0]
    total = counts[used].sum()
    shifted = means[used] - shift
    mean = (counts[used, None] * shifted).sum(0) / total
    var = (counts[used, None] * (variances[used] + shifted**2)).sum(0) / total - mean**2
    return mean + shift, var, var / (1 - 1 / total)
