"""The formulas in NumPy: one idea, normalize over a set of axes, and the norms that differ in them.

    norm        x                 statistics over               gamma
    batch       (N, C, *spatial)  N and spatial                 (C,)
    instance    (N, C, *spatial)  spatial                       (C,)
    group       (N, C, *spatial)  spatial and C/G channels      (C,)
    layer, RMS  (..., *features)  features                      (*features,)

Numbers: float16, float32 and float64 are computed in float64 and longdouble in longdouble; the
result is rounded once, to the dtype of x. Integers are taken as float64; bool, complex and object
arrays raise TypeError. NaN propagates to all that shares its statistics. A float64 feature whose
deviations lie outside 1e-150 .. 1e150 has no variance in float64: rescale it first.
"""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import ArrayLike, NDArray

# -------------------------------------------------------------------- one idea: normalize over axes


class Normalized(NamedTuple):
    """What `normalize` returns; the statistics keep the reduced axes with size 1."""

    x_hat: NDArray
    mean: NDArray | None  # None: nothing was subtracted (RMS norm)
    var: NDArray  # the biased variance, or the mean square if nothing was subtracted
    inv_std: NDArray
    axes: tuple[int, ...] | None  # None: the statistics were constants (evaluation mode)


def normalize(
    x: ArrayLike, axes: int | tuple[int, ...], eps: float, subtract_mean: bool = True
) -> Normalized:
    """Give every set of values along `axes` mean 0 and variance 1.

        x_hat = (x - mean) / sqrt(var + eps)

    x      any float or integer array; computed in float64 or wider
    Values that are all equal give x_hat = 0, also where eps = 0 would make it 0 / 0.
    Raises ValueError if eps is negative, AxisError (a ValueError) if x lacks one of the axes.
    """
    x = _wide(as_float("x", x))
    axes = normalize_axis_tuple(axes, x.ndim)
    deviation, mean = center(x, axes) if subtract_mean else (x, None)
    var = _mean(np.square(deviation), axes)
    inv_std = _inverse_std(var, eps)
    return Normalized(deviation * inv_std, mean, var, inv_std, axes)


def normalize_backward(dx_hat: NDArray, normalized: Normalized) -> NDArray:
    """Gradient of `normalize`: through x itself, through the mean and through the variance.

        dx = (dx_hat - mean(dx_hat) - x_hat * mean(dx_hat * x_hat)) / sqrt(var + eps)

    In words: dx_hat without its mean and without its component along x_hat. What was not computed
    from x sends no gradient: the mean in RMS norm, both statistics in evaluation mode.
    """
    x_hat, mean, _, inv_std, axes = normalized
    if axes is None:
        return dx_hat * inv_std
    if mean is not None:
        dx_hat, _ = center(dx_hat, axes)
    return (dx_hat - x_hat * _mean(dx_hat * x_hat, axes)) * inv_std


def center(x: NDArray, axes: tuple[int, ...]) -> tuple[NDArray, NDArray]:
    """Return x - mean and the mean over `axes`, kept as axes of size 1.

    The mean is rounded, by up to |mean| * 1e-16, and that error stands in every deviation. The mean
    of the deviations is that error: taking it away too leaves equal values exactly 0 and makes a
    mean of 1e8 standard deviations harmless. It costs a second pass over x.
    """
    rounded_mean = _mean(x, axes)
    deviation = x - rounded_mean
    correction = _mean(deviation, axes)
    return deviation - correction, rounded_mean + correction


def _mean(values: NDArray, axes: tuple[int, ...]) -> NDArray:
    """Mean over `axes`, kept as axes of size 1; 0 where there are no values."""
    return _sum(values, axes) / max(1, math.prod(values.shape[axis] for axis in axes))


def _sum(values: NDArray, axes: tuple[int, ...]) -> NDArray:
    """Sum over `axes`, kept as axes of size 1.

    NumPy adds pairwise only along contiguous memory, hence the copy. Its sum over a leading axis
    adds row after row: 10 million equal terms then lose 1e-10 of their sum.
    """
    kept = tuple(axis for axis in range(values.ndim) if axis not in axes)
    rows = np.ascontiguousarray(values.transpose(kept + axes))
    shape = (*(values.shape[axis] for axis in kept), math.prod(values.shape[axis] for axis in axes))
    return np.expand_dims(rows.reshape(shape).sum(axis=-1), axes)


