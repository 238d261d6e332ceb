"""The arithmetic of `bnlib.functional` for large tensors on the CPU, in cache-sized blocks.

`normalize` and `gradient` compute what the formulas in `bnlib.functional` say, and those formulas
are their oracle. The formulas round once, from float64. Here elements are float32 (float64 for
float64 input), and sums are pairwise in that dtype within a block, then float64 across blocks.
What keeps this accurate is the order: centre first and then square, so that no sum cancels.

Both return None for what they do not cover; the caller then takes the formulas.
"""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn import Parameter

BLOCK = 2**18  # elements: 1 MiB of float32, so a block and its scratch stay in the cache
SMALLEST = 2**15  # elements: below this, Python calls cost more than the formulas' float64
LONGEST_SUM = 2**16  # elements of one float32 sum: few enough to be exact for a constant
PARTS = 16  # a block of rows is summed in parts, so that a thread sums the rows it has written
SAFE_SQUARES = (1e-24, 1e30)  # var + eps for which float32 squares neither underflow nor overflow


def normalize(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    axes: tuple[int, ...],
    eps: float,
    centered: bool,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return y, mean and var as `bnlib.functional` defines them, or None if not covered."""
    layout = _layout(x, weight, bias, axes)
    if layout is None:
        return None
    y = torch.empty_like(x)
    forward = _normalize_rows if layout.rows else _normalize_columns
    mean, var = forward(
        layout.view(x), layout.affine(weight), layout.affine(bias), eps, centered, layout.view(y)
    )
    if not _squares_are_safe(var + eps, x.dtype):
        return None
    kept = [1 if axis in axes else x.shape[axis] for axis in range(-x.ndim, 0)]
    return y, mean.view(kept), var.view(kept)


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
    layout = _layout(x, weight, bias, axes)
    if layout is None or not _is_plain(dy) or not _squares_are_safe(var + eps, x.dtype):
        return None
    dx = torch.empty_like(x)
    backward = _gradient_rows if layout.rows else _gradient_columns
    dweight, dbias = backward(
        layout.view(x),
        layout.affine(weight),
        mean.view(layout.statistic),
        (var + eps).rsqrt().view(layout.statistic),
        layout.view(dy),
        centered,
        layout.view(dx),
    )
    return dx, layout.affine_gradient(dweight, weight), layout.affine_gradient(dbias, bias)


@dataclass(frozen=True)
class _Layout:
    """How x is seen: as rows (outer, kept, parameters, inner), or as columns (values, channels).

    In rows a statistic runs over all axes but `kept`, and the affine parameters change with
    `kept`, with `parameters` or with both: batch norm is (N, C, 1, L), instance norm
    (1, N * C, 1, L), layer norm (1, M, K, 1), group norm (1, N * G, C / G, L).
    Columns are a batch norm in which neighbours in memory belong to different channels.
    """

    rows: bool
    dtype: torch.dtype  # of the elements while they are worked on
    shape: tuple[int, ...]
    statistic: tuple[int, ...]  # shape of a mean, broadcastable to `shape`
    pattern: tuple[int, ...]  # shape of an affine parameter, broadcastable to `shape`
    expanded: tuple[int, ...]  # the same parameter, by x's own axes

    def view(self, x: Tensor) -> Tensor:
        return (x if self.rows else x.movedim(1, -1)).contiguous().view(self.shape)

    def affine(self, parameter: Tensor | None) -> Tensor | None:
        if parameter is None:
            return None
        return parameter.expand(self.expanded).reshape(self.pattern).to(self.dtype)

    def affine_gradient(self, grad: Tensor, parameter: Tensor | None) -> Tensor | None:
        if parameter is None:
            return None
        return grad.view(self.expanded).sum_to_size(parameter.shape).to(parameter.dtype)


def _layout(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: tuple[int, ...]
) -> _Layout | None:
    if x.numel() < SMALLEST or not all(map(_is_plain, (x, weight, bias))):
        return None
    kept_axes = [axis for axis in range(x.ndim) if axis - x.ndim not in axes]
    first, last = (kept_axes[0], kept_axes[-1] + 1) if kept_axes else (0, 0)
    if last - first != len(kept_axes):
        return None
    outer, kept, inner = x.shape[:first], x.shape[first:last], x.shape[last:]
    dtype = torch.promote_types(x.dtype, torch.float32)
    shapes = [parameter.shape for parameter in (weight, bias) if parameter is not None]
    affine = shapes[0] if shapes else (*[1] * first, *kept, *[1] * len(inner))
    if x.is_contiguous() and prod(inner) > 1:
        parameters = prod(affine[last:])
        shared = prod(affine[first:last]) == 1 and parameters == prod(inner)
        per_kept = (1,) * len(kept) if shared else kept
        return _Layout(
            rows=True,
            dtype=dtype,
            shape=(prod(outer), prod(kept), parameters, prod(inner) // parameters),
            statistic=(1, prod(kept), 1, 1),
            pattern=(1, prod(per_kept), parameters, 1),
            expanded=(*affine[:first], *per_kept, *affine[last:]),
        )
    if kept_axes == [1] and x.movedim(1, -1).is_contiguous():
        channels = x.shape[1]
        return _Layout(
            rows=False,
            dtype=dtype,
            shape=(x.numel() // channels, channels),
            statistic=(1, channels),
            pattern=(1, channels),
            expanded=(1, channels, *[1] * len(inner)),
        )
    return None


def _is_plain(tensor: Tensor | None) -> bool:
    """Whether this is memory on the CPU, not the tensor of a tracer, a transform or a subclass."""
    return tensor is None or (
        type(tensor) in (Tensor, Parameter)
        and tensor.device.type == "cpu"
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def _squares_are_safe(var_and_eps: Tensor, dtype: torch.dtype) -> bool:
    low, high = SAFE_SQUARES
    return dtype == torch.float64 or bool(((var_and_eps > low) & (var_and_eps < high)).all())


def _working_dtype(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _widened(block: Tensor, scratch: Tensor) -> Tensor:
    return block if block.dtype == scratch.dtype else scratch.copy_(block)


def _split(mean: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Write a float64 mean as its rounded value in this dtype and the float64 rest."""
    shift = mean.to(dtype)
    return shift, mean - shift


def _guess_mean(sample: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Average a sample of the values; exact if they are all the same."""
    sample = sample.to(_working_dtype(sample))
    first = sample
    for axis in axes:
        first = first.narrow(axis, 0, 1)
    return first + (sample - first).mean(axes, keepdim=True)


def _moments(shifted_sums, shift: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return shift, mean - shift and var, where shifted_sums(shift) sums x - shift and its square.

    var = mean((x - shift)^2) - (mean - shift)^2 loses one bit at most while the shift is within
    one standard deviation of the mean. A guess that was not is replaced by the mean it has led to.
    """
    for _ in range(2):
        total, squares = shifted_sums(shift)
        rest = total / count
        var = (squares / count - rest.square()).clamp(min=0)
        far = rest.square() > var
        if not far.any():
            break
        shift = torch.where(far, shift + rest, shift).to(shift.dtype)
    return shift, rest, var


# Rows: a block holds all the values of its statistics, so it is read from memory once.


def _normalize_rows(x, weight, bias, eps, centered, y):
    count = x.numel() // x.shape[1]
    mean = torch.zeros((1, x.shape[1], 1, 1), dtype=torch.float64)
    var = torch.empty_like(mean)
    for block, shifted, squares in _row_blocks(x, 2):
        values = x[:, block]

        def shifted_sums(shift, values=values, shifted=shifted, squares=squares):
            torch.sub(_widened(values, shifted), shift, out=shifted)
            return _row_sums(shifted), _row_sums(torch.mul(shifted, shifted, out=squares))

        if centered:
            guess = _guess_mean(values[: max(1, len(values) // 8)], (0, 2, 3))
            shift, rest, var[:, block] = _moments(shifted_sums, guess, count)
            mean[:, block] = shift + rest
        else:
            rest = mean[:, block]
            var[:, block] = shifted_sums(torch.zeros((), dtype=shifted.dtype))[1] / count
        scale = (var[:, block] + eps).rsqrt()
        if _changes_with_each_element(x):
            shifted.sub_(rest.to(shifted.dtype)).mul_(scale.to(shifted.dtype))
            if weight is not None:
                shifted.mul_(_of_rows(weight, block))
            offset = 0 if bias is None else _of_rows(bias, block)
        else:
            if weight is not None:
                scale = scale * _of_rows(weight, block)
            shifted.mul_(scale.to(shifted.dtype))
            offset = -rest * scale if bias is None else _of_rows(bias, block) - rest * scale
            offset = offset.to(shifted.dtype)
        torch.add(shifted, offset, out=y[:, block])
    return mean, var


def _gradient_rows(x, weight, mean, inv_std, dy, centered, dx):
    if _changes_with_each_element(x):
        return _gradient_elementwise(x, weight, mean, inv_std, dy, centered, dx)
    count = x.numel() // x.shape[1]
    dweight, dbias = torch.zeros((2, 1, *x.shape[1:3], 1), dtype=torch.float64)
    for block, shifted, products, scratch in _row_blocks(x, 3):
        shift, rest = _split(mean[:, block], shifted.dtype)
        torch.sub(_widened(x[:, block], shifted), shift, out=shifted)
        wide_dy = _widened(dy[:, block], scratch)
        torch.mul(shifted, wide_dy, out=products)
        dbias[:, block] = _parameter_sums(wide_dy)
        dweight[:, block] = inv_std[:, block] * (_parameter_sums(products) - rest * dbias[:, block])
        factors = _gradient_factors(
            None if weight is None else _of_rows(weight, block),
            rest,
            inv_std[:, block],
            dweight[:, block],
            dbias[:, block],
            count,
            centered,
        )
        scale, slope, offset = (factor.to(shifted.dtype) for factor in factors)
        shifted.mul_(slope).add_(offset)
        torch.add(shifted, torch.mul(wide_dy, scale, out=products), out=dx[:, block])
    return dweight, dbias


def _gradient_factors(weight, rest, inv_std, dweight, dbias, count, centered):
    """Return the factors of dx = scale * dy + slope * (x - shift) + offset, in float64.

    They collect dx = inv_std * (g - mean(g) - x_hat * mean(g * x_hat)) with g = weight * dy and
    x_hat = (x - shift - rest) * inv_std.
    """
    if weight is not None:
        dweight, dbias = dweight * weight, dbias * weight
    if dweight.ndim == 4:
        dweight, dbias = dweight.sum(2, keepdim=True), dbias.sum(2, keepdim=True)
    scale = inv_std if weight is None else inv_std * weight
    slope = -inv_std.square() * dweight / count
    offset = -rest * slope
    if centered:
        offset = offset - inv_std * dbias / count
    return scale, slope, offset


def _gradient_elementwise(x, weight, mean, inv_std, dy, centered, dx):
    """The same where the weight changes with each element, as in layer norm."""
    count = x.numel() // x.shape[1]
    shared = weight is None or weight.shape[1] == 1
    dweight, dbias = torch.zeros(
        (2, 1, 1 if shared else x.shape[1], x.shape[2], 1), dtype=torch.float64
    )
    for block, x_hat, products, g in _row_blocks(x, 3):
        shift, rest = _split(mean[:, block], x_hat.dtype)
        torch.sub(_widened(x[:, block], x_hat), shift, out=x_hat)
        x_hat.sub_(rest.to(x_hat.dtype)).mul_(inv_std[:, block].to(x_hat.dtype))
        wide_dy = _widened(dy[:, block], g)
        torch.mul(wide_dy, x_hat, out=products)
        _of_rows(dweight, block).add_(products.sum(1, keepdim=True) if shared else products)
        _of_rows(dbias, block).add_(wide_dy.sum(1, keepdim=True) if shared else wide_dy)
        if weight is not None:
            products.mul_(_of_rows(weight, block))
            wide_dy = torch.mul(wide_dy, _of_rows(weight, block), out=g)
        x_hat.mul_((_row_sums(products) / count).to(x_hat.dtype))
        torch.sub(wide_dy, x_hat, out=x_hat)
        if centered:
            x_hat.sub_((_row_sums(wide_dy) / count).to(x_hat.dtype))
        torch.mul(x_hat, inv_std[:, block].to(x_hat.dtype), out=dx[:, block])
    return dweight, dbias


def _row_blocks(x: Tensor, buffers: int):
    """Yield slices of x's rows, each with its share of so many scratch buffers."""
    outer, rows, parameters, inner = x.shape
    size = outer * parameters * inner
    step = min(rows, max(1, BLOCK // size))
    scratch = torch.empty(buffers, step * size, dtype=_working_dtype(x))
    for start in range(0, rows, step):
        shape = (outer, min(step, rows - start), parameters, inner)
        yield slice(start, start + shape[1]), *scratch[:, : prod(shape)].view(buffers, *shape)


def _changes_with_each_element(x: Tensor) -> bool:
    """Whether no two elements of a row share an affine parameter, as in layer norm."""
    return x.shape[3] == 1


def _of_rows(parameter: Tensor, block: slice) -> Tensor:
    return parameter if parameter.shape[1] == 1 else parameter[:, block]


def _row_sums(values: Tensor) -> Tensor:
    """Sum all axes but the rows, in float64 from pieces of LONGEST_SUM on."""
    outer, rows, parameters, inner = values.shape
    pieces = values.view(outer, rows, parameters * inner).split(LONGEST_SUM, -1)
    total = sum(piece.sum(-1).to(torch.float64) for piece in pieces)
    return total.sum(0).view(1, rows, 1, 1)


def _parameter_sums(values: Tensor) -> Tensor:
    """Sum the axes along which an affine parameter is constant."""
    outer, rows, parameters, inner = values.shape
    return _row_sums(values.view(outer, rows * parameters, 1, inner)).view(1, rows, parameters, 1)


# Columns: the values of a statistic are spread over all blocks, so x is read twice.


def _normalize_columns(x, weight, bias, eps, centered, y):
    def shifted_sums(shift):
        total, squares = torch.zeros((2, *shift.shape), dtype=torch.float64)
        for rows, shifted in _column_blocks(x, 1):
            torch.sub(_widened(x[rows], shifted), shift, out=shifted)
            total += _column_sums(shifted)
            squares += _column_sums(shifted.mul_(shifted))
        return total, squares

    spread = x[:: max(1, x.numel() // BLOCK)]
    shift, rest, var = _moments(shifted_sums, _guess_mean(spread, (0,)), len(x))
    mean = shift + rest
    # Within two standard deviations of zero, x * scale + offset errs by at most 4u * |weight|
    # more than (x - shift) * scale + offset, and saves a pass.
    direct = bool((mean.square() <= 4 * var).all())
    scale = (var + eps).rsqrt() if weight is None else (var + eps).rsqrt() * weight
    offset = -(mean if direct else rest) * scale
    offset = (offset if bias is None else offset + bias).to(shift.dtype)
    scale = scale.to(shift.dtype)
    for rows, shifted in _column_blocks(x, 1):
        values = _widened(x[rows], shifted)
        if not direct:
            values = torch.sub(values, shift, out=shifted)
        torch.addcmul(offset, values, scale, out=y[rows])
    return mean, var


def _gradient_columns(x, weight, mean, inv_std, dy, centered, dx):
    shift, rest = _split(mean, _working_dtype(x))
    products, dbias = torch.zeros((2, *shift.shape), dtype=torch.float64)
    for rows, shifted, scratch in _column_blocks(x, 2):
        wide_dy = _widened(dy[rows], scratch)
        torch.sub(_widened(x[rows], shifted), shift, out=shifted)
        dbias += _column_sums(wide_dy)
        products += _column_sums(shifted.mul_(wide_dy))
    dweight = inv_std * (products - rest * dbias)
    # Measured from zero, dx errs by 2u * |mean| / std at most, and saves a pass.
    factors = _gradient_factors(weight, mean, inv_std, dweight, dbias, len(x), centered)
    scale, slope, offset = (factor.to(shift.dtype) for factor in factors)
    for rows, sloped, scratch in _column_blocks(x, 2):
        torch.addcmul(offset, _widened(x[rows], sloped), slope, out=sloped)
        torch.addcmul(sloped, _widened(dy[rows], scratch), scale, out=dx[rows])
    return dweight, dbias


def _column_blocks(x: Tensor, buffers: int):
    """Yield slices of x's rows, each with its share of so many scratch buffers."""
    count, channels = x.shape
    step = min(count, max(1, BLOCK // channels // PARTS) * PARTS)
    scratch = torch.empty(buffers, step, channels, dtype=_working_dtype(x))
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        yield rows, *scratch[:, : rows.stop - start]


def _column_sums(values: Tensor) -> Tensor:
    """Sum axis 0, in float64 across the parts."""
    parts = PARTS if len(values) % PARTS == 0 else 1
    return values.unflatten(0, (parts, -1)).sum(1).sum(0, keepdim=True, dtype=torch.float64)
