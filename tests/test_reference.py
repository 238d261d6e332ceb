"""bnlib.reference against exact arithmetic, central differences, torch, and its own promises."""

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import NamedTuple

import numpy as np
import pytest
from tolerances import CENTRAL_DIFFERENCE, TOLERANCES

from bnlib import reference

FLOAT64 = TOLERANCES["float64"]


class Norm(NamedTuple):
    """A norm, the shapes to try it on, and what the oracle must know: who shares statistics."""

    forward: Callable  # (x, gamma, beta) -> (y, cache); beta is ignored by RMS norm
    backward: Callable
    shapes: tuple[tuple[int, ...], ...]
    labels: Callable  # x.shape -> (statistics label, parameter index) of every element
    parameter_shape: Callable  # x.shape -> gamma.shape
    centered: bool = True
    eps: float = 1e-5


def channel_index(shape):
    return np.indices(shape)[1]


def feature_labels(count):
    """Labels when the last `count` axes are features: rows share statistics, columns parameters."""

    def labels(shape):
        rows, columns = int(np.prod(shape[:-count])), int(np.prod(shape[-count:]))
        row, column = np.divmod(np.arange(rows * columns).reshape(shape), columns)
        return row, column

    return labels


def group_labels(num_groups):
    def labels(shape):
        sample, channel = np.indices(shape)[:2]
        return sample * num_groups + channel // (shape[1] // num_groups), channel

    return labels


def group_norm(num_groups):
    return lambda x, gamma, beta, eps=1e-5: reference.group_norm(x, num_groups, gamma, beta, eps)


def rms_norm(x, gamma, beta, eps=1e-6):
    return reference.rms_norm(x, gamma, eps)


IMAGES = ((2, 6, 4), (3, 6, 2, 5), (2, 6, 1, 3, 2))
NORMS = {
    "batch": Norm(
        reference.batch_norm,
        reference.batch_norm_backward,
        ((3, 5), (2, 3, 4), (5, 4, 3, 2), (2, 3, 2, 1, 4)),
        lambda shape: (channel_index(shape), channel_index(shape)),
        lambda shape: shape[1:2],
    ),
    "instance": Norm(
        reference.instance_norm,
        reference.instance_norm_backward,
        IMAGES,
        lambda shape: (
            np.indices(shape)[0] * shape[1] + channel_index(shape),
            channel_index(shape),
        ),
        lambda shape: shape[1:2],
    ),
    "group-3": Norm(
        group_norm(3),
        reference.group_norm_backward,
        ((4, 9), *IMAGES),
        group_labels(3),
        lambda shape: shape[1:2],
    ),
    "group-1": Norm(
        group_norm(1),
        reference.group_norm_backward,
        ((4, 6), *IMAGES),
        group_labels(1),
        lambda shape: shape[1:2],
    ),
    "layer-1": Norm(
        reference.layer_norm,
        reference.layer_norm_backward,
        ((5,), (3, 5), (2, 3, 4)),
        feature_labels(1),
        lambda shape: shape[-1:],
    ),
    "layer-2": Norm(
        reference.layer_norm,
        reference.layer_norm_backward,
        ((2, 3, 4), (5, 4, 1, 3)),
        feature_labels(2),
        lambda shape: shape[-2:],
    ),
    "rms": Norm(
        rms_norm,
        reference.rms_norm_backward,
        ((5,), (3, 5), (2, 3, 4)),
        feature_labels(1),
        lambda shape: shape[-1:],
        centered=False,
        eps=1e-6,
    ),
}
CASES = [(name, shape) for name, norm in NORMS.items() for shape in norm.shapes]


class Sample(NamedTuple):
    x: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    dy: np.ndarray


def draw(name, shape, offset=0.7, dtype=np.float64, seed=0) -> Sample:
    """Inputs with gamma off 1 (one negative) and beta off 0, which would hide wrong gradients."""
    rng = np.random.default_rng(seed)
    parameter_shape = NORMS[name].parameter_shape(shape)
    gamma = rng.uniform(0.5, 2.0, parameter_shape)
    gamma.flat[-1] *= -1
    arrays = (
        offset + 1.5 * rng.standard_normal(shape),
        gamma,
        rng.uniform(-1.0, 1.0, parameter_shape),
        0.3 + rng.standard_normal(shape),
    )
    return Sample(*(array.astype(dtype) for array in arrays))


# ---------------------------------------------------------------------------- the oracle: 60 digits


