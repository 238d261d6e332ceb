import numpy as np


def loop(y, g, gamma):
    m = len(y)
    bounds = []
    for column, gradient, scale in zip(y.T, g.T, gamma, strict=True):
        mean = sum(column) / m
        variance = sum((value - mean) ** 2 for value in column) / m
        y_hat = [(value - mean) / variance**0.5 for value in column]
        ones = sum(gradient)
        along = sum(a * b for a, b in zip(gradient, y_hat, strict=True))
        square = sum(value**2 for value in gradient)
        bounds.append(scale**2 / variance * (square - ones**2 / m - along**2 / m))
    return bounds


def through_the_backward_pass(y, g, gamma):
    inv_std = 1 / np.sqrt(y.var(axis=0))
    y_hat = (y - y.mean(axis=0)) * inv_std
    dy_hat = g * gamma
    dy = inv_std * (dy_hat - dy_hat.mean(axis=0) - y_hat * (dy_hat * y_hat).mean(axis=0))
    return np.sum(dy**2, axis=0)


def as_a_residual(y, g, gamma):
    left = []
    for column, gradient in zip(y.T, g.T, strict=True):
        plane = np.column_stack([np.ones(len(y)), column])
        fitted = plane @ np.linalg.lstsq(plane, gradient, rcond=None)[0]
        left.append(np.sum((gradient - fitted) ** 2))
    return np.square(gamma) / y.var(axis=0) * np.array(left)


def by_einsum(y, g, gamma):
    m, _ = y.shape
    centred = y - np.einsum("mc->c", y) / m
    variance = np.einsum("mc,mc->c", centred, centred) / m
    along = np.einsum("mc,mc->c", g, centred) ** 2 / variance
    bracket = np.einsum("mc,mc->c", g, g) - (np.einsum("mc->c", g) ** 2 + along) / m
    return gamma * gamma * bracket / variance
