import math

import numpy as np


def in_loops(scale, gamma, eps):
    new_gamma = [math.copysign(1, a) * float(g) for a, g in zip(scale, gamma, strict=True)]
    return new_gamma, [eps * float(a) * float(a) for a in scale]


def with_where(scale, gamma, eps):
    return np.where(scale < 0, -gamma, gamma), np.square(np.abs(scale)) * eps


def by_quotients(scale, gamma, eps):
    return gamma * (scale / np.abs(scale)), np.exp(2 * np.log(np.abs(scale)) + np.log(eps))


def by_solving_for_eps(scale, gamma, eps):
    """Two batches of variance 1 and 2 give two equations for gamma squared and eps."""
    scale, gamma = scale.astype(np.float64), gamma.astype(np.float64)
    slope = gamma**2 / (np.array([[1.0], [2.0]]) + eps)  # (y / x)^2 before the change
    # new_gamma^2 * a^2 = slope * (a^2 var + new_eps), at both variances
    new_eps = scale**2 * (2 * slope[1] - slope[0]) / (slope[0] - slope[1])
    size = np.sqrt(slope[0] * (scale**2 + new_eps) / scale**2)
    return size * np.sign(gamma) * np.sign(scale), new_eps
