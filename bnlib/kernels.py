"""The norms of `bnlib.functional` as fused Triton kernels, for a GPU.

`normalize`, `gradient` and `standardize` compute what the formulas in `bnlib.functional` say, and
those formulas are their oracle; like `bnlib._statistics` they return None for what they do not
cover, and the caller then takes the formulas. Batch norm takes a residual and a ReLU into the same
passes (`batch_norm_add_relu`). With TRITON_INTERPRET=1 the kernels run on the CPU, slowly; so
far that is where they have been tested, and on no GPU.

Memory traffic decides the time. Batch norm reads x twice and writes y, 1.5 copies; its backward
reads x and dy twice and writes dx, 2.5 copies. Rows that stay in the cache (layer and RMS norm)
are read once. Elements are float32; each lane runs Welford's recurrence on its own values, and
Chan's formula merges lanes and then, in float64, parts of a channel. No atomics: the same input
gives the same bits. No sum of squares is taken before its values are centred.
"""

import os
from dataclasses import dataclass
from math import prod

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function
from torch.nn import Parameter
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
TILE = 2048  # elements that a program works on at a time
ROW_TILE = 4096  # the same for rows, of which a program holds all values
MOST_STEPS = 32  # tiles in a row that one lane sees: its float32 sums stay short
PROGRAMS = 1024  # enough to fill a large GPU; a channel is split into parts until there are
MOST_ELEMENT_STEPS = 4
EPS_RANGE = (1e-30, 1e30)  # eps travels as float32
LARGEST_INDEX = 2**31 - 2**20  # int32, with room for the last tiles
LARGEST_GRID = 65535  # along the second axis

# Variances outside of these lose digits to float32 squares: float64 takes over.
SMALLEST_SAFE = tl.constexpr(1e-24)
LARGEST_SAFE = tl.constexpr(1e30)


# In all kernels x is seen as (samples, channels, inner), and a tile is a few channels by some of
# the count = samples * inner values of each. NCHW is (N, C, H*W). NHWC is (N*H*W, C, 1).
# Rows that are normalized each by itself are (1, rows, size).


