import numpy as np


def loop(x, lengths, gamma, beta, eps):
    values = np.concatenate([row[:length] for row, length in zip(x, lengths, strict=True)])
    mean, var = values.mean(axis=0), ((values - values.mean(axis=0)) ** 2).mean(axis=0)
    y = np.zeros_like(x)
    for n, length in enumerate(lengths):
        for t in range(length):
            y[n, t] = gamma * (x[n, t] - mean) / np.sqrt(var + eps) + beta
    return y


def by_weights(x, lengths, gamma, beta, eps):
    steps = np.arange(x.shape[1])
    weights = (steps[None, :] < lengths[:, None]).astype(x.dtype)
    count = weights.sum()
    mean = np.einsum("ntc,nt->c", x, weights) / count
    var = np.einsum("ntc,nt->c", (x - mean) ** 2, weights) / count
    return (gamma * (x - mean) / np.sqrt(var + eps) + beta) * weights[..., None]


def masked_array(x, lengths, gamma, beta, eps):
    padding = np.arange(x.shape[1]) >= np.asarray(lengths)[:, np.newaxis]
    masked = np.ma.array(x, mask=np.broadcast_to(padding[:, :, None], x.shape))
    mean, var = masked.mean(axis=(0, 1)).data, masked.var(axis=(0, 1)).data
    y = gamma * (x - mean) / np.sqrt(var + eps) + beta
    y[padding] = 0
    return y


def filled_where_real(x, lengths, gamma, beta, eps):
    real = np.zeros(x.shape[:2], bool)
    for n, length in enumerate(lengths):
        real[n, :length] = True
    y = np.zeros(x.shape)
    values = x[real]
    y[real] = gamma * (values - values.mean(0)) / np.sqrt(values.var(0) + eps) + beta
    return y
