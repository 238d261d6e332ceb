"""The Triton programs behind `bnlib.kernels`, which says what they promise.

In all of them x is seen as (samples, channels, inner) in memory order, and a tile is a few channels
by some of the count = samples * inner values of each. NCHW is (N, C, H*W), NHWC is (N*H*W, C, 1),
and rows that are normalized each by itself are (1, rows, size). Constants of a layout: INNER,
whether there is ONE_SAMPLE, the type of INDEX that x needs, and the tile's sides, powers of two.

Elements are float32; each lane runs Welford's recurrence on its own values, and Chan's formula
merges lanes and then, in float64, parts of a channel. No sum of squares is taken before its values
are centred, and no atomics are used.
"""

import triton
import triton.language as tl

# Variances outside of these lose digits to float32 squares: float64 takes over.
SMALLEST_SAFE = tl.constexpr(1e-24)
LARGEST_SAFE = tl.constexpr(1e30)


@triton.jit
def _tile(
    channel,
    start,
    channels,
    count,
    INNER: tl.constexpr,
    ONE_SAMPLE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    """Return the values' numbers, where they lie, and which of them exist."""
    value = start + tl.arange(0, TILE_VALUES)
    exists = (channel < channels)[:, None] & (value < count)[None, :]
    if ONE_SAMPLE:
        offsets = channel.to(INDEX)[:, None] * INNER + value[None, :]
    else:
        row = (value // INNER).to(INDEX)[None, :] * channels + channel[:, None]
        offsets = row * INNER + (value % INNER)[None, :]
    return value, offsets, exists


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
    ONE_SAMPLE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    """Return mean and M2 of each channel's values from `first` on, so many tiles of them.

    Welford's recurrence in each lane, then Chan's formula over the lanes. Values are taken
    relative to the first of them, so that a mean far from 0 costs no digits.
    """
    _, place, filled = _tile(channel, first, channels, count, INNER, ONE_SAMPLE, INDEX, 1)
    shift = _load(x, place, filled)
    mean = tl.zeros((TILE_CHANNELS, TILE_VALUES), tl.float32)
    m2 = tl.zeros((TILE_CHANNELS, TILE_VALUES), tl.float32)
    for step in range(steps):
        start = first + step * TILE_VALUES
        _value, offsets, exists = _tile(
            channel, start, channels, count, INNER, ONE_SAMPLE, INDEX, TILE_VALUES
        )
        centred = _load(x, offsets, exists) - shift
        deviation = tl.where(exists, centred - mean, 0.0)
        mean += deviation * (1.0 / (step + 1))
        m2 += deviation * (centred - mean)
    lane = first + tl.arange(0, TILE_VALUES)
    seen = tl.minimum(tl.maximum((count - lane + TILE_VALUES - 1) // TILE_VALUES, 0), steps)
    seen = seen.to(tl.float32)[None, :]
    rest = tl.sum(mean * seen, 1) / tl.sum(seen, 1)
    spread = mean - rest[:, None]
    m2 = tl.sum(m2 + spread * spread * seen, 1)
    return tl.sum(shift, 1).to(tl.float64) + rest.to(tl.float64), m2.to(tl.float64)


@triton.jit
def _held_moments(values, first, exists, count):
    """Return mean and var of values that a program holds, relative to the first, as `_moments`."""
    away = tl.where(exists, values - first, 0.0)
    middle = tl.sum(away, 1) / count
    centred = tl.where(exists, away - middle[:, None], 0.0)
    var = tl.sum(centred * centred, 1) / count
    return tl.sum(first, 1).to(tl.float64) + middle.to(tl.float64), var.to(tl.float64)


@triton.jit
def _wide_moments(
    x,
    channel,
    channels,
    count,
    INNER: tl.constexpr,
    ONE_SAMPLE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    """Return mean and var of each channel in float64, by two passes: for any finite values.

    It is rare, and takes narrow tiles: wide ones would cost registers where they are not needed.
    """
    NARROW: tl.constexpr = min(TILE_VALUES, 512)
    total = tl.zeros((TILE_CHANNELS,), tl.float64)
    for start in range(0, count, NARROW):
        _value, offsets, exists = _tile(
            channel, start, channels, count, INNER, ONE_SAMPLE, INDEX, NARROW
        )
        total += tl.sum(_load(x, offsets, exists).to(tl.float64), 1)
    mean = total / count
    squares = tl.zeros((TILE_CHANNELS,), tl.float64)
    for start in range(0, count, NARROW):
        _value, offsets, exists = _tile(
            channel, start, channels, count, INNER, ONE_SAMPLE, INDEX, NARROW
        )
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
def _move_running(running_mean, running_var, mean, var, channel, inside, count, rate):
    """running <- (1 - rate) * running + rate * (mean, var * count / (count - 1))"""
    old = tl.load(running_mean + channel, mask=inside, other=0.0).to(tl.float64)
    tl.store(running_mean + channel, (old + rate * (mean - old)).to(tl.float32), mask=inside)
    old = tl.load(running_var + channel, mask=inside, other=0.0).to(tl.float64)
    new = var * count / (count - 1)
    tl.store(running_var + channel, (old + rate * (new - old)).to(tl.float32), mask=inside)


@triton.jit
def _once(inv_std, weight, bias, channel, REPEAT: tl.constexpr, PARAMETERS: tl.constexpr):
    """Return weight * inv_std and bias of channels that have one of each; else inv_std and 0.

    Before the loops: the compiler moves no load out of them. A load of a column in a loop would
    have it carry every tile through shared memory, to the column's order of threads and back.
    """
    scale, offset = inv_std, tl.zeros_like(inv_std)
    if PARAMETERS == 1:
        place = channel % REPEAT
        if weight is not None:
            scale *= tl.load(weight + place).to(tl.float32)[:, None]
        if bias is not None:
            offset += tl.load(bias + place).to(tl.float32)[:, None]
    return scale, offset


@triton.jit
def _parameter(
    pointer,
    channel,
    value,
    exists,
    REPEAT: tl.constexpr,
    PARAMETERS: tl.constexpr,
    SPAN: tl.constexpr,
):
    """Load the affine parameters of a tile: PARAMETERS to a row, the same again each REPEAT rows.

    Layer norm has one to each value of a row, group norm one to each SPAN values.
    """
    first = (channel % REPEAT)[:, None] * PARAMETERS
    return _load(pointer, first + (value // SPAN)[None, :], exists)


@triton.jit
def _affine(
    centred,
    scale,
    offset,
    weight,
    bias,
    channel,
    value,
    exists,
    REPEAT: tl.constexpr,
    PARAMETERS: tl.constexpr,
    SPAN: tl.constexpr,
):
    """scale and offset are those of `_once`."""
    if PARAMETERS > 1:
        if weight is not None:
            scale *= _parameter(weight, channel, value, exists, REPEAT, PARAMETERS, SPAN)
        if bias is not None:
            offset += _parameter(bias, channel, value, exists, REPEAT, PARAMETERS, SPAN)
    return centred * scale + offset


@triton.jit
def _add_and_cut(out, residual, offsets, exists, RELU: tl.constexpr):
    if residual is not None:
        out += _load(residual, offsets, exists)
    if RELU:
        out = tl.where(out < 0, 0.0, out)  # not maximum, which would hide a nan
    return out


@triton.jit
def _through_relu(g, x, centred, scale, offset, y, offsets, exists):
    """Zero g where the ReLU gave zero: read off y, or computed again where y needs only x."""
    if y is not None:
        out = _load(y, offsets, exists)
    else:
        out = (centred * scale + offset).to(x.dtype.element_ty).to(tl.float32)
    return tl.where(out > 0, g, 0.0)


@triton.jit
def _gradient_tile(
    x,
    y,
    dy,
    shift,
    rest,
    scale,
    offset,
    channel,
    start,
    channels,
    count,
    RELU: tl.constexpr,
    INNER: tl.constexpr,
    ONE_SAMPLE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    """Return where a tile's values lie, x centred, and what the ReLU lets through of dy."""
    value, offsets, exists = _tile(
        channel, start, channels, count, INNER, ONE_SAMPLE, INDEX, TILE_VALUES
    )
    centred = _load(x, offsets, exists) - shift - rest
    g = _load(dy, offsets, exists)
    if RELU:
        g = _through_relu(g, x, centred, scale, offset, y, offsets, exists)
    return value, offsets, exists, centred, g


@triton.jit
def _input_gradient(g, centred, product, total, inv_std, scale, CENTERED: tl.constexpr):
    """dx from the means `product` of g * x_hat and `total` of g.

    The weight is in `scale`, or a factor of g already where a row has several.
    """
    out = g - centred * inv_std * product
    if CENTERED:
        out -= total
    return out * scale


# Channels of many values are spread over programs, in parts: x is read twice. The second pass goes
# from the end to the start: what the first one read last may still be in the cache.


@triton.jit
def _from_the_end(steps, TILE_CHANNELS: tl.constexpr, TILE_VALUES: tl.constexpr):
    """Return the channels of a program and the first of its values, the last ones first."""
    part = tl.num_programs(0) - 1 - tl.program_id(0)
    group = tl.num_programs(1) - 1 - tl.program_id(1)
    channel = group * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    return channel, part * steps * TILE_VALUES


@triton.jit
def part_moments(
    x,
    moments,
    channels,
    count,
    steps,
    INNER: tl.constexpr,
    ONE_SAMPLE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    """Write moments (2, parts, channels): the mean and M2 of each part of a channel."""
    channel = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    part = tl.program_id(0)
    first = part * steps * TILE_VALUES
    mean, m2 = _moments(
        x,
        channel,
        first,
        steps,
        channels,
        count,
        INNER,
        ONE_SAMPLE,
        INDEX,
        TILE_CHANNELS,
        TILE_VALUES,
    )
    place, inside = moments + part * channels + channel, channel < channels
    tl.store(place, mean, mask=inside)
    tl.store(place + tl.num_programs(0) * channels, m2, mask=inside)


@triton.jit
def merge_moments(
    x,
    moments,
    mean,
    var,
    channels,
    count,
    parts,
    part_size,
    eps,
    running_mean,
    running_var,
    rate,
    INNER: tl.constexpr,
    ONE_SAMPLE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_PARTS: tl.constexpr,
):
    """Chan's formula, relative to the first part's mean: equal means merge without rounding."""
    channel = tl.program_id(0) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = channel < channels
    first_mean = tl.load(moments + channel, mask=inside, other=0.0)
    total = tl.zeros((TILE_CHANNELS,), tl.float64)
    squares = tl.zeros((TILE_CHANNELS,), tl.float64)
    for start in range(0, parts, TILE_PARTS):
        part = start + tl.arange(0, TILE_PARTS)
        exists = inside[:, None] & (part < parts)[None, :]
        offsets = part[None, :] * channels + channel[:, None]
        size = tl.minimum(tl.maximum(count - part * part_size, 0), part_size).to(tl.float64)
        away = tl.load(moments + offsets, mask=exists, other=0.0) - first_mean[:, None]
        total += tl.sum(tl.where(exists, away * size[None, :], 0.0), 1)
    rest = total / count
    for start in range(0, parts, TILE_PARTS):
        part = start + tl.arange(0, TILE_PARTS)
        exists = inside[:, None] & (part < parts)[None, :]
        offsets = part[None, :] * channels + channel[:, None]
        size = tl.minimum(tl.maximum(count - part * part_size, 0), part_size).to(tl.float64)
        away = tl.load(moments + offsets, mask=exists, other=0.0) - (first_mean + rest)[:, None]
        m2 = tl.load(moments + parts * channels + offsets, mask=exists, other=0.0)
        squares += tl.sum(tl.where(exists, m2 + away * away * size[None, :], 0.0), 1)
    merged_mean, merged_var = first_mean + rest, squares / count
    if _any_unsafe(merged_var, eps):
        merged_mean, merged_var = _wide_moments(
            x, channel, channels, count, INNER, ONE_SAMPLE, INDEX, TILE_CHANNELS, TILE_PARTS
        )
    tl.store(mean + channel, merged_mean, mask=inside)
    tl.store(var + channel, merged_var, mask=inside)
    if running_mean is not None:
        _move_running(
            running_mean, running_var, merged_mean, merged_var, channel, inside, count, rate
        )


@triton.jit
def normalize_parts(
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
    REPEAT: tl.constexpr,
    INNER: tl.constexpr,
    ONE_SAMPLE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    channel, first = _from_the_end(steps, TILE_CHANNELS, TILE_VALUES)
    shift, rest, inv_std = _statistics(mean, var, channel, channels, eps)
    scale, offset = _once(inv_std, weight, bias, channel, REPEAT, 1)
    for step in range(steps):
        start = first + (steps - 1 - step) * TILE_VALUES
        _value, offsets, exists = _tile(
            channel, start, channels, count, INNER, ONE_SAMPLE, INDEX, TILE_VALUES
        )
        out = (_load(x, offsets, exists) - shift - rest) * scale + offset
        out = _add_and_cut(out, residual, offsets, exists, RELU)
        tl.store(y + offsets, out, mask=exists)


@triton.jit
def part_sums(
    x,
    y,
    dy,
    weight,
    bias,
    mean,
    var,
    dresidual,
    row_statistics,
    rows,
    sums,
    channels,
    count,
    steps,
    eps,
    RELU: tl.constexpr,
    REPEAT: tl.constexpr,
    INNER: tl.constexpr,
    ONE_SAMPLE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
    ROWS_PER_SAMPLE: tl.constexpr,
    CHANNELS_PER_ROW: tl.constexpr,
):
    """Write sums (2, parts, channels): those of dy * x_hat and of dy over a part of a channel.

    Statistics belong to channels, as in batch norm, or to rows of `row_statistics` (shift, rest,
    inv_std): to ROWS_PER_SAMPLE of each sample, CHANNELS_PER_ROW channels each. What the ReLU lets
    through of dy is kept in `dresidual`, if there is one.
    """
    channel = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    part = tl.program_id(0)
    if row_statistics is None:
        shift, rest, inv_std = _statistics(mean, var, channel, channels, eps)
        scale, offset = _once(inv_std, weight, bias, channel, REPEAT, 1)
    products = tl.zeros((TILE_CHANNELS, TILE_VALUES), tl.float32)
    totals = tl.zeros((TILE_CHANNELS, TILE_VALUES), tl.float32)
    for step in range(steps):
        start = (part * steps + step) * TILE_VALUES
        value, offsets, exists = _tile(
            channel, start, channels, count, INNER, ONE_SAMPLE, INDEX, TILE_VALUES
        )
        if row_statistics is not None:
            sample = (value // INNER).to(tl.int64)
            row = sample[None, :] * ROWS_PER_SAMPLE + (channel // CHANNELS_PER_ROW)[:, None]
            shift = _load(row_statistics, row, exists)
            rest = _load(row_statistics + rows, row, exists)
            inv_std = _load(row_statistics + 2 * rows, row, exists)
        centred = _load(x, offsets, exists) - shift - rest
        g = _load(dy, offsets, exists)
        if RELU:
            g = _through_relu(g, x, centred, scale, offset, y, offsets, exists)
        if dresidual is not None:
            tl.store(dresidual + offsets, g, mask=exists)
        products += tl.where(exists, g * (centred * inv_std), 0.0)
        totals += g
    place, inside = sums + part * channels + channel, channel < channels
    tl.store(place, tl.sum(products, 1), mask=inside)
    tl.store(place + tl.num_programs(0) * channels, tl.sum(totals, 1), mask=inside)


@triton.jit
def merge_sums(
    sums,
    wide,
    dweight,
    dbias,
    channels,
    parts,
    TILE_CHANNELS: tl.constexpr,
    TILE_PARTS: tl.constexpr,
):
    """Add the parts of sums (2, parts, channels) in float64: wide (2, channels), and rounded."""
    which = tl.program_id(1)
    channel = tl.program_id(0) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = channel < channels
    total = tl.zeros((TILE_CHANNELS,), tl.float64)
    for start in range(0, parts, TILE_PARTS):
        part = start + tl.arange(0, TILE_PARTS)
        exists = inside[:, None] & (part < parts)[None, :]
        offsets = (which * parts + part)[None, :] * channels + channel[:, None]
        total += tl.sum(tl.load(sums + offsets, mask=exists, other=0.0).to(tl.float64), 1)
    if wide is not None:
        tl.store(wide + which * channels + channel, total, mask=inside)
    rounded = total.to(tl.float32)
    if dweight is not None:
        tl.store(dweight + channel, rounded, mask=inside & (which == 0))
    if dbias is not None:
        tl.store(dbias + channel, rounded, mask=inside & (which == 1))


@triton.jit
def gradient_parts(
    x,
    dy,
    weight,
    bias,
    mean,
    var,
    sums,
    dx,
    channels,
    count,
    steps,
    eps,
    RELU: tl.constexpr,
    REPEAT: tl.constexpr,
    INNER: tl.constexpr,
    ONE_SAMPLE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    channel, first = _from_the_end(steps, TILE_CHANNELS, TILE_VALUES)
    inside = channel < channels
    shift, rest, inv_std = _statistics(mean, var, channel, channels, eps)
    scale, offset = _once(inv_std, weight, bias, channel, REPEAT, 1)
    product = tl.load(sums + channel, mask=inside, other=0.0) / count
    total = tl.load(sums + channels + channel, mask=inside, other=0.0) / count
    product, total = product.to(tl.float32)[:, None], total.to(tl.float32)[:, None]
    for step in range(steps):
        start = first + (steps - 1 - step) * TILE_VALUES
        _value, offsets, exists, centred, g = _gradient_tile(
            x,
            None,
            dy,
            shift,
            rest,
            scale,
            offset,
            channel,
            start,
            channels,
            count,
            RELU,
            INNER,
            ONE_SAMPLE,
            INDEX,
            TILE_VALUES,
        )
        out = _input_gradient(g, centred, product, total, inv_std, scale, True)
        tl.store(dx + offsets, out, mask=exists)


# Channels of few values, and long rows: a program has all values of some. It holds them if they fit
# in a tile, else it reads them twice, the second time from the end to the start.


@triton.jit
def normalize_whole(
    x,
    residual,
    weight,
    bias,
    y,
    mean,
    var,
    channels,
    count,
    eps,
    running_mean,
    running_var,
    rate,
    HELD: tl.constexpr,
    CENTERED: tl.constexpr,
    RELU: tl.constexpr,
    REPEAT: tl.constexpr,
    PARAMETERS: tl.constexpr,
    SPAN: tl.constexpr,
    INNER: tl.constexpr,
    ONE_SAMPLE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    channel = tl.program_id(0) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = channel < channels
    steps = (count + TILE_VALUES - 1) // TILE_VALUES
    if HELD:
        value, offsets, exists = _tile(
            channel, 0, channels, count, INNER, ONE_SAMPLE, INDEX, TILE_VALUES
        )
        _, place, filled = _tile(channel, 0, channels, count, INNER, ONE_SAMPLE, INDEX, 1)
        values = _load(x, offsets, exists)
        own_mean, own_var = _held_moments(values, _load(x, place, filled), exists, count)
    else:
        own_mean, m2 = _moments(
            x,
            channel,
            0,
            steps,
            channels,
            count,
            INNER,
            ONE_SAMPLE,
            INDEX,
            TILE_CHANNELS,
            TILE_VALUES,
        )
        own_var = m2 / count
    if _any_unsafe(own_var, eps):
        own_mean, own_var = _wide_moments(
            x, channel, channels, count, INNER, ONE_SAMPLE, INDEX, TILE_CHANNELS, TILE_VALUES
        )
    if not CENTERED:
        own_var += own_mean * own_mean  # the mean square; both terms are positive
        own_mean = own_mean * 0.0
    tl.store(mean + channel, own_mean, mask=inside)
    tl.store(var + channel, own_var, mask=inside)
    if running_mean is not None:
        _move_running(running_mean, running_var, own_mean, own_var, channel, inside, count, rate)
    shift, rest, inv_std = _split(own_mean, own_var, eps)
    scale, offset = _once(inv_std, weight, bias, channel, REPEAT, PARAMETERS)
    if HELD:
        out = _affine(
            values - shift - rest,
            scale,
            offset,
            weight,
            bias,
            channel,
            value,
            exists,
            REPEAT,
            PARAMETERS,
            SPAN,
        )
        out = _add_and_cut(out, residual, offsets, exists, RELU)
        tl.store(y + offsets, out, mask=exists)
    else:
        for step in range(steps):
            start = (steps - 1 - step) * TILE_VALUES
            value, offsets, exists = _tile(
                channel, start, channels, count, INNER, ONE_SAMPLE, INDEX, TILE_VALUES
            )
            out = _affine(
                _load(x, offsets, exists) - shift - rest,
                scale,
                offset,
                weight,
                bias,
                channel,
                value,
                exists,
                REPEAT,
                PARAMETERS,
                SPAN,
            )
            out = _add_and_cut(out, residual, offsets, exists, RELU)
            tl.store(y + offsets, out, mask=exists)


@triton.jit
def gradient_whole(
    x,
    y,
    dy,
    weight,
    bias,
    mean,
    var,
    dx,
    dresidual,
    row_statistics,
    sums,
    channels,
    count,
    eps,
    HELD: tl.constexpr,
    CENTERED: tl.constexpr,
    RELU: tl.constexpr,
    REPEAT: tl.constexpr,
    PARAMETERS: tl.constexpr,
    SPAN: tl.constexpr,
    INNER: tl.constexpr,
    ONE_SAMPLE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    """Write dx, and the sums for a row's one parameter, or what `part_sums` needs for several.

    The second time, what the ReLU lets through of dy is read from `dresidual`, if there is one.
    """
    channel = tl.program_id(0) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = channel < channels
    steps = (count + TILE_VALUES - 1) // TILE_VALUES
    shift, rest, inv_std = _statistics(mean, var, channel, channels, eps)
    scale, offset = _once(inv_std, weight, bias, channel, REPEAT, PARAMETERS)
    if HELD:
        value, offsets, exists, centred, g = _gradient_tile(
            x,
            y,
            dy,
            shift,
            rest,
            scale,
            offset,
            channel,
            0,
            channels,
            count,
            RELU,
            INNER,
            ONE_SAMPLE,
            INDEX,
            TILE_VALUES,
        )
        if dresidual is not None:
            tl.store(dresidual + offsets, g, mask=exists)
        if PARAMETERS > 1 and weight is not None:
            g *= _parameter(weight, channel, value, exists, REPEAT, PARAMETERS, SPAN)
        product = tl.sum(tl.where(exists, g * (centred * inv_std), 0.0), 1)
        total = tl.sum(tl.where(exists, g, 0.0), 1)
    else:
        products = tl.zeros((TILE_CHANNELS, TILE_VALUES), tl.float32)
        totals = tl.zeros((TILE_CHANNELS, TILE_VALUES), tl.float32)
        for step in range(steps):
            value, offsets, exists, centred, g = _gradient_tile(
                x,
                y,
                dy,
                shift,
                rest,
                scale,
                offset,
                channel,
                step * TILE_VALUES,
                channels,
                count,
                RELU,
                INNER,
                ONE_SAMPLE,
                INDEX,
                TILE_VALUES,
            )
            if dresidual is not None:
                tl.store(dresidual + offsets, g, mask=exists)
            if PARAMETERS > 1 and weight is not None:
                g *= _parameter(weight, channel, value, exists, REPEAT, PARAMETERS, SPAN)
            products += tl.where(exists, g * (centred * inv_std), 0.0)
            totals += tl.where(exists, g, 0.0)
        product, total = tl.sum(products, 1), tl.sum(totals, 1)
    if sums is not None:
        tl.store(sums + channel, product, mask=inside)
        tl.store(sums + channels + channel, total, mask=inside)
    if row_statistics is not None:
        place = row_statistics + channel[:, None]
        tl.store(place, shift, mask=inside[:, None])
        tl.store(place + channels, rest, mask=inside[:, None])
        tl.store(place + 2 * channels, inv_std, mask=inside[:, None])
    product, total = (product / count)[:, None], (total / count)[:, None]
    if HELD:
        out = _input_gradient(g, centred, product, total, inv_std, scale, CENTERED)
        tl.store(dx + offsets, out, mask=exists)
    else:
        if dresidual is not None:
            tl.debug_barrier()  # other threads may have stored what is read now
        for step in range(steps):
            start = (steps - 1 - step) * TILE_VALUES
            value, offsets, exists, centred, g = _gradient_tile(
                x,
                None if dresidual is not None else y,
                dy if dresidual is None else dresidual,
                shift,
                rest,
                scale,
                offset,
                channel,
                start,
                channels,
                count,
                RELU and dresidual is None,
                INNER,
                ONE_SAMPLE,
                INDEX,
                TILE_VALUES,
            )
            if PARAMETERS > 1 and weight is not None:
                g *= _parameter(weight, channel, value, exists, REPEAT, PARAMETERS, SPAN)
            out = _input_gradient(g, centred, product, total, inv_std, scale, CENTERED)
            tl.store(dx + offsets, out, mask=exists)


# Rows that fit in a tile: a program holds their values and reads them once.


@triton.jit
def normalize_rows(
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
    SPAN: tl.constexpr,
    SIZE: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_ROWS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    row = tl.program_id(0) * TILE_ROWS + tl.arange(0, TILE_ROWS)
    value, offsets, exists = _tile(row, 0, rows, SIZE, SIZE, True, INDEX, TILE_VALUES)
    _first, place, filled = _tile(row, 0, rows, SIZE, SIZE, True, INDEX, 1)
    first = _load(x, place, filled)
    values = _load(x, offsets, exists)
    own_mean, own_var = _held_moments(values, first, exists, SIZE)
    if _any_unsafe(own_var, eps):
        own_mean, own_var = _wide_moments(
            x, row, rows, SIZE, SIZE, True, INDEX, TILE_ROWS, TILE_VALUES
        )
    if not CENTERED:
        own_var += own_mean * own_mean  # the mean square; both terms are positive
        own_mean = own_mean * 0.0
    tl.store(mean + row, own_mean, mask=row < rows)
    tl.store(var + row, own_var, mask=row < rows)
    shift, rest, inv_std = _split(own_mean, own_var, eps)
    scale, offset = _once(inv_std, weight, bias, row, REPEAT, PARAMETERS)
    out = _affine(
        values - shift - rest,
        scale,
        offset,
        weight,
        bias,
        row,
        value,
        exists,
        REPEAT,
        PARAMETERS,
        SPAN,
    )
    tl.store(y + offsets, out, mask=exists)


@triton.jit
def gradient_rows(
    x,
    dy,
    weight,
    mean,
    var,
    dx,
    sums,
    rows,
    size,
    steps,
    eps,
    CENTERED: tl.constexpr,
    INDEX: tl.constexpr,
    TILE_ROWS: tl.constexpr,
    TILE_VALUES: tl.constexpr,
):
    """Rows that fit in a tile, with a parameter to each value: x and dy are read once.

    A program takes some tiles of rows after another, and keeps its sums of dy * x_hat and dy.
    """
    value = tl.arange(0, TILE_VALUES)
    in_row = value < size
    if weight is not None:
        scale = tl.load(weight + value, mask=in_row, other=0.0).to(tl.float32)[None, :]
    products = tl.zeros((TILE_ROWS, TILE_VALUES), tl.float32)
    totals = tl.zeros((TILE_ROWS, TILE_VALUES), tl.float32)
    for step in range(steps):
        row = (tl.program_id(0) * steps + step) * TILE_ROWS + tl.arange(0, TILE_ROWS)
        exists = (row < rows)[:, None] & in_row[None, :]
        offsets = row.to(INDEX)[:, None] * size + value[None, :]
        shift, rest, inv_std = _statistics(mean, var, row, rows, eps)
        x_hat = tl.where(exists, (_load(x, offsets, exists) - shift - rest) * inv_std, 0.0)
        g = _load(dy, offsets, exists)
        products += g * x_hat
        totals += g
        if weight is not None:
            g *= scale
        out = g - x_hat * (tl.sum(g * x_hat, 1) / size)[:, None]
        if CENTERED:
            out -= (tl.sum(g, 1) / size)[:, None]
        tl.store(dx + offsets, out * inv_std, mask=exists)
    place = sums + tl.program_id(0) * size + value
    tl.store(place, tl.sum(products, 0), mask=in_row)
    tl.store(place + tl.num_programs(0) * size, tl.sum(totals, 0), mask=in_row)
