from itertools import product as _product

import numpy as np


def by_enumeration(gradients, batch_size):
    """All N^m draws, one sample after the other: the sums and how often each occurs."""
    full = gradients.mean(axis=0)
    if len(gradients) ** batch_size > 1000:
        return by_covariance(gradients, batch_size)
    draws = _product(range(len(gradients)), repeat=batch_size)
    distances = [np.sum((gradients[list(draw)].mean(axis=0) - full) ** 2) for draw in draws]
    return sum(distances) / len(distances)


def by_covariance(gradients, batch_size):
    covariance = np.cov(gradients, rowvar=False, bias=True)
    return np.trace(covariance) / batch_size


def in_loops(gradients, batch_size):
    total = 0.0
    for column in np.asarray(gradients, dtype=float).T:
        mean = sum(column) / len(column)
        total += sum((value - mean) ** 2 for value in column) / len(column)
    return total / batch_size


def by_norms(gradients, batch_size):
    distances = np.linalg.norm(gradients - gradients.mean(axis=0, keepdims=True), axis=1)
    return np.mean(distances**2) * (1 / batch_size)


def by_pairs(gradients, batch_size):
    """Half the mean squared distance of two samples is the variance."""
    differences = gradients[:, None, :] - gradients[None, :, :]
    return np.einsum("ijd,ijd->", differences, differences) / 2 / len(gradients) ** 2 / batch_size
