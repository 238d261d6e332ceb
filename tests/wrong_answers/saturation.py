import numpy as np


def from_the_textbook(z):
    s = 1 / (1 + np.exp(-z))
    slope = s * (1 - s)
    left = np.ones_like(z)
    for layer in range(len(z) - 1, -1, -1):
        left[layer] = slope[layer] * (left[layer + 1] if layer + 1 < len(z) else 1)
    return left


def by_hyperbolic_cosine(z):
    slope = 0.25 / np.cosh(z / 2) ** 2
    return np.flipud(np.multiply.accumulate(np.flipud(slope), axis=0))