def oracle(norm: Norm, sample: Sample, eps: float | None = None) -> tuple[np.ndarray, ...]:
    """y, dx, dgamma, dbeta in 60 decimal digits, value by value.

    The gradient follows Ioffe & Szegedy 2015, section 3, node by node (d var, d mean, d x), not the
    collected formula of the package.
    """
    exact = np.vectorize(Decimal, otypes=[object])
    x, gamma, beta, dy = (exact(array.astype(np.float64)) for array in sample)
    statistics_of, parameter_of = norm.labels(x.shape)
    dx_hat = dy * gamma.ravel()[parameter_of]
    x_hat, dx = np.empty_like(x), np.empty_like(x)
    with localcontext() as context:
        context.prec = 60
        for label in np.unique(statistics_of):
            same = statistics_of == label
            values, upstream, count = x[same], dx_hat[same], Decimal(int(same.sum()))
            deviation = values - values.sum() / count if norm.centered else values
            var = (deviation * deviation).sum() / count
            std = (var + Decimal(norm.eps if eps is None else eps)).sqrt()
            dvar = (upstream * deviation).sum() / (-2 * std**3)
            dmean = -upstream.sum() / std if norm.centered else Decimal(0)
            x_hat[same] = deviation / std
            dx[same] = upstream / std + dvar * 2 * deviation / count + dmean / count
        y = gamma.ravel()[parameter_of] * x_hat
        if norm.centered:
            y = y + beta.ravel()[parameter_of]
        owners = [parameter_of == index for index in range(gamma.size)]
        dgamma = np.array([(dy * x_hat)[mine].sum() for mine in owners]).reshape(gamma.shape)
        dbeta = np.array([dy[mine].sum() for mine in owners]).reshape(gamma.shape)
        return tuple(array.astype(np.float64) for array in (y, dx, dgamma, dbeta))


def assert_close(actual, expected, bound):
    error = np.max(np.abs(actual - expected))
    assert error <= bound, f"error {error:.3g} exceeds {bound:.3g}"


@pytest.mark.parametrize("offset", [0.7, 1e3, -1e6], ids=["mean-1", "mean-1e3", "mean-1e6"])
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_float64_matches_60_digits_within_1e_12(name, shape, offset):
    norm, sample = NORMS[name], draw(name, shape, offset)
    y, dx, dgamma, dbeta = oracle(norm, sample)
    actual_y, cache = norm.forward(*sample[:3])
    actual_dx, actual_dgamma, *rest = norm.backward(sample.dy, cache)

    assert_close(actual_y, y, FLOAT64.forward_bound(np.abs(y).max()))
    assert_close(actual_dx, dx, FLOAT64.gradient_bound(np.abs(dx).max()))
    assert_close(actual_dgamma, dgamma, FLOAT64.gradient_bound(np.abs(dgamma).max()))
    if norm.centered:
        assert_close(rest[0], dbeta, FLOAT64.gradient_bound(np.abs(dbeta).max()))
    else:
        assert rest == []


@pytest.mark.parametrize("name", NORMS)
def test_eps_stands_inside_the_root(name):
    """With a variance near eps, sqrt(var) + eps and sqrt(var + eps) are far apart."""
    norm = NORMS[name]
    sample = draw(name, norm.shapes[-1], offset=0.0)
    y, cache = norm.forward(sample.x, sample.gamma, sample.beta, eps=2.0)
    dx = norm.backward(sample.dy, cache)[0]
    expected_y, expected_dx, *_ = oracle(norm, sample, eps=2.0)
    assert_close(y, expected_y, FLOAT64.forward_bound(np.abs(expected_y).max()))
    assert_close(dx, expected_dx, FLOAT64.gradient_bound(np.abs(expected_dx).max()))


@pytest.mark.parametrize("kappa", [0.0, 1e2, 1e4])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", NORMS)
def test_narrow_dtypes_keep_the_promised_bounds(name, dtype, kappa):
    """Against float64 on the same rounded inputs. fp16 cannot hold kappa = 1e4 and stops at 1e2."""
    norm, tolerance = NORMS[name], TOLERANCES[dtype]
    kappa = min(kappa, 1e2) if dtype == "float16" else kappa
    narrow = draw(name, norm.shapes[-1], offset=1.5 * kappa, dtype=dtype)
    wide = Sample(*(array.astype(np.float64) for array in narrow))
    y, cache = norm.forward(*narrow[:3])
    exact_y, exact_cache = norm.forward(*wide[:3])
    gradients = norm.backward(narrow.dy, cache)
    exact_gradients = norm.backward(wide.dy, exact_cache)

    assert y.dtype == dtype
    assert_close(y, exact_y, tolerance.forward_bound(np.abs(exact_y).max(), kappa))
    for actual, exact in zip(gradients, exact_gradients, strict=True):
        assert actual.dtype == dtype
        assert_close(actual, exact, tolerance.gradient_bound(np.abs(exact).max(), kappa))


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_gradients_match_central_differences(name, shape):
    norm, sample = NORMS[name], draw(name, shape, seed=1)
    _, cache = norm.forward(*sample[:3])
    gradients = norm.backward(sample.dy, cache)
    for position, gradient in enumerate(gradients):
        expected = central_differences(
            lambda *inputs: np.sum(sample.dy * norm.forward(*inputs)[0]), sample[:3], position
        )
        assert_close(gradient, expected, CENTRAL_DIFFERENCE.relative * np.abs(expected).max())


