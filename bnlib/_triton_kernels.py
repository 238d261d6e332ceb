"""The Triton programs behind `bnlib.kernels`, which says what they promise.

In all of them x is seen as (samples, channels, inner) in memory order, and a tile is a few channels
by some of the count = samples * inner values of each. NCHW is (N, C, H*W), NHWC is (N*H*W, C, 1),
and rows that are normalized each by itself are (1, rows, size). `Layout` holds what is constant.

Elements are float32. A thread takes the few values of a tile that it holds by two passes; Chan's
formula merges tiles, then lanes and, in float64, parts of a channel. No sum of squares is taken
before its values are centred, and nothing is added up by atomics, whose order may change.
"""

from typing import NamedTuple

import triton
import triton.language as tl

# Variances outside of these lose digits to float32 squares: float64 takes over.
SMALLEST_SAFE = tl.constexpr(1e-24)
LARGEST_SAFE = tl.constexpr(1e30)


class Layout(NamedTuple):
    """How a program sees x, and the tile it takes at a time, whose sides are powers of two."""

    inner: int
    one_sample: bool
    wide: bool  # places in x need 64 bits
    channels: int  # of a tile
    values: int  # of a tile
    lanes: int  # values of a channel that a tile gives to different threads, if it can


@triton.jit
def _tile(channel, start, channels, count, LAYOUT: tl.constexpr):
    """Return the values' numbers, where they lie, and which of them exist."""
    value = start + tl.arange(0, LAYOUT.values)
    return _places(channel, value, channels, count, LAYOUT)


@triton.jit
def _places(channel, value, channels, count, LAYOUT: tl.constexpr):
    exists = (channel < channels)[:, None] & (value < count)[None, :]
    wide_channel, row = channel, value // LAYOUT.inner
    if LAYOUT.wide:
        wide_channel, row = channel.to(tl.int64), row.to(tl.int64)
    if LAYOUT.one_sample:
        offsets = wide_channel[:, None] * LAYOUT.inner + value[None, :]
    else:
        row = row[None, :] * channels + channel[:, None]
        offsets = row * LAYOUT.inner + (value % LAYOUT.inner)[None, :]
    return value, offsets, exists


@triton.jit
def _zeros(LAYOUT: tl.constexpr):
    CHANNELS: tl.constexpr = LAYOUT.channels
    VALUES: tl.constexpr = LAYOUT.values
    return tl.zeros((CHANNELS, VALUES), tl.float32)


@triton.jit
def _load(pointer, offsets, exists):
    return tl.load(pointer + offsets, mask=exists, other=0.0).to(tl.float32)


@triton.jit
def _fetch(pointer, channel, start, channels, end, LAYOUT: tl.constexpr):
    """Load a tile as it is."""
    _value, offsets, exists = _tile(channel, start, channels, end, LAYOUT)
    return tl.load(pointer + offsets, mask=exists, other=0.0)


@triton.jit
def _by_thread(tile, LAYOUT: tl.constexpr):
    """See a tile as (channels, repeats, lanes): the repeats are a thread's own."""
    CHANNELS: tl.constexpr = LAYOUT.channels
    REPEATS: tl.constexpr = LAYOUT.values // LAYOUT.lanes
    LANES: tl.constexpr = LAYOUT.lanes
    return tl.reshape(tile, (CHANNELS, REPEATS, LANES))


@triton.jit
def _lane_zeros(LAYOUT: tl.constexpr):
    CHANNELS: tl.constexpr = LAYOUT.channels
    LANES: tl.constexpr = LAYOUT.lanes
    return tl.zeros((CHANNELS, LANES), tl.float32)


@triton.jit
def _take_in(mean, m2, seen, centred, LAYOUT: tl.constexpr):
    """Chan's formula, lane by lane: what was seen, and the values of one more tile."""
    REPEATS: tl.constexpr = LAYOUT.values // LAYOUT.lanes
    own = _by_thread(centred, LAYOUT)
    own_mean = tl.sum(own, 1) * (1.0 / REPEATS)
    away = own - own_mean[:, None, :]
    delta = own_mean - mean
    share = REPEATS / (seen + REPEATS)
    m2 += tl.sum(away * away, 1) + delta * delta * (seen * share)
    mean += delta * share
    return mean, m2, seen + REPEATS


