import numpy as np


def by_singular_values(x, eps):
    centred = x - x.mean(axis=0)
    left, singular_values, axes = np.linalg.svd(centred, full_matrices=False)
    shrunk = singular_values / np.sqrt(singular_values**2 / len(x) + eps)
    return np.einsum("nk,k,kd->nd", left, shrunk, axes)


def from_pca(x, eps):
    centred = x - x.mean(axis=0)
    eigenvalues, eigenvectors = np.linalg.eigh(np.cov(x.T, ddof=0) + eps * np.eye(x.shape[1]))
    pca = centred @ eigenvectors / np.sqrt(eigenvalues)
    return pca @ eigenvectors.T


def matrix_on_columns(x, eps):
    columns = (x - x.mean(axis=0)).T
    eigenvalues, eigenvectors = np.linalg.eigh(columns @ columns.T / columns.shape[1])
    matrix = eigenvectors @ np.diag((eigenvalues + eps) ** -0.5) @ eigenvectors.T
    return (matrix @ columns).T


def square_root_by_newton(x, eps):
    """Denman-Beavers iteration: y tends to the square root of the matrix, z to its inverse."""
    centred = x.astype(np.float64) - x.mean(axis=0)
    y = centred.T @ centred / len(x) + eps * np.eye(x.shape[1])
    z = np.eye(x.shape[1])
    for _ in range(30):
        y, z = (y + np.linalg.inv(z)) / 2, (z + np.linalg.inv(y)) / 2
    return (centred @ z).astype(x.dtype)
