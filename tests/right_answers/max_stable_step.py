import numpy as np


def by_singular_value(x):
    return 2 * len(x) / np.linalg.norm(x, ord=2) ** 2


def by_general_eigenvalues(x):
    return 2 / np.linalg.eigvals(x.T @ x / len(x)).real.max()


def by_power_iteration(x):
    gram = x.T.astype(float) @ x
    v = np.ones(x.shape[1])
    for _ in range(3_000):
        v = gram @ v
        v /= np.linalg.norm(v)
    return 2 / (np.sum((x @ v) ** 2) / len(x))
