"""Drop-ins for the norm layers of torch.nn.

Each class inherits torch's: arguments, buffers, state_dict, repr, pickling and `isinstance` come
from there. What differs is the arithmetic, which is `bnlib.functional`'s. `convert` swaps the
layers of a model in place, and back.
"""

import inspect

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import init
from torch.nn.modules.batchnorm import _BatchNorm as _TorchBatchNorm

from . import functional as F


class _OptionalBias:
    """`bias=False` for layers of a torch before 2.13, which has no such argument."""

    def __init__(self, *args, bias: bool = True, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not bias:
            self.register_parameter("bias", None)

    def reset_parameters(self) -> None:
        if isinstance(self, nn.modules.batchnorm._NormBase):
            self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)


_TORCH_HAS_BIAS = "bias" in inspect.signature(nn.GroupNorm).parameters
_Base = object if _TORCH_HAS_BIAS else _OptionalBias


class _BatchNorm(_Base):
    """The bookkeeping of batch norm: which statistics to use, and which to keep.

    Batch statistics in training, and in evaluation without buffers; the buffers move only in
    training with `track_running_stats`. Unlike torch.nn, `num_batches_tracked` counts a batch
    after it was normalized, so a refused input leaves no trace.
    """

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        tracks = self.training and self.track_running_stats
        has_buffers = self.running_mean is not None or self.running_var is not None
        reads_buffers = tracks or not self.training
        output = self._normalize(
            input,
            self.running_mean if reads_buffers else None,
            self.running_var if reads_buffers else None,
            self.training or not has_buffers,
            self._weight_of_new_value(tracks),
        )
        if tracks and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return output

    def _weight_of_new_value(self, tracks: bool) -> float:
        if self.momentum is not None:
            return self.momentum
        if tracks and self.num_batches_tracked is not None:  # the average of all batches so far
            return 1.0 / (float(self.num_batches_tracked) + 1.0)
        return 0.0

    def _normalize(self, input, running_mean, running_var, use_batch_statistics, momentum):
        return F.batch_norm(
            input,
            running_mean,
            running_var,
            self.weight,
            self.bias,
            use_batch_statistics,
            momentum,
            self.eps,
        )


class BatchNorm1d(_BatchNorm, nn.BatchNorm1d):
    """torch.nn.BatchNorm1d for (N, C) and (N, C, L), computed by `bnlib.functional.batch_norm`."""


class BatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    """torch.nn.BatchNorm2d for (N, C, H, W), computed by `bnlib.functional.batch_norm`."""


class BatchNorm3d(_BatchNorm, nn.BatchNorm3d):
    """torch.nn.BatchNorm3d for (N, C, D, H, W), computed by `bnlib.functional.batch_norm`."""


class BatchNormAct2d(BatchNorm2d):
    """Batch norm, plus an optional residual, then ReLU.

        y = max(0, gamma * (x - mean) / sqrt(var + eps) + beta + residual)

    input     (N, C, H, W); residual is shaped like it, or None
    Returns y, shaped like input. The add and the ReLU work in the buffer that holds y.
    It inherits BatchNorm2d, so it loads the checkpoint of a separate batch norm.
    Raises ValueError if the shapes differ; the running statistics are then untouched.
    """

    def forward(self, input: Tensor, residual: Tensor | None = None) -> Tensor:
        if residual is not None and residual.shape != input.shape:
            raise ValueError(
                f"residual: expected the shape of input, {tuple(input.shape)}, "
                f"got {tuple(residual.shape)}"
            )
        output = super().forward(input)
        if residual is not None:
            output = output.add_(residual)
        return output.relu_()


def channel_moments(input: Tensor) -> Tensor:
    """Summarize each channel by its count, mean and M2, in float64.

        M2 = sum of (x - mean)^2

    input   (N, C) or (N, C, *spatial), any float dtype; an empty batch gives zeros
    Returns (3, C): count, mean, M2. On the CPU everything is float64; elsewhere the sums
    over the batch run in float32 or wider.
    """
    axes = (0, *range(2, input.ndim))
    count = input.numel() // input.shape[1]
    on_cpu = input.device.type == "cpu"
    wide = input.to(torch.float64 if on_cpu else torch.promote_types(input.dtype, torch.float32))
    mean = wide.sum(axes) / max(count, 1)
    m2 = (wide - _per_channel(mean, input.ndim)).square().sum(axes)
    return torch.stack([torch.full_like(mean, count), mean, m2]).to(torch.float64)


def merge_moments(parts: Tensor) -> Tensor:
    """Merge the moments of separate parts into those of their union.

        count = sum n_i,   mean = sum n_i mean_i / count
        M2    = sum M2_i + sum n_i (mean_i - mean)^2

    parts   (P, 3, C) from `channel_moments`, of any sizes, some of them zero
    Returns (3, C). No term cancels, unlike in E[x^2] - E[x]^2.
    Source: Chan, Golub & LeVeque 1983, for any number of parts.
    """
    counts, means, m2s = parts.unbind(1)
    count = counts.sum(0)
    mean = (counts * means).sum(0) / count.clamp(min=1)
    m2 = (m2s + counts * (means - mean).square()).sum(0)
    return torch.stack([count, mean, m2])


def _per_channel(vector: Tensor, ndim: int) -> Tensor:
    return vector.reshape(1, -1, *[1] * (ndim - 2))


class _NormalizeAcrossRanks(Function):
    """Normalize by statistics that came from every rank's input, not only from this one's.

        y  = weight * x_hat + bias,   x_hat = (x - mean) * inv_std
        dx = weight * inv_std * (dy - sum(dy) / n - x_hat * sum(dy * x_hat) / n)

    The two sums and n run over all ranks. dweight and dbias stay this rank's own, as data
    parallel training averages parameter gradients itself.
    """

    @staticmethod
    def forward(ctx, input, weight, bias, mean, inv_std, count, group):
        ctx.save_for_backward(input, weight, mean, inv_std)
        ctx.count, ctx.group = count, group
        ctx.bias_dtype = None if bias is None else bias.dtype
        output = (input - mean) * inv_std
        if weight is not None:
            output = output * _per_channel(weight, input.ndim)
        if bias is not None:
            output = output + _per_channel(bias, input.ndim)
        return output.to(input.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        input, weight, mean, inv_std = ctx.saved_tensors
        axes = (0, *range(2, input.ndim))
        x_hat = (input - mean) * inv_std
        dy = dy.to(x_hat.dtype)
        dbias, dweight = dy.sum(axes), (dy * x_hat).sum(axes)
        dx = None
        if ctx.needs_input_grad[0]:
            sums = torch.stack([dbias, dweight])
            dist.all_reduce(sums, group=ctx.group)
            mean_dy, mean_dy_x_hat = (_per_channel(s, input.ndim) for s in sums / ctx.count)
            dx = (dy - mean_dy - x_hat * mean_dy_x_hat) * inv_std
            if weight is not None:
                dx = dx * _per_channel(weight, input.ndim)
            dx = dx.to(input.dtype)
        dweight = dweight.to(weight.dtype) if ctx.needs_input_grad[1] else None
        dbias = dbias.to(ctx.bias_dtype) if ctx.needs_input_grad[2] else None
        return dx, dweight, dbias, None, None, None, None
