import math

import numpy as np


def in_loops(x, eps):
    gamma, beta = [], []
    for column in x.T.tolist():
        mean = math.fsum(column) / len(column)
        gamma.append(math.sqrt(math.fsum((v - mean) ** 2 for v in column) / len(column) + eps))
        beta.append(mean)
    return gamma, beta


def with_einsum(x, eps):
    mean = np.einsum("nc->c", x) / len(x)
    centred = x - mean
    return (np.einsum("nc,nc->c", centred, centred) / len(x) + eps) ** 0.5, mean


def by_solving(x, eps):
    """Fit x = gamma * x_hat + beta, feature by feature."""
    x = x.astype(np.float64)
    x_hat = (x - x.mean(0)) / np.sqrt(x.var(0) + eps)
    fits = [np.polyfit(x_hat[:, j], x[:, j], 1) for j in range(x.shape[1])]
    gamma, beta = np.array(fits).T
    return np.stack([gamma, beta])


def from_norms(x, eps):
    mean = np.mean(x, axis=0, keepdims=True)
    length = np.linalg.norm(x - mean, axis=0)
    return [np.hypot(length / len(x) ** 0.5, eps**0.5), mean[0]]