def central_differences(loss, inputs, position):
    """Gradient of loss(*inputs) with respect to inputs[position]."""
    gradient = np.empty_like(inputs[position])
    for index in np.ndindex(gradient.shape):
        change = []
        for step in (CENTRAL_DIFFERENCE.step, -CENTRAL_DIFFERENCE.step):
            moved = [array.copy() for array in inputs]
            moved[position][index] += step
            change.append(loss(*moved))
        gradient[index] = (change[0] - change[1]) / (2 * CENTRAL_DIFFERENCE.step)
    return gradient


# -------------------------------------------------------------------------------- difficult numbers


@pytest.mark.parametrize("offset", [1e3, 1e8, -1e12])
def test_a_large_mean_costs_float64_nothing(offset):
    """x = offset + small integers is exact, so y must be the y of the small integers."""
    small = np.array([[-3.0, 5.0], [1.0, 0.0], [4.0, -2.0]])
    gamma, beta, dy = np.array([1.5, -0.5]), np.array([0.2, 0.3]), small[::-1] + 0.5
    y, cache = reference.batch_norm(small, gamma, beta)
    shifted_y, shifted_cache = reference.batch_norm(small + offset, gamma, beta)
    assert_close(shifted_y, y, FLOAT64.forward_bound(np.abs(y).max()))
    dx = reference.batch_norm_backward(dy, cache)[0]
    shifted_dx = reference.batch_norm_backward(dy, shifted_cache)[0]
    assert_close(shifted_dx, dx, FLOAT64.gradient_bound(np.abs(dx).max()))


def test_sums_over_many_rows_stay_exact():
    """A feature that is 1 in a tenth of 200,000 rows. Adding the squares row by row loses 1e-11."""
    x = np.zeros((200_000, 2))
    x[::10] = 1.0
    y, cache = reference.batch_norm(x, np.array([2.0, -1.5]), np.array([0.5, 0.25]), eps=0.0)
    assert_close(y[0], np.array([2.0 * 3 + 0.5, -1.5 * 3 + 0.25]), FLOAT64.forward_bound(6.5))
    dgamma, dbeta = reference.batch_norm_backward(np.full_like(x, 0.1) + x, cache)[1:]
    assert_close(dgamma, 20_000 * 3.0, FLOAT64.gradient_bound(60_000))
    assert_close(dbeta, 40_000.0, FLOAT64.gradient_bound(40_000))


@pytest.mark.parametrize("eps", [1e-5, 0.0])
@pytest.mark.parametrize("value", [0.1, -7.3e5, 1 / 3, 0.0])
@pytest.mark.parametrize("name", [name for name, norm in NORMS.items() if norm.centered])
def test_constant_values_give_beta_exactly_and_finite_gradients(name, value, eps):
    norm = NORMS[name]
    sample = draw(name, norm.shapes[-1])
    x = np.full_like(sample.x, value)
    y, cache = norm.forward(x, sample.gamma, sample.beta, eps=eps)
    _, parameter_of = norm.labels(x.shape)
    np.testing.assert_array_equal(y, sample.beta.ravel()[parameter_of])
    assert all(np.isfinite(gradient).all() for gradient in norm.backward(sample.dy, cache))


def test_rms_norm_of_zeros_is_zero_without_eps():
    y, cache = reference.rms_norm(np.zeros((2, 3)), np.array([1.5, -0.5, 2.0]), eps=0.0)
    np.testing.assert_array_equal(y, np.zeros((2, 3)))
    assert np.isfinite(reference.rms_norm_backward(np.ones((2, 3)), cache)[0]).all()


def test_values_whose_squares_overflow_float32():
    """1e25 squared is beyond float32 and far inside float64."""
    small = draw("batch", (5, 3), offset=0.0, dtype="float32")
    y, _ = reference.batch_norm(small.x * np.float32(1e25), small.gamma, small.beta, eps=0.0)
    expected, _ = reference.batch_norm(small.x, small.gamma, small.beta, eps=0.0)
    bound = TOLERANCES["float32"].forward_bound(np.abs(expected).max(), kappa=1.0)
    assert_close(y, expected, bound)


