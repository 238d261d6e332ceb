"""Drop-ins for the norm layers of torch.nn.

Each class inherits torch's: arguments, buffers, state_dict, repr, pickling and `isinstance` come
from there. What differs is the arithmetic, which is `bnlib.functional`'s. `convert` swaps the
layers of a model in place, and back. `torch.jit.script` does not take them, and `torch.fx` keeps
whole only what lives in torch.nn: give it a tracer for which these are leaves, too, as `fold_model`
does.
"""

import inspect
import warnings
from collections.abc import Callable
from functools import partial

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


class _NothingToAdd:
    """torch from 2.13 on takes `bias=False` itself."""


_TORCH_HAS_BIAS = "bias" in inspect.signature(nn.GroupNorm).parameters
_BiasArgument = _NothingToAdd if _TORCH_HAS_BIAS else _OptionalBias


class _BatchNorm(_BiasArgument):
    """The bookkeeping of batch norm: which statistics to use, and which to keep.

    Batch statistics in training, and in evaluation without buffers; the buffers move only in
    training with `track_running_stats`. Unlike torch.nn, `num_batches_tracked` counts a batch
    after it was normalized, so a refused input leaves no trace.
    """

    def forward(self, input: Tensor) -> Tensor:
        return self._forward(input, self._normalize)

    def _forward(self, input: Tensor, normalize: Callable[..., Tensor]) -> Tensor:
        self._check_input_dim(input)
        tracks = self.training and self.track_running_stats
        has_buffers = self.running_mean is not None or self.running_var is not None
        reads_buffers = tracks or not self.training
        output = normalize(
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
    Returns y, shaped like input. On a GPU the add and the ReLU run in batch norm's own passes,
    elsewhere in the buffer that holds y.
    It inherits BatchNorm2d, so it loads the checkpoint of a separate batch norm; and torch's own
    convert_sync_batchnorm makes it a SyncBatchNorm without the ReLU (bnlib's leaves it and warns).
    Raises what `bnlib.functional.batch_norm_add_relu` raises; nothing is counted or moved then.
    """

    def forward(self, input: Tensor, residual: Tensor | None = None) -> Tensor:
        return self._forward(input, partial(self._normalize_add_relu, residual))

    def _normalize_add_relu(
        self, residual, input, running_mean, running_var, use_batch_statistics, momentum
    ):
        return F.batch_norm_add_relu(
            input,
            residual,
            running_mean,
            running_var,
            self.weight,
            self.bias,
            use_batch_statistics,
            momentum,
            self.eps,
        )


def channel_moments(input: Tensor) -> Tensor:
    """Summarize each channel by its count, mean and M2, in float64.

        M2 = sum of (x - mean)^2

    input   (N, C) or (N, C, *spatial), any float dtype; an empty batch gives zeros
    Returns (3, C): count, mean, M2. On the CPU everything is float64; elsewhere the sums
    over the batch run in float32 or wider.
    Raises ValueError for fewer than two dimensions or no channels.
    """
    if input.ndim < 2 or input.shape[1] == 0:
        raise ValueError(f"input: expected (N, C) or (N, C, *spatial), got {tuple(input.shape)}")
    axes = (0, *range(2, input.ndim))
    count = input.numel() // input.shape[1]
    wide = input.to(_wide_dtype(input))
    near = wide.sum(axes) / max(count, 1)  # off by its rounding, which the deviations tell
    deviation = wide - _per_channel(near, input.ndim)
    off = deviation.sum(axes).to(torch.float64) / max(count, 1)
    m2 = deviation.square().sum(axes).to(torch.float64) - count * off.square()
    return torch.stack([torch.full_like(off, count), near.to(torch.float64) + off, m2.clamp(min=0)])


def merge_moments(parts: Tensor) -> Tensor:
    """Merge the moments of separate parts into those of their union.

        count = sum n_i,   mean = sum n_i mean_i / count
        M2    = sum M2_i + sum n_i (mean_i - mean)^2

    parts   (P, 3, C) from `channel_moments`, of any sizes, some of them zero
    Returns (3, C). No term cancels, unlike in E[x^2] - E[x]^2.
    Raises ValueError for another shape.
    Source: Chan, Golub & LeVeque 1983, for any number of parts.
    """
    if parts.ndim != 3 or parts.shape[1] != 3:
        raise ValueError(f"parts: expected (P, 3, C), got {tuple(parts.shape)}")
    counts, means, m2s = parts.unbind(1)
    count = counts.sum(0)
    mean = (counts * means).sum(0) / count.clamp(min=1)
    m2 = (m2s + counts * (means - mean).square()).sum(0)
    return torch.stack([count, mean, m2])


def _wide_dtype(input: Tensor) -> torch.dtype:
    """What statistics are computed in: float64 is cheap on the CPU, elsewhere float32 does."""
    if input.device.type == "cpu":
        return torch.float64
    return torch.promote_types(input.dtype, torch.float32)


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
        if not ctx.needs_input_grad[1]:
            dweight = None
        if not ctx.needs_input_grad[2]:
            dbias = None
        return dx, dweight, dbias, None, None, None, None  # autograd casts to the inputs' dtypes


class SyncBatchNorm(_BatchNorm, _TorchBatchNorm):
    """torch.nn.SyncBatchNorm: in training, the batch is the union of all ranks' inputs.

    Each rank sends (count, mean, M2) of its input, merged by `merge_moments`; uneven and empty
    inputs count for what they hold. Works on every backend that gathers, gloo on the CPU
    included, where torch's refuses. In evaluation, with one rank, or without an initialized
    process group it is plain batch norm.

    It inherits torch's `_BatchNorm` and not torch.nn.SyncBatchNorm, because
    DistributedDataParallel refuses instances of that on the CPU. With several ranks its backward
    cannot be differentiated again, nor does it take part in `torch.func` transforms.
    Raises what batch norm raises, and ValueError if the union has one value per channel.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: dist.ProcessGroup | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.process_group = process_group

    @classmethod
    def convert_sync_batchnorm(
        cls, module: nn.Module, process_group: dist.ProcessGroup | None = None
    ) -> nn.Module:
        """Turn every batch norm, torch's or bnlib's, into this class, in place.

        Warns of subclasses of others' making, which stay as they are: each worker's own.
        """
        plain = {BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm}
        left = []
        for name, layer in module.named_modules():
            if _TO_BNLIB.get(type(layer), type(layer)) in plain:
                layer.__class__ = cls
                layer.process_group = process_group
            elif isinstance(layer, _TorchBatchNorm):
                left.append(f"{name or 'module'} ({type(layer).__name__})")
        if left:
            warnings.warn(f"not synchronized: {', '.join(left)}", stacklevel=2)
        return module

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {input.dim()}D input)")
        if input.size(1) == 0:
            raise ValueError("SyncBatchNorm number of input channels should be non-zero")

    def _normalize(self, input, running_mean, running_var, use_batch_statistics, momentum):
        group = self._group() if self.training else None
        if group is None:
            return super()._normalize(
                input, running_mean, running_var, use_batch_statistics, momentum
            )
        self._check_fits(input)
        count, mean, var = self._statistics_across_ranks(input, group)
        share = [
            _per_channel(statistic, input.ndim).to(_wide_dtype(input))
            for statistic in (mean, (var + self.eps).rsqrt())
        ]
        output = _NormalizeAcrossRanks.apply(input, self.weight, self.bias, *share, count, group)
        if running_mean is not None and count > 0:  # last: an error above leaves no trace
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                unbiased_var = var * (count / (count - 1))
                running_var.lerp_(unbiased_var.to(running_var.dtype), momentum)
        return output

    def _check_fits(self, input: Tensor) -> None:
        """What `functional.batch_norm` refuses, before any rank waits for this one."""
        buffers, affine = (self.running_mean, self.running_var), (self.weight, self.bias)
        F._check_settings(*buffers, True, self.eps)
        F._check_dtype("batch_norm", input)
        F._check_channels(input, *buffers, *affine)
        F._check_parameters(input, *affine, *buffers)

    def _group(self) -> dist.ProcessGroup | None:
        """The process group to average over, or None where there is nobody to ask."""
        if not (dist.is_available() and dist.is_initialized()):
            return None
        group = self.process_group or dist.group.WORLD
        return group if dist.get_world_size(group) > 1 else None

    @torch.no_grad()
    def _statistics_across_ranks(self, input: Tensor, group: dist.ProcessGroup):
        own = channel_moments(input)
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
        dist.all_gather(parts, own, group=group)
        counts, mean, m2 = merge_moments(torch.stack(parts))
        count, *others = map(int, {*counts.tolist()})
        if others:
            raise RuntimeError(
                f"the ranks disagree on the channels, input size {input.size()} here"
            )
        if count == 1:
            raise ValueError(
                "Expected more than 1 value per channel when training, got 1 over all ranks, "
                f"input size {input.size()} here"
            )
        return count, mean, m2 / max(count, 1)


class _InstanceNorm(_BiasArgument):
    def _apply_instance_norm(self, input: Tensor) -> Tensor:
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum if self.momentum is not None else 0.0,
            self.eps,
        )