@triton.jit
def _take_in_last(mean, m2, seen, centred, exists, LAYOUT: tl.constexpr):
    """The same with a tile that need not be full; what was seen is then told by lane."""
    own, there = _by_thread(centred, LAYOUT), _by_thread(exists.to(tl.float32), LAYOUT)
    count = tl.sum(there, 1)
    own_mean = tl.sum(own * there, 1) / tl.maximum(count, 1.0)
    away = (own - own_mean[:, None, :]) * there
    delta = own_mean - mean
    share = count / tl.maximum(seen + count, 1.0)
    m2 += tl.sum(away * away, 1) + delta * delta * (seen * share)
    mean += delta * share
    return mean, m2, seen + count


@triton.jit
def _moments(x, channel, first, steps, channels, count, LAYOUT: tl.constexpr):
    """Return mean and M2 of each channel's values from `first` on, so many tiles, and the last one.

    A thread takes its values of a tile by two passes, and Chan's formula merges tiles, then lanes.
    Values are taken relative to the first of them, so that a mean far from 0 costs no digits.
    """
    _, place, filled = _places(channel, first + tl.arange(0, 1), channels, count, LAYOUT)
    shift = _load(x, place, filled)
    values = _fetch(x, channel, first, channels, count, LAYOUT)
    mean, m2, seen = _lane_zeros(LAYOUT), _lane_zeros(LAYOUT), 0.0
    for step in range(1, steps):
        mean, m2, seen = _take_in(mean, m2, seen, values.to(tl.float32) - shift, LAYOUT)
        values = _fetch(x, channel, first + step * LAYOUT.values, channels, count, LAYOUT)
    last = first + (steps - 1) * LAYOUT.values
    _value, _offsets, exists = _tile(channel, last, channels, count, LAYOUT)
    centred = tl.where(exists, values.to(tl.float32) - shift, 0.0)
    mean, m2, by_lane = _take_in_last(mean, m2, seen, centred, exists, LAYOUT)
    rest = tl.sum(mean * by_lane, 1) / tl.maximum(tl.sum(by_lane, 1), 1.0)
    spread = mean - rest[:, None]
    m2 = tl.sum(m2 + spread * spread * by_lane, 1)
    return tl.sum(shift, 1).to(tl.float64) + rest.to(tl.float64), m2.to(tl.float64), values


@triton.jit
def _held_moments(values, first, exists, count):
    """Return mean and var of values that a program holds, relative to the first, as `_moments`."""
    away = tl.where(exists, values - first, 0.0)
    middle = tl.sum(away, 1) / count
    centred = tl.where(exists, away - middle[:, None], 0.0)
    var = tl.sum(centred * centred, 1) / count
    return tl.sum(first, 1).to(tl.float64) + middle.to(tl.float64), var.to(tl.float64)


@triton.jit
def _wide_moments(x, channel, channels, count, CENTERED: tl.constexpr, LAYOUT: tl.constexpr):
    """Return mean and var of each channel in float64, by two passes: for any finite values.

    It is rare, and takes narrow tiles: wide ones would cost registers where they are not needed.
    """
    NARROW: tl.constexpr = min(LAYOUT.values, 512)
    total = tl.zeros_like(channel).to(tl.float64)
    for start in range(0, count, NARROW):
        value = start + tl.arange(0, NARROW)
        _value, offsets, exists = _places(channel, value, channels, count, LAYOUT)
        total += tl.sum(_load(x, offsets, exists).to(tl.float64), 1)
    mean = total / count
    if not CENTERED:
        mean = tl.zeros_like(mean)  # also where a value is infinite
    squares = tl.zeros_like(mean)
    for start in range(0, count, NARROW):
        value = start + tl.arange(0, NARROW)
        _value, offsets, exists = _places(channel, value, channels, count, LAYOUT)
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
def _parameters(weight, bias, channel, channels):
    """Return weight and bias of each channel, 1 and 0 where there is none.

    Before the loops: the compiler moves no load out of them. A load of a column in a loop would
    have it carry every tile through shared memory, to the column's order of threads and back.
    """
    inside = channel < channels
    factor = tl.zeros_like(channel).to(tl.float32) + 1.0
    offset = tl.zeros_like(channel).to(tl.float32)
    if weight is not None:
        factor = tl.load(weight + channel, mask=inside, other=1.0).to(tl.float32)
    if bias is not None:
        offset = tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)
    return factor[:, None], offset[:, None]