def test_longdouble_is_computed_in_longdouble():
    sample = draw("batch", (5, 3))
    x = sample.x.astype(np.longdouble)
    y, cache = reference.batch_norm(x, sample.gamma, sample.beta)
    dx = reference.batch_norm_backward(sample.dy, cache)[0]
    deviation = x - x.mean(axis=0)
    expected = deviation / np.sqrt((deviation**2).mean(axis=0) + 1e-5) * sample.gamma + sample.beta
    assert y.dtype == dx.dtype == np.longdouble
    assert_close(y, expected, 100 * np.finfo(np.longdouble).eps)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_nan_spoils_exactly_what_shares_its_statistics(name, shape):
    norm, sample = NORMS[name], draw(name, shape)
    statistics_of, _ = norm.labels(shape)
    spoiled = statistics_of == statistics_of.flat[-1]
    sample.x.flat[-1] = np.nan
    y, cache = norm.forward(*sample[:3])
    np.testing.assert_array_equal(np.isnan(y), spoiled)
    np.testing.assert_array_equal(np.isnan(norm.backward(sample.dy, cache)[0]), spoiled)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_repeated_calls_give_the_same_bits_and_leave_the_inputs_alone(name, shape):
    norm, sample = NORMS[name], draw(name, shape)
    before = [array.copy() for array in sample]
    runs = []
    for _ in range(2):
        y, cache = norm.forward(*sample[:3])
        runs.append([y, *norm.backward(sample.dy, cache)])
    for first, second in zip(*runs, strict=True):
        assert first.tobytes() == second.tobytes()
    for array, copy in zip(sample, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_strided_and_big_endian_inputs_give_the_same_numbers():
    sample = draw("batch", (5, 4, 3, 2))
    expected, _ = reference.batch_norm(*sample[:3])
    channels_last = np.ascontiguousarray(sample.x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    padded = np.zeros((10, 4, 3, 4))[::2, :, :, ::2]
    padded[...] = sample.x
    for x in (channels_last, padded, sample.x.astype(">f8")):
        y, _ = reference.batch_norm(x, sample.gamma, sample.beta)
        assert_close(y, expected, FLOAT64.forward_bound(np.abs(expected).max()))


def test_an_updated_gamma_does_not_reach_an_earlier_cache():
    sample = draw("batch", (5, 3))
    _, cache = reference.batch_norm(*sample[:3])
    expected = reference.batch_norm_backward(sample.dy, cache)[0]
    sample.gamma[...] = 9.0
    np.testing.assert_array_equal(reference.batch_norm_backward(sample.dy, cache)[0], expected)


# ------------------------------------------------------------------------ what the formulas promise


def test_batch_norm_gradient_has_no_mean_and_no_component_along_x_hat():
    sample = draw("batch", (7, 3))
    _, cache = reference.batch_norm(*sample[:3], eps=0.0)
    dx = reference.batch_norm_backward(sample.dy, cache)[0]
    bound = FLOAT64.gradient_bound(np.abs(dx).max()) * len(dx)
    assert_close(dx.sum(axis=0), 0.0, bound)
    assert_close((dx * cache.normalized.x_hat).sum(axis=0), 0.0, bound)


def test_group_norm_is_layer_norm_at_one_group_and_instance_norm_at_one_channel_a_group():
    sample = draw("group-1", (3, 6, 2, 5))
    one_group, _ = reference.group_norm(sample.x, 1, sample.gamma, sample.beta)
    per_element = np.broadcast_to(sample.gamma[:, None, None], (6, 2, 5))
    shift = np.broadcast_to(sample.beta[:, None, None], (6, 2, 5))
    layer, _ = reference.layer_norm(sample.x, per_element, shift)
    assert_close(one_group, layer, FLOAT64.forward_bound(np.abs(layer).max()))
    six_groups, _ = reference.group_norm(sample.x, 6, sample.gamma, sample.beta)
    instance, _ = reference.instance_norm(sample.x, sample.gamma, sample.beta)
    assert_close(six_groups, instance, FLOAT64.forward_bound(np.abs(instance).max()))


def test_normalize_accepts_one_axis_or_several_counted_from_either_end():
    x = draw("batch", (2, 3, 4)).x
    by_hand = (x - x.mean(axis=(0, 2), keepdims=True)) / x.std(axis=(0, 2), keepdims=True)
    assert_close(reference.normalize(x, (-1, 0), 0.0).x_hat, by_hand, 1e-14)
    last = (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)
    assert_close(reference.normalize(x, -1, 0.0).x_hat, last, 1e-14)


# --------------------------------------------------------------------------------- scaling features

X1 = [32, 72, 40, 104, 52, 56, 89, 24, 52, 73]
X2 = [9, 8, 7, 10, 5, 8, 7, 9, 8, 7]


def test_min_max_scale():
    table = np.array([X1, X2]).T
    expected = np.array([(table[:, 0] - 24) / 80, (table[:, 1] - 5) / 5]).T
    y = reference.min_max_scale(table)
    assert_close(y, expected, FLOAT64.forward_bound(1.0))
    np.testing.assert_array_equal(y.min(axis=0), [0.0, 0.0])
    np.testing.assert_array_equal(y.max(axis=0), [1.0, 1.0])
    np.testing.assert_array_equal(reference.min_max_scale(table.T, axis=1), y.T)


def test_standardize():
    """Sum 594, sum of squares 40,994: mean 59.4 and biased variance 571.04, by hand."""
    table = np.array([X1, X2]).T
    y = reference.standardize(table)
    expected = (np.array(X1) - 59.4) / np.sqrt(571.04)
    assert_close(y[:, 0], expected, FLOAT64.forward_bound(np.abs(expected).max()))
    assert_close(y.mean(axis=0), 0.0, FLOAT64.forward_bound(1.0))
    assert_close((y**2).mean(axis=0), 1.0, FLOAT64.forward_bound(1.0))
    np.testing.assert_array_equal(reference.standardize(table.T, axis=1), y.T)
    with_eps = reference.standardize(table, eps=28.96)[:, 0]
    assert_close(with_eps, (np.array(X1) - 59.4) / np.sqrt(600), FLOAT64.forward_bound(2.0))


@pytest.mark.parametrize("scale", [reference.standardize, reference.min_max_scale])
def test_a_constant_feature_becomes_zero_and_nan_stays_nan(scale):
    x = np.array([[0.1, 2.0, np.nan], [0.1, 5.0, 1.0], [0.1, -4.0, 2.0]])
    y = scale(x)
    np.testing.assert_array_equal(y[:, 0], 0.0)
    assert np.isfinite(y[:, 1]).all() and np.ptp(y[:, 1]) >= 1.0
    assert np.isnan(y[:, 2]).all()


@pytest.mark.parametrize("scale", [reference.standardize, reference.min_max_scale])
def test_scaling_keeps_float_dtypes_and_turns_integers_into_float64(scale):
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        assert scale(np.array(X1, dtype)).dtype == dtype
    assert scale(X1).dtype == np.float64
    np.testing.assert_array_equal(scale(np.array(X1, np.uint8)), scale(np.array(X1, np.float64)))


# ------------------------------------------------------------------------------ the BatchNorm class


def batch_norm_layer(num_features, **options):
    rng = np.random.default_rng(5)
    layer = reference.BatchNorm(num_features, **options)
    layer.gamma = rng.uniform(0.5, 2.0, num_features)
    layer.beta = rng.uniform(-1.0, 1.0, num_features)
    return layer


def test_a_new_layer_starts_at_mean_0_and_variance_1():
    layer = reference.BatchNorm(3)
    np.testing.assert_array_equal(layer.running_mean, np.zeros(3))
    np.testing.assert_array_equal(layer.running_var, np.ones(3))
    np.testing.assert_array_equal(layer.gamma, np.ones(3))
    np.testing.assert_array_equal(layer.beta, np.zeros(3))
    assert (layer.num_batches_tracked, layer.training, layer.eps, layer.momentum) == (
        (0, True, 1e-5, 0.1)
    )


def test_one_step_of_the_running_statistics_by_hand():
    """Batch 1, 2, 6: mean 3, unbiased variance 7. Momentum 0.25 weighs the new value by 0.25."""
    layer = reference.BatchNorm(1, momentum=0.25)
    y, _ = layer.forward(np.array([[1.0], [2.0], [6.0]]))
    np.testing.assert_allclose(layer.running_mean, [0.75 * 0 + 0.25 * 3], rtol=1e-15)
    np.testing.assert_allclose(layer.running_var, [0.75 * 1 + 0.25 * 7], rtol=1e-15)
    assert layer.num_batches_tracked == 1
    biased = 14 / 3
    np.testing.assert_allclose(
        y.ravel(), np.array([-2, -1, 3]) / np.sqrt(biased + 1e-5), rtol=1e-12
    )


def test_running_statistics_of_images_count_every_position():
    """Two batches of (5, 4, 3, 2), momentum 0.3: statistics over 30 values a channel."""
    layer = batch_norm_layer(4, momentum=0.3)
    batches = [draw("batch", (5, 4, 3, 2), seed=seed).x for seed in (1, 2)]
    mean, var = np.zeros(4), np.ones(4)
    for batch in batches:
        layer.forward(batch)
        columns = batch.transpose(0, 2, 3, 1).reshape(-1, 4)
        mean = 0.7 * mean + 0.3 * columns.mean(axis=0)
        var = 0.7 * var + 0.3 * columns.var(axis=0, ddof=1)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=FLOAT64.gradient)
    np.testing.assert_allclose(layer.running_var, var, rtol=FLOAT64.gradient)


def test_momentum_none_keeps_the_plain_average_over_batches():
    layer = batch_norm_layer(5, momentum=None)
    batches = [draw("batch", (3, 5), seed=seed).x for seed in range(4)]
    for batch in batches:
        layer.forward(batch)
    means, variances = zip(*((b.mean(axis=0), b.var(axis=0, ddof=1)) for b in batches), strict=True)
    np.testing.assert_allclose(layer.running_mean, np.mean(means, axis=0), rtol=FLOAT64.gradient)
    np.testing.assert_allclose(layer.running_var, np.mean(variances, axis=0), rtol=FLOAT64.gradient)
    assert layer.num_batches_tracked == 4


def test_training_is_batch_norm_and_evaluation_uses_and_keeps_the_running_statistics():
    layer = batch_norm_layer(3, eps=0.01)
    sample = draw("batch", (2, 3, 4))
    y, cache = layer.forward(sample.x)
    expected, expected_cache = reference.batch_norm(sample.x, layer.gamma, layer.beta, 0.01)
    np.testing.assert_array_equal(y, expected)
    for actual, exact in zip(
        layer.backward(sample.dy, cache),
        reference.batch_norm_backward(sample.dy, expected_cache),
        strict=True,
    ):
        np.testing.assert_array_equal(actual, exact)

    mean, var = layer.running_mean.copy(), layer.running_var.copy()
    assert layer.eval() is layer and not layer.training
    single = draw("batch", (1, 3), seed=3).x.astype(np.float32)
    y, _ = layer.forward(single)
    expected = layer.gamma * (single - mean) / np.sqrt(var + 0.01) + layer.beta
    assert y.dtype == np.float32
    assert_close(y, expected, TOLERANCES["float32"].forward_bound(np.abs(expected).max()))
    np.testing.assert_array_equal(layer.running_mean, mean)
    np.testing.assert_array_equal(layer.running_var, var)
    assert layer.num_batches_tracked == 1
    assert layer.train() is layer and layer.training


@pytest.mark.parametrize("shape", [(3, 5), (2, 5, 4), (1, 5, 3, 2)])
def test_evaluation_gradients_treat_the_statistics_as_constants(shape):
    layer = batch_norm_layer(5)
    layer.forward(draw("batch", (3, 5), seed=8).x)
    layer.eval()
    sample = draw("batch", shape, seed=9)

    def loss(x, gamma, beta):
        layer.gamma, layer.beta = gamma, beta
        return np.sum(sample.dy * layer.forward(x)[0])

    inputs = (sample.x, layer.gamma, layer.beta)
    gradients = layer.backward(sample.dy, layer.forward(sample.x)[1])
    for position, gradient in enumerate(gradients):
        expected = central_differences(loss, inputs, position)
        assert_close(gradient, expected, CENTRAL_DIFFERENCE.relative * np.abs(expected).max())


@pytest.mark.filterwarnings("error")
def test_an_empty_batch_gives_an_empty_output_and_moves_no_statistic():
    layer = batch_norm_layer(3)
    y, cache = layer.forward(np.empty((0, 3, 2)))
    dx, dgamma, dbeta = layer.backward(np.empty((0, 3, 2)), cache)
    assert y.shape == dx.shape == (0, 3, 2)
    np.testing.assert_array_equal([dgamma, dbeta], np.zeros((2, 3)))
    np.testing.assert_array_equal(layer.running_mean, np.zeros(3))
    np.testing.assert_array_equal(layer.running_var, np.ones(3))
    assert layer.num_batches_tracked == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [name for name in NORMS if name != "batch"])
