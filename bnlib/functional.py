"""The five norms of torch.nn.functional, written once.

Every norm here is one idea: *normalize over a set of axes*, then scale and shift. `_Normalize`
holds that idea, forward beside backward; the norms differ in their axes.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor
from torch.autograd import Function


class _Normalize(Function):
    """Normalize over `axes`, then scale and shift; also return the statistics.

        y  = weight * (x - mean) / sqrt(var + eps) + bias
        dx = inv_std * (g - mean(g) - x_hat * mean(g * x_hat)),   g = weight * dy

    x             any float dtype; axes counted from the end
    weight, bias  broadcastable to x, or None
    Returns y in x's dtype, and mean and var in float64 with the axes kept as 1.
    The statistics are differentiable outputs, so the backward that uses them is too.
    """

    @staticmethod
    def forward(x, weight, bias, axes, eps, centered):
        wide = x.to(torch.float64)
        mean = wide.mean(axes, keepdim=True)
        if not centered:
            mean = torch.zeros_like(mean)
        centred = wide - mean
        var = centred.square().mean(axes, keepdim=True)
        y = centred * (var + eps).rsqrt()
        if weight is not None:
            y = y * weight
        if bias is not None:
            y = y + bias
        return y.to(x.dtype), mean, var

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, weight, bias, axes, eps, centered = inputs
        _, mean, var = output
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight, bias, mean, var)
        ctx.axes, ctx.eps, ctx.centered = axes, eps, centered

    @staticmethod
    def backward(ctx, dy, dmean, dvar):
        x, weight, bias, mean, var = ctx.saved_tensors
        axes, count = ctx.axes, prod(x.shape[axis] for axis in ctx.axes)
        centred = x.to(torch.float64) - mean
        inv_std = (var + ctx.eps).rsqrt()
        dx = dweight = dbias = None
        if dy is not None:
            x_hat = centred * inv_std
            dy = dy.to(torch.float64)
            if weight is not None:
                dweight = (dy * x_hat).sum_to_size(weight.shape).to(weight.dtype)
            if bias is not None:
                dbias = dy.sum_to_size(bias.shape).to(bias.dtype)
            g = dy if weight is None else dy * weight
            dx = g - x_hat * (g * x_hat).mean(axes, keepdim=True)
            if ctx.centered:
                dx = dx - g.mean(axes, keepdim=True)
            dx = dx * inv_std
        if dmean is not None and ctx.centered:
            dx = dmean / count + (0 if dx is None else dx)
        if dvar is not None:
            dx = dvar * centred * (2 / count) + (0 if dx is None else dx)
        return None if dx is None else dx.expand_as(x).to(x.dtype), dweight, dbias, None, None, None


def _along_channels(vector: Tensor | None, ndim: int) -> Tensor | None:
    return None if vector is None else vector.reshape(-1, *[1] * (ndim - 2))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each channel over the batch, then scale and shift."""
    axes = tuple(range(2 - input.ndim, 0)) + (-input.ndim,)
    weight, bias = _along_channels(weight, input.ndim), _along_channels(bias, input.ndim)
    if not training:
        return _standardize(
            input,
            _along_channels(running_mean, input.ndim),
            _along_channels(running_var, input.ndim),
            weight,
            bias,
            eps,
        )
    if input.numel() == input.shape[1]:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.size()}"
        )
    y, mean, var = _Normalize.apply(input, weight, bias, axes, eps, True)
    _update(running_mean, running_var, mean, var, input.numel() // input.shape[1], momentum)
    return y


def _update(running_mean, running_var, mean, var, count, momentum):
    with torch.no_grad():
        if running_mean is not None:
            running_mean.lerp_(mean.flatten().to(running_mean.dtype), momentum)
        if running_var is not None:
            unbiased = var * (count / (count - 1))
            running_var.lerp_(unbiased.flatten().to(running_var.dtype), momentum)


def _standardize(x, mean, var, weight, bias, eps):
    y = (x - mean.to(torch.float64)) * (var.to(torch.float64) + eps).rsqrt()
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y.to(x.dtype)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each sample over its last dimensions, then scale and shift."""
    axes = tuple(range(-len(normalized_shape), 0))
    return _Normalize.apply(input, weight, bias, axes, eps, True)[0]


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each channel of each sample over its positions, then scale and shift."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    axes = tuple(range(2 - input.ndim, 0))
    weight, bias = _along_channels(weight, input.ndim), _along_channels(bias, input.ndim)
    y, mean, var = _Normalize.apply(input, weight, bias, axes, eps, True)
    count = prod(input.shape[2:])
    _update(running_mean, running_var, mean.mean(0), var.mean(0), count, momentum)
    return y


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each group of channels of each sample, then scale and shift."""
    grouped = input.unflatten(1, (num_groups, -1))
    axes = tuple(range(2 - grouped.ndim, 0))
    shape = (num_groups, -1) + (1,) * (input.ndim - 2)
    weight = None if weight is None else weight.reshape(shape)
    bias = None if bias is None else bias.reshape(shape)
    return _Normalize.apply(grouped, weight, bias, axes, eps, True)[0].flatten(1, 2)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Divide each sample by its root mean square over the last dimensions, then scale."""
    axes = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    return _Normalize.apply(input, weight, None, axes, eps, False)[0]
