"""The loops of `bnlib._cpu`, compiled by Numba for the processor they run on.

An array x is (samples, channels, values). A channel, of statistics of its own, is its pieces
x[sample, channel], each contiguous in memory; batch norm has as many as samples, the other norms
one. Where neighbours in memory belong to different channels (columns), x is flat, and what belongs
to channels is repeated until there are some thousand columns: long rows make fast loops.

Elements are float32 or float64, and all arithmetic is float64, rounded once when an element is
stored: memory sets the pace, so there is time for it. A loop covers the channels from start
to stop, or the columns' rows it is given, so that threads can share the work.
"""

from math import isfinite, sqrt

from numba import njit
from numpy import empty, float64, zeros

ROWS = 4  # of columns, added up in registers before their sum is stored
GROUP = 2**12  # values of a sample's neighbouring channels that are worked on together
FAR = 1e4  # (shift - mean)^2 / var from which a shift is replaced: it costs 4 of 16 digits


def _compiled(function):
    """Compile at the first call of each dtype, and keep the code for the next process.

    Sums may be reordered, so that several partial sums fit a vector, and products merged into them.
    Dividing by zero gives infinity, as in torch.
    """
    options = dict(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to keep it
        return njit(**options)(function)


@_compiled
def normalize(x, weight, bias, eps, centered, mean, var, y, start, stop):
    """y = weight * (x - mean) / sqrt(var + eps) + bias, by the statistics of each channel.

    weight, bias  (channels or fewer, parameters), used in turn. Each parameter is for an equal
                  share of a piece's values.
    mean, var     (channels,), written here. RMS norm is not centered: its mean is 0.
    """
    for first, last in _groups(x, start, stop):
        _moments(x, centered, mean, var, first, last)
        standardize(x, mean, var, weight, bias, eps, y, first, last)


@_compiled
def standardize(x, mean, var, weight, bias, eps, y, start, stop):
    """The same by given statistics."""
    for sample in range(x.shape[0]):
        for channel in range(start, stop):
            inv_std = 1 / sqrt(var[channel] + eps)
            row = channel % len(weight)
            _standardize(
                x[sample, channel],
                mean[channel],
                inv_std,
                weight[row],
                bias[row],
                y[sample, channel],
            )


@_compiled
def _groups(x, start, stop):
    """Cut channels into groups that are some thousand neighbours in memory for each sample."""
    size = max(1, GROUP // x.shape[2])
    return [(first, min(first + size, stop)) for first in range(start, stop, size)]


@_compiled
def _moments(x, centered, mean, var, start, stop):
    """Write mean and var of channels, in one pass over them.

        mean = shift + mean(x - shift),   var = mean((x - shift)^2) - mean(x - shift)^2

    With a channel's first value as its shift: it is one of n values, so (shift - mean)^2 is at
    most n * var. Where it is far, the mean it has led to is a better one.
    """
    count = x.shape[0] * x.shape[2]
    for channel in range(start, stop):
        first = float64(x[0, channel, 0])
        mean[channel] = first if centered and isfinite(first) else 0.0
    for _ in range(2):
        far = False
        sums = _shifted_sums(x, mean, start, stop)
        for channel in range(start, stop):
            rest, squares = sums[0, channel - start] / count, sums[1, channel - start] / count
            if centered:
                mean[channel] += rest
                squares = max(squares - rest * rest, 0.0)
                far = far or rest * rest > FAR * squares
            var[channel] = squares
        if not far:
            break


@_compiled
def _shifted_sums(x, shift, start, stop):
    sums = zeros((2, stop - start))
    for sample in range(x.shape[0]):
        for channel in range(start, stop):
            total = squares = 0.0
            piece = x[sample, channel]
            for i in range(len(piece)):
                deviation = piece[i] - shift[channel]
                total += deviation
                squares += deviation * deviation
            sums[0, channel - start] += total
            sums[1, channel - start] += squares
    return sums


@_compiled
def _standardize(x, mean, inv_std, weight, bias, y):
    if len(weight) == len(x):
        for i in range(len(x)):
            y[i] = (x[i] - mean) * (inv_std * weight[i]) + bias[i]
        return
    share = len(x) // len(weight)
    for parameter in range(len(weight)):
        scale, offset = inv_std * weight[parameter], bias[parameter]
        part = slice(parameter * share, (parameter + 1) * share)
        values, out = x[part], y[part]
        for i in range(len(values)):
            out[i] = (values[i] - mean) * scale + offset


@_compiled
def gradient(x, dy, weight, mean, var, eps, centered, dx, dweight, dbias, start, stop):
    """dx = inv_std * (g - mean(g) - x_hat * mean(g * x_hat)), with g = weight * dy.

    dweight, dbias  shaped like weight; the sums of dy * x_hat and of dy are added to them
    """
    count = x.shape[0] * x.shape[2]
    for first, last in _groups(x, start, stop):
        sums = zeros((2, last - first))  # of g and of g * x_hat
        for sample in range(x.shape[0]):
            for channel in range(first, last):
                row = channel % len(weight)
                of_piece = _gradient_sums(
                    x[sample, channel],
                    dy[sample, channel],
                    mean[channel],
                    1 / sqrt(var[channel] + eps),
                    weight[row],
                    dweight[row],
                    dbias[row],
                )
                sums[0, channel - first] += of_piece[0]
                sums[1, channel - first] += of_piece[1]
        for sample in range(x.shape[0]):
            for channel in range(first, last):
                g_sum, product_sum = sums[:, channel - first]
                inv_std = 1 / sqrt(var[channel] + eps)
                _gradient(
                    x[sample, channel],
                    dy[sample, channel],
                    mean[channel],
                    inv_std,
                    weight[channel % len(weight)],
                    -(inv_std * inv_std) * product_sum / count,
                    -inv_std * g_sum / count if centered else 0.0,
                    dx[sample, channel],
                )


@_compiled
def _gradient_sums(x, dy, mean, inv_std, weight, dweight, dbias):
    """Return the sums of g and of g * x_hat over a piece, and add to dweight and dbias."""
    g_sum = product_sum = 0.0
    if len(weight) == len(x):
        for i in range(len(x)):
            product = dy[i] * ((x[i] - mean) * inv_std)
            dbias[i] += dy[i]
            dweight[i] += product
            g_sum += weight[i] * dy[i]
            product_sum += weight[i] * product
        return g_sum, product_sum
    share = len(x) // len(weight)
    for parameter in range(len(weight)):
        total = products = 0.0
        part = slice(parameter * share, (parameter + 1) * share)
        values, dy_values = x[part], dy[part]
        for i in range(len(values)):
            total += dy_values[i]
            products += dy_values[i] * (values[i] - mean)
        dbias[parameter] += total
        dweight[parameter] += products * inv_std
        g_sum += weight[parameter] * total
        product_sum += weight[parameter] * products * inv_std
    return g_sum, product_sum


@_compiled
def _gradient(x, dy, mean, inv_std, weight, slope, offset, dx):
    if len(weight) == len(x):
        for i in range(len(x)):
            dx[i] = dy[i] * (inv_std * weight[i]) + ((x[i] - mean) * slope + offset)
        return
    share = len(x) // len(weight)
    for parameter in range(len(weight)):
        scale = inv_std * weight[parameter]
        part = slice(parameter * share, (parameter + 1) * share)
        values, dy_values, out = x[part], dy[part], dx[part]
        for i in range(len(values)):
            out[i] = dy_values[i] * scale + ((values[i] - mean) * slope + offset)


@_compiled
def column_shift(x, channels):
    """Each channel's first value, where it is finite."""
    shift = zeros(channels)
    for channel in range(channels):
        if isfinite(x[channel]):
            shift[channel] = x[channel]
    return shift


@_compiled
def repeated(values, times):
    """Repeat what belongs to channels along a row of columns."""
    out = empty((times, len(values)))
    for row in range(times):
        out[row] = values
    return out.reshape(times * len(values))


@_compiled
def sum_columns(x, shift, sums):
    """Write the sums of x - shift and of its square to sums, (2, channels).

    shift  repeated along a row of columns. The last row of x may be shorter.
    """
    columns = len(shift)
    total, squares = zeros(columns), zeros(columns)
    blocks = len(x) // (ROWS * columns)
    whole = blocks * ROWS * columns
    x_blocks = x[:whole].reshape((blocks, ROWS, columns))
    for block in range(blocks):
        rows = x_blocks[block]
        for column in range(columns):
            row_total = row_squares = 0.0
            for row in range(ROWS):
                deviation = rows[row, column] - shift[column]
                row_total += deviation
                row_squares += deviation * deviation
            total[column] += row_total
            squares[column] += row_squares
    for start in range(whole, len(x), columns):
        row = x[start : start + columns]
        for column in range(len(row)):
            deviation = row[column] - shift[column]
            total[column] += deviation
            squares[column] += deviation * deviation
    _merge_columns(total, sums[0])
    _merge_columns(squares, sums[1])


@_compiled
def _merge_columns(columns, channels):
    channels[:] = 0
    for column in range(len(columns)):
        channels[column % len(channels)] += columns[column]


@_compiled
def column_moments(sums, shift, count):
    """Return mean, var and whether a shift was far, as in `_moments`."""
    mean, var, far = shift.copy(), zeros(len(shift)), False
    for channel in range(len(shift)):
        rest = sums[0, channel] / count
        mean[channel] += rest
        var[channel] = max(sums[1, channel] / count - rest * rest, 0.0)
        far = far or rest * rest > FAR * var[channel]
    return mean, var, far


@_compiled
def column_factors(mean, var, weight, bias, eps):
    """mean, scale and offset of y = (x - mean) * scale + offset."""
    factors = empty((3, len(mean)))
    for channel in range(len(mean)):
        factors[0, channel] = mean[channel]
        factors[1, channel] = weight[channel, 0] / sqrt(var[channel] + eps)
        factors[2, channel] = bias[channel, 0]
    return factors


@_compiled
def standardize_columns(x, mean, scale, offset, y):
    columns = len(mean)
    for start in range(0, len(x), columns):
        row, out = x[start : start + columns], y[start : start + columns]
        for column in range(len(row)):
            out[column] = (row[column] - mean[column]) * scale[column] + offset[column]


@_compiled
def sum_gradient_columns(x, dy, mean, sums):
    """Write the sums of dy and of dy * (x - mean) to sums, (2, channels)."""
    columns = len(mean)
    total, products = zeros(columns), zeros(columns)
    blocks = len(x) // (ROWS * columns)
    whole = blocks * ROWS * columns
    x_blocks = x[:whole].reshape((blocks, ROWS, columns))
    dy_blocks = dy[:whole].reshape((blocks, ROWS, columns))
    for block in range(blocks):
        rows, dy_rows = x_blocks[block], dy_blocks[block]
        for column in range(columns):
            row_total = row_products = 0.0
            for row in range(ROWS):
                row_total += dy_rows[row, column]
                row_products += dy_rows[row, column] * (rows[row, column] - mean[column])
            total[column] += row_total
            products[column] += row_products
    for start in range(whole, len(x), columns):
        row, dy_row = x[start : start + columns], dy[start : start + columns]
        for column in range(len(row)):
            total[column] += dy_row[column]
            products[column] += dy_row[column] * (row[column] - mean[column])
    _merge_columns(total, sums[0])
    _merge_columns(products, sums[1])


@_compiled
def gradient_column_factors(sums, mean, var, weight, eps, count):
    """dweight, and scale, slope and offset of dx = dy * scale + x * slope + offset.

    sums  (2, channels), of dy and of dy * (x - mean)
    """
    dweight, factors = empty(len(mean)), empty((3, len(mean)))
    for channel in range(len(mean)):
        inv_std = 1 / sqrt(var[channel] + eps)
        scale = inv_std * weight[channel, 0]
        dweight[channel] = sums[1, channel] * inv_std
        slope = -scale * inv_std * dweight[channel] / count
        factors[0, channel] = scale
        factors[1, channel] = slope
        factors[2, channel] = -scale * sums[0, channel] / count - slope * mean[channel]
    return dweight, factors


@_compiled
def gradient_columns(x, dy, scale, slope, offset, dx):
    columns = len(scale)
    for start in range(0, len(x), columns):
        row, dy_row = x[start : start + columns], dy[start : start + columns]
        out = dx[start : start + columns]
        for column in range(len(row)):
            line = row[column] * slope[column] + offset[column]
            out[column] = dy_row[column] * scale[column] + line