def _inverse_std(var: NDArray, eps: float) -> NDArray:
    """1 / sqrt(var + eps), and 0 where both are 0, so that 0 deviations stay 0."""
    require_eps(eps)
    std = np.sqrt(var + eps)
    return np.divide(1.0, std, out=np.zeros_like(std), where=std != 0)


# --------------------------------------------------------------------------------- scaling features


def min_max_scale(x: ArrayLike, axis: int | tuple[int, ...] = 0) -> NDArray:
    """Map each feature onto the interval from 0 to 1.

        y = (x - min) / (max - min)

    x      any shape; minimum and maximum are taken over `axis`
    A constant feature gives 0. Raises ValueError if there is no value along `axis`.
    """
    x = as_float("x", x)
    wide = _wide(x)
    minimum = wide.min(axis=axis, keepdims=True)
    value_range = wide.max(axis=axis, keepdims=True) - minimum
    y = (wide - minimum) / np.where(value_range == 0, 1, value_range)
    return y.astype(x.dtype)


def standardize(x: ArrayLike, axis: int | tuple[int, ...] = 0, eps: float = 0.0) -> NDArray:
    """Give each feature mean 0 and variance 1.

        y = (x - mean) / sqrt(var + eps),    var = mean((x - mean)^2), divided by N, not N - 1

    x      any shape; mean and variance are taken over `axis`
    A constant feature gives 0, not NaN. Raises ValueError if eps is negative.
    """
    x = as_float("x", x)
    return normalize(x, axis, eps).x_hat.astype(x.dtype)


# ---------------------------------------------------------------------------------- scale and shift


class Cache(NamedTuple):
    """What the backward pass of a norm needs from its forward pass."""

    normalized: Normalized
    gamma: NDArray  # a copy: an update of gamma after the forward pass must not change dx
    parameter_shape: tuple[int, ...]  # gamma in this shape broadcasts against x_hat
    shape: tuple[int, ...]  # of x, and so of y, dy and dx
    dtype: np.dtype  # of x, and so of y and dx


def _scale_and_shift(
    normalized: Normalized,
    gamma: NDArray,
    beta: NDArray | None,
    parameter_shape: tuple[int, ...],
    x: NDArray,
) -> tuple[NDArray, Cache]:
    """y = gamma * x_hat + beta, in the shape and dtype of x, and the cache for the way back."""
    y = gamma.reshape(parameter_shape) * normalized.x_hat
    if beta is not None:
        y = y + beta.reshape(parameter_shape)
    cache = Cache(normalized, gamma.copy(), parameter_shape, x.shape, x.dtype)
    return y.reshape(x.shape).astype(x.dtype), cache


def _backward(dy: ArrayLike, cache: Cache) -> tuple[NDArray, NDArray, NDArray]:
    """The backward pass of every norm here: scale and shift, then normalize.

        dx_hat = dy * gamma,    dgamma = sum(dy * x_hat),    dbeta = sum(dy)

    dx has the shape and dtype of x, dgamma and dbeta those of gamma.
    """
    dy = as_float("dy", dy)
    _require_shape("dy", dy, cache.shape)
    x_hat, gamma = cache.normalized.x_hat, cache.gamma
    dy = dy.astype(x_hat.dtype).reshape(x_hat.shape)
    dx = normalize_backward(dy * gamma.reshape(cache.parameter_shape), cache.normalized)
    shared = tuple(axis for axis, size in enumerate(cache.parameter_shape) if size == 1)
    dgamma = _sum(dy * x_hat, shared).reshape(gamma.shape).astype(gamma.dtype)
    dbeta = _sum(dy, shared).reshape(gamma.shape).astype(gamma.dtype)
    return dx.reshape(cache.shape).astype(cache.dtype), dgamma, dbeta


# ----------------------------------------------------------------------------------- the five norms


