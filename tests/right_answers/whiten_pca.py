import numpy as np


def by_singular_values(x):
    _, singular_values, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return (x - x.mean(axis=0)) @ axes.T / singular_values * np.sqrt(len(x))


def left_singular_vectors(x):
    return np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[0] * len(x) ** 0.5


def through_numpy_cov(x):
    eigenvalues, eigenvectors = np.linalg.eig(np.cov(x, rowvar=False, bias=True))
    order = np.argsort(-eigenvalues.real)
    y = (x - x.mean(0)) @ eigenvectors[:, order].real
    return y / y.std(axis=0)


def in_loops(x):
    centred = x.astype(float) - x.mean(axis=0)
    covariance = sum(np.outer(row, row) for row in centred) / len(x)
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    columns = []
    for k in reversed(range(len(eigenvalues))):
        columns.append([row @ eigenvectors[:, k] / eigenvalues[k] ** 0.5 for row in centred])
    return np.array(columns).T.tolist()


def with_other_signs(x):
    y = by_singular_values(x)
    return y * np.where(np.arange(x.shape[1]) % 2, 1, -1)
