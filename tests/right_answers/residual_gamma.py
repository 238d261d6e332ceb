import numpy as np


def through_the_dense_layer(dy, x, w, gamma, eps=1e-5):
    """The same with (N, C, H, W) flattened to rows of channels."""
    n, c, height, width = x.shape

    def rows(a):
        return a.transpose(0, 2, 3, 1).reshape(-1, c)

    x_rows, dy_rows = rows(x), rows(dy)
    z = x_rows @ w.T
    std = np.sqrt(z.var(axis=0) + eps)
    x_hat = (z - z.mean(axis=0)) / std
    dgamma, dbeta = (dy_rows * x_hat).sum(axis=0), dy_rows.sum(axis=0)
    count = len(z)
    dz = gamma / std * (dy_rows - dbeta / count - x_hat * dgamma / count)
    dx_rows = dy_rows + dz @ w
    dx = dx_rows.reshape(n, height, width, c).transpose(0, 3, 1, 2)
    return dx, dz.T @ x_rows, dgamma, dbeta


def node_by_node(dy, x, w, gamma, eps=1e-5):
    axes, keep = (0, 2, 3), (1, -1, 1, 1)
    count = x.size / x.shape[1]
    z = np.tensordot(x, w, axes=([1], [1])).transpose(0, 3, 1, 2)
    centred = z - z.mean(axes).reshape(keep)
    std = np.sqrt((centred**2).mean(axes) + eps)
    x_hat = centred / std.reshape(keep)
    dx_hat = dy * gamma.reshape(keep)
    dvar = (dx_hat * centred).sum(axes) * -0.5 * std**-3
    dmean = -dx_hat.sum(axes) / std
    dz = dx_hat / std.reshape(keep)
    dz = dz + (2 * dvar).reshape(keep) * centred / count + dmean.reshape(keep) / count
    dx = dy.copy()
    dw = np.zeros_like(w)
    for o in range(len(w)):
        for i in range(len(w)):
            dx[:, i] += w[o, i] * dz[:, o]
            dw[o, i] = (dz[:, o] * x[:, i]).sum()
    return [dx, dw, (dy * x_hat).sum(axes), dy.sum(axes)]


def with_complex_steps(dy, x, w, gamma, eps=1e-5):
    """The derivative of sum(dy * y), one input at a time, exact to rounding."""

    def total(x, w, gamma, beta):
        z = np.einsum("oi,nihw->nohw", w, x)
        centred = z - z.mean(axis=(0, 2, 3), keepdims=True)
        var = (centred * centred).mean(axis=(0, 2, 3), keepdims=True)
        x_hat = centred / np.sqrt(var + eps)
        return (dy * (x + gamma[:, None, None] * x_hat + beta[:, None, None])).sum()

    inputs = [x, w, gamma, np.zeros_like(gamma)]
    slopes = []
    for position, value in enumerate(inputs):
        slope = np.empty_like(value)
        for index in np.ndindex(value.shape):
            nudged = [a.astype(complex) for a in inputs]
            nudged[position][index] += 1e-30j
            slope[index] = total(*nudged).imag / 1e-30
        slopes.append(slope)
    return tuple(slopes)