def batch_norm(
    x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, eps: float = 1e-5
) -> tuple[NDArray, Cache]:
    """Normalize each channel over the batch, then scale and shift.

        y = gamma * (x - mean) / sqrt(var + eps) + beta

    x      (N, C) or (N, C, *spatial), any float dtype; an empty batch gives an empty y
    gamma  (C,); beta (C,)
    Returns y, shaped like x, and the cache that `batch_norm_backward` takes.
    Raises ValueError if x has fewer than two dimensions or one value per channel.
    Source: Ioffe & Szegedy 2015, Algorithm 1.
    """
    x, gamma, beta = _channels_first(x, gamma, beta)
    if _values_per_channel(x.shape) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {x.shape}"
        )
    over_batch_and_space = (0, *range(2, x.ndim))
    normalized = normalize(x, over_batch_and_space, eps)
    return _scale_and_shift(normalized, gamma, beta, _channel_shape(x), x)


def batch_norm_backward(dy: ArrayLike, cache: Cache) -> tuple[NDArray, NDArray, NDArray]:
    """Return dx, dgamma, dbeta of `batch_norm` for dy, shaped like y.

    Source: Ioffe & Szegedy 2015, section 3, collected into `normalize_backward`.
    """
    return _backward(dy, cache)


def instance_norm(
    x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, eps: float = 1e-5
) -> tuple[NDArray, Cache]:
    """Normalize each channel of each sample over its spatial positions, then scale and shift.

        y = gamma * (x - mean) / sqrt(var + eps) + beta

    x      (N, C, *spatial), any float dtype
    gamma  (C,); beta (C,)
    Returns y, shaped like x, and the cache that `instance_norm_backward` takes.
    Raises ValueError if x has fewer than two dimensions or one spatial position.
    Source: Ulyanov, Vedaldi & Lempitsky 2016.
    """
    x, gamma, beta = _channels_first(x, gamma, beta)
    if math.prod(x.shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {x.shape}"
        )
    over_space = tuple(range(2, x.ndim))
    return _scale_and_shift(normalize(x, over_space, eps), gamma, beta, _channel_shape(x), x)


def instance_norm_backward(dy: ArrayLike, cache: Cache) -> tuple[NDArray, NDArray, NDArray]:
    """Return dx, dgamma, dbeta of `instance_norm` for dy, shaped like y."""
    return _backward(dy, cache)


