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

BLOCK = 2**20  # elements: 4 MiB of float32, so a block and its scratch stay in the last cache
SMALLEST = 2**16  # elements: below this, Python calls cost more than the formulas' float64
FOLDED = 1024  # columns of a folded block, which is two BLOCKs: 2048 values of each are added up
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
    inv_std = (var.to(torch.float64) + eps).rsqrt().view(layout.statistic)
    shift, rest = _split(mean.to(torch.float64).view(layout.statistic), layout.dtype)
    y = torch.empty_like(x)
    _standardize_batch(
        layout.view(x),
        shift,
        rest,
        inv_std,
        layout.affine(weight),
        layout.affine(bias),
        layout.view(y),
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


# Batch: the values of a statistic are spread over all blocks, so x is read twice.


def _normalize_batch(x, weight, bias, eps, centered, y):
    count = x.numel() // x.shape[1]
    if x.shape[2] == 1:
        shift, rest, var = _column_moments(x, count)
    else:

        def shifted_sums(shift):
            total, squares = x.new_zeros((2, *shift.shape), dtype=torch.float64)
            for block, channels, shifted in _batch_blocks(x, 1):
                _shifted(x[block], shift, channels, shifted)
                total[:, channels] += _channel_sums(shifted)
                squares[:, channels] += _channel_sums(shifted.mul_(shifted))
            return total, squares

        sample = x[:: max(1, x.numel() // BLOCK)]  # a block's worth, spread over x
        guess = sample.mean((0, 2), keepdim=True, dtype=_working_dtype(x))
        shift, rest, var = _moments(shifted_sums, guess, count)
    mean = shift + rest
    if _is_near_zero(mean, var):
        shift, rest = None, mean
    _standardize_batch(x, shift, rest, (var + eps).rsqrt(), weight, bias, y)
    return mean, var


def _standardize_batch(x, shift, rest, inv_std, weight, bias, y):
    scale, offset = _forward_factors(weight, bias, rest, inv_std, _working_dtype(x))
    if x.shape[2] == 1 and shift is None and x.dtype == scale.dtype:
        torch.addcmul(offset, x, scale, out=y)  # no scratch, so no blocks
        return
    for block, channels, shifted in _batch_blocks(x, 1):
        values = _shifted(x[block], shift, channels, shifted)
        _multiply_add(values, scale[:, channels], offset[:, channels], shifted, out=y[block])


def _gradient_batch(x, weight, pattern, mean, var, eps, dy, centered, dx):
    count, inv_std = x.numel() // x.shape[1], (var + eps).rsqrt()
    if x.shape[2] == 1:
        shift, rest = _split(mean, _working_dtype(x))
        products, dbias = _column_products(x, shift, dy)
    else:
        near_zero = _is_near_zero(mean, var)
        shift, rest = (None, mean) if near_zero else _split(mean, _working_dtype(x))
        products, dbias = x.new_zeros((2, *pattern), dtype=torch.float64)
        for block, channels, shifted, scratch in _batch_blocks(x, 2):
            wide_dy = _widened(dy[block], scratch)
            values = _shifted(x[block], shift, channels, shifted)
            dbias[:, channels] += _channel_sums(wide_dy)
            products[:, channels] += _channel_sums(torch.mul(values, wide_dy, out=shifted))
    dweight = inv_std * (products - rest * dbias)
    # With no shift dx errs by at most 2u * |mean| / std more, and that saves a pass.
    scale, slope, offset = _gradient_factors(
        weight, mean, inv_std, dweight, dbias, count, centered, _working_dtype(x)
    )
    for block, channels, sloped, scratch in _batch_blocks(x, 2):
        _multiply_add(
            _widened(x[block], sloped), slope[:, channels], offset[:, channels], sloped, out=sloped
        )
        wide_dy = _widened(dy[block], scratch)
        if x.shape[2] == 1:
            torch.addcmul(sloped, wide_dy, scale[:, channels], out=dx[block])
        else:
            torch.add(sloped, torch.mul(wide_dy, scale[:, channels], out=scratch), out=dx[block])
    return dweight, dbias


def _batch_blocks(x: Tensor, buffers: int):
    """Yield blocks of x and their channels, each with its share of so many scratch buffers."""
    samples, channels, inner = x.shape
    channel_step = min(channels, max(1, BLOCK // inner))
    step = max(1, BLOCK // (channel_step * inner))
    step = min(samples, step)
    scratch = x.new_empty((buffers, step * channel_step * inner), dtype=_working_dtype(x))
    for start in range(0, samples, step):
        for first in range(0, channels, channel_step):
            block = slice(start, start + step), slice(first, first + channel_step)
            shape = x[block].shape
            yield block, block[1], *scratch[:, : prod(shape)].view(buffers, *shape)


def _shifted(block, shift, channels, scratch):
    values = _widened(block, scratch)
    return values if shift is None else torch.sub(values, shift[:, channels], out=scratch)


def _is_near_zero(mean: Tensor, var: Tensor) -> bool:
    """Whether every mean lies within two standard deviations of zero.

    Then x may go into products as it is, which saves a pass over it: scale * x + offset errs by at
    most 4u * |weight| more than scale * (x - shift) + offset does. A constant lies infinitely many
    of its standard deviations away, unless it is zero.
    """
    return bool((mean.square() <= 4 * var).all())


def _channel_sums(values: Tensor) -> Tensor:
    """Sum all axes but the channels, in float64 across samples."""
    return _sums(values).sum(0, keepdim=True)


# Columns: a batch with a single value a channel and sample. Each block is summed by torch's own
# kernel, the fastest there is for this layout. It adds up a column one value after another, which
# is good for some thousand values and not for more. So blocks are short, narrow ones are folded
# (two rows of C columns are one row of 2C), and float64 merges them.


def _column_moments(x: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return shift, mean - shift and var.

    Columns near zero are summed as they are, which saves a pass. If that was a wrong guess, or if
    a shift was not near the mean, as any inexact one of a constant, the columns are summed again.
    The first shift has few digits: values on a coarse grid, such as halves or pixels, stay on it,
    where each addition is exact. Off the grid all of them would round the same way.
    """
    guess, var = _column_statistics(x[:: max(1, len(x) // SAMPLE)], None)
    shift = None if _is_near_zero(guess, var) else guess.to(torch.bfloat16).to(_working_dtype(x))
    for _ in range(3):
        rest, var = _column_statistics(x, shift)
        if _is_near_zero(rest, var):
            break
        shift = (rest if shift is None else shift + rest).to(_working_dtype(x))
    return torch.zeros_like(rest) if shift is None else shift, rest, var


def _column_statistics(x: Tensor, shift: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return mean and var of x - shift, merged from those of the blocks by Chan's formula."""
    counts, means, variances = [], [], []
    for rows, fold, scratch in _column_blocks(x, 1):
        folded = _folded(_shifted(x[rows], shift, slice(None), scratch), fold)
        for parts, of_block in zip(
            (means, variances), torch.batch_norm_update_stats(folded, None, None, 0), strict=True
        ):
            parts.append(of_block.view(fold, *x.shape[1:]))
        counts += [len(folded)] * fold
    weights = torch.tensor(counts, dtype=torch.float64).view(-1, 1, 1) / len(x)
    means, variances = torch.cat(means).to(torch.float64), torch.cat(variances)
    mean = (weights * means).sum(0, keepdim=True)
    return mean, (weights * (variances + (means - mean).square())).sum(0, keepdim=True)


def _column_products(x: Tensor, shift: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums of (x - shift) * dy and of dy."""
    products, totals = [], []
    for rows, fold, values, scratch in _column_blocks(x, 2):
        folded, folded_dy = (
            _folded(_widened(x[rows], values), fold),
            _folded(_widened(dy[rows], scratch), fold),
        )
        mean = shift.flatten().repeat(fold)
        # With an inverse standard deviation of 1, the gradients by weight and bias are the sums.
        _, product, total = torch.ops.aten.native_batch_norm_backward(
            folded_dy, folded, None, None, None, mean, torch.ones_like(mean), True, 0.0, WITHOUT_DX
        )
        products.append(product.view(fold, *x.shape[1:]))
        totals.append(total.view(fold, *x.shape[1:]))
    return tuple(
        torch.cat(parts).sum(0, keepdim=True, dtype=torch.float64) for parts in (products, totals)
    )


def _column_blocks(x: Tensor, buffers: int):
    """Yield rows of x, how many of them to fold into one, and scratch buffers."""
    samples, channels, _ = x.shape
    fold = 2 ** max(0, (FOLDED // channels).bit_length() - 1)
    whole = samples // fold * fold
    step = max(1, 2 * BLOCK // (fold * channels)) * fold
    scratch = x.new_empty((buffers, min(step, samples), channels, 1), dtype=_working_dtype(x))
    for start in range(0, whole, step):
        rows = slice(start, min(start + step, whole))
        yield rows, fold, *scratch[:, : rows.stop - start]
    if whole < samples:
        yield slice(whole, samples), 1, *scratch[:, : samples - whole]


def _folded(values: Tensor, fold: int) -> Tensor:
    return values.reshape(len(values) // fold, -1)