@triton.jit
def _tile(channel, start, channels, count, INNER: tl.constexpr, TILE_VALUES: tl.constexpr):
    """Return the values' numbers, where they lie, and which of them exist."""
    value = start + tl.arange(0, TILE_VALUES)
    sample = (value // INNER).to(tl.int64)
    row = sample[None, :] * channels + channel[:, None]
    exists = (channel < channels)[:, None] & (value < count)[None, :]
    return value, row * INNER + (value % INNER)[None, :], exists


@triton.jit
def _load(pointer, offsets, exists):
    return tl.load(pointer + offsets, mask=exists, other=0.0).to(tl.float32)


@triton.jit
def _moments(
    x,
    channel,
    first,
    steps,
    channels,
    count,
    INNER: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    """Return mean and M2 of each channel's values from `first` on, so many tiles of them.

    Welford's recurrence in each lane, then Chan's formula over the lanes. Values are taken
    relative to the first of them, so that a mean far from 0 costs no digits.
    """
    _, offsets, exists = _tile(channel, first, channels, count, INNER, 1)
    shift = _load(x, offsets, exists)
    mean = tl.zeros((TILE_CHANNELS, TILE_VALUES), tl.float32)
    m2 = tl.zeros((TILE_CHANNELS, TILE_VALUES), tl.float32)
    for step in range(steps):
        start = first + step * TILE_VALUES
        _, offsets, exists = _tile(channel, start, channels, count, INNER, TILE_VALUES)
        centred = _load(x, offsets, exists) - shift
        deviation = tl.where(exists, centred - mean, 0.0)
        mean += deviation / (step + 1)
        m2 += deviation * (centred - mean)
    lane = first + tl.arange(0, TILE_VALUES)
    seen = tl.minimum(tl.maximum((count - lane + TILE_VALUES - 1) // TILE_VALUES, 0), steps)
    seen = seen.to(tl.float32)[None, :]
    rest = tl.sum(mean * seen, 1) / tl.sum(seen, 1)
    spread = mean - rest[:, None]
    m2 = tl.sum(m2 + spread * spread * seen, 1)
    return tl.sum(shift, 1).to(tl.float64) + rest.to(tl.float64), m2.to(tl.float64)


@triton.jit
def _wide_moments(
    x,
    channel,
    channels,
    count,
    INNER: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    """Return mean and var of each channel in float64, by two passes: for any finite values."""
    total = tl.zeros((TILE_CHANNELS,), tl.float64)
    for start in range(0, count, TILE_VALUES):
        _, offsets, exists = _tile(channel, start, channels, count, INNER, TILE_VALUES)
        total += tl.sum(_load(x, offsets, exists).to(tl.float64), 1)
    mean = total / count
    squares = tl.zeros((TILE_CHANNELS,), tl.float64)
    for start in range(0, count, TILE_VALUES):
        _, offsets, exists = _tile(channel, start, channels, count, INNER, TILE_VALUES)
        centred = _load(x, offsets, exists).to(tl.float64) - mean[:, None]
        squares += tl.sum(tl.where(exists, centred * centred, 0.0), 1)
    return mean, squares / count


@triton.jit
def _any_unsafe(var, eps):
    """Whether a variance is too small or too large for float32 squares, or not a number."""
    safe = (var + eps > SMALLEST_SAFE) & (var + eps < LARGEST_SAFE)
    return tl.min(safe.to(tl.int32), 0) == 0


@triton.jit
def _split(mean, var, eps):
    """Write a mean as its float32 and what that leaves out; return them and 1/sqrt(var + eps)."""
    shift = mean.to(tl.float32)
    rest = (mean - shift.to(tl.float64)).to(tl.float32)
    inv_std = (1.0 / tl.sqrt(var + eps)).to(tl.float32)
    return shift[:, None], rest[:, None], inv_std[:, None]


@triton.jit
def _statistics(mean, var, channel, channels, eps):
    exists = channel < channels
    wide_mean = tl.load(mean + channel, mask=exists, other=0.0).to(tl.float64)
    wide_var = tl.load(var + channel, mask=exists, other=1.0).to(tl.float64)
    return _split(wide_mean, wide_var, eps)


@triton.jit
def _parameter(
    pointer, channel, value, exists, REPEAT: tl.constexpr, PARAMETERS: tl.constexpr, SIZE
):
    """Load the affine parameters of a tile: PARAMETERS to a row, the same again each REPEAT rows.

    Batch norm has one to a channel, layer norm one to each value of a row, group norm some.
    """
    first = (channel % REPEAT)[:, None] * PARAMETERS
    if PARAMETERS == 1:
        return tl.load(pointer + first).to(tl.float32)
    return _load(pointer, first + (value // (SIZE // PARAMETERS))[None, :], exists)


@triton.jit
def _affine(
    centred,
    inv_std,
    weight,
    bias,
    channel,
    value,
    exists,
    REPEAT: tl.constexpr,
    PARAMETERS: tl.constexpr,
    SIZE: tl.constexpr,
):
    scale = inv_std
    if weight is not None:
        scale *= _parameter(weight, channel, value, exists, REPEAT, PARAMETERS, SIZE)
    out = centred * scale
    if bias is not None:
        out += _parameter(bias, channel, value, exists, REPEAT, PARAMETERS, SIZE)
    return out


# Batch norm: the values of a channel are spread over many programs, so x is read twice.


@triton.jit
def _part_moments(
    x,
    means,
    m2s,
    channels,
    count,
    steps,
    INNER: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    channel = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    part = tl.program_id(0)
    first = part * steps * TILE_VALUES
    mean, m2 = _moments(
        x, channel, first, steps, channels, count, INNER, TILE_CHANNELS, TILE_VALUES
    )
    tl.store(means + part * channels + channel, mean, mask=channel < channels)
    tl.store(m2s + part * channels + channel, m2, mask=channel < channels)


@triton.jit
def _merge_moments(
    x,
    means,
    m2s,
    mean,
    var,
    channels,
    count,
    parts,
    part_size,
    eps,
    INNER: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
    TILE_PARTS: tl.constexpr,
):
    """Chan's formula, relative to the first part's mean: equal means merge without rounding."""
    channel = tl.program_id(0) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = channel < channels
    first_mean = tl.load(means + channel, mask=inside, other=0.0)
    total = tl.zeros((TILE_CHANNELS,), tl.float64)
    squares = tl.zeros((TILE_CHANNELS,), tl.float64)
    for start in range(0, parts, TILE_PARTS):
        part = start + tl.arange(0, TILE_PARTS).to(tl.int64)
        exists = inside[:, None] & (part < parts)[None, :]
        offsets = part[None, :] * channels + channel[:, None]
        size = tl.minimum(tl.maximum(count - part * part_size, 0), part_size).to(tl.float64)
        away = tl.load(means + offsets, mask=exists, other=0.0) - first_mean[:, None]
        total += tl.sum(tl.where(exists, away * size[None, :], 0.0), 1)
    rest = total / count
    for start in range(0, parts, TILE_PARTS):
        part = start + tl.arange(0, TILE_PARTS).to(tl.int64)
        exists = inside[:, None] & (part < parts)[None, :]
        offsets = part[None, :] * channels + channel[:, None]
        size = tl.minimum(tl.maximum(count - part * part_size, 0), part_size).to(tl.float64)
        away = tl.load(means + offsets, mask=exists, other=0.0) - (first_mean + rest)[:, None]
        m2 = tl.load(m2s + offsets, mask=exists, other=0.0)
        squares += tl.sum(tl.where(exists, m2 + away * away * size[None, :], 0.0), 1)
    merged_mean, merged_var = first_mean + rest, squares / count
    if _any_unsafe(merged_var, eps):
        merged_mean, merged_var = _wide_moments(
            x, channel, channels, count, INNER, TILE_CHANNELS, TILE_VALUES
        )
    tl.store(mean + channel, merged_mean, mask=inside)
    tl.store(var + channel, merged_var, mask=inside)


@triton.jit
def _normalize_channels(
    x,
    residual,
    weight,
    bias,
    mean,
    var,
    y,
    channels,
    count,
    steps,
    eps,
    RELU: tl.constexpr,
    CHANNELS: tl.constexpr,
    INNER: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    channel = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    shift, rest, inv_std = _statistics(mean, var, channel, channels, eps)
    for step in range(steps):
        start = (tl.program_id(0) * steps + step) * TILE_VALUES
        value, offsets, exists = _tile(channel, start, channels, count, INNER, TILE_VALUES)
        centred = _load(x, offsets, exists) - shift - rest
        out = _affine(centred, inv_std, weight, bias, channel, value, exists, CHANNELS, 1, 1)
        if residual is not None:
            out += _load(residual, offsets, exists)
        if RELU:
            out = tl.where(out < 0, 0.0, out)  # not maximum, which would hide a nan
        tl.store(y + offsets, out, mask=exists)


@triton.jit
def _through_relu(g, x, centred, inv_std, weight, bias, y, channel, value, offsets, exists, REPEAT):
    """Zero g where the ReLU gave zero: read off y, or computed again where y needs only x."""
    if y is not None:
        out = _load(y, offsets, exists)
    else:
        out = _affine(centred, inv_std, weight, bias, channel, value, exists, REPEAT, 1, 1)
        out = out.to(x.dtype.element_ty).to(tl.float32)
    return tl.where(out > 0, g, 0.0)


@triton.jit
def _gradient_sums(
    x,
    y,
    dy,
    weight,
    bias,
    mean,
    var,
    row_statistics,
    rows,
    dweights,
    dbiases,
    channels,
    count,
    steps,
    eps,
    RELU: tl.constexpr,
    CHANNELS: tl.constexpr,
    INNER: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
    ROWS_PER_SAMPLE: tl.constexpr,
    CHANNELS_PER_ROW: tl.constexpr,
):
    """Sum dy * x_hat and dy for each channel over a part of its values.

    Statistics belong to channels, as in batch norm, or to rows of `row_statistics` (shift, rest,
    inv_std): to ROWS_PER_SAMPLE of each sample, CHANNELS_PER_ROW channels each.
    """
    channel = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    part = tl.program_id(0)
    if row_statistics is None:
        shift, rest, inv_std = _statistics(mean, var, channel, channels, eps)
    products = tl.zeros((TILE_CHANNELS, TILE_VALUES), tl.float32)
    totals = tl.zeros((TILE_CHANNELS, TILE_VALUES), tl.float32)
    for step in range(steps):
        start = (part * steps + step) * TILE_VALUES
        value, offsets, exists = _tile(channel, start, channels, count, INNER, TILE_VALUES)
        if row_statistics is not None:
            sample = (value // INNER).to(tl.int64)
            row = sample[None, :] * ROWS_PER_SAMPLE + (channel // CHANNELS_PER_ROW)[:, None]
            shift = _load(row_statistics, row, exists)
            rest = _load(row_statistics + rows, row, exists)
            inv_std = _load(row_statistics + 2 * rows, row, exists)
        centred = _load(x, offsets, exists) - shift - rest
        g = _load(dy, offsets, exists)
        if RELU:
            g = _through_relu(
                g, x, centred, inv_std, weight, bias, y, channel, value, offsets, exists, CHANNELS
            )
        products += tl.where(exists, g * (centred * inv_std), 0.0)
        totals += g
    inside = channel < channels
    tl.store(dweights + part * channels + channel, tl.sum(products, 1), mask=inside)
    tl.store(dbiases + part * channels + channel, tl.sum(totals, 1), mask=inside)


@triton.jit
def _gradient_channels(
    x,
    y,
    dy,
    weight,
    bias,
    mean,
    var,
    dweight,
    dbias,
    dx,
    dresidual,
    channels,
    count,
    steps,
    eps,
    RELU: tl.constexpr,
    CHANNELS: tl.constexpr,
    INNER: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    channel = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = channel < channels
    shift, rest, inv_std = _statistics(mean, var, channel, channels, eps)
    product = tl.load(dweight + channel, mask=inside, other=0.0) / count
    total = tl.load(dbias + channel, mask=inside, other=0.0) / count
    product, total = product.to(tl.float32)[:, None], total.to(tl.float32)[:, None]
    for step in range(steps):
        start = (tl.program_id(0) * steps + step) * TILE_VALUES
        value, offsets, exists = _tile(channel, start, channels, count, INNER, TILE_VALUES)
        centred = _load(x, offsets, exists) - shift - rest
        g = _load(dy, offsets, exists)
        if RELU:
            g = _through_relu(
                g, x, centred, inv_std, weight, bias, y, channel, value, offsets, exists, CHANNELS
            )
        if dresidual is not None:
            tl.store(dresidual + offsets, g, mask=exists)
        without = g - total - centred * inv_std * product
        out = _affine(without, inv_std, weight, None, channel, value, exists, CHANNELS, 1, 1)
        tl.store(dx + offsets, out, mask=exists)


# Layer, RMS, group and instance norm: a program holds whole rows, and reads them from the cache
# the second time.


@triton.jit
def _normalize_rows(
    x,
    weight,
    bias,
    y,
    mean,
    var,
    rows,
    eps,
    CENTERED: tl.constexpr,
    REPEAT: tl.constexpr,
    PARAMETERS: tl.constexpr,
    SIZE: tl.constexpr,
    TILE_ROWS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * TILE_ROWS + tl.arange(0, TILE_ROWS)
    steps = (SIZE + TILE_VALUES - 1) // TILE_VALUES
    row_mean, m2 = _moments(x, row, 0, steps, rows, SIZE, SIZE, TILE_ROWS, TILE_VALUES)
    row_var = m2 / SIZE
    if _any_unsafe(row_var, eps):
        row_mean, row_var = _wide_moments(x, row, rows, SIZE, SIZE, TILE_ROWS, TILE_VALUES)
    if not CENTERED:
        row_var += row_mean * row_mean  # the mean square; both terms are positive
        row_mean = row_mean * 0.0
    tl.store(mean + row, row_mean, mask=row < rows)
    tl.store(var + row, row_var, mask=row < rows)
    shift, rest, inv_std = _split(row_mean, row_var, eps)
    for step in range(steps):
        value, offsets, exists = _tile(row, step * TILE_VALUES, rows, SIZE, SIZE, TILE_VALUES)
        centred = _load(x, offsets, exists) - shift - rest
        out = _affine(centred, inv_std, weight, bias, row, value, exists, REPEAT, PARAMETERS, SIZE)
        tl.store(y + offsets, out, mask=exists)


@triton.jit
def _gradient_rows(
    x,
    dy,
    weight,
    mean,
    var,
    dx,
    row_statistics,
    rows,
    eps,
    CENTERED: tl.constexpr,
    REPEAT: tl.constexpr,
    PARAMETERS: tl.constexpr,
    SIZE: tl.constexpr,
    TILE_ROWS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * TILE_ROWS + tl.arange(0, TILE_ROWS)
    steps = (SIZE + TILE_VALUES - 1) // TILE_VALUES
    shift, rest, inv_std = _statistics(mean, var, row, rows, eps)
    if row_statistics is not None:
        place, inside = row_statistics + row[:, None], (row < rows)[:, None]
        tl.store(place, shift, mask=inside)
        tl.store(place + rows, rest, mask=inside)
        tl.store(place + 2 * rows, inv_std, mask=inside)
    products = tl.zeros((TILE_ROWS, TILE_VALUES), tl.float32)
    totals = tl.zeros((TILE_ROWS, TILE_VALUES), tl.float32)
    for step in range(steps):
        value, offsets, exists = _tile(row, step * TILE_VALUES, rows, SIZE, SIZE, TILE_VALUES)
        x_hat = (_load(x, offsets, exists) - shift - rest) * inv_std
        g = _load(dy, offsets, exists)
        g = _affine(g, 1.0, weight, None, row, value, exists, REPEAT, PARAMETERS, SIZE)
        products += tl.where(exists, g * x_hat, 0.0)
        totals += tl.where(exists, g, 0.0)
    product = (tl.sum(products, 1) / SIZE)[:, None]
    total = (tl.sum(totals, 1) / SIZE)[:, None]
    for step in range(steps):
        value, offsets, exists = _tile(row, step * TILE_VALUES, rows, SIZE, SIZE, TILE_VALUES)
        x_hat = (_load(x, offsets, exists) - shift - rest) * inv_std
        g = _load(dy, offsets, exists)
        g = _affine(g, 1.0, weight, None, row, value, exists, REPEAT, PARAMETERS, SIZE)
        out = g - x_hat * product
        if CENTERED:
            out -= total
        tl.store(dx + offsets, out * inv_std, mask=exists)


# From tensors to kernels.


@dataclass(frozen=True)
class _Channels:
    """x in memory order as (samples, channels, inner), and how the work is cut."""

    samples: int
    channels: int
    inner: int
    channels_last: bool = False

    @property
    def count(self) -> int:
        return self.samples * self.inner

    @property
    def tile(self) -> tuple[int, int]:
        """Channels and values that lie side by side in memory, in powers of two."""
        channels, values = map(triton.next_power_of_2, (self.channels, self.count))
        if self.inner == 1:  # 64 neighbours fill cache lines, whatever the dtype
            channels = min(64, channels)
            return channels, min(TILE // channels, values)
        values = min(TILE, values)
        return min(channels, TILE // values), values

    @property
    def element_steps(self) -> int:
        """Tiles to a program of an elementwise pass, which pays for float64 roots only once."""
        return min(MOST_ELEMENT_STEPS, triton.cdiv(self.count, self.tile[1]))

    @property
    def steps(self) -> int:
        """Tiles to a part: as many as leave enough programs for the whole GPU."""
        tiles = triton.cdiv(self.count, self.tile[1])
        groups = triton.cdiv(self.channels, self.tile[0])
        return max(1, min(MOST_STEPS, tiles, tiles * groups // PROGRAMS))

    def grid(self, steps: int) -> tuple[int, int]:
        channels, values = self.tile
        return triton.cdiv(self.count, steps * values), triton.cdiv(self.channels, channels)

    def like(self, tensor: Tensor) -> Tensor:
        """A tensor of x's shape in this memory order."""
        if self.channels_last:
            return tensor.movedim(1, -1).contiguous().movedim(-1, 1)
        return tensor.contiguous()

    def new(self, *shape: int, like: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
        return torch.empty((*shape, self.channels), dtype=dtype, device=like.device)


@dataclass(frozen=True)
class _Rows:
    """Contiguous x as (rows, size), with affine parameters that repeat."""

    rows: int
    size: int
    repeat: int  # rows until the parameters start again
    parameters: int  # different ones in a row

    @property
    def tile(self) -> tuple[int, int]:
        values = min(ROW_TILE, triton.next_power_of_2(self.size))
        return max(1, min(16, 1024 // values)), values

    @property
    def constants(self) -> tuple[int, ...]:
        return self.repeat, self.parameters, self.size, *self.tile

    @property
    def grid(self) -> tuple[int]:
        return (triton.cdiv(self.rows, self.tile[0]),)


def normalize(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    axes: tuple[int, ...],
    eps: float,
    centered: bool = True,
    residual: Tensor | None = None,
    relu: bool = False,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Normalize x over the axes, scale and shift, then add and cut, in as few passes as can be.

        y = relu(weight * (x - mean) / sqrt(var + eps) + bias + residual)

    x             float32, float16 or bfloat16
    weight, bias  None, or of as many dimensions as x and broadcastable to it
    axes          counted from the end: all but the channels' (batch norm), or the last ones
    centered      False leaves the mean out, as RMS norm does
    residual      shaped like x, or None; it and relu are for batch norm alone
    Returns y like x, mean and var in float64 with size 1 along the axes; None if not covered.
    """
    view = _view(x, weight, bias, axes, eps)
    if view is None or not _is_plain(residual):
        return None
    y = torch.empty_like(x)
    if isinstance(view, _Rows):
        mean, var = torch.empty((2, view.rows), dtype=torch.float64, device=x.device)
        _normalize_rows[view.grid](
            x, weight, bias, y, mean, var, view.rows, eps, centered, *view.constants
        )
    else:
        mean, var = _channel_moments(x, view, eps)
        _normalize_by(x, residual, weight, bias, mean, var, y, view, eps, relu)
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
    centered: bool = True,
) -> tuple[Tensor, Tensor | None, Tensor | None] | None:
    """Return dx, dweight and dbias of `normalize` without residual and ReLU; None if not covered.

    dx = inv_std * (g - mean(g) - x_hat * mean(g * x_hat)),   g = weight * dy
    """
    view = _view(x, weight, bias, axes, eps)
    if view is None or not _is_plain(dy):
        return None
    if isinstance(view, _Channels):
        dx, _, dweight, dbias = _channel_gradient(x, weight, bias, mean, var, dy, view, eps)
    else:
        dx, dweight, dbias = _row_gradient(x, weight, bias, mean, var, dy, view, eps, centered)
    return dx, _like(dweight, weight), _like(dbias, bias)


def standardize(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    axes: tuple[int, ...],
    eps: float,
    residual: Tensor | None = None,
    relu: bool = False,
) -> Tensor | None:
    """Normalize x by given statistics; None if not covered or if a gradient may be asked for."""
    view = _view(x, weight, bias, axes, eps)
    tensors = x, weight, bias, residual
    asked = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    if not isinstance(view, _Channels) or asked or not all(map(_is_plain, (mean, var, residual))):
        return None
    y = torch.empty_like(x)
    _normalize_by(x, residual, weight, bias, mean, var, y, view, eps, relu)
    return y


def batch_norm_add_relu(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Batch norm in training, plus residual, then ReLU, fused forward and backward.

        y = relu(weight * (x - mean) / sqrt(var + eps) + bias + residual)

    x             (N, C, *spatial), contiguous or channels_last
    weight, bias  (1, C, 1, ...), or None
    residual      shaped like x, or None
    Returns y, differentiable, and mean and var, which are not; None if not covered. The ReLU's
    mask is not stored: the backward reads it off y, or computes it again where that costs less.
    Gradients of gradients come from the formulas of `bnlib.functional`.
    """
    axes = tuple(axis for axis in range(-x.ndim, 0) if axis != 1 - x.ndim)
    if not isinstance(_view(x, weight, bias, axes, eps), _Channels) or not _is_plain(residual):
        return None
    return _BatchNormAddReLU.apply(x, weight, bias, residual, axes, eps)


class _BatchNormAddReLU(Function):
    @staticmethod
    def forward(ctx, x, weight, bias, residual, axes, eps):
        y, mean, var = normalize(x, weight, bias, axes, eps, residual=residual, relu=True)
        ctx.save_for_backward(x, weight, bias, residual, mean, var, y)
        ctx.how = axes, eps
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx, dy, _mean, _var):
        x, weight, bias, residual, mean, var, y = ctx.saved_tensors
        axes, eps = ctx.how
        if torch.is_grad_enabled():  # these gradients will be differentiated
            grads = _differentiable_gradient(x, weight, bias, residual, axes, eps, dy)
            return *grads, None, None
        view = _view(x, weight, bias, axes, eps)
        known_y = None if residual is None else y
        dx, dresidual, dweight, dbias = _channel_gradient(
            x, weight, bias, mean, var, dy, view, eps, relu=True, y=known_y, residual=residual
        )
        return dx, _like(dweight, weight), _like(dbias, bias), dresidual, None, None


def _differentiable_gradient(x, weight, bias, residual, axes, eps, dy):
    from .functional import _normalize

    inputs = x, weight, bias, residual
    y = _normalize(x, weight, bias, axes, eps)[0]
    y = (y if residual is None else y + residual).relu()
    wanted = [tensor for tensor in inputs if tensor is not None and tensor.requires_grad]
    grads = iter(torch.autograd.grad(y, wanted, dy, create_graph=True))
    return [next(grads) if t is not None and t.requires_grad else None for t in inputs]


def _channel_moments(x, view, eps):
    steps, (tile_channels, tile_values) = view.steps, view.tile
    parts = view.grid(steps)[0]
    means, m2s = view.new(2, parts, like=x)
    mean, var = view.new(2, like=x)
    shape = view.channels, view.count
    constants = view.inner, tile_channels, tile_values
    _part_moments[view.grid(steps)](x, means, m2s, *shape, steps, *constants)
    tile_parts = min(64, triton.next_power_of_2(parts))
    _merge_moments[(view.grid(steps)[1],)](
        x, means, m2s, mean, var, *shape, parts, steps * tile_values, eps, *constants, tile_parts
    )
    return mean, var


def _normalize_by(x, residual, weight, bias, mean, var, y, view, eps, relu):
    _normalize_channels[view.grid(view.element_steps)](
        x,
        None if residual is None else view.like(residual),
        weight,
        bias,
        mean,
        var,
        y,
        view.channels,
        view.count,
        view.element_steps,
        eps,
        relu,
        view.channels,
        view.inner,
        *view.tile,
    )


def _channel_gradient(x, weight, bias, mean, var, dy, view, eps, relu=False, y=None, residual=None):
    """Return dx, dresidual, and dweight and dbias in float64."""
    dy = view.like(dy)
    constants = relu, view.channels, view.inner, *view.tile
    steps, shape = view.steps, (view.channels, view.count)
    sums = view.new(2, view.grid(steps)[0], like=x, dtype=torch.float32)
    _gradient_sums[view.grid(steps)](
        x, y, dy, weight, bias, mean, var, None, 0, *sums, *shape, steps, eps, *constants, 0, 1
    )
    dweight, dbias = sums.sum(1, dtype=torch.float64)
    dx = torch.empty_like(x)
    dresidual = None
    if residual is not None:
        dresidual = torch.empty_like(x, dtype=residual.dtype)
    _gradient_channels[view.grid(view.element_steps)](
        x,
        y,
        dy,
        weight,
        bias,
        mean,
        var,
        dweight,
        dbias,
        dx,
        dresidual,
        *shape,
        view.element_steps,
        eps,
        *constants,
    )
    return dx, dresidual, dweight, dbias


def _row_gradient(x, weight, bias, mean, var, dy, view, eps, centered):
    """Return dx, and dweight and dbias in float64, flat: the sums over what shares a parameter."""
    dy = dy.contiguous()
    dx = torch.empty_like(x)
    has_parameters = weight is not None or bias is not None
    statistics = torch.empty((3, view.rows), device=x.device) if has_parameters else None
    _gradient_rows[view.grid](
        x, dy, weight, mean, var, dx, statistics, view.rows, eps, centered, *view.constants
    )
    if not has_parameters:
        return dx, None, None
    channels = _Channels(
        samples=view.rows // view.repeat,
        channels=view.repeat * view.parameters,
        inner=view.size // view.parameters,
    )
    steps = channels.steps
    sums = channels.new(2, channels.grid(steps)[0], like=x, dtype=torch.float32)
    _gradient_sums[channels.grid(steps)](
        x,
        None,
        dy,
        weight,
        bias,
        mean,
        var,
        statistics,
        view.rows,
        *sums,
        channels.channels,
        channels.count,
        steps,
        eps,
        False,
        channels.channels,
        channels.inner,
        *channels.tile,
        view.repeat,
        view.parameters,
    )
    return dx, *sums.sum(1, dtype=torch.float64)


def _like(gradient: Tensor | None, parameter: Tensor | None) -> Tensor | None:
    return None if parameter is None else gradient.to(parameter.dtype).view(parameter.shape)


def _view(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: tuple[int, ...], eps: float
) -> _Channels | _Rows | None:
    """How the kernels are to see x, or None if they do not cover it."""
    if not all(map(_is_plain, (x, weight, bias))) or is_in_torch_dispatch_mode():
        return None
    if x.dtype not in (torch.float32, torch.float16, torch.bfloat16) or x.numel() == 0:
        return None
    if eps != 0 and not EPS_RANGE[0] < eps < EPS_RANGE[1]:
        return None
    kept = [axis for axis in range(x.ndim) if axis - x.ndim not in axes]
    view = _channels(x) if kept == [1] else _rows(x, weight, bias, kept)
    if isinstance(view, _Channels) and (view.count > LARGEST_INDEX or view.channels > LARGEST_GRID):
        return None
    return view


def _channels(x: Tensor) -> _Channels | None:
    samples, channels, *inner = x.shape
    if prod(inner) > 1 and x.is_contiguous():
        return _Channels(samples, channels, prod(inner))
    if x.movedim(1, -1).is_contiguous():
        return _Channels(samples * prod(inner), channels, 1, channels_last=True)
    return None


def _rows(x: Tensor, weight: Tensor | None, bias: Tensor | None, kept: list[int]) -> _Rows | None:
    first = len(kept)
    if kept != list(range(first)) or not x.is_contiguous():
        return None
    shapes = {tuple(p.shape) for p in (weight, bias) if p is not None}
    if len(shapes) > 1:
        return None
    rows, size = prod(x.shape[:first]), prod(x.shape[first:])
    if size > LARGEST_INDEX:
        return None
    if not shapes:
        return _Rows(rows, size, 1, 1)
    shape = shapes.pop()
    outer, inner = _without_leading_ones(shape[:first]), shape[first:]
    repeat, parameters = prod(outer), prod(inner)
    repeats = outer == tuple(x.shape[first - len(outer) : first])
    covers = prod(x.shape[first:][: len(_without_trailing_ones(inner))]) == parameters
    if not (repeats and covers) or repeat * parameters > LARGEST_GRID * 64:
        return None
    return _Rows(rows, size, repeat, parameters)


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    while shape and shape[0] == 1:
        shape = shape[1:]
    return shape


def _without_trailing_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return _without_leading_ones(shape[::-1])[::-1]


def _is_plain(tensor: Tensor | None) -> bool:
    """Whether this is memory a kernel can read, not a tracer's, a transform's or a subclass's."""
    return tensor is None or (
        type(tensor) in (Tensor, Parameter)
        and (tensor.is_cuda or (INTERPRETED and tensor.device.type == "cpu"))
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )
