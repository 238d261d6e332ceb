import numpy as np


def divides_by_the_std_first(x, eps):
    """Right but for a feature that never changes, where it gives nan."""
    centred, std = x - x.mean(axis=0), x.std(axis=0)
    z = centred / std
    covariance = z.T @ z / len(x) * np.outer(std, std)
    eigenvalues, eigenvectors = np.linalg.eigh(np.nan_to_num(covariance))
    return z * std @ (eigenvectors / np.sqrt(eigenvalues + eps)) @ eigenvectors.T


def takes_roots_before_eps(x, eps):
    """Rounding can leave an eigenvalue of 0 below 0, and its root is nan."""
    centred = x - x.mean(axis=0)
    eigenvalues, eigenvectors = np.linalg.eigh(centred.T @ centred / len(x))
    roots = np.sqrt(eigenvalues)
    return centred @ (eigenvectors / np.sqrt(roots**2 + eps)) @ eigenvectors.T
