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
from torch.autograd import forward_ad
from torch.nn import Parameter
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

BLOCK = 2**19  # elements: 2 MiB of float32, so that a block is in the cache when read again
SMALLEST = 2**16  # elements: below this, Python calls cost more than the formulas' float64
FOLDED = 2**13  # columns of a folded block, so that float32 sums have BLOCK / FOLDED = 64 terms
LONGEST = 2**9  # values of a piece of a plane: torch's kernel has eight float32 sums, of 64 terms
SAMPLE = 64  # rows that tell whether columns are near zero
WITHOUT_DX = (False, True, True)  # which of dx, dweight and dbias torch is to compute
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
    forward = _normalize_rows if layout.rows else _normalize_batch
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
    backward = _gradient_rows if layout.rows else _gradient_batch
    dweight, dbias = backward(
        layout.view(x),
        layout.affine(weight),
        layout.pattern,
        mean.view(layout.statistic),
        var.view(layout.statistic),
        eps,
        layout.view(dy),
        centered,
        layout.view(dx),
    )
    return dx, layout.affine_gradient(dweight, weight), layout.affine_gradient(dbias, bias)


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
    layout = _layout(x, weight, bias, axes)
    if layout is None or any(map(_may_need_gradient, (x, weight, bias))):
        return None
    y = torch.empty_like(x)
    mean, var = (a.to(torch.float64).view(layout.statistic) for a in (mean, var))
    _standardize_batch(
        layout.view(x), mean, var, eps, layout.affine(weight), layout.affine(bias), layout.view(y)
    )
    return y


