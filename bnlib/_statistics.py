"""The arithmetic of `bnlib.functional` for large tensors on the CPU, in cache-sized blocks.

`normalize` and `gradient` compute what the formulas in `bnlib.functional` say, and those formulas
are their oracle: one rounding of a float64 result. Here elements are float32 (float64 for float64
input) and sums are pairwise in that dtype within a block, float64 across blocks. What keeps this
accurate is the order, centre first and then square, so no sum cancels.

Both return None for what they do not cover; the caller then takes the formulas.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn import Parameter

BLOCK = 2**18  # elements: 1 MiB of float32, so a block and its scratch stay in the cache
SMALLEST = 2**15  # elements: below this, Python calls cost more than the formulas' float64
LONGEST_SUM = 2**16  # elements of one float32 sum: few enough to stay exact for a constant
PARTS = 16  # a block of rows is summed in parts, so that a thread sums the rows it has written
SAFE_SQUARES = (1e-24, 1e30)  # var + eps for which float32 squares neither underflow nor overflow

Affine = Tensor | None


def normalize(
    x: Tensor, weight: Affine, bias: Affine, axes: tuple[int, ...], eps: float, centered: bool
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return y, mean and var as `bnlib.functional` defines them, or None if not covered."""
    layout = _layout(x, weight, bias, axes)
    if layout is None:
        return None
    y = torch.empty_like(x)
    mean, var = layout.normalize(
        layout.view(x), layout.affine(weight), layout.affine(bias), eps, centered, layout.view(y)
    )
    if not _squares_are_safe(var + eps, x.dtype):
        return None
    shape = [1 if axis in axes else x.shape[axis] for axis in range(-x.ndim, 0)]
    return y, mean.view(shape), var.view(shape)


def gradient(
    x: Tensor,
    weight: Affine,
    bias: Affine,
    mean: Tensor,
    var: Tensor,
    dy: Tensor,
    axes: tuple[int, ...],
    eps: float,
    centered: bool,
) -> tuple[Tensor, Affine, Affine] | None:
    """Return dx, dweight and dbias as `bnlib.functional` defines them, or None if not covered."""
    layout = _layout(x, weight, bias, axes)
    if layout is None or not _is_plain(dy) or not _squares_are_safe(var + eps, x.dtype):
        return None
    dx = torch.empty_like(x)
    dweight, dbias = layout.gradient(
        layout.view(x),
        layout.affine(weight),
        mean.view(layout.statistic),
        (var + eps).rsqrt().view(layout.statistic),
        layout.view(dy),
        centered,
        layout.view(dx),
    )
    return dx, layout.affine_gradient(dweight, weight), layout.affine_gradient(dbias, bias)


def _layout(x, weight, bias, axes) -> "_Rows | _Columns | None":
    if x.numel() < SMALLEST or not all(map(_is_plain, (x, weight, bias))):
        return None
    kept = [axis for axis in range(x.ndim) if axis - x.ndim not in axes]
    if kept != list(range(*kept[:1], *[axis + 1 for axis in kept[-1:]])) and kept:
        return None
    return None


def _is_plain(tensor: Tensor | None) -> bool:
    """Whether this is memory on the CPU, not a tracer's, a transform's or a subclass's tensor."""
    return tensor is None or (
        type(tensor) in (Tensor, Parameter)
        and tensor.device.type == "cpu"
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )
