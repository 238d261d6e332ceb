"""The arithmetic of `bnlib.functional` on the CPU: its formulas as loops (`bnlib._numba_loops`).

What is here finds the loop's view of a tensor and shares the work among threads. The formulas in
`bnlib.functional` are the oracle; like them, the loops compute in float64 and round once. Work is
cut by the size of the tensor alone and sums are merged in order, so results are the same bits for
any number of threads.

`normalize`, `gradient` and `standardize` return None for what they do not cover; the caller then
takes the formulas.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from . import _numba_loops as loops

PART = 2**17  # elements: the least that is worth a thread
MOST_PARTS = 16  # each of them keeps sums of its own
SUMMED = 2**12  # columns, or a few less: long rows, each element of which is met once
SCALED = 2**9  # columns, or a few less: their factors stay in the nearest cache
HALVES = (torch.float16, torch.bfloat16)  # widened before the loops and rounded after them


def normalize(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    axes: tuple[int, ...],
    eps: float,
    centered: bool,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return y, mean and var as `bnlib.functional` defines them, or None if not covered."""
    view = _view(x, weight, bias, axes)
    if view is None:
        return None
    y = view.empty(x)
    values, out, affine = view.array(x), view.array(y), view.affine(weight, bias)
    if view.columns:
        mean, var = _column_moments(values, view.channels)
        _standardize_columns(values, mean, var, *affine, eps, out)
    else:
        mean, var = np.empty((2, view.channels))

        def work(_, start, stop):
            loops.normalize(values, *affine, eps, centered, mean, var, out, start, stop)

        _share(work, view.channels, values.size)
    return y.to(x.dtype), view.statistic(mean), view.statistic(var)


def standardize(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    axes: tuple[int, ...],
    eps: float,
) -> Tensor | None:
    """Return y for given statistics, or None if not covered or if a gradient may be asked for."""
    view = _view(x, weight, bias, axes)
    if view is None or any(map(_may_need_gradient, (x, weight, bias))):
        return None
    if not (_is_plain(mean) and _is_plain(var)):
        return None
    y = view.empty(x)
    values, out, affine = view.array(x), view.array(y), view.affine(weight, bias)
    mean, var = _vector(mean), _vector(var)
    if view.columns:
        _standardize_columns(values, mean, var, *affine, eps, out)
    else:

        def work(_, start, stop):
            loops.standardize(values, mean, var, *affine, eps, out, start, stop)

        _share(work, view.channels, values.size)
    return y.to(x.dtype)


def gradient(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    dy: Tensor,
    axes: tuple[int, ...],
    eps: float,
    centered: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None] | None:
    """Return dx, dweight and dbias as `bnlib.functional` defines them, or None if not covered."""
    view = _view(x, weight, bias, axes)
    if view is None or not _is_plain(dy):
        return None
    dx = view.empty(x)
    values, dy, out = view.array(x), view.array(dy), view.array(dx)
    factor, _ = view.affine(weight, None)
    mean, var = _vector(mean), _vector(var)
    if view.columns:
        dweight, dbias = _gradient_columns(values, dy, factor, mean, var, eps, out)
    else:
        parts = _parts(view.channels, values.size)
        dweights, dbiases = np.zeros((2, parts, *factor.shape))

        def work(part, start, stop):
            affine = factor, mean, var, eps, centered
            sums = dweights[part], dbiases[part]
            loops.gradient(values, dy, *affine, out, *sums, start, stop)

        _share(work, view.channels, values.size)
        dweight, dbias = dweights.sum(0), dbiases.sum(0)
    return dx.to(x.dtype), *map(view.affine_gradient, (dweight, dbias), (weight, bias))


