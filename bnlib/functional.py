"""The five norms of torch.nn.functional, written once.

Every norm here is one idea: *normalize over a set of axes*, then scale and shift. `_Normalize`
holds that idea, forward beside backward; the norms differ in their axes. What torch refuses is
refused with its type of exception and its words, with few exceptions
(benchmarks/results/bad_input.json), and before any buffer has changed.

The formulas compute in float64 and round once. They run for small tensors, under `torch.compile`
and `torch.func`, and wherever gradients of gradients are taken. Large tensors on the CPU take the
same steps in loops that Numba compiles (`bnlib._cpu`), and tensors on a GPU in fused kernels if
Triton is installed (`bnlib.kernels`); in all of them,
|y - exact y| <= u * (8 * max|y| + 2 * |mean| / std) with u = 2**-24 for float32; a half adds the
rounding of its output, 2**-11 or 2**-8 times max|y|.

Speed on the CPU is in benchmarks/results/speed_cpu.json (benchmarks/speed.py), beside torch. On one
thread (N, C, H, W) takes 0.43 to 0.48 of torch's time forward and up to 0.76 with the backward,
channels_last and (N, C) take 0.78 to 1.07; with two threads these two take 0.84 to 1.01. There
torch sums whole columns in plain float32, and errs by 20u to 150u times max|y| where bnlib errs by
u, and by more the longer the column (benchmarks/results/accuracy.json).
What it costs: Numba compiles at the first call of a dtype, for some seconds, and keeps the code;
without Numba large tensors take the formulas, several times as long; halves are widened first, and
take two to three times as long as in torch. Small tensors pay for Python: (64, 64) takes 11 times
as long as in torch forward, and 4.5 times with the backward.
"""

import os
import warnings
from collections.abc import Sequence
from functools import cache
from math import prod
from numbers import Integral, Real

import torch
from torch import Tensor
from torch.autograd import Function

_DTYPE_NAMES = {
    torch.float16: "Half",
    torch.bfloat16: "BFloat16",
    torch.float32: "Float",
    torch.float64: "Double",
    torch.complex64: "ComplexFloat",
    torch.complex128: "ComplexDouble",
    torch.bool: "Bool",
    torch.uint8: "Byte",
    torch.int8: "Char",
    torch.int16: "Short",
    torch.int32: "Int",
    torch.int64: "Long",
}
SMALLEST = 2**14  # elements: below this, the calls cost more than the formulas
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # then kernels run on the CPU
_HALVES = (torch.float16, torch.bfloat16)
_FLOATS = (*_HALVES, torch.float32, torch.float64)


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
    """Normalize each channel over the batch, then scale and shift.

        y = weight * (x - mean) / sqrt(var + eps) + bias
        running_mean <- (1 - momentum) * running_mean + momentum * mean
        running_var  <- (1 - momentum) * running_var  + momentum * var * n / (n - 1)

    input          (N, C) or (N, C, *spatial), any float dtype; n = N * prod(spatial)
    running_mean,  (C,); both or neither. In training they are updated in place, otherwise
    running_var    they take the place of the batch's mean and var
    weight, bias   (C,), or None for 1 and 0
    Returns y with input's shape, dtype and memory format (contiguous or channels_last).
    Raises ValueError for one value per channel in training and for eps <= 0 (training) or
    eps < 0, RuntimeError for a parameter of wrong size, dtype or device, NotImplementedError
    for an input that is not floating point, IndexError for one without channels.
    Source: Ioffe & Szegedy 2015, Algorithm 1.
    """
    momentum, eps = _plain(momentum), _plain(eps)
    _check_batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if input.ndim == 1 and input.numel() == 0:
        return input.clone()  # torch lets it pass
    if input.ndim < 2:
        raise IndexError(f"input: expected at least 2 dimensions, got {input.ndim}")

    input = _in_memory_format(input)
    weight, bias = _along_channels(input, weight), _along_channels(input, bias)
    if not training:
        mean, var = _along_channels(input, running_mean), _along_channels(input, running_var)
        return _standardize(input, mean, var, weight, bias, eps)
    running = _running(input, running_mean, running_var, momentum)
    y, mean, var = _normalize(input, weight, bias, _batch_axes(input), eps, running=running)
    if running_mean is not None and input.numel() > 0 and not (running and running.moved):
        _track(running_mean, running_var, mean, var, input.numel() // mean.numel(), momentum)
    return y


def batch_norm_add_relu(
    input: Tensor,
    residual: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch norm, plus a residual, then ReLU: one pass over memory less for each on a GPU.

        y = max(0, batch_norm(input) + residual)

    input     (N, C) or (N, C, *spatial); residual is shaped like it, or None
    The other arguments, and what is refused, are those of `batch_norm`; also refused, before any
    buffer has changed: a residual of another shape (ValueError), that is no floating point or
    lies on another device (RuntimeError), or is no tensor (TypeError).
    Returns y with input's shape, dtype and memory format.
    """
    _check_tensors("batch_norm_add_relu", input, residual=(2, residual))
    _check_residual(input, residual)
    momentum, eps = _plain(momentum), _plain(eps)
    how = running_mean, running_var, weight, bias, training, momentum, eps
    kernels = None if _is_recorded() else _kernels(input)
    if kernels is not None and input.ndim >= 2:
        _check_batch_norm(input, *how)
        x = _in_memory_format(input)
        affine = _along_channels(x, weight), _along_channels(x, bias)
        if training:
            running = _running(x, running_mean, running_var, momentum)
            fused = kernels.batch_norm_add_relu(x, *affine, residual, eps, running)
            if fused is not None:
                y, mean, var = fused
                if running_mean is not None and not running.moved:
                    count = x.numel() // mean.numel()
                    _track(running_mean, running_var, mean, var, count, momentum)
                return y
        else:
            given = _along_channels(x, running_mean), _along_channels(x, running_var)
            y = kernels.standardize(x, *given, *affine, _batch_axes(x), eps, residual, relu=True)
            if y is not None:
                return y
    y = batch_norm(input, *how)
    if residual is not None:
        y = y + residual if torch._C._are_functorch_transforms_active() else y.add_(residual)
    return y.relu_()


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
    """Normalize each channel of each sample over its positions, then scale and shift.

        y = weight * (x - mean) / sqrt(var + eps) + bias

    input          (N, C, *spatial), any float dtype; n = prod(spatial)
    running_mean,  (C,); both or neither. With use_input_stats they are updated in place by the
    running_var    samples' average mean and unbiased var, otherwise they are used instead
    weight, bias   (C,), or None for 1 and 0
    Returns y with input's shape and dtype, contiguous.
    Raises ValueError for one value per sample and channel, RuntimeError for a parameter of wrong
    size, dtype or device, NotImplementedError for an input that is not floating point.
    Source: Ulyanov, Vedaldi & Lempitsky 2016.
    """
    affine = dict(weight=(2, weight), bias=(3, bias))
    running = dict(running_mean=(4, running_mean), running_var=(5, running_var))
    _check_tensors("instance_norm", input, **affine, **running)
    if use_input_stats and prod(input.shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}"
        )
    _check_number("instance_norm", "momentum", 7, momentum)
    _check_number("instance_norm", "eps", 8, eps)
    momentum, eps = _plain(momentum), _plain(eps)
    if use_input_stats and (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    _check_dtype("batch_norm", input)
    _check_channels(input, running_mean, running_var, weight, bias)
    _check_parameters(input, weight, bias)
    _check_differentiable(running_mean, running_var)
    if input.ndim < 2:
        raise IndexError(f"input: expected at least 2 dimensions, got {input.ndim}")

    input = input.contiguous()
    weight, bias = _along_channels(input, weight), _along_channels(input, bias)
    if not use_input_stats:
        mean, var = _along_channels(input, running_mean), _along_channels(input, running_var)
        return _standardize(input, mean, var, weight, bias, eps)
    y, mean, var = _normalize(input, weight, bias, _last_axes(input.ndim - 2), eps)
    if running_mean is not None and input.numel() > 0:
        count = prod(input.shape[2:])
        _track(running_mean, running_var, mean.mean(0), var.mean(0), count, momentum)
    return y


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each sample over its last dimensions, then scale and shift.

        y = weight * (x - mean) / sqrt(var + eps) + bias

    input         (*, *normalized_shape), any float dtype
    weight, bias  normalized_shape, or None for 1 and 0
    Returns y with input's shape and dtype, contiguous.
    Raises RuntimeError for a shape, parameter dtype or device that does not fit,
    NotImplementedError for an input that is not floating point.
    Source: Ba, Kiros & Hinton 2016.
    """
    _check_tensors("layer_norm", input, weight=(3, weight), bias=(4, bias))
    _check_number("layer_norm", "eps", 5, eps)
    shape = _check_normalized_shape("layer_norm", input, normalized_shape, weight, bias)
    _check_dtype("LayerNormKernelImpl", input)
    input, weight, bias = _autocast(input, weight, bias)
    _check_parameters(input, weight, bias)
    weight, bias = _aligned(input, weight, shape), _aligned(input, bias, shape)
    return _normalize(input.contiguous(), weight, bias, _last_axes(len(shape)), _plain(eps))[0]


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each group of channels of each sample, then scale and shift.

        y = weight * (x - mean) / sqrt(var + eps) + bias

    input         (N, C, *), any float dtype; num_groups divides C
    weight, bias  (C,), or None for 1 and 0
    Returns y with input's shape, dtype and memory format (contiguous or channels_last).
    Raises RuntimeError for fewer than two dimensions, a C that num_groups does not divide, or a
    parameter of wrong size, dtype or device, ValueError for a single value per group in the
    whole batch, NotImplementedError for an input that is not floating point.
    Source: Wu & He 2018.
    """
    _check_tensors("group_norm", input, weight=(3, weight), bias=(4, bias))
    if input.ndim < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {input.ndim}"
        )
    samples, channels, *positions = input.shape
    grouped = [samples * channels // num_groups, num_groups, *positions]
    _check_several_values("channel", grouped[:1] + positions, grouped)
    if not isinstance(num_groups, int | torch.SymInt | Integral):
        raise TypeError(
            "group_norm(): argument 'num_groups' (position 2) must be int, "
            f"not {type(num_groups).__name__}"
        )
    if num_groups < 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if channels % num_groups != 0:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input "
            f"of shape {list(input.shape)} and num_groups={num_groups}"
        )
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and tuple(parameter.shape) != (channels,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in "
                f"input, but got {name} of shape {list(parameter.shape)} and input of shape "
                f"{list(input.shape)}"
            )
    _check_number("group_norm", "eps", 5, eps)
    _check_dtype("GroupNormKernelImpl", input)
    input, weight, bias = _autocast(input, weight, bias)
    _check_parameters(input, weight, bias)

    input = _in_memory_format(input)
    grouped = input.unflatten(1, (num_groups, channels // num_groups))
    shape = (num_groups, channels // num_groups, *[1] * len(positions))
    weight, bias = _aligned(grouped, weight, shape), _aligned(grouped, bias, shape)
    axes = _last_axes(grouped.ndim - 2)
    return _normalize(grouped, weight, bias, axes, _plain(eps))[0].flatten(1, 2)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Divide each sample by its root mean square over the last dimensions, then scale.

        y = weight * x / sqrt(mean(x^2) + eps)

    input   (*, *normalized_shape), any float or complex dtype
    weight  normalized_shape, or None for 1
    eps     None stands for the machine epsilon of float32, or of float64 for float64
    Returns y with input's shape, dtype and memory format (contiguous or channels_last).
    Raises RuntimeError for a shape or device that does not fit, ValueError for a scalar,
    NotImplementedError for an input that is neither floating point nor complex.
    Source: Zhang & Sennrich 2019.
    """
    _check_tensors("rms_norm", input, weight=(3, weight))
    if eps is not None:
        _check_number("rms_norm", "eps", 4, eps)
    if input.ndim == 0:
        raise ValueError("Input tensor must have at least 1 dimensions, but got 0")
    shape = _check_normalized_shape("rms_norm", input, normalized_shape, weight, None)
    _check_dtype("rms_norm", input, *(torch.complex64, torch.complex128))
    _check_devices(input, weight=weight)
    input, weight = _autocast(input, weight)
    if eps is None:
        eps = torch.finfo(torch.promote_types(input.dtype, torch.float32)).eps
    input = _in_memory_format(input)
    weight, axes = _aligned(input, weight, shape), _last_axes(len(shape))
    if input.is_complex():  # as torch does: the square, not the squared modulus
        y = input * (input.square().mean(axes, keepdim=True) + eps).rsqrt()
        return (y if weight is None else y * weight).to(input.dtype)
    return _normalize(input, weight, None, axes, _plain(eps), centered=False)[0]


def _normalize(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    axes: tuple[int, ...],
    eps: float,
    centered: bool = True,
    running=None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize x over the axes, then scale and shift. Returns y, mean and var.

    running is what `_running` gives: a kernel may move the running statistics in passing.
    """
    if _is_recorded():  # a compiler derives and fuses the backward itself
        return _forward(x, weight, bias, axes, eps, centered)
    inputs = x, weight, bias, axes, eps, centered, running
    if torch._C._are_functorch_transforms_active():
        return _Normalize.apply(*inputs)
    # Past the step that fills in default arguments: there are none, and of a small batch's time it
    # takes a fifth.
    return super(Function, _Normalize).apply(*inputs)


def _forward(x, weight, bias, axes, eps, centered):
    wide = x.to(_widest(x))
    mean = wide.mean(axes, keepdim=True)
    if not centered:
        mean = torch.zeros_like(mean)
    deviation = wide - mean
    var = deviation.square().mean(axes, keepdim=True)
    y = deviation * (var + eps).rsqrt()
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y.to(x.dtype), mean, var


class _Normalize(Function):
    """Normalize over the axes, then scale and shift; return y and the statistics.

        y  = weight * x_hat + bias,   x_hat = (x - mean) * inv_std,   inv_std = 1/sqrt(var + eps)
        dx = inv_std * (g - mean(g) - x_hat * mean(g * x_hat)),   g = weight * dy

    x             any float dtype
    weight, bias  None, or of as many dimensions as x and broadcastable to it
    axes          counted from the end, so that `vmap` can add dimensions in front
    centered      False leaves the mean out, as RMS norm does
    Returns y like x, and mean and var in float64 with size 1 along the axes. All three are
    differentiable, so the backward, which reads mean and var, is differentiable too.
    """

    @staticmethod
    def forward(x, weight, bias, axes, eps, centered, running):
        inputs = x, weight, bias, axes, eps, centered
        moving = {} if running is None else {"running": running}
        engine = _engine(x)
        return (engine and engine.normalize(*inputs, **moving)) or _forward(*inputs)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, weight, bias, *ctx.how, _running = inputs
        _, mean, var = output
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight, bias, mean, var)
        ctx.save_for_forward(x, weight, bias, mean, var)

    @staticmethod
    def backward(ctx, dy, dmean, dvar):
        x, weight, bias, mean, var = ctx.saved_tensors
        axes, eps, centered = ctx.how
        if dy is None:
            dy = torch.zeros_like(x)
        grads = None
        engine = None
        if dmean is None and dvar is None and not (torch.is_grad_enabled() or _is_recorded()):
            engine = _engine(x)
        if engine is not None:
            grads = engine.gradient(x, weight, bias, mean, var, dy, axes, eps, centered)
        if grads is None:
            x_hat, inv_std = _standard_score(x, mean, var, eps)
            dy = dy.to(x_hat.dtype)
            g = dy if weight is None else dy * weight
            dx = _without_statistics(g, x_hat, inv_std, axes, centered)
            count = prod(x.shape[axis] for axis in axes)
            if dmean is not None and centered:
                dx = dx + dmean / count
            if dvar is not None:
                dx = dx + dvar * (x - mean) * 2 / count
            grads = dx.to(x.dtype), _sum_like(weight, dy * x_hat), _sum_like(bias, dy)
        return *grads, None, None, None, None

    @staticmethod
    def jvp(ctx, x_tangent, weight_tangent, bias_tangent, *_):
        x, weight, _, mean, var = ctx.saved_tensors
        axes, eps, centered = ctx.how
        x_hat, inv_std = _standard_score(x, mean, var, eps)
        y_tangent = torch.zeros_like(x_hat)
        mean_tangent, var_tangent = torch.zeros_like(mean), torch.zeros_like(var)
        if x_tangent is not None:
            x_tangent = x_tangent.to(x_hat.dtype)
            x_hat_tangent = _without_statistics(x_tangent, x_hat, inv_std, axes, centered)
            y_tangent = x_hat_tangent if weight is None else x_hat_tangent * weight
            if centered:
                mean_tangent = x_tangent.mean(axes, keepdim=True)
            var_tangent = 2 * ((x - mean) * x_tangent).mean(axes, keepdim=True)
        if weight_tangent is not None:
            y_tangent = y_tangent + x_hat * weight_tangent
        if bias_tangent is not None:
            y_tangent = y_tangent + bias_tangent
        return y_tangent.to(x.dtype), mean_tangent, var_tangent

    @staticmethod
    def vmap(info, in_dims, x, weight, bias, axes, eps, centered, running):
        def batch_first(tensor, dim):
            if tensor is None:
                return None
            return tensor.unsqueeze(0) if dim is None else tensor.movedim(dim, 0)

        x, weight, bias = map(batch_first, (x, weight, bias), in_dims)
        x = x.expand(info.batch_size, *x.shape[1:])
        y, mean, var = _Normalize.apply(x, weight, bias, axes, eps, centered, None)
        if in_dims[0] is None:  # one input for all: its statistics are not batched, as in torch
            return (y, mean[0], var[0]), (0, None, None)
        return (y, mean, var), (0, 0, 0)


def _standard_score(x, mean, var, eps):
    inv_std = (var + eps).rsqrt()
    return (x - mean) * inv_std, inv_std


def _without_statistics(v, x_hat, inv_std, axes, centered):
    """Remove from v what moves mean and var: the derivative of x_hat, which is symmetric."""
    rest = v - x_hat * (v * x_hat).mean(axes, keepdim=True)
    if centered:
        rest = rest - v.mean(axes, keepdim=True)
    return inv_std * rest


def _sum_like(parameter, terms):
    return None if parameter is None else terms.sum_to_size(parameter.shape).to(parameter.dtype)


def _standardize(x, mean, var, weight, bias, eps):
    """Normalize by given statistics: three roundings per element, in float32 or wider."""
    engine = None if _is_recorded() else _engine(x)
    if engine is not None:
        y = engine.standardize(x, mean, var, weight, bias, _batch_axes(x), eps)
        if y is not None:
            return y
    scale = (var.to(_widest(x)) + eps).rsqrt()
    if weight is not None:
        scale = scale * weight
    dtype = torch.promote_types(x.dtype, torch.float32)
    y = (x.to(dtype) - mean.to(dtype)) * scale.to(dtype)
    if bias is not None:
        y = y + bias.to(dtype)
    return y.to(x.dtype)


def _running(x, running_mean, running_var, momentum):
    """The running statistics as a kernel takes them, or None where no kernel will see x."""
    if running_mean is None or _is_recorded():
        return None
    kernels = _kernels(x)
    return kernels and kernels.Running(running_mean, running_var, momentum)


def _track(running_mean, running_var, mean, var, count, momentum):
    """Move the running statistics toward the batch's; count values make var unbiased."""
    if torch._C._are_functorch_transforms_active():
        _check_vmapped(running_mean, mean)
    unbiased = momentum * count / (count - 1)
    with torch.no_grad():  # first compute both, then write: an error leaves neither moved
        new_mean = running_mean * (1 - momentum) + mean.flatten() * momentum
        new_var = running_var * (1 - momentum) + var.flatten() * unbiased
        running_mean.copy_(new_mean)
        running_var.copy_(new_var)


def _is_recorded() -> bool:
    """Whether a compiler or a tracer watches: what it does not see computed is constant to it."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def _engine(x: Tensor):
    """Who computes without leaving a graph: kernels on a GPU, loops on the CPU, or None."""
    return _kernels(x) or (_import_cpu() if x.numel() >= SMALLEST else None)


def _kernels(x: Tensor):
    """`bnlib.kernels` if it may read x, or None."""
    on_nvidia = x.is_cuda and torch.version.hip is None  # an AMD GPU's tensors say is_cuda, too
    return _import_kernels() if on_nvidia or _INTERPRETED else None


@cache
def _import_kernels():
    try:
        from . import kernels
    except ImportError:  # Triton is optional
        return None
    if not kernels.INTERPRETED:
        try:
            _ = kernels.triton.runtime.driver.active.utils  # built here: it takes a C compiler
        except Exception as error:  # whatever a compiler may say
            message = f"bnlib: Triton cannot start, and formulas take its place: {error}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
            return None
    return kernels


@cache
def _import_cpu():
    try:
        from . import _cpu
    except ImportError:  # Numba is optional
        return None
    return _cpu


def _widest(x: Tensor) -> torch.dtype:
    return torch.float32 if x.device.type == "mps" else torch.float64


def _batch_axes(x: Tensor) -> tuple[int, ...]:
    return (-x.ndim, *_last_axes(x.ndim - 2))


def _last_axes(count: int) -> tuple[int, ...]:
    return tuple(range(-count, 0))


def _aligned(x: Tensor, parameter: Tensor | None, shape: Sequence[int]) -> Tensor | None:
    """View the parameter in this shape, under the last dimensions of x."""
    if parameter is None:
        return None
    return parameter.reshape(*[1] * (x.ndim - len(shape)), *shape)


def _along_channels(x: Tensor, parameter: Tensor | None) -> Tensor | None:
    return _aligned(x, parameter, (x.shape[1], *[1] * (x.ndim - 2)))


def _in_memory_format(x: Tensor) -> Tensor:
    """Follow torch: channels_last (2d, 3d) stays as it is, all else becomes contiguous."""
    if x.is_contiguous() or (x.ndim in (4, 5) and x.movedim(1, -1).is_contiguous()):
        return x
    return x.contiguous()


def _autocast(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Under autocast on a GPU, layer, group and RMS norm take and return float32, as in torch."""
    if not (tensors[0].is_cuda and torch.is_autocast_enabled("cuda")):
        return tensors
    return tuple(x.float() if x is not None and x.dtype in _HALVES else x for x in tensors)


# What torch refuses, refused with its exception and its words.


def _check_tensors(function: str, input: Tensor, **named: tuple[int, Tensor | None]) -> None:
    """The input, and by name with their positions those that may be None."""
    for name, (position, given) in {"input": (1, input), **named}.items():
        if not (isinstance(given, Tensor) or (given is None and name != "input")):
            raise TypeError(
                f"{function}(): argument '{name}' (position {position}) must be Tensor, "
                f"not {type(given).__name__}"
            )


def _check_residual(input: Tensor, residual: Tensor | None) -> None:
    if residual is None:
        return
    if residual.shape != input.shape:
        raise ValueError(
            f"residual: expected the shape of input, {tuple(input.shape)}, "
            f"got {tuple(residual.shape)}"
        )
    if residual.dtype not in _FLOATS or residual.device != input.device:
        raise RuntimeError(
            f"residual: expected a floating point tensor on {input.device}, where input is, "
            f"got {residual.dtype} on {residual.device}"
        )


def _check_batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps):
    affine = dict(weight=(2, weight), bias=(3, bias))
    running = dict(running_mean=(4, running_mean), running_var=(5, running_var))
    _check_tensors("batch_norm", input, **affine, **running)
    if training:
        _check_several_values("channel", input.shape[:1] + input.shape[2:], input.shape)
    _check_settings(running_mean, running_var, training, eps)
    _check_number("batch_norm", "momentum", 7, momentum)
    _check_dtype("batch_norm", input)
    _check_buffers(running_mean, running_var, needed=not training, written=training)
    _check_channels(input, running_mean, running_var, weight, bias)
    _check_parameters(input, weight, bias, running_mean, running_var)


def _check_settings(running_mean, running_var, training, eps):
    if eps < 0 or (training and eps == 0):
        kind = "positive during training" if training else "non-negative"
        raise ValueError(f"batch_norm eps must be {kind}, but got {eps}")
    if training and (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")


def _plain(value: object) -> object:
    """A number of NumPy's as Python's: what is compiled would be compiled anew for its type."""
    is_plain = isinstance(value, int | float) or not isinstance(value, Real)
    return value if is_plain else float(value)


def _check_number(function: str, name: str, position: int, value: float) -> None:
    if not isinstance(value, int | float | torch.SymInt | torch.SymFloat | Tensor | Real):
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be float, "
            f"not {type(value).__name__}"
        )


def _check_dtype(kernel: str, input: Tensor, *also: torch.dtype) -> None:
    if input.dtype not in (*_FLOATS, *also):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{_name(input.dtype)}'")


def _name(dtype: torch.dtype) -> str:
    return _DTYPE_NAMES.get(dtype, str(dtype))


def _check_several_values(what: str, sizes: Sequence[int], input_size: Sequence[int]) -> None:
    if prod(sizes) == 1:
        raise ValueError(
            f"Expected more than 1 value per {what} when training, got input size {input_size}"
        )


def _check_buffers(
    running_mean: Tensor | None, running_var: Tensor | None, needed: bool, written: bool
) -> None:
    for name, buffer in (("running_mean", running_mean), ("running_var", running_var)):
        if needed and buffer is None:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
        if buffer is not None and buffer.ndim > 1:
            raise RuntimeError(f"{name}: expected 1 dimension, got {buffer.ndim}")
        if written and buffer is not None and 0 in buffer.stride() and buffer.numel() > 1:
            raise RuntimeError(f"{name}: expected a place in memory for each channel, got one")
    _check_differentiable(running_mean, running_var)


def _check_differentiable(running_mean: Tensor | None, running_var: Tensor | None) -> None:
    for name, buffer in (("running_mean", running_mean), ("running_var", running_var)):
        if buffer is not None and buffer.requires_grad and torch.is_grad_enabled():
            raise RuntimeError(
                "The function 'native_batch_norm' is not differentiable with respect to argument "
                f"'{name}'. This input cannot have requires_grad True."
            )


def _check_vmapped(running_mean: Tensor, mean: Tensor) -> None:
    is_batched = torch._C._functorch.is_batchedtensor
    if is_batched(mean) and not is_batched(running_mean):
        raise RuntimeError(
            "Batch norm got a batched tensor as input while the running_mean or running_var, which "
            "will be updated in place, were not batched: set track_running_stats=False, or batch "
            "them, too"
        )


def _check_channels(input, running_mean, running_var, weight, bias) -> None:
    channels = input.shape[1] if input.ndim > 1 else 0
    named = dict(running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    for name, parameter in named.items():
        if parameter is not None and parameter.numel() != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {parameter.numel()}")


def _check_normalized_shape(function, input, normalized_shape, weight, bias) -> tuple[int, ...]:
    if isinstance(normalized_shape, int):
        raise TypeError(
            f"{function}(): argument 'normalized_shape' (position 2) must be tuple of ints, not int"
        )
    shape = tuple(normalized_shape)
    for position, size in enumerate(shape):
        if isinstance(size, bool | float | str):  # a tracer's sizes are tensors
            raise TypeError(
                f"{function}(): argument 'normalized_shape' (position 2) must be tuple of ints, "
                f"but found element of type {type(size).__name__} at pos {position}"
            )
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least "
            "one element, but got normalized_shape = []"
        )
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and tuple(parameter.shape) != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of "
                f"shape {list(parameter.shape)} and normalized_shape = {list(shape)}"
            )
    if tuple(input.shape[-len(shape) :]) != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size{list(input.shape)}"
        )
    return shape


