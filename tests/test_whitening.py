"""bnlib.whitening: the defining property, what each method leaves free, and what it refuses."""

import numpy as np
import pytest
from tolerances import TOLERANCES

from bnlib.whitening import whiten

METHODS = ("pca", "zca", "cholesky")
EPS64 = np.finfo(np.float64).eps


def correlated(rows=60, features=4, spread=10.0, seed=0):
    """Gaussian rows, means off 0, whose principal standard deviations run from 1 to spread."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((features, features)))[0]
    std = np.geomspace(1.0, spread, features)
    return rng.standard_normal((rows, features)) * std @ axes + rng.uniform(-9, 9, features)


def covariance(x):
    """Biased: divided by N."""
    deviation = x - x.mean(axis=0)
    return deviation.T @ deviation / len(x)


def assert_close(actual, expected, bound):
    error = np.max(np.abs(actual - expected))
    assert error <= bound, f"error {error:.3g} exceeds {bound:.3g}"


@pytest.mark.parametrize("spread", [1.0, 1e3, 1e7])
@pytest.mark.parametrize("features", [1, 2, 5, 12])
@pytest.mark.parametrize("method", METHODS)
def test_whitened_covariance_is_the_identity_within_rounding(method, features, spread):
    x = correlated(80, features, spread)
    y = whiten(x, method).transform(x)
    # The docstring's bound; the sample's own ratio differs from spread by less than a factor 2.
    bound = features * 1e-15 * 2 * spread
    assert_close(covariance(y), np.eye(features), bound)
    assert_close(y.mean(axis=0), 0.0, bound)


@pytest.mark.parametrize("method", METHODS)
def test_inverse_undoes_transform(method):
    x = correlated(seed=1)
    whitening = whiten(x, method)
    bound = 100 * EPS64 * np.abs(x).max()
    assert_close(whitening.inverse(whitening.transform(x)), x, bound)
    assert_close(whitening.matrix @ whitening.inverse_matrix, np.eye(4), 100 * EPS64)
    unseen = correlated(7, seed=2)
    assert_close(whitening.inverse(whitening.transform(unseen)), unseen, bound)


@pytest.mark.parametrize("method", METHODS)
def test_transform_is_the_stated_affine_map_also_of_one_row(method):
    x = correlated(seed=3)
    whitening = whiten(x, method)
    expected = (x - x.mean(axis=0)) @ whitening.matrix.T
    assert_close(whitening.transform(x), expected, 100 * EPS64 * np.abs(expected).max())
    assert_close(whitening.mean, x.mean(axis=0), 10 * EPS64 * np.abs(x).max())
    assert_close(whitening.transform(x[5]), expected[5], 100 * EPS64 * np.abs(expected).max())


def test_a_diagonal_covariance_by_hand():
    """Four points on the axes: biased variances 8 and 2, no correlation, mean (1, -3).

    With covariance diag(8, 2), zca and cholesky divide by the standard deviations in place; pca
    orders by variance, which here is the same order.
    """
    x = np.array([[5.0, -3.0], [-3.0, -3.0], [1.0, -1.0], [1.0, -5.0]])
    for method in METHODS:
        whitening = whiten(x, method)
        assert_close(whitening.matrix, np.diag([8**-0.5, 2**-0.5]), 10 * EPS64)
        assert_close(whiten(x, method, eps=1.0).matrix, np.diag([1 / 3, 3**-0.5]), 10 * EPS64)
    swapped = whiten(x[:, ::-1], "pca")
    assert_close(swapped.matrix, np.array([[0, 8**-0.5], [2**-0.5, 0]]), 10 * EPS64)
    assert_close(whiten(x[:, ::-1], "zca").matrix, np.diag([2**-0.5, 8**-0.5]), 10 * EPS64)


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_the_matrices_follow_their_definitions(eps):
    x = correlated(seed=4)
    regularized = covariance(x) + eps * np.eye(4)
    eigenvalues, eigenvectors = np.linalg.eigh(regularized)
    bound = 1e-13 * np.abs(whiten(x, "pca", eps).matrix).max() * eigenvalues.max()

    zca = whiten(x, "zca", eps).matrix
    assert_close(zca, eigenvectors / np.sqrt(eigenvalues) @ eigenvectors.T, bound)

    pca = whiten(x, "pca", eps).matrix
    rows_by_hand = (eigenvectors / np.sqrt(eigenvalues)).T[::-1]
    assert_close(np.abs(pca), np.abs(rows_by_hand), bound)
    assert (np.take_along_axis(pca, np.abs(pca).argmax(axis=1)[:, None], axis=1) > 0).all()

    cholesky = whiten(x, "cholesky", eps).matrix
    assert_close(cholesky, np.linalg.inv(np.linalg.cholesky(regularized)), bound)
    np.testing.assert_array_equal(cholesky, np.tril(cholesky))
    assert (np.diag(cholesky) > 0).all()


def test_cholesky_is_exactly_lower_triangular_where_inversion_pivots():
    """Each feature is mostly ten times the one before: L is largest off its diagonal."""
    noise = correlated(50, 3, seed=15)
    x = noise @ np.array([[1.0, 10.0, 100.0], [0.0, 1.0, 10.0], [0.0, 0.0, 1.0]])
    whitening = whiten(x, "cholesky")
    np.testing.assert_array_equal(np.triu(whitening.matrix, 1), np.zeros((3, 3)))
    np.testing.assert_array_equal(np.triu(whitening.inverse_matrix, 1), np.zeros((3, 3)))


def test_zca_is_the_whitening_closest_to_the_data():
    """Mean squared change, against pca, cholesky and 200 random rotations of zca."""
    x = correlated(features=3, seed=5)
    centered = x - x.mean(axis=0)

    def mean_squared_change(matrix):
        return np.mean(np.sum((centered @ matrix.T - centered) ** 2, axis=1))

    zca = whiten(x, "zca").matrix
    rng = np.random.default_rng(6)
    rotations = [np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(200)]
    others = [whiten(x, "pca").matrix, whiten(x, "cholesky").matrix, *(q @ zca for q in rotations)]
    assert all(mean_squared_change(zca) < mean_squared_change(other) for other in others)


def test_the_methods_differ_by_a_rotation_only():
    x = correlated(seed=7)
    zca = whiten(x, "zca")
    for method in ("pca", "cholesky"):
        rotation = whiten(x, method).matrix @ zca.inverse_matrix
        assert_close(rotation @ rotation.T, np.eye(4), 1e-13)
        assert np.abs(rotation - np.eye(4)).max() > 0.1


def test_a_large_mean_costs_nothing():
    """Small integers plus 1e9 are exact, so they whiten as the integers do."""
    integers = np.random.default_rng(8).integers(-9, 9, (20, 3))
    for method in METHODS:
        expected = whiten(integers, method).matrix
        assert_close(whiten(integers + 1e9, method).matrix, expected, 1e-13)


def test_the_data_are_not_squared():
    """At standard deviations 1e10 apart the covariance has rank 1 in float64, the data rank 2."""
    rng = np.random.default_rng(9)
    x = rng.standard_normal((50, 2)) * [1.0, 1e10]
    y = whiten(x, "cholesky").transform(x)
    assert_close(covariance(y), np.eye(2), 1e-13)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [1, 3, 4])
def test_too_few_rows_need_eps(method, rows):
    x = correlated(rows, 4, seed=10)
    with pytest.raises(
        ValueError, match=rf"^x: .*{rows} rows of 4 features has rank {rows - 1}.*eps"
    ):
        whiten(x, method)
    whitening = whiten(x, method, eps=0.5)
    regularized = covariance(x) + 0.5 * np.eye(4)
    assert_close(whitening.matrix @ regularized @ whitening.matrix.T, np.eye(4), 1e-12)
    assert_close(whitening.inverse(whitening.transform(x)), x, 1e-12 * np.abs(x).max())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [10, 10_000])
def test_dependent_or_constant_features_are_refused_at_any_number_of_rows(method, rows):
    x = correlated(rows, 3, seed=11)
    for redundant in (x[:, 0], x @ [0.3, -1.7, 2.1], np.full(rows, 0.1)):
        with pytest.raises(ValueError, match=r"^x: .* 4 features has rank 3, .*drop constant"):
            whiten(np.column_stack([x, redundant]), method)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_outputs_keep_the_dtype_and_are_rounded_once(dtype):
    x = correlated(seed=12).astype(dtype)
    whitening = whiten(x, "zca")
    assert whitening.matrix.dtype == whitening.mean.dtype == np.float64
    exact = whiten(x.astype(np.float64), "zca").transform(x.astype(np.float64))
    y = whitening.transform(x)
    assert y.dtype == whitening.inverse(y).dtype == dtype
    assert_close(y, exact, TOLERANCES[dtype].forward_bound(np.abs(exact).max()))


def test_repeated_calls_give_the_same_bits():
    x = correlated(seed=13)
    for method in METHODS:
        first, second = whiten(x, method), whiten(x, method)
        assert first.matrix.tobytes() == second.matrix.tobytes()
        assert first.transform(x).tobytes() == second.transform(x).tobytes()


GOOD = correlated(10, 3, seed=14)
BAD_CALLS = {
    "method": (lambda: whiten(GOOD, "ZCA"), r"^method: expected one of pca, zca, .* got 'ZCA'"),
    "vector": (lambda: whiten(GOOD[0]), r"^x: expected shape \(N, d\).*\(3,\)"),
    "images": (lambda: whiten(GOOD[None]), r"^x: expected shape \(N, d\).*\(1, 10, 3\)"),
    "no-rows": (lambda: whiten(GOOD[:0]), r"^x: expected .* at least 1, got \(0, 3\)"),
    "no-features": (lambda: whiten(GOOD[:, :0]), r"^x: expected .* at least 1, got \(10, 0\)"),
    "nan": (lambda: whiten(np.where(GOOD > 5, np.nan, GOOD)), r"^x: expected finite values"),
    "infinite": (lambda: whiten(np.where(GOOD > 5, np.inf, GOOD)), r"^x: expected finite values"),
    "eps": (lambda: whiten(GOOD, eps=-0.1), r"^eps: expected a number >= 0, got -0\.1"),
    "eps text": (lambda: whiten(GOOD, eps="0"), r"^eps: expected a number >= 0, got '0'"),
    "eps infinite": (lambda: whiten(GOOD, eps=np.inf), r"^eps: expected a number >= 0, got inf"),
    "constant": (lambda: whiten(np.full((9, 2), 0.1)), r"^x: .* has rank 0"),
    "transform": (lambda: whiten(GOOD).transform(GOOD[:, :2]), r"^x: .*\(\.\.\., 3\).*\(10, 2\)"),
    "inverse": (lambda: whiten(GOOD).inverse(GOOD[:, :2]), r"^y: .*\(\.\.\., 3\).*\(10, 2\)"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_input_raises_value_error(case):
    call, message = BAD_CALLS[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_other_dtypes_raise_type_error():
    for dtype in (bool, complex, object):
        with pytest.raises(TypeError, match=r"^x: expected a float or integer array"):
            whiten(GOOD.astype(dtype))
        with pytest.raises(TypeError, match=r"^y: expected a float or integer array"):
            whiten(GOOD).inverse(GOOD.astype(dtype))