class _View(NamedTuple):
    """How the loops see x: as channels with pieces, or, where columns is True, as columns."""

    kept: tuple[int, ...]  # the shape of mean and var, as a tensor
    channels: int
    shape: tuple[int, ...]  # of the array: (samples, channels, values), or flat
    parameters: tuple[int, int]  # (channels or fewer, parameters) of the affine arrays
    expanded: tuple[int, ...]  # the same, by the axes of x
    columns: bool

    def array(self, tensor: Tensor) -> np.ndarray:
        tensor = tensor.detach()
        if tensor.dtype in HALVES:
            tensor = tensor.float()
        if self.columns:
            tensor = tensor.movedim(1, -1)
        return tensor.contiguous().resolve_neg().numpy().reshape(self.shape)

    def affine(self, weight: Tensor | None, bias: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
        return tuple(
            np.full(self.parameters, default)
            if parameter is None
            else _vector(parameter.expand(self.expanded)).reshape(self.parameters)
            for parameter, default in ((weight, 1.0), (bias, 0.0))
        )

    def affine_gradient(self, gradient: np.ndarray, parameter: Tensor | None) -> Tensor | None:
        if parameter is None:
            return None
        gradient = torch.from_numpy(gradient).view(self.expanded)
        return gradient.sum_to_size(parameter.shape).to(parameter.dtype)

    def empty(self, x: Tensor) -> Tensor:
        return torch.empty_like(x, dtype=torch.float32 if x.dtype in HALVES else None)

    def statistic(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).view(self.kept)


def _view(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: tuple[int, ...]
) -> _View | None:
    if is_in_torch_dispatch_mode() or not all(map(_is_plain, (x, weight, bias))):
        return None  # in such a mode, operations are recorded
    return _view_of(
        x.shape,
        x.is_contiguous(),
        x.ndim > 1 and x.movedim(1, -1).is_contiguous(),
        (None if weight is None else weight.shape, None if bias is None else bias.shape),
        axes,
    )


@lru_cache(maxsize=1024)
def _view_of(shape, contiguous, channels_last, parameter_shapes, axes) -> _View | None:
    if 0 in shape:
        return None
    own = [axis for axis in range(len(shape)) if axis - len(shape) not in axes]
    kept = tuple(size if axis in own else 1 for axis, size in enumerate(shape))
    channels, columns = prod(kept), False
    if own == [1]:
        positions = prod(shape[2:])
        columns = positions == 1 or not contiguous
        pieces = shape[0], channels, positions
    else:
        pieces = 1, channels, prod(shape) // channels
    if not (channels_last if columns else contiguous and own in ([1], list(range(len(own))))):
        return None
    # Channels take turns at parameters that do not change along the first axes.
    expanded = list(torch.broadcast_shapes((1,) * len(shape), *filter(None, parameter_shapes)))
    shared = 0
    while shared < len(own) and expanded[own[shared]] == 1 and not columns:
        shared += 1
    for axis in own[shared:]:
        expanded[axis] = shape[axis]
    rows = prod(expanded[axis] for axis in own)
    parameters = rows, prod(expanded) // rows
    return _View(kept, channels, (-1,) if columns else pieces, parameters, tuple(expanded), columns)


def _vector(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().resolve_neg().numpy().reshape(-1)


def _is_plain(tensor: Tensor | None) -> bool:
    """Whether this is memory on the CPU, not the tensor of a tracer, a transform or a subclass.

    The legacy batched ones come from torch.autograd.grad(is_grads_batched=True).
    """
    return tensor is None or (
        type(tensor) in (Tensor, Parameter)
        and tensor.device.type == "cpu"
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        and not torch._C._functorch.is_legacy_batchedtensor(tensor)
    )


def _may_need_gradient(tensor: Tensor | None) -> bool:
    return tensor is not None and (
        (tensor.requires_grad and torch.is_grad_enabled())
        or forward_ad.unpack_dual(tensor).tangent is not None
    )


# Columns: what belongs to a channel is repeated along a row of several samples.


def _column_moments(x: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    mean = loops.column_shift(x, channels)
    for _ in range(2):
        sums = _column_sums(loops.sum_columns, mean, x)
        mean, var, far = loops.column_moments(sums, mean, x.size // channels)
        if not far:
            break
    return mean, var


def _standardize_columns(x, mean, var, weight, bias, eps, y) -> None:
    factors = loops.column_factors(mean, var, weight, bias, eps)
    _scale_columns(loops.standardize_columns, factors, x, y)


def _gradient_columns(x, dy, weight, mean, var, eps, dx) -> tuple[np.ndarray, np.ndarray]:
    sums = _column_sums(loops.sum_gradient_columns, mean, x, dy)
    count = x.size // len(mean)
    dweight, factors = loops.gradient_column_factors(sums, mean, var, weight, eps, count)
    _scale_columns(loops.gradient_columns, factors, x, dy, dx)
    return dweight, sums[0]


def _column_sums(loop: Callable, centre: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
    """Return both sums that the loop adds up, for each channel."""
    size = arrays[0].size
    times, rows = _columns(len(centre), size, SUMMED)
    centres = loops.repeated(centre, times)
    sums = np.empty((_parts(rows, size), 2, len(centre)))

    def work(part, start, stop):
        loop(*[array[start:stop] for array in arrays], centres, sums[part])

    _share(work, rows, size, len(centres))
    return sums.sum(0)


def _scale_columns(loop: Callable, factors: np.ndarray, *arrays: np.ndarray) -> None:
    """Let the loop fill the last array."""
    size = arrays[0].size
    times, rows = _columns(factors.shape[1], size, SCALED)
    factors = [loops.repeated(factor, times) for factor in factors]

    def work(_, start, stop):
        *inputs, out = [array[start:stop] for array in arrays]
        loop(*inputs, *factors, out)

    _share(work, rows, size, len(factors[0]))


def _columns(channels: int, size: int, most: int) -> tuple[int, int]:
    """How many times the channels are repeated along a row, and how many such rows there are."""
    times = max(1, min(most, size) // channels)
    return times, -(-size // (times * channels))


# Threads: parts of the work, of which each writes what no other reads.


def _parts(units: int, size: int) -> int:
    return max(1, min(units, size // PART, MOST_PARTS))


def _share(work: Callable, units: int, size: int, width: int = 1) -> None:
    """Call work(part, start, stop) for parts of units * width, among `size` elements."""
    parts = _parts(units, size)
    threads = min(torch.get_num_threads(), parts)
    left = iter(range(parts))  # the interpreter's lock hands each of them out once

    def work_on():
        for part in left:
            work(part, units * part // parts * width, units * (part + 1) // parts * width)

    helpers = [_pool(threads).submit(work_on) for _ in range(threads - 1)]
    work_on()
    for helper in helpers:
        helper.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="bnlib")


if hasattr(os, "register_at_fork"):  # a forked process has the pool, but not its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