def test_empty_batches_of_the_other_norms(name):
    norm = NORMS[name]
    shape = (0, *norm.shapes[-1][1:])
    sample = draw(name, shape)
    y, cache = norm.forward(*sample[:3])
    dx, *parameter_gradients = norm.backward(sample.dy, cache)
    assert y.shape == dx.shape == shape
    for gradient in parameter_gradients:
        np.testing.assert_array_equal(gradient, np.zeros(sample.gamma.shape))


# ---------------------------------------------------------------------------------------- bad input

THREE, FOUR = np.full(3, 1.5), np.full(4, 1.5)
BATCH = np.arange(6.0).reshape(2, 3)
BAD_CALLS = {
    "batch-1d": (lambda: reference.batch_norm(THREE, THREE, THREE), r"^x: expected .*\(3,\)"),
    "batch-gamma": (lambda: reference.batch_norm(BATCH, FOUR, THREE), r"^gamma: .*\(3,\).*\(4,\)"),
    "batch-beta": (lambda: reference.batch_norm(BATCH, THREE, FOUR), r"^beta: .*\(3,\).*\(4,\)"),
    "batch-gamma-2d": (lambda: reference.batch_norm(BATCH, THREE[None], THREE), r"^gamma: "),
    "batch-one-value": (
        lambda: reference.batch_norm(BATCH[:1], THREE, THREE),
        r"Expected more than 1 value per channel when training, got input size \(1, 3\)",
    ),
    "batch-one-pixel": (
        lambda: reference.batch_norm(BATCH[:1, :, None, None], THREE, THREE),
        r"Expected more than 1 value per channel when training, got input size \(1, 3, 1, 1\)",
    ),
    "batch-eps": (lambda: reference.batch_norm(BATCH, THREE, THREE, -1e-5), r"^eps: .*-1e-05"),
    "batch-eps-nan": (lambda: reference.batch_norm(BATCH, THREE, THREE, np.nan), r"^eps: .*nan"),
    "instance-1d": (lambda: reference.instance_norm(THREE, THREE, THREE), r"^x: expected .*\(3,\)"),
    "instance-2d": (
        lambda: reference.instance_norm(BATCH, THREE, THREE),
        r"Expected more than 1 spatial element when training, got input size \(2, 3\)",
    ),
    "instance-one-pixel": (
        lambda: reference.instance_norm(BATCH[..., None], THREE, THREE),
        r"Expected more than 1 spatial element when training, got input size \(2, 3, 1\)",
    ),
    "group-1d": (lambda: reference.group_norm(THREE, 1, THREE, THREE), r"^x: expected .*\(3,\)"),
    "group-divisor": (
        lambda: reference.group_norm(BATCH, 2, THREE, THREE),
        r"^num_groups: expected a positive divisor of the 3 channels of x, got 2",
    ),
    "group-zero": (lambda: reference.group_norm(BATCH, 0, THREE, THREE), r"^num_groups: .*got 0"),
    "group-negative": (lambda: reference.group_norm(BATCH, -3, THREE, THREE), r"^num_groups: "),
    "group-one-value": (
        lambda: reference.group_norm(BATCH[:1], 3, THREE, THREE),
        r"Expected more than 1 value per channel when training, got input size \(1, 3\)",
    ),
    "layer-gamma": (
        lambda: reference.layer_norm(BATCH, np.full(2, 1.5), np.full(2, 0.5)),
        r"^gamma: .*\(2,\).*\(2, 3\)",
    ),
    "layer-gamma-too-deep": (
        lambda: reference.layer_norm(THREE, BATCH, BATCH),
        r"^gamma: .*\(2, 3\).*\(3,\)",
    ),
    "layer-beta": (lambda: reference.layer_norm(BATCH, THREE, FOUR), r"^beta: .*\(3,\).*\(4,\)"),
    "layer-scalar": (lambda: reference.layer_norm(BATCH, 1.5, 0.5), r"^gamma: .*scalar"),
    "rms-gamma": (lambda: reference.rms_norm(BATCH, FOUR), r"^gamma: .*\(4,\).*\(2, 3\)"),
    "rms-scalar": (lambda: reference.rms_norm(BATCH, 1.5), r"^gamma: .*scalar"),
    "dy-shape": (
        lambda: reference.batch_norm_backward(
            BATCH.T, reference.batch_norm(BATCH, THREE, THREE)[1]
        ),
        r"^dy: expected shape \(2, 3\), got \(3, 2\)",
    ),
    "layer-class-channels": (
        lambda: reference.BatchNorm(4).forward(BATCH),
        r"^x: expected 4 channels, got shape \(2, 3\)",
    ),
    "layer-class-channels-eval": (
        lambda: reference.BatchNorm(4).eval().forward(BATCH),
        r"^x: expected 4 channels, got shape \(2, 3\)",
    ),
    "standardize-axis": (lambda: reference.standardize(THREE, axis=1), "axis 1 is out of bounds"),
    "standardize-eps": (lambda: reference.standardize(THREE, eps=-1.0), r"^eps: .*-1\.0"),
    "min-max-axis": (lambda: reference.min_max_scale(THREE, axis=1), "axis 1 is out of bounds"),
    "min-max-empty": (lambda: reference.min_max_scale(np.empty((0, 3))), "zero-size array"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_shapes_and_values_raise_value_error(case):
    call, message = BAD_CALLS[case]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dtype", [bool, complex, object, "U1"])
def test_other_dtypes_raise_type_error_naming_the_argument(dtype):
    bad = np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype)
    calls = {
        "x": [
            lambda: reference.batch_norm(bad, THREE, THREE),
            lambda: reference.instance_norm(bad, THREE, THREE),
            lambda: reference.group_norm(bad, 3, THREE, THREE),
            lambda: reference.layer_norm(bad, THREE, THREE),
            lambda: reference.rms_norm(bad, THREE),
            lambda: reference.min_max_scale(bad),
            lambda: reference.standardize(bad),
            lambda: reference.BatchNorm(3).eval().forward(bad),
        ],
        "gamma": [
            lambda: reference.batch_norm(BATCH, bad[0], THREE),
            lambda: reference.layer_norm(BATCH, bad[0], THREE),
        ],
        "beta": [
            lambda: reference.batch_norm(BATCH, THREE, bad[0]),
            lambda: reference.layer_norm(BATCH, THREE, bad[0]),
        ],
        "dy": [
            lambda: reference.batch_norm_backward(
                bad, reference.batch_norm(BATCH, THREE, THREE)[1]
            ),
        ],
    }
    for name, bad_calls in calls.items():
        for call in bad_calls:
            with pytest.raises(TypeError, match=f"^{name}: expected a float or integer array, got"):
                call()


def test_a_fractional_number_of_groups_is_a_type_error():
    with pytest.raises(TypeError):
        reference.group_norm(BATCH, 1.5, THREE, THREE)


@pytest.mark.parametrize("bad", [BATCH[:1], BATCH[:, :2], BATCH[0], BATCH.astype(complex)])
def test_a_refused_batch_leaves_the_running_statistics_alone(bad):
    layer = batch_norm_layer(3)
    layer.forward(BATCH)
    before = (layer.running_mean.copy(), layer.running_var.copy(), layer.num_batches_tracked)
    with pytest.raises((ValueError, TypeError)):
        layer.forward(bad)
    np.testing.assert_array_equal(layer.running_mean, before[0])
    np.testing.assert_array_equal(layer.running_var, before[1])
    assert layer.num_batches_tracked == before[2] == 1


def test_integers_are_taken_as_float64():
    integers = np.array([[3, 9, 8], [1, 7, 7], [4, 5, 2]])
    y, cache = reference.batch_norm(integers, [2, 3, 1], [0, 1, 5])
    expected, _ = reference.batch_norm(integers.astype(float), [2.0, 3.0, 1.0], [0.0, 1.0, 5.0])
    np.testing.assert_array_equal(y, expected)
    gradients = reference.batch_norm_backward(integers, cache)
    assert {y.dtype, *(gradient.dtype for gradient in gradients)} == {np.dtype(np.float64)}


# ------------------------------------------------------------------------------------ against torch


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_matches_torch(name, shape):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    torch_norms = {
        "batch": lambda x, g, b: functional.batch_norm(x, None, None, g, b, training=True),
        "instance": lambda x, g, b: functional.instance_norm(x, weight=g, bias=b),
        "group-3": lambda x, g, b: functional.group_norm(x, 3, g, b),
        "group-1": lambda x, g, b: functional.group_norm(x, 1, g, b),
        "layer-1": lambda x, g, b: functional.layer_norm(x, g.shape, g, b),
        "layer-2": lambda x, g, b: functional.layer_norm(x, g.shape, g, b),
        "rms": lambda x, g, b: functional.rms_norm(x, g.shape, g, eps=1e-6),
    }
    norm, sample = NORMS[name], draw(name, shape, seed=2)
    inputs = [torch.tensor(array, requires_grad=True) for array in sample[:3]]
    expected_y = torch_norms[name](*inputs)
    expected_y.backward(torch.tensor(sample.dy))
    y, cache = norm.forward(*sample[:3])
    gradients = norm.backward(sample.dy, cache)
    assert_close(
        y, expected_y.detach().numpy(), FLOAT64.forward_bound(expected_y.abs().max().item())
    )
    for actual, tensor in zip(gradients, inputs, strict=False):
        expected = tensor.grad.numpy()
        assert_close(actual, expected, FLOAT64.gradient_bound(np.abs(expected).max()))


@pytest.mark.parametrize("momentum", [0.1, 0.35, None])
def test_the_class_follows_torch_through_training_and_evaluation(momentum):
    torch = pytest.importorskip("torch")
    layer = batch_norm_layer(4, eps=1e-3, momentum=momentum)
    twin = torch.nn.BatchNorm2d(4, eps=1e-3, momentum=momentum, dtype=torch.float64)
    with torch.no_grad():
        twin.weight.copy_(torch.tensor(layer.gamma))
        twin.bias.copy_(torch.tensor(layer.beta))
    for step in range(6):
        if step == 4:
            layer.eval()
            twin.eval()
        sample = draw("batch", (5, 4, 3, 2), seed=step)
        x = torch.tensor(sample.x, requires_grad=True)
        twin.zero_grad()
        expected_y = twin(x)
        expected_y.backward(torch.tensor(sample.dy))
        y, cache = layer.forward(sample.x)
        gradients = layer.backward(sample.dy, cache)
        assert_close(y, expected_y.detach().numpy(), FLOAT64.forward_bound(np.abs(y).max()))
        expected = (x.grad, twin.weight.grad, twin.bias.grad)
        for actual, tensor in zip(gradients, expected, strict=True):
            assert_close(actual, tensor.numpy(), FLOAT64.gradient_bound(np.abs(actual).max()))
        assert_close(layer.running_mean, twin.running_mean.numpy(), FLOAT64.forward_bound(1.0))
        assert_close(layer.running_var, twin.running_var.numpy(), FLOAT64.forward_bound(1.0))
        assert layer.num_batches_tracked == twin.num_batches_tracked.item()


def test_numpy_alone_is_imported():
    """The page's exercises run where torch cannot: no import may need more than NumPy."""
    program = (
        "import sys, bnlib, bnlib.reference, bnlib.whitening\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'matplotlib', 'triton'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