@dataclass(frozen=True)
class _Layout:
    """How x is seen, in memory order: as rows, or as a batch.

    rows   (rows, parameters, inner): a statistic for each row. Affine parameters change with the
           row, with `parameters`, or with both: instance norm is (N * C, 1, L), layer norm
           (M, K, 1), group norm (N * G, C / G, L).
    batch  (samples, channels, inner): a statistic and an affine parameter for each channel. Batch
           norm is (N, C, L), or (N * L, C, 1) where neighbours in memory are different channels.
    """

    rows: bool
    dtype: torch.dtype  # of the elements while they are worked on
    shape: tuple[int, int, int]
    statistic: tuple[int, int, int]  # shape of a mean, broadcastable to `shape`
    pattern: tuple[int, int, int]  # shape of an affine parameter, broadcastable to `shape`
    expanded: tuple[int, ...]  # the same affine parameter, by the axes of x
    channels_last: bool = False

    def view(self, x: Tensor) -> Tensor:
        return (x.movedim(1, -1) if self.channels_last else x).contiguous().view(self.shape)

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
    if x.numel() < SMALLEST or is_in_torch_dispatch_mode():  # the latter: something is tracing
        return None
    if not all(map(_is_plain, (x, weight, bias))):
        return None
    dtype = _working_dtype(x)
    kept_axes = [axis for axis in range(x.ndim) if axis - x.ndim not in axes]
    if kept_axes == [1]:
        samples, channels, *inner = x.shape
        channels_last = not x.is_contiguous() or prod(inner) == 1
        if channels_last and not x.movedim(1, -1).is_contiguous():
            return None
        values = (samples * prod(inner), 1) if channels_last else (samples, prod(inner))
        return _Layout(
            rows=False,
            dtype=dtype,
            shape=(values[0], channels, values[1]),
            statistic=(1, channels, 1),
            pattern=(1, channels, 1),
            expanded=(1, channels, *[1] * len(inner)),
            channels_last=channels_last,
        )
    last = len(kept_axes)
    if kept_axes != list(range(last)) or not x.is_contiguous():
        return None
    kept, inner = x.shape[:last], x.shape[last:]
    shapes = [parameter.shape for parameter in (weight, bias) if parameter is not None]
    affine = shapes[0] if shapes else (*kept, *[1] * len(inner))
    parameters = prod(affine[last:])
    shared = prod(affine[:last]) == 1 and parameters == prod(inner)
    per_kept = [1] * last if shared else kept
    return _Layout(
        rows=True,
        dtype=dtype,
        shape=(prod(kept), parameters, prod(inner) // parameters),
        statistic=(prod(kept), 1, 1),
        pattern=(prod(per_kept), parameters, 1),
        expanded=(*per_kept, *affine[last:]),
    )


def _is_plain(tensor: Tensor | None) -> bool:
    """Whether this is memory on the CPU, not the tensor of a tracer, a transform or a subclass."""
    return tensor is None or (
        type(tensor) in (Tensor, Parameter)
        and tensor.device.type == "cpu"
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def _may_need_gradient(tensor: Tensor | None) -> bool:
    return tensor is not None and (
        (tensor.requires_grad and torch.is_grad_enabled())
        or forward_ad.unpack_dual(tensor).tangent is not None
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


def _moments(shifted_sums, shift: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return shift, mean - shift and var, where shifted_sums(shift) sums x - shift and its square.

    var = mean((x - shift)^2) - (mean - shift)^2 loses one bit at most while the shift is within
    one standard deviation of the mean. A shift that was not, as any inexact one of a constant,
    is replaced by the mean it has led to. Cost: a second round of sums, for that batch or block.
    """
    for _ in range(2):
        total, squares = shifted_sums(shift)
        rest = total / count
        var = (squares / count - rest.square()).clamp(min=0)
        if not (rest.square() > var).any():
            break
        shift = (shift + rest).to(shift.dtype)
    return shift, rest, var


def _forward_factors(weight, bias, rest, inv_std, dtype):
    """Return the factors of y = scale * (x - shift) + offset."""
    scale = inv_std if weight is None else inv_std * weight
    offset = -rest * scale if bias is None else bias - rest * scale
    return scale.to(dtype), offset.to(dtype)


def _gradient_factors(weight, rest, inv_std, dweight, dbias, count, centered, dtype):
    """Return the factors of dx = scale * dy + slope * (x - shift) + offset.

    They collect dx = inv_std * (g - mean(g) - x_hat * mean(g * x_hat)) with g = weight * dy and
    x_hat = (x - shift - rest) * inv_std, where dweight = sum(dy * x_hat) and dbias = sum(dy).
    """
    scale = inv_std
    if weight is not None:
        scale, dweight, dbias = scale * weight, dweight * weight, dbias * weight
    if dweight.shape != inv_std.shape:  # several parameters to a row
        dweight, dbias = dweight.sum(1, keepdim=True), dbias.sum(1, keepdim=True)
    slope = -inv_std.square() * dweight / count
    offset = -rest * slope
    if centered:
        offset = offset - inv_std * dbias / count
    return scale.to(dtype), slope.to(dtype), offset.to(dtype)


def _multiply_add(values, scale, offset, scratch, out):
    """out = values * scale + offset: one pass over columns, two where factors span many values."""
    if values.shape[-1] == 1:
        torch.addcmul(offset, values, scale, out=out)
    else:
        torch.add(torch.mul(values, scale, out=scratch), offset, out=out)


def _sums(values: Tensor) -> Tensor:
    """Sum the last axis pairwise, and hand the sums over in float64."""
    return values.sum(-1, keepdim=True).to(torch.float64)


def _row_sums(values: Tensor) -> Tensor:
    return _sums(values.flatten(1)).unsqueeze(1)


# Rows: a block holds all the values of its statistics, so it is read from memory once.


def _normalize_rows(x, weight, bias, eps, centered, y):
    count = x[0].numel()
    mean = x.new_zeros((len(x), 1, 1), dtype=torch.float64)
    var = torch.zeros_like(mean)
    for rows, shifted, squares in _row_blocks(x, 2):

        def shifted_sums(shift, rows=rows, shifted=shifted, squares=squares):
            torch.sub(_widened(x[rows], shifted), shift, out=shifted)
            return _row_sums(shifted), _row_sums(torch.mul(shifted, shifted, out=squares))

        if centered:
            guess = x[rows].mean((1, 2), keepdim=True, dtype=shifted.dtype)
            shift, rest, var[rows] = _moments(shifted_sums, guess, count)
            mean[rows] = shift + rest
        else:
            rest = mean[rows]
            var[rows] = shifted_sums(shifted.new_zeros(()))[1] / count
        inv_std = (var[rows] + eps).rsqrt()
        row_weight, row_bias = _of_rows(weight, rows), _of_rows(bias, rows)
        if _changes_with_each_element(x):
            shifted.sub_(rest.to(shifted.dtype)).mul_(inv_std.to(shifted.dtype))
            if weight is not None:
                shifted.mul_(row_weight)
            torch.add(shifted, 0 if bias is None else row_bias, out=y[rows])
        else:
            factors = _forward_factors(row_weight, row_bias, rest, inv_std, shifted.dtype)
            _multiply_add(shifted, *factors, shifted, out=y[rows])
    return mean, var


def _gradient_rows(x, weight, pattern, mean, var, eps, dy, centered, dx):
    if _changes_with_each_element(x):
        return _gradient_elementwise(x, weight, pattern, mean, var, eps, dy, centered, dx)
    count, inv_std = x[0].numel(), (var + eps).rsqrt()
    dweight, dbias = x.new_zeros((2, *pattern), dtype=torch.float64)
    for rows, shifted, products, scratch in _row_blocks(x, 3):
        shift, rest = _split(mean[rows], shifted.dtype)
        torch.sub(_widened(x[rows], shifted), shift, out=shifted)
        wide_dy = _widened(dy[rows], scratch)
        dbias[rows] = _sums(wide_dy)
        torch.mul(shifted, wide_dy, out=products)
        dweight[rows] = inv_std[rows] * (_sums(products) - rest * dbias[rows])
        scale, slope, offset = _gradient_factors(
            _of_rows(weight, rows),
            rest,
            inv_std[rows],
            dweight[rows],
            dbias[rows],
            count,
            centered,
            shifted.dtype,
        )
        shifted.mul_(slope).add_(offset)
        torch.add(shifted, torch.mul(wide_dy, scale, out=products), out=dx[rows])
    return dweight, dbias


def _gradient_elementwise(x, weight, pattern, mean, var, eps, dy, centered, dx):
    """The same where the weight changes with each element, as in layer norm."""
    count, inv_std = x[0].numel(), (var + eps).rsqrt()
    dweight, dbias = x.new_zeros((2, *pattern), dtype=torch.float64)
    shared = pattern[0] == 1  # by all rows
    for rows, x_hat, products, scratch in _row_blocks(x, 3):
        shift, rest = _split(mean[rows], x_hat.dtype)
        row_inv_std = inv_std[rows].to(x_hat.dtype)
        torch.sub(_widened(x[rows], x_hat), shift, out=x_hat)
        x_hat.sub_(rest.to(x_hat.dtype)).mul_(row_inv_std)
        g = _widened(dy[rows], scratch)
        torch.mul(g, x_hat, out=products)
        _of_rows(dweight, rows).add_(products.sum(0, keepdim=True) if shared else products)
        _of_rows(dbias, rows).add_(g.sum(0, keepdim=True) if shared else g)
        if weight is not None:
            row_weight = _of_rows(weight, rows)
            products.mul_(row_weight)
            g = torch.mul(g, row_weight, out=scratch)
        x_hat.mul_((_row_sums(products) / count).to(x_hat.dtype))
        torch.sub(g, x_hat, out=x_hat)
        if centered:
            x_hat.sub_((_row_sums(g) / count).to(x_hat.dtype))
        torch.mul(x_hat, row_inv_std, out=dx[rows])
    return dweight, dbias


def _row_blocks(x: Tensor, buffers: int):
    """Yield slices of x's rows, each with its share of so many scratch buffers."""
    step = min(len(x), max(1, BLOCK // x[0].numel()))
    scratch = x.new_empty((buffers, step, *x.shape[1:]), dtype=_working_dtype(x))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        yield rows, *scratch[:, : rows.stop - start]


def _changes_with_each_element(x: Tensor) -> bool:
    """Whether no two elements of a row share an affine parameter, as in layer norm."""
    return x.shape[2] == 1


def _of_rows(parameter: Tensor | None, rows: slice) -> Tensor | None:
    return parameter if parameter is None or len(parameter) == 1 else parameter[rows]


# Batch: the values of a statistic are spread over all blocks, so x is read twice. A block is some
# planes (samples, channels, inner), or columns (rows, channels, 1) where inner is 1. It is summed
# by torch's own kernels, the fastest there are. They add up float32 values one after another, and
# equal ones, as the gradients of a mean are, all round the same way. So such sums are short: narrow
# columns are folded (two rows of C columns are one row of 2C), planes cut, and float64 merges them.


def _normalize_batch(x, weight, bias, eps, centered, y):
    shift, rest, var = (_column_moments if x.shape[2] == 1 else _plane_moments)(x)
    mean = shift + rest
    _standardize_batch(x, mean, var, eps, weight, bias, y)
    return mean, var


def _standardize_batch(x, mean, var, eps, weight, bias, y):
    dtype = _working_dtype(x)
    shift, rest = _centre(mean, var, dtype)
    scale, offset = _forward_factors(weight, bias, rest, (var + eps).rsqrt(), dtype)
    if shift is None:
        _scale_channels(x, scale, offset, y)
        return
    for (block, out), factors in _blocks((x, y), (shift, scale, offset)):
        shifted = block.to(dtype) - factors[0]
        _multiply_add(shifted, *factors[1:], shifted, out)


def _gradient_batch(x, weight, pattern, mean, var, eps, dy, centered, dx):
    dtype, count, inv_std = _working_dtype(x), x.numel() // x.shape[1], (var + eps).rsqrt()
    shift, rest = _split(mean, dtype)
    products, dbias = _sums_of_products(x, shift, dy)
    dweight = inv_std * (products - rest * dbias)
    # dx = scale * (dy + slope * (x - shift)) + offset
    shift, rest = _centre(mean, var, dtype)
    scale = inv_std if weight is None else inv_std * weight
    slope = -inv_std * dweight / count
    offset = -scale * (slope * rest + dbias / count)
    factors = shift, *(factor.to(dtype) for factor in (scale, slope, offset))
    for (block, dy_block, out), (shift, scale, slope, offset) in _blocks((x, dy, dx), factors):
        shifted = block.to(dtype) if shift is None else block.to(dtype) - shift
        scratch = out if out.dtype == dtype else None
        g = torch.addcmul(dy_block.to(dtype), shifted, slope, out=scratch)
        _multiply_add(g, scale, offset, g, out)
    return dweight, dbias


def _blocks(tensors, parameters):
    """Yield blocks of the tensors, columns folded, and the channels' parameters, folded likewise.

    Rows that do not fill a folded row come last, as they are.
    """
    samples, channels, inner = tensors[0].shape
    fold = 1 if inner > 1 else 2 ** max(0, (FOLDED // channels).bit_length() - 1)
    whole = samples // fold * fold
    for part, times in ((slice(whole), fold), (slice(whole, samples), 1)):
        views = [tensor[part].view(-1, times * channels, inner) for tensor in tensors]
        step = max(1, BLOCK // (times * channels * inner))
        folded = [p if p is None else p.repeat(1, times, 1) for p in parameters]
        for blocks in zip(*(view.split(step) for view in views if len(view)), strict=True):
            yield blocks, folded


def _centre(mean: Tensor, var: Tensor, dtype: torch.dtype) -> tuple[Tensor | None, Tensor]:
    """Split the mean into what has to be subtracted from elements, if anything, and the rest."""
    return (None, mean) if _is_near_zero(mean, var) else _split(mean, dtype)


def _is_near_zero(mean: Tensor, var: Tensor) -> bool:
    """Whether every mean lies within two standard deviations of zero.

    Then x may go into products as it is, which saves a pass over it: scale * x + offset errs by at
    most 4u * |weight| more than scale * (x - shift) + offset does. A constant lies infinitely many
    of its standard deviations away, unless it is zero.
    """
    return bool((mean.square() <= 4 * var).all())


def _scale_channels(x: Tensor, scale: Tensor, offset: Tensor, y: Tensor) -> None:
    """y = scale * x + offset in one pass: batch norm by a mean of 0 and a variance of 1."""
    scale, offset = scale.flatten(), offset.flatten()
    given = scale, offset, torch.zeros_like(scale), torch.ones_like(scale)
    unused = dict(save_mean=scale.new_empty(0), save_invstd=scale.new_empty(0))
    torch.ops.aten.native_batch_norm.out(x, *given, False, 0.0, 0.0, out=y, **unused)


def _sums_of_products(x: Tensor, shift: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums of (x - shift) * dy and of dy for each channel, in float64."""
    sums = [
        _sums_of_block(block.to(shift.dtype), folded_shift, dy_block.to(shift.dtype))
        for (block, dy_block), (folded_shift,) in _blocks((x, dy), (shift,))
    ]
    return _merged(sums, shift.shape)


def _sums_of_block(x: Tensor, shift: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
    pieces, inner = 1, x.shape[2]
    while inner > LONGEST and inner % 2 == 0:
        pieces, inner = 2 * pieces, inner // 2
    if inner > LONGEST:
        return tuple(_sums(v).sum(0).flatten() for v in ((x - shift) * dy, dy))
    x, dy = (values.view(len(x), -1, inner) for values in (x, dy))
    mean = shift.flatten().repeat_interleave(pieces)
    # With an inverse standard deviation of 1, the gradients by weight and bias are the sums.
    _, *sums = torch.ops.aten.native_batch_norm_backward(
        dy, x, None, None, None, mean, torch.ones_like(mean), True, 0.0, WITHOUT_DX
    )
    return tuple(s.view(-1, pieces).sum(1, dtype=torch.float64) for s in sums)


def _merged(sums: list[tuple[Tensor, Tensor]], shape: tuple[int, int, int]) -> tuple[Tensor, ...]:
    """Add up the blocks' sums, and those of a channel's folded columns, in float64."""
    return tuple(
        torch.cat(parts).view(-1, *shape[1:]).sum(0, keepdim=True, dtype=torch.float64)
        for parts in zip(*sums, strict=True)
    )


def _plane_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return shift, mean - shift and var."""

    def shifted_sums(shift):
        zero, sums = torch.zeros_like(shift), []
        for (block,), _ in _blocks((x,), ()):
            shifted = block.to(shift.dtype) - shift
            sums.append(_sums_of_block(shifted, zero, shifted))
        squares, total = _merged(sums, shift.shape)
        return total, squares

    sample = x[:: max(1, x.numel() // BLOCK)]  # a block's worth, spread over x
    guess = sample.mean((0, 2), keepdim=True, dtype=_working_dtype(x))
    return _moments(shifted_sums, guess, x.numel() // x.shape[1])


def _column_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return shift, mean - shift and var.

    Columns near zero are summed as they are, which saves a pass. If that was a wrong guess, or if
    a shift was not near the mean, as any inexact one of a constant, the columns are summed again.
    The first shift has few digits: values on a coarse grid, such as halves or pixels, stay on it,
    where each addition is exact. Off the grid all of them would round the same way.
    """
    guess, var = _column_statistics(x[:: max(1, len(x) // SAMPLE)].contiguous(), None)
    shift = None if _is_near_zero(guess, var) else guess.to(torch.bfloat16).to(_working_dtype(x))
    for _ in range(3):
        rest, var = _column_statistics(x, shift)
        if _is_near_zero(rest, var):
            break
        shift = (rest if shift is None else shift + rest).to(_working_dtype(x))
    return torch.zeros_like(rest) if shift is None else shift, rest, var


def _column_statistics(x: Tensor, shift: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return mean and var of x - shift, merged from those of the blocks by Chan's formula."""
    dtype, counts, means, variances = _working_dtype(x), [], [], []
    for (block,), (folded_shift,) in _blocks((x,), (shift,)):
        values = block.to(dtype) if shift is None else block.to(dtype) - folded_shift
        mean, var = torch.batch_norm_update_stats(values, None, None, 0)
        means.append(mean)
        variances.append(var)
        counts += [len(block)] * (len(mean) // x.shape[1])
    weights = torch.tensor(counts, dtype=torch.float64).view(-1, 1, 1) / len(x)
    means, variances = (
        torch.cat(parts).view(-1, *x.shape[1:]).to(torch.float64) for parts in (means, variances)
    )
    mean = (weights * means).sum(0, keepdim=True)
    return mean, (weights * (variances + (means - mean).square())).sum(0, keepdim=True)