def _check_parameters(input, weight, bias, running_mean=None, running_var=None) -> None:
    """Parameters share one dtype: the input's, or float32 beside a half-precision input."""
    named = dict(weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    named = {name: parameter for name, parameter in named.items() if parameter is not None}
    _check_devices(input, **named)
    if not named:
        return
    mixed = next(iter(named.values())).dtype != input.dtype
    for name, parameter in named.items():
        if mixed and parameter.dtype != torch.float32:
            raise RuntimeError(
                "mixed dtype (CPU): expect parameter to have scalar type of Float"
                f", but {name} is {_name(parameter.dtype)}"
            )
        if not mixed and parameter.dtype != input.dtype:
            raise RuntimeError(
                f"expected scalar type {_name(input.dtype)} but found {_name(parameter.dtype)}"
                f" in {name}"
            )
    if mixed and input.dtype not in _HALVES:
        raise RuntimeError(
            "mixed dtype (CPU): all inputs must share same datatype."
            f" input is {_name(input.dtype)}, its parameters are Float"
        )


def _check_devices(input: Tensor, **named: Tensor | None) -> None:
    for name, parameter in named.items():
        if parameter is not None and parameter.device != input.device:
            raise RuntimeError(
                f"{name}: expected the device of input, {input.device}, got {parameter.device}"
            )
