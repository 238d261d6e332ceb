import numpy as np


def in_loops(x, gamma, beta, eps):
    y = np.empty_like(x)
    for j in range(x.shape[1]):
        column = [float(value) for value in x[:, j]]
        mean = sum(column) / len(column)
        var = sum((value - mean) ** 2 for value in column) / len(column)
        for i, value in enumerate(column):
            y[i, j] = gamma[j] * (value - mean) / (var + eps) ** 0.5 + beta[j]
    return y


def with_einsum(x, gamma, beta, eps):
    n = len(x)
    centred = x - np.einsum("nc->c", x) / n
    var = np.einsum("nc,nc->c", centred, centred) / n
    return np.einsum("nc,c->nc", centred, gamma / np.sqrt(var + eps)) + beta


def as_an_affine_map(x, gamma, beta, eps):
    x, gamma = x.astype(np.float64), gamma.astype(np.float64)
    scale = gamma * (np.var(x, 0) + eps) ** -0.5
    return x * scale + (beta - np.mean(x, 0) * scale)


def through_the_transpose(x, gamma, beta, eps):
    rows = np.ascontiguousarray(x.T)
    rows = rows - rows.mean(axis=1)[:, None]
    rows /= np.sqrt(np.square(rows).mean(axis=1, keepdims=True) + eps)
    rows *= gamma[:, None]
    rows += beta[:, None]
    return rows.T


def welford(x, gamma, beta, eps):
    mean, m2 = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for count, row in enumerate(x.astype(np.float64), start=1):
        delta = row - mean
        mean += delta / count
        m2 += delta * (row - mean)
    return ((x - mean) / np.sqrt(m2 / len(x) + eps) * gamma + beta).tolist()
