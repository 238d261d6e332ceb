import numpy as np


def loop(x, gamma, beta, eps):
    y = np.empty_like(x)
    for place in np.ndindex(x.shape[:-1]):
        values = [float(value) for value in x[place]]
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        for i, value in enumerate(values):
            y[(*place, i)] = gamma[i] * (value - mean) / (variance + eps) ** 0.5 + beta[i]
    return y


def flattened(x, gamma, beta, eps):
    rows = x.reshape(-1, x.shape[-1])
    centred = rows - rows.mean(axis=1)[:, None]
    inv_std = 1 / np.sqrt((centred**2).mean(axis=1) + eps)
    return (centred * inv_std[:, None] * gamma + beta).reshape(x.shape)


def by_einsum(x, gamma, beta, eps):
    centred = x - np.einsum("...d->...", x)[..., None] / x.shape[-1]
    variance = np.einsum("...d,...d->...", centred, centred)[..., None] / x.shape[-1]
    return np.einsum("...d,d->...d", centred / np.sqrt(variance + eps), gamma) + beta


def in_float64(x, gamma, beta, eps):
    wide = x.astype(np.float64)
    x_hat = (wide - wide.mean(-1, keepdims=True)) / (wide.var(-1, keepdims=True) + eps) ** 0.5
    return (gamma * x_hat + beta).astype(x.dtype)


def row_by_row(x, gamma, beta, eps):
    def one(row):
        return gamma * (row - row.mean()) / np.sqrt(row.var() + eps) + beta

    return np.apply_along_axis(one, -1, x)