# Batch norm. A program has a part of the values of some channels, or all of them (one part). It
# reads them, meets the other parts of its channels if there are any, and reads them once more, from
# the end to the start: the last tile is still in its registers, and what came before it may be in
# the cache. PHASES is 3, or 1 and then 2 where programs run one after another and cannot wait.


@triton.jit
def _meet(counters, parts):
    """Wait until all parts of a group of channels are here: all of them have to be running.

    What each stored before, all can read after.
    """
    came = counters + tl.program_id(1)
    tl.debug_barrier()  # all threads have stored
    tl.atomic_add(came, 1, sem="release")
    while tl.atomic_add(came, 0, sem="acquire") < parts:
        pass


@triton.jit
def _merged_moments(
    moments, near, channel, channels, count, parts, part_size, PARTS_AT_ONCE: tl.constexpr
):
    """Chan's formula, relative to the mean of a part: equal means merge without rounding."""
    inside = channel < channels
    totals = (channel[:, None] + tl.arange(0, PARTS_AT_ONCE)[None, :]).to(tl.float64) * 0.0
    squares = totals
    for start in range(0, parts, PARTS_AT_ONCE):
        part = start + tl.arange(0, PARTS_AT_ONCE)
        exists = inside[:, None] & (part < parts)[None, :]
        place = moments + part[None, :] * channels + channel[:, None]
        mean = tl.load(place, mask=exists, other=0.0, cache_modifier=".cg")
        m2 = tl.load(place + parts * channels, mask=exists, other=0.0, cache_modifier=".cg")
        size = tl.minimum(count - part * part_size, part_size).to(tl.float64)[None, :]
        away = tl.where(exists, mean - near[:, None], 0.0)
        totals += away * size
        squares += m2 + away * away * size
    rest = tl.sum(totals, 1) / count
    return near + rest, tl.sum(squares, 1) / count - rest * rest


@triton.jit
def _merged_sums(sums, channel, channels, parts, PARTS_AT_ONCE: tl.constexpr):
    """Add what the parts have stored, in float64."""
    inside = channel < channels
    # Summed up once, after the loop: Triton 3.7 fails to compile a sum in it.
    totals = (channel[:, None] + tl.arange(0, PARTS_AT_ONCE)[None, :]).to(tl.float64) * 0.0
    for start in range(0, parts, PARTS_AT_ONCE):
        part = start + tl.arange(0, PARTS_AT_ONCE)
        exists = inside[:, None] & (part < parts)[None, :]
        place = sums + part[None, :] * channels + channel[:, None]
        totals += tl.load(place, mask=exists, other=0.0, cache_modifier=".cg").to(tl.float64)
    return tl.sum(totals, 1)


@triton.jit
def _word_places(step, steps, LAYOUT: tl.constexpr):
    """Where the bits of a tile are: a thread's repeats share a word."""
    program = tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    if LAYOUT.wide:
        program = program.to(tl.int64)
    channel, lane = tl.arange(0, LAYOUT.channels)[:, None], tl.arange(0, LAYOUT.lanes)[None, :]
    place = channel * LAYOUT.lanes + lane
    if LAYOUT.inner == 1:
        place = lane * LAYOUT.channels + channel
    return (program * steps + step) * (LAYOUT.channels * LAYOUT.lanes) + place


