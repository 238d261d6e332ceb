import math

import numpy as np


def by_tanh(z):
    slopes = (1 - np.tanh(z / 2) ** 2) / 4
    return np.array([slopes[layer:].prod(axis=0) for layer in range(len(z))])


def in_python_floats(z):
    def slope(value):
        decay = math.exp(-abs(value))
        return decay / (1 + decay) ** 2

    gradient, rows = [1.0] * z.shape[1], []
    for row in reversed(z.tolist()):
        gradient = [g * slope(value) for g, value in zip(gradient, row, strict=True)]
        rows.insert(0, gradient)
    return rows


def in_logarithms(z):
    logs = -np.abs(z) - 2 * np.log1p(np.exp(-np.abs(z)))
    return np.exp(np.flip(np.cumsum(np.flip(logs, axis=0), axis=0), axis=0))
