"""Whitening in NumPy: make the features uncorrelated, each with variance 1.

With covariance = mean((x - mean)ᵀ (x - mean)), divided by N, not N - 1, every matrix W with

    W (covariance + eps I) Wᵀ = I

whitens. If W is one, so is Q W for any rotation Q; the three methods differ in that rotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bnlib.reference import as_float, center, require_eps


@dataclass(frozen=True, eq=False)
class Whitening:
    """The affine map that `whiten` found, and its inverse."""

    mean: NDArray  # (d,)
    matrix: NDArray  # (d, d), W above
    inverse_matrix: NDArray  # (d, d), the inverse of W, found without inverting it

    def transform(self, x: ArrayLike) -> NDArray:
        """Whiten the rows of x: y = (x - mean) Wᵀ.

        x      (..., d), any float dtype
        Returns y, with the shape and dtype of x. Raises ValueError if the last axis is not d.
        """
        x = self._rows("x", x)
        return ((x - self.mean) @ self.matrix.T).astype(x.dtype)

    def inverse(self, y: ArrayLike) -> NDArray:
        """Undo `transform`: x = y W⁻ᵀ + mean.

        y      (..., d), any float dtype
        Returns x, with the shape and dtype of y. Raises ValueError if the last axis is not d.
        """
        y = self._rows("y", y)
        return (y @ self.inverse_matrix.T + self.mean).astype(y.dtype)

    def _rows(self, name: str, value: ArrayLike) -> NDArray:
        rows = as_float(name, value)
        if rows.shape[-1:] != self.mean.shape:
            raise ValueError(
                f"{name}: expected shape (..., {self.mean.size}), the features that whiten saw, "
                f"got {rows.shape}"
            )
        return rows


def whiten(x: ArrayLike, method: str = "pca", eps: float = 0.0) -> Whitening:
    """Find a linear map after which the rows of x have covariance I.

        "pca"       W = Λ^(-1/2) Uᵀ      the principal axes, largest variance first
        "zca"       W = U Λ^(-1/2) Uᵀ    symmetric; of all whitenings the closest to the data
        "cholesky"  W = L⁻¹              lower triangular: output i uses features 0 .. i only

    x      (N, d), any float dtype; computed in float64
    eps    added to every eigenvalue of the covariance, so that directions of little variance,
           mostly noise, are not blown up to variance 1

    where covariance + eps I = U Λ Uᵀ = L Lᵀ. Signs are fixed: the largest entry of each principal
    axis and the diagonal of L are positive. The covariance is the biased one, divided by N. With
    eps = 0 the covariance of the output is I within d * 1e-15 times the ratio of the largest to
    the smallest standard deviation along the principal axes.

    Raises ValueError if x is not (N, d), holds NaN or infinity, or has a covariance of lower rank
    than d, as whenever N <= d and eps = 0.
    Source: Kessy, Lewin & Strimmer 2018, whose Cholesky whitening factors the inverse of the
    covariance instead and so is upper triangular.
    """
    if method not in _FACTORS:
        raise ValueError(f"method: expected one of {', '.join(_FACTORS)}, got {method!r}")
    x = as_float("x", x).astype(np.float64)
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"x: expected shape (N, d) with N and d at least 1, got {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("x: expected finite values, got NaN or infinity")
    require_eps(eps)
    deviation, mean = center(x, (0,))
    root = _covariance_root(deviation, eps)
    _require_full_rank(root, len(x), eps)
    matrix, inverse_matrix = _FACTORS[method](root)
    return Whitening(mean[0], matrix, inverse_matrix)


def _covariance_root(deviation: NDArray, eps: float) -> NDArray:
    """Upper triangular R with RᵀR = covariance + eps I.

    R comes from the data, not from the covariance: squaring the data first would square the ratio
    of the largest to the smallest standard deviation, and lose twice as many digits.
    """
    rows, features = deviation.shape
    stacked = np.vstack([deviation / np.sqrt(rows), np.sqrt(eps) * np.eye(features)])
    return np.linalg.qr(stacked, mode="r")


def _require_full_rank(root: NDArray, rows: int, eps: float) -> None:
    """Refuse a smallest standard deviation that is nothing but rounding.

    Exactly dependent features leave one of up to 2 float64 roundings of the largest, whatever N.
    """
    features = root.shape[1]
    std = np.linalg.svd(root, compute_uv=False)
    rank = np.count_nonzero(std > 10 * features * np.finfo(np.float64).eps * std[0])
    if rank < features:
        raise ValueError(
            f"x: the covariance of {rows} rows of {features} features has rank {rank}, so no "
            f"matrix whitens them with eps={eps}; pass a larger eps, give more rows than features, "
            "or drop constant and redundant features"
        )


def _pca(root: NDArray) -> tuple[NDArray, NDArray]:
    std, axes = _principal_axes(root)
    return axes / std[:, np.newaxis], axes.T * std


def _zca(root: NDArray) -> tuple[NDArray, NDArray]:
    std, axes = _principal_axes(root)
    return (axes.T / std) @ axes, (axes.T * std) @ axes


def _cholesky(root: NDArray) -> tuple[NDArray, NDArray]:
    lower = root.T * np.sign(np.diag(root))
    return np.tril(np.linalg.inv(lower)), lower


# Each takes R and returns W and its inverse.
_FACTORS = {"pca": _pca, "zca": _zca, "cholesky": _cholesky}


def _principal_axes(root: NDArray) -> tuple[NDArray, NDArray]:
    """Standard deviations in descending order, and the rows of Uᵀ with a fixed sign."""
    _, std, axes = np.linalg.svd(root)
    largest = np.abs(axes).argmax(axis=1, keepdims=True)
    return std, axes * np.sign(np.take_along_axis(axes, largest, axis=1))