@triton.jit
def _bit_numbers(LAYOUT: tl.constexpr):
    return tl.arange(0, LAYOUT.values // LAYOUT.lanes)[None, :, None]


@triton.jit
def _part(count, steps, LAYOUT: tl.constexpr):
    """Return the first of a program's values, the end of them, and its tiles: fewer in the last."""
    first = tl.program_id(0) * steps * LAYOUT.values
    end = first + tl.minimum(count - first, steps * LAYOUT.values)  # in 32 bits
    return first, end, tl.cdiv(end - first, LAYOUT.values)


@triton.jit
def _write_normalized(
    y, opened, values, added, by, where, step, RELU: tl.constexpr, LAYOUT: tl.constexpr
):
    """Write a tile of y, and a bit for each value: whether the ReLU was open."""
    shift, scale, offset, _inv_std = by
    channel, first, steps, channels, end = where
    _value, offsets, exists = _tile(channel, first + step * LAYOUT.values, channels, end, LAYOUT)
    out = (values.to(tl.float32) - shift) * scale + offset
    if added is not None:
        out += added.to(tl.float32)
    if RELU:
        out = tl.where(out < 0, 0.0, out)  # not maximum, which would hide a nan
    out = out.to(y.dtype.element_ty)
    tl.store(y + offsets, out, mask=exists)
    if opened is not None:
        bits = _by_thread(1 - (out <= 0).to(tl.int32), LAYOUT) << _bit_numbers(LAYOUT)
        word = tl.sum(bits, 1).to(opened.dtype.element_ty)
        tl.store(opened + _word_places(step, steps, LAYOUT), word)


@triton.jit
def normalize_channels(
    x,
    residual,
    weight,
    bias,
    y,
    opened,
    mean,
    var,
    running_mean,
    running_var,
    rate,
    moments,
    counters,
    channels,
    count,
    steps,
    eps,
    PHASES: tl.constexpr,
    RELU: tl.constexpr,
    PARTS_AT_ONCE: tl.constexpr,
    LAYOUT: tl.constexpr,
):
    """y = relu((x - mean) * inv_std * weight + bias + residual), mean and var, and the bits.

    moments   (2, parts, channels): room for the mean and M2 of each part; None if there is one part
    counters  0 for each group of channels, or None
    """
    part, parts = tl.program_id(0), tl.num_programs(0)
    channel = tl.program_id(1) * LAYOUT.channels + tl.arange(0, LAYOUT.channels)
    inside = channel < channels
    first, end, own_steps = _part(count, steps, LAYOUT)
    where = channel, first, steps, channels, end
    last = own_steps - 1
    start = first + last * LAYOUT.values
    if PHASES & 1:
        own_mean, m2, values = _moments(x, channel, first, own_steps, channels, end, LAYOUT)
        own_var = m2 / count
        if moments is not None:
            place = moments + part * channels + channel
            tl.store(place, own_mean, mask=inside)
            tl.store(place + parts * channels, m2, mask=inside)
    else:
        own_mean = tl.load(moments + channel, mask=inside, other=0.0)
        values = _fetch(x, channel, start, channels, end, LAYOUT)
    if PHASES & 2:
        # What is needed later, and waits for nothing, is asked for before the others have come.
        added = (
            None if residual is None else _fetch(residual, channel, start, channels, end, LAYOUT)
        )
        factor, offset = _parameters(weight, bias, channel, channels)
        if moments is not None:
            if PHASES == 3:
                _meet(counters, parts)
            part_size = steps * LAYOUT.values
            own_mean, own_var = _merged_moments(
                moments, own_mean, channel, channels, count, parts, part_size, PARTS_AT_ONCE
            )
        if _any_unsafe(own_var, eps):
            own_mean, own_var = _wide_moments(x, channel, channels, count, True, LAYOUT)
        shift, rest, inv_std = _split(own_mean, own_var, eps)
        scale = inv_std * factor
        by = shift, scale, offset - rest * scale, inv_std
        for back in range(1, own_steps):
            step = last - back
            _write_normalized(y, opened, values, added, by, where, step + 1, RELU, LAYOUT)
            start = first + step * LAYOUT.values
            values = _fetch(x, channel, start, channels, end, LAYOUT)
            if residual is not None:
                added = _fetch(residual, channel, start, channels, end, LAYOUT)
        _write_normalized(y, opened, values, added, by, where, 0, RELU, LAYOUT)
        if part == 0:
            tl.store(mean + channel, own_mean, mask=inside)
            tl.store(var + channel, own_var, mask=inside)
            if running_mean is not None:
                _move_running(
                    running_mean, running_var, own_mean, own_var, channel, inside, count, rate
                )


@triton.jit
def _let_through(g, x, values, opened, by, step, steps, RELU: tl.constexpr, LAYOUT: tl.constexpr):
    """Zero g where the ReLU gave zero: a bit tells, or y is computed again from x alone."""
    if RELU:
        if opened is not None:
            word = tl.load(opened + _word_places(step, steps, LAYOUT)).to(tl.int32)
            CHANNELS: tl.constexpr = LAYOUT.channels
            VALUES: tl.constexpr = LAYOUT.values
            bits = (word[:, None, :] >> _bit_numbers(LAYOUT)) & 1
            g = tl.where(tl.reshape(bits, (CHANNELS, VALUES)) != 0, g, 0.0)
        else:
            shift, scale, offset, _inv_std = by
            y = ((values.to(tl.float32) - shift) * scale + offset).to(x.dtype.element_ty)
            g = tl.where(y <= 0, 0.0, g)
    return g


@triton.jit
def _add_products(
    sums,
    x,
    values,
    upstream,
    opened,
    by,
    step,
    steps,
    exists,
    RELU: tl.constexpr,
    LAYOUT: tl.constexpr,
):
    """Add a tile's g * (x - shift) * inv_std and g to their sums, lane by lane."""
    products, totals = sums
    shift, _scale, _offset, inv_std = by
    g = upstream.to(tl.float32)
    g = _let_through(g, x, values, opened, by, step, steps, RELU, LAYOUT)
    product = tl.where(exists, g * ((values.to(tl.float32) - shift) * inv_std), 0.0)
    products += tl.sum(_by_thread(product, LAYOUT), 1)
    return products, totals + tl.sum(_by_thread(g, LAYOUT), 1)


@triton.jit
def _write_gradient(
    x,
    dx,
    dresidual,
    values,
    upstream,
    opened,
    by,
    means,
    where,
    step,
    RELU: tl.constexpr,
    LAYOUT: tl.constexpr,
):
    shift, scale, _offset, inv_std = by
    product, total = means
    channel, first, steps, channels, end = where
    _value, offsets, exists = _tile(channel, first + step * LAYOUT.values, channels, end, LAYOUT)
    g = upstream.to(tl.float32)
    g = _let_through(g, x, values, opened, by, step, steps, RELU, LAYOUT)
    if dresidual is not None:
        tl.store(dresidual + offsets, g, mask=exists)
    x_hat = (values.to(tl.float32) - shift) * inv_std
    tl.store(dx + offsets, g * scale - x_hat * product - total, mask=exists)


@triton.jit
def gradient_channels(
    x,
    opened,
    dy,
    weight,
    bias,
    mean,
    var,
    dx,
    dresidual,
    dweight,
    dbias,
    sums,
    counters,
    channels,
    count,
    steps,
    eps,
    PHASES: tl.constexpr,
    RELU: tl.constexpr,
    PARTS_AT_ONCE: tl.constexpr,
    LAYOUT: tl.constexpr,
):
    """dx = scale * (g - mean(g) - x_hat * mean(g * x_hat)); g is what the ReLU lets through of dy.

    x_hat is (x - shift) * inv_std here; what `rest` takes off it is put right in the sums.
    """
    part, parts = tl.program_id(0), tl.num_programs(0)
    channel = tl.program_id(1) * LAYOUT.channels + tl.arange(0, LAYOUT.channels)
    inside = channel < channels
    first, end, own_steps = _part(count, steps, LAYOUT)
    where = channel, first, steps, channels, end
    last = own_steps - 1
    start = first if PHASES & 1 else first + last * LAYOUT.values
    values = _fetch(x, channel, start, channels, end, LAYOUT)
    upstream = _fetch(dy, channel, start, channels, end, LAYOUT)
    factor, offset = _parameters(weight, bias, channel, channels)
    shift, rest, inv_std = _statistics(mean, var, channel, channels, eps)
    scale = inv_std * factor
    by = shift, scale, offset - rest * scale, inv_std
    if PHASES & 1:
        own_sums = _lane_zeros(LAYOUT), _lane_zeros(LAYOUT)
        for step in range(1, own_steps):
            own_sums = _add_products(
                own_sums,
                x,
                values,
                upstream,
                opened,
                by,
                step - 1,
                steps,
                inside[:, None],
                RELU,
                LAYOUT,
            )
            start = first + step * LAYOUT.values
            values = _fetch(x, channel, start, channels, end, LAYOUT)
            upstream = _fetch(dy, channel, start, channels, end, LAYOUT)
        start = first + last * LAYOUT.values
        _value, _offsets, exists = _tile(channel, start, channels, end, LAYOUT)
        own_sums = _add_products(
            own_sums, x, values, upstream, opened, by, last, steps, exists, RELU, LAYOUT
        )
        total = tl.sum(own_sums[1], 1)
        product = tl.sum(own_sums[0], 1) - total * tl.sum(rest * inv_std, 1)
        product, total = product.to(tl.float64), total.to(tl.float64)
        if sums is not None:
            place = sums + part * channels + channel
            tl.store(place, product, mask=inside)
            tl.store(place + parts * channels, total, mask=inside)
    if PHASES & 2:
        if sums is not None:
            if PHASES == 3:
                _meet(counters, parts)
            product = _merged_sums(sums, channel, channels, parts, PARTS_AT_ONCE)
            total = _merged_sums(sums + parts * channels, channel, channels, parts, PARTS_AT_ONCE)
        mean_product = (product / count).to(tl.float32)[:, None] * scale
        mean_total = (total / count).to(tl.float32)[:, None] * scale
        means = mean_product, mean_total - rest * inv_std * mean_product
        for back in range(1, own_steps):
            step = last - back
            _write_gradient(
                x, dx, dresidual, values, upstream, opened, by, means, where, step + 1, RELU, LAYOUT
            )
            start = first + step * LAYOUT.values
            values = _fetch(x, channel, start, channels, end, LAYOUT)
            upstream = _fetch(dy, channel, start, channels, end, LAYOUT)
        _write_gradient(
            x, dx, dresidual, values, upstream, opened, by, means, where, 0, RELU, LAYOUT
        )
        if part == 0:
            if dweight is not None:
                tl.store(dweight + channel, product.to(tl.float32), mask=inside)
            if dbias is not None:
                tl.store(dbias + channel, total.to(tl.float32), mask=inside)


# By given statistics: one pass.


@triton.jit
def standardize_channels(
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
    LAYOUT: tl.constexpr,
):
    channel = tl.program_id(1) * LAYOUT.channels + tl.arange(0, LAYOUT.channels)
    first = tl.program_id(0) * steps * LAYOUT.values
    shift, rest, inv_std = _statistics(mean, var, channel, channels, eps)
    factor, offset = _parameters(weight, bias, channel, channels)
    scale = inv_std * factor
    by = shift, scale, offset - rest * scale, inv_std
    where = channel, first, steps, channels, count
    for step in range(steps):
        start = first + step * LAYOUT.values
        values = _fetch(x, channel, start, channels, count, LAYOUT)
        added = None
        if residual is not None:
            added = _fetch(residual, channel, start, channels, count, LAYOUT)
        _write_normalized(y, None, values, added, by, where, step, RELU, LAYOUT)


# Layer, RMS and group norm. A row is normalized by itself. It has `parameters` different ones of
# each kind, one to each LAYOUT.inner / parameters values: layer norm has one to each value, group
# norm one to each channel. The next row has the same ones, or the one that comes `repeat` later.


@triton.jit
def _affine(centred, inv_std, weight, bias, row, value, exists, repeat, parameters, span):
    """Return centred * inv_std * weight + bias, for a tile of rows."""
    place = (row % repeat)[:, None] * parameters + (value // span)[None, :]
    out = centred * inv_std
    if weight is not None:
        out *= _load(weight, place, exists)
    if bias is not None:
        out += _load(bias, place, exists)
    return out


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
    HELD: tl.constexpr,
    CENTERED: tl.constexpr,
    REPEAT: tl.constexpr,
    PARAMETERS: tl.constexpr,
    SPAN: tl.constexpr,
    LAYOUT: tl.constexpr,
):
    """A program holds its rows, if they fit in a tile, or else reads them twice."""
    row = tl.program_id(0) * LAYOUT.channels + tl.arange(0, LAYOUT.channels)
    inside = row < rows
    SIZE: tl.constexpr = LAYOUT.inner
    STEPS: tl.constexpr = (SIZE + LAYOUT.values - 1) // LAYOUT.values
    if HELD:
        value, offsets, exists = _tile(row, 0, rows, SIZE, LAYOUT)
        _, place, filled = _places(row, tl.arange(0, 1), rows, SIZE, LAYOUT)
        values = _load(x, offsets, exists)
        own_mean, own_var = _held_moments(values, _load(x, place, filled), exists, SIZE)
    else:
        own_mean, m2, _last = _moments(x, row, 0, STEPS, rows, SIZE, LAYOUT)
        own_var = m2 / SIZE
    if _any_unsafe(own_var, eps):
        own_mean, own_var = _wide_moments(x, row, rows, SIZE, CENTERED, LAYOUT)
    if not CENTERED:
        own_var += own_mean * own_mean  # the mean square; both terms are positive
        own_mean = tl.zeros_like(own_mean)
    tl.store(mean + row, own_mean, mask=inside)
    tl.store(var + row, own_var, mask=inside)
    shift, rest, inv_std = _split(own_mean, own_var, eps)
    if HELD:
        out = _affine(
            *(values - shift - rest, inv_std, weight, bias, row, value, exists),
            *(REPEAT, PARAMETERS, SPAN),
        )
        tl.store(y + offsets, out, mask=exists)
    else:
        for back in range(STEPS):
            start = (STEPS - 1 - back) * LAYOUT.values
            value, offsets, exists = _tile(row, start, rows, SIZE, LAYOUT)
            out = _affine(
                *(_load(x, offsets, exists) - shift - rest, inv_std, weight, bias, row, value),
                *(exists, REPEAT, PARAMETERS, SPAN),
            )
            tl.store(y + offsets, out, mask=exists)


@triton.jit
def gradient_groups(
    x,
    dy,
    weight,
    mean,
    var,
    dx,
    sums,
    rows,
    repeat,
    parameters,
    eps,
    CENTERED: tl.constexpr,
    LAYOUT: tl.constexpr,
):
    """Write dx of a row, and the sums of dy * x_hat and dy of each of its parameters, if wanted.

    A tile is some of the row's parameters by some of the values that each is for. What the
    gradient needs of the row is a sum over its parameters: it is read once for the sums, and once
    more, from the end to the start, for dx.
    """
    row = tl.program_id(0).to(tl.int64) if LAYOUT.wide else tl.program_id(0)
    shift, rest, inv_std = _statistics(mean, var, row + tl.arange(0, 1), rows, eps)
    start = row * parameters * LAYOUT.inner  # of the row, in memory
    own_weight = (row % repeat) * parameters
    product, total = 0.0, 0.0
    for first in range(0, parameters, LAYOUT.channels):
        parameter = first + tl.arange(0, LAYOUT.channels)
        inside = parameter < parameters
        products = _zeros(LAYOUT)
        totals = _zeros(LAYOUT)
        for value in range(0, LAYOUT.inner, LAYOUT.values):
            _v, offsets, exists = _tile(parameter, value, parameters, LAYOUT.inner, LAYOUT)
            x_hat = (_load(x + start, offsets, exists) - shift - rest) * inv_std
            g = _load(dy + start, offsets, exists)
            products += tl.where(exists, g * x_hat, 0.0)
            totals += g
        own_product, own_total = tl.sum(products, 1), tl.sum(totals, 1)
        if sums is not None:
            place = sums + row * parameters + parameter
            tl.store(place, own_product, mask=inside)
            tl.store(place + rows * parameters, own_total, mask=inside)
        if weight is not None:
            factor = tl.load(weight + own_weight + parameter, mask=inside, other=0.0)
            own_product *= factor.to(tl.float32)
            own_total *= factor.to(tl.float32)
        product += tl.sum(own_product, 0)
        total += tl.sum(own_total, 0)
    size = parameters * LAYOUT.inner
    product, total = product / size, total / size
    blocks = tl.cdiv(parameters, LAYOUT.channels)
    steps = tl.cdiv(LAYOUT.inner, LAYOUT.values)
    for block in range(blocks):
        parameter = (blocks - 1 - block) * LAYOUT.channels + tl.arange(0, LAYOUT.channels)
        scale = (parameter[:, None] * 0 + 1).to(tl.float32)
        if weight is not None:
            inside = parameter < parameters
            factor = tl.load(weight + own_weight + parameter, mask=inside, other=0.0)
            scale = factor.to(tl.float32)[:, None]
        for back in range(steps):
            value = (steps - 1 - back) * LAYOUT.values
            _v, offsets, exists = _tile(parameter, value, parameters, LAYOUT.inner, LAYOUT)
            x_hat = (_load(x + start, offsets, exists) - shift - rest) * inv_std
            out = _load(dy + start, offsets, exists) * scale - x_hat * product
            if CENTERED:
                out -= total
            tl.store(dx + start + offsets, out * inv_std, mask=exists)


@triton.jit
def column_sums(x, dy, mean, var, sums, rows, size, steps, eps, LAYOUT: tl.constexpr):
    """Write sums (2, parts, size): of dy * x_hat and of dy, over a part of the rows."""
    column = tl.program_id(1) * LAYOUT.channels + tl.arange(0, LAYOUT.channels)
    first = tl.program_id(0) * steps * LAYOUT.values
    products = _zeros(LAYOUT)
    totals = _zeros(LAYOUT)
    for step in range(steps):
        start = first + step * LAYOUT.values
        row, offsets, exists = _tile(column, start, size, rows, LAYOUT)
        shift, rest, inv_std = _statistics(mean, var, row, rows, eps)
        shift, rest, inv_std = tl.trans(shift), tl.trans(rest), tl.trans(inv_std)
        x_hat = (_load(x, offsets, exists) - shift - rest) * inv_std
        g = _load(dy, offsets, exists)
        products += tl.where(exists, g * x_hat, 0.0)
        totals += g
    place, inside = sums + tl.program_id(0) * size + column, column < size
    tl.store(place, tl.sum(products, 1), mask=inside)
    tl.store(place + tl.num_programs(0) * size, tl.sum(totals, 1), mask=inside)


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
    WITH_BIAS: tl.constexpr,
    LAYOUT: tl.constexpr,
):
    """Rows that fit in a tile, with a parameter to each value: x and dy are read once.

    A program takes some tiles of rows after another, and keeps its sums of dy * x_hat and dy.
    """
    value = tl.arange(0, LAYOUT.values)
    in_row = value < size
    HOLDS_WEIGHT: tl.constexpr = LAYOUT.values <= 8192  # else from the cache, each time
    if weight is not None:
        scale = tl.load(weight + value, mask=in_row, other=0.0).to(tl.float32)[None, :]
    products = _zeros(LAYOUT)
    totals = _zeros(LAYOUT)
    for step in range(steps):
        row = (tl.program_id(0) * steps + step) * LAYOUT.channels + tl.arange(0, LAYOUT.channels)
        _value, offsets, exists = _tile(row, 0, rows, size, LAYOUT)
        shift, rest, inv_std = _statistics(mean, var, row, rows, eps)
        x_hat = tl.where(exists, (_load(x, offsets, exists) - shift - rest) * inv_std, 0.0)
        g = _load(dy, offsets, exists)
        products += g * x_hat
        if WITH_BIAS:
            totals += g
        if weight is not None:
            if not HOLDS_WEIGHT:
                scale = tl.load(weight + value, mask=in_row, other=0.0).to(tl.float32)[None, :]
            g *= scale
        out = g - x_hat * (tl.sum(g * x_hat, 1) / size)[:, None]
        if CENTERED:
            out -= (tl.sum(g, 1) / size)[:, None]
        tl.store(dx + offsets, out * inv_std, mask=exists)
    place = sums + tl.program_id(0) * size + value
    tl.store(place, tl.sum(products, 0), mask=in_row)
    if WITH_BIAS:
        tl.store(place + tl.num_programs(0) * size, tl.sum(totals, 0), mask=in_row)


@triton.jit
def merge_sums(
    sums,
    dweight,
    dbias,
    channels,
    parts,
    TILE_CHANNELS: tl.constexpr,
    TILE_PARTS: tl.constexpr,
):
    """Add the parts of sums (2, parts, channels) in float64."""
    channel = tl.program_id(0) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = channel < channels
    if tl.program_id(1) == 0:
        if dweight is not None:
            total = _merged_sums(sums, channel, channels, parts, TILE_PARTS)
            tl.store(dweight + channel, total.to(tl.float32), mask=inside)
    else:
        if dbias is not None:
            total = _merged_sums(sums + parts * channels, channel, channels, parts, TILE_PARTS)
            tl.store(dbias + channel, total.to(tl.float32), mask=inside)