class InstanceNorm1d(_InstanceNorm, nn.InstanceNorm1d):
    """torch.nn.InstanceNorm1d for (N, C, L) and (C, L), by `bnlib.functional.instance_norm`."""


class InstanceNorm2d(_InstanceNorm, nn.InstanceNorm2d):
    """torch.nn.InstanceNorm2d for (N, C, H, W) and (C, H, W), by `functional.instance_norm`."""


class InstanceNorm3d(_InstanceNorm, nn.InstanceNorm3d):
    """torch.nn.InstanceNorm3d for (N, C, D, H, W) and (C, D, H, W), by `instance_norm`."""


class LayerNorm(nn.LayerNorm):
    """torch.nn.LayerNorm for (*, *normalized_shape), computed by `bnlib.functional.layer_norm`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class GroupNorm(_BiasArgument, nn.GroupNorm):
    """torch.nn.GroupNorm for (N, C, *), computed by `bnlib.functional.group_norm`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class RMSNorm(nn.RMSNorm):
    """torch.nn.RMSNorm for (*, *normalized_shape), computed by `bnlib.functional.rms_norm`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)


_TO_BNLIB = {
    nn.BatchNorm1d: BatchNorm1d,
    nn.BatchNorm2d: BatchNorm2d,
    nn.BatchNorm3d: BatchNorm3d,
    nn.SyncBatchNorm: SyncBatchNorm,
    nn.InstanceNorm1d: InstanceNorm1d,
    nn.InstanceNorm2d: InstanceNorm2d,
    nn.InstanceNorm3d: InstanceNorm3d,
    nn.LayerNorm: LayerNorm,
    nn.GroupNorm: GroupNorm,
    nn.RMSNorm: RMSNorm,
}
_TO_TORCH = {own: torchs for torchs, own in _TO_BNLIB.items()}


def convert(model: nn.Module, to: str = "bnlib") -> nn.Module:
    """Swap every norm layer of torch.nn for bnlib's, in place; `to="torch"` swaps back.

    Only the class of a layer changes. Parameters, buffers, hooks, the training flag and the
    layer's identity stay, so optimizers, shared layers and references to them keep working.
    Subclasses of torch's layers, which may compute something else, are left alone, as are lazy
    layers that have not seen an input and BatchNormAct2d, which torch has no match for.
    Returns model. Raises ValueError if `to` is neither "bnlib" nor "torch".
    """
    if to not in ("bnlib", "torch"):
        raise ValueError(f'to: expected "bnlib" or "torch", got {to!r}')
    match_of = _TO_BNLIB if to == "bnlib" else _TO_TORCH
    for layer in model.modules():
        layer.__class__ = match_of.get(type(layer), type(layer))
    return model