def group_norm(
    x: ArrayLike, num_groups: int, gamma: ArrayLike, beta: ArrayLike, eps: float = 1e-5
) -> tuple[NDArray, Cache]:
    """Normalize groups of neighbouring channels of each sample, then scale and shift each channel.

        y = gamma * (x - mean) / sqrt(var + eps) + beta

    x      (N, C) or (N, C, *spatial), any float dtype; C / num_groups channels form a group
    gamma  (C,); beta (C,)
    Returns y, shaped like x, and the cache that `group_norm_backward` takes.
    Raises ValueError if num_groups does not divide C, if x has fewer than two dimensions, or if
    x is one sample with one value per group.
    Source: Wu & He 2018.
    """
    x, gamma, beta = _channels_first(x, gamma, beta)
    samples, channels, *spatial = x.shape
    num_groups = operator.index(num_groups)
    if num_groups < 1 or channels % num_groups != 0:
        raise ValueError(
            f"num_groups: expected a positive divisor of the {channels} channels of x, "
            f"got {num_groups}"
        )
    # torch's rule: several samples with one value per group pass, and y is beta.
    if samples * (channels // num_groups) * math.prod(spatial) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {x.shape}"
        )
    grouped = x.reshape(samples, num_groups, channels // num_groups, *spatial)
    over_group_and_space = tuple(range(2, grouped.ndim))
    parameter_shape = (1, *grouped.shape[1:3], *(1 for _ in spatial))
    normalized = normalize(grouped, over_group_and_space, eps)
    return _scale_and_shift(normalized, gamma, beta, parameter_shape, x)


def group_norm_backward(dy: ArrayLike, cache: Cache) -> tuple[NDArray, NDArray, NDArray]:
    """Return dx, dgamma, dbeta of `group_norm` for dy, shaped like y."""
    return _backward(dy, cache)


def layer_norm(
    x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, eps: float = 1e-5
) -> tuple[NDArray, Cache]:
    """Normalize each sample over its features, the last axes, then scale and shift each feature.

        y = gamma * (x - mean) / sqrt(var + eps) + beta

    x      (..., *features), any float dtype
    gamma  (*features,); beta (*features,): gamma's shape says how many axes are features
    Returns y, shaped like x, and the cache that `layer_norm_backward` takes.
    Raises ValueError if gamma is a scalar, or gamma or beta differs in shape from x's last axes.
    Source: Ba, Kiros & Hinton 2016.
    """
    x, gamma = _features_last(x, gamma)
    beta = as_float("beta", beta)
    _require_shape("beta", beta, gamma.shape)
    normalized = normalize(x, _feature_axes(gamma), eps)
    return _scale_and_shift(normalized, gamma, beta, _feature_shape(x, gamma), x)


def layer_norm_backward(dy: ArrayLike, cache: Cache) -> tuple[NDArray, NDArray, NDArray]:
    """Return dx, dgamma, dbeta of `layer_norm` for dy, shaped like y."""
    return _backward(dy, cache)


def rms_norm(x: ArrayLike, gamma: ArrayLike, eps: float = 1e-6) -> tuple[NDArray, Cache]:
    """Divide each sample by the root mean square of its features, then scale each feature.

        y = gamma * x / sqrt(mean(x^2) + eps)

    x      (..., *features), any float dtype
    gamma  (*features,): its shape says how many axes are features
    Returns y, shaped like x, and the cache that `rms_norm_backward` takes.
    Raises ValueError if gamma is a scalar or differs in shape from x's last axes.
    Source: Zhang & Sennrich 2019.
    """
    x, gamma = _features_last(x, gamma)
    normalized = normalize(x, _feature_axes(gamma), eps, subtract_mean=False)
    return _scale_and_shift(normalized, gamma, None, _feature_shape(x, gamma), x)


def rms_norm_backward(dy: ArrayLike, cache: Cache) -> tuple[NDArray, NDArray]:
    """Return dx, dgamma of `rms_norm` for dy, shaped like y."""
    dx, dgamma, _ = _backward(dy, cache)
    return dx, dgamma


# ------------------------------------------------------------------------ batch norm that remembers


class BatchNorm:
    """Batch norm with running statistics: the batch's own in training, the running ones after.

        running = (1 - momentum) * running + momentum * batch        (torch's momentum convention)

    running_mean starts at 0, running_var at 1. The running variance collects the unbiased estimate,
    n / (n - 1) times the variance that normalizes the batch of n values per channel.
    momentum = None keeps the plain average over all batches seen.
    Source: Ioffe & Szegedy 2015, section 3.1; the moving average as in torch.nn.BatchNorm1d.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        self.eps = eps
        self.momentum = momentum
        self.training = True
        self.gamma = np.ones(num_features)
        self.beta = np.zeros(num_features)
        self.running_mean = np.zeros(num_features)
        self.running_var = np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self) -> BatchNorm:
        """Normalize by the batch, and let each batch move the running statistics."""
        self.training = True
        return self

    def eval(self) -> BatchNorm:
        """Normalize by the running statistics, and leave them as they are."""
        self.training = False
        return self

    def forward(self, x: ArrayLike) -> tuple[NDArray, Cache]:
        """Normalize x as `batch_norm` does in training, by the running statistics in evaluation.

        x      (N, C) or (N, C, *spatial), any float dtype
        Returns y, shaped like x, and the cache that `backward` takes.
        Raises ValueError if x has fewer than two dimensions or other than num_features channels,
        and in training if it has one value per channel; the running statistics stay as they were.
        An empty batch counts in num_batches_tracked and changes no statistic, as in torch.
        """
        shape = np.shape(x)
        if len(shape) >= 2 and shape[1] != len(self.gamma):
            raise ValueError(f"x: expected {len(self.gamma)} channels, got shape {shape}")
        if self.training:
            y, cache = batch_norm(x, self.gamma, self.beta, self.eps)
            self._track(cache.normalized, _values_per_channel(cache.shape))
            return y, cache
        x, gamma, beta = _channels_first(x, self.gamma, self.beta)
        mean = self.running_mean.reshape(_channel_shape(x))
        var = self.running_var.reshape(_channel_shape(x))
        inv_std = _inverse_std(var, self.eps)
        normalized = Normalized((x - mean) * inv_std, mean, var, inv_std, axes=None)
        return _scale_and_shift(normalized, gamma, beta, _channel_shape(x), x)

    def backward(self, dy: ArrayLike, cache: Cache) -> tuple[NDArray, NDArray, NDArray]:
        """Return dx, dgamma, dbeta for the forward pass, in either mode, that made the cache."""
        return _backward(dy, cache)

    def _track(self, batch: Normalized, values_per_channel: int) -> None:
        self.num_batches_tracked += 1
        if values_per_channel == 0:
            return
        momentum = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        unbiased_var = batch.var.ravel() * (values_per_channel / (values_per_channel - 1))
        self.running_mean = (1 - momentum) * self.running_mean + momentum * batch.mean.ravel()
        self.running_var = (1 - momentum) * self.running_var + momentum * unbiased_var


# ------------------------------------------------------------------------ dtypes, shapes and errors


def as_float(name: str, value: ArrayLike) -> NDArray:
    """value as an array in its own float dtype, integers as float64; others raise TypeError."""
    array = np.asarray(value)
    if array.dtype.kind in "iu":
        return array.astype(np.float64)
    if array.dtype.kind != "f":
        raise TypeError(f"{name}: expected a float or integer array, got dtype {array.dtype}")
    return array


def require_eps(eps: float) -> None:
    """Raise ValueError unless eps is a finite number >= 0."""
    if not isinstance(eps, Real) or not 0 <= eps < math.inf:
        raise ValueError(f"eps: expected a number >= 0, got {eps!r}")


def _wide(array: NDArray) -> NDArray:
    """The dtype to compute in: float64, or longdouble for longdouble."""
    return array.astype(np.result_type(array, np.float64), copy=False)


def _require_shape(name: str, array: NDArray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")


def _channels_first(
    x: ArrayLike, gamma: ArrayLike, beta: ArrayLike
) -> tuple[NDArray, NDArray, NDArray]:
    """x (N, C, *spatial) with gamma and beta (C,), checked."""
    x, gamma, beta = as_float("x", x), as_float("gamma", gamma), as_float("beta", beta)
    if x.ndim < 2:
        raise ValueError(f"x: expected (N, C) or (N, C, *spatial), got shape {x.shape}")
    for name, parameter in (("gamma", gamma), ("beta", beta)):
        if parameter.shape != x.shape[1:2]:
            raise ValueError(
                f"{name}: expected shape {x.shape[1:2]}, one value for each channel of x "
                f"{x.shape}, got {parameter.shape}"
            )
    return x, gamma, beta


def _values_per_channel(shape: tuple[int, ...]) -> int:
    return math.prod(shape[:1] + shape[2:])


def _channel_shape(x: NDArray) -> tuple[int, ...]:
    """The shape in which a (C,) array broadcasts against x."""
    return (1, x.shape[1], *(1 for _ in x.shape[2:]))


def _features_last(x: ArrayLike, gamma: ArrayLike) -> tuple[NDArray, NDArray]:
    """x (..., *features) with gamma (*features,), checked."""
    x, gamma = as_float("x", x), as_float("gamma", gamma)
    if gamma.ndim == 0:
        raise ValueError("gamma: expected one or more dimensions, the features of x, got a scalar")
    if x.shape[-gamma.ndim :] != gamma.shape:
        raise ValueError(
            f"gamma: expected the shape of x's last {gamma.ndim} axes, got {gamma.shape} "
            f"for x of shape {x.shape}"
        )
    return x, gamma


def _feature_axes(gamma: NDArray) -> tuple[int, ...]:
    return tuple(range(-gamma.ndim, 0))


def _feature_shape(x: NDArray, gamma: NDArray) -> tuple[int, ...]:
    """The shape in which gamma has as many dimensions as x."""
    return (1,) * (x.ndim - gamma.ndim) + gamma.shape
