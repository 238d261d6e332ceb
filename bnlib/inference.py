"""From the training network to the inference network: population statistics, and folding.

Source: Ioffe & Szegedy 2015, section 3.1 and Algorithm 2.
"""

import copy
import operator
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from . import nn as bnn

_TRANSPOSED_CONVS = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_FOLDABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED_CONVS)
_BATCH_NORMS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(bnn.BatchNorm1d, bnn.BatchNorm2d, bnn.BatchNorm3d, bnn.SyncBatchNorm),
)


class _Population:
    """The moments of everything one layer has been fed, merged in two ways."""

    def __init__(self, layer: nn.Module) -> None:
        self.pooled = torch.zeros(
            3, layer.num_features, dtype=torch.float64, device=layer.running_var.device
        )
        self.m2_within_batches = torch.zeros_like(self.pooled[0])
        self.degrees_of_freedom_within = 0
        self.batches = 0

    def add(self, layer: nn.Module, args: tuple, kwargs: dict, output: Tensor) -> None:
        """Take in one mini-batch; the signature is that of a forward hook with keywords."""
        batch = bnn.channel_moments(fed(args, kwargs))
        self.pooled = bnn.merge_moments(torch.stack([self.pooled, batch]))
        self.m2_within_batches += batch[2]
        self.degrees_of_freedom_within += max(int(batch[0, 0]) - 1, 0)
        self.batches += 1

    def write_to(self, layer: nn.Module, within_batches: bool) -> None:
        count, mean, m2 = self.pooled
        pooled_var = m2 / (count - 1)
        within_var = self.m2_within_batches / self.degrees_of_freedom_within
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(within_var if within_batches else pooled_var)
        if layer.num_batches_tracked is not None:
            layer.num_batches_tracked.fill_(self.batches)


def fed(args: tuple, kwargs: dict) -> Tensor:
    """A norm layer's input, whatever name a subclass gives it."""
    return kwargs["input"] if "input" in kwargs else [*args, *kwargs.values()][0]


@torch.no_grad()
def population_statistics(
    model: nn.Module, batches: Iterable, *, within_batches: bool = False
) -> None:
    """Replace the running statistics of every batch norm by those of the population.

        E[x]   = mean of the n values a channel has been fed
        Var[x] = sum of (x - E[x])^2 over them / (n - 1)

    model    has batch norms with running statistics; they normalize each mini-batch by itself,
             as in training, while all else (dropout) is in evaluation mode, as at inference
    batches  inputs, or tuples whose first item is the input, of any sizes; read once

    The mini-batches are merged by their counts in float64 (`bnlib.nn.merge_moments`), so for
    the first layer it does not matter how the data were cut. The paper writes, for batches of
    one size m, Var[x] = m/(m-1) E_B[var_B]: only the variances *within* batches. Where batches
    differ (sorted data), that is too small. In the first layer both are unbiased for shuffled
    data; above it small batches bias either, by an amount that depends on the net (chapter 7).
    `within_batches=True` gives the paper's: sum of (x - mean_B)^2 / sum of (m_B - 1), which for
    batches of one size is its formula exactly.

    Sets num_batches_tracked to the number of batches. Buffers are written at the end, so an
    error leaves them as they were; training flags are restored in any case. A layer that no
    batch reaches keeps its statistics. In a process group no rank waits for another, nor knows
    its batches: call it on one rank, with all the data, before that rank's model is saved.
    Raises ValueError if model has no batch norm with running statistics, if batches hold no
    values, or if a batch holds one value per channel.
    Source: Ioffe & Szegedy 2015, Algorithm 2, lines 8 to 10.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_var is not None]
    if not layers:
        raise ValueError("model: expected a batch norm with running statistics, got none")
    populations = {layer: _Population(layer) for layer in layers}
    with ExitStack() as undo:
        _normalize_by_batch_alone(model, layers, undo)
        for layer, population in populations.items():
            undo.callback(layer.register_forward_hook(population.add, with_kwargs=True).remove)
        for batch in batches:
            model(batch[0] if isinstance(batch, tuple | list) else batch)
    fed = {layer: p for layer, p in populations.items() if p.degrees_of_freedom_within}
    if not fed:
        raise ValueError("batches: expected inputs that reach a batch norm, got none")
    for layer, population in fed.items():
        population.write_to(layer, within_batches)


def _normalize_by_batch_alone(model: nn.Module, layers: list[nn.Module], undo: ExitStack) -> None:
    """Put layers in training mode without touching their buffers, everything else in evaluation.

    The flags are set directly: a module's own `train` method may do more than set them.
    """
    broadcast_nothing(model, undo)
    for module in model.modules():
        undo.callback(setattr, module, "training", module.training)
        module.training = False
    for layer in layers:
        if type(layer) in (nn.SyncBatchNorm, bnn.SyncBatchNorm):
            undo.callback(setattr, layer, "__class__", type(layer))
            layer.__class__ = _Alone
        undo.callback(setattr, layer, "track_running_stats", layer.track_running_stats)
        layer.training, layer.track_running_stats = True, False


def broadcast_nothing(model: nn.Module, undo: ExitStack) -> None:
    """Keep DistributedDataParallel, around model or in it, from waiting for the other ranks."""
    for module in model.modules():
        if isinstance(module, nn.parallel.DistributedDataParallel):
            synced = module.require_forward_param_sync
            undo.callback(setattr, module, "require_forward_param_sync", synced)
            module.require_forward_param_sync = False


class _Alone(bnn.SyncBatchNorm):
    """A SyncBatchNorm that talks to nobody: ranks may have different batches, or none."""

    def _group(self) -> None:
        return None


@torch.no_grad()
def fold(conv_or_linear: nn.Module, bn: nn.Module) -> nn.Module:
    """One layer that computes bn(conv_or_linear(x)) of evaluation mode.

        scale = gamma / sqrt(running_var + eps)
        W' = scale * W,   b' = scale * (b - running_mean) + beta

    conv_or_linear  Linear, Conv1d/2d/3d or ConvTranspose1d/2d/3d, with groups and with or
                    without bias; its output channels are bn's, so a Linear must act on (N, C)
    bn              BatchNorm1d/2d/3d or SyncBatchNorm, torch's or bnlib's, in evaluation mode
    Returns a new layer in the dtype of conv_or_linear; the arithmetic is float64.
    Raises TypeError for other classes (a subclass may compute something else) and for layers with
    hooks or with parameters computed elsewhere, ValueError if bn is in training mode, has no
    running statistics, or has another number of channels.
    Source: Ioffe & Szegedy 2015, Algorithm 2, line 11.
    """
    _check_foldable(conv_or_linear, bn)
    scale, shift = _affine_map(bn)
    weight, bias = conv_or_linear.weight, conv_or_linear.bias
    if bias is not None:
        shift = shift + scale * bias.double()
    folded = copy.deepcopy(conv_or_linear)
    for name, value in ("weight", _scale_outputs(conv_or_linear, scale)), ("bias", shift):
        folded.register_parameter(
            name, nn.Parameter(value.to(weight.dtype), requires_grad=weight.requires_grad)
        )
    return folded


def _check_foldable(conv_or_linear: nn.Module, bn: nn.Module) -> None:
    if type(conv_or_linear) not in _FOLDABLE:
        raise TypeError(
            "conv_or_linear: expected Linear, Conv1d/2d/3d or ConvTranspose1d/2d/3d, "
            f"got {type(conv_or_linear).__name__}"
        )
    if type(bn) not in _BATCH_NORMS:
        raise TypeError(f"bn: expected BatchNorm1d/2d/3d or SyncBatchNorm, got {type(bn).__name__}")
    for name, layer in (("conv_or_linear", conv_or_linear), ("bn", bn)):
        if not _is_plain(layer):
            raise TypeError(
                f"{name}: expected parameters of its own and no forward hooks, but its weight or "
                "output is computed elsewhere (spectral norm, weight norm, pruning, a hook)"
            )
    if bn.training:
        raise ValueError("bn: expected evaluation mode, got training mode; call bn.eval() first")
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("bn: expected running statistics, got track_running_stats=False")
    if bn.num_features != _out_channels(conv_or_linear):
        raise ValueError(
            f"bn: expected {_out_channels(conv_or_linear)} channels, the outputs of "
            f"conv_or_linear, got {bn.num_features}"
        )


def _is_plain(layer: nn.Module) -> bool:
    """Whether the layer computes by the weight and bias that it holds, and nothing else."""
    return {"weight", "bias"} <= layer._parameters.keys() and not _has_hooks(layer)


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _out_channels(layer: nn.Module) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _affine_map(bn: nn.Module) -> tuple[Tensor, Tensor]:
    """The scale and shift, in float64, that bn is in evaluation mode."""
    scale = (bn.running_var.double() + bn.eps).rsqrt()
    if bn.weight is not None:
        scale = scale * bn.weight.double()
    shift = -bn.running_mean.double() * scale
    if bn.bias is not None:
        shift = shift + bn.bias.double()
    return scale, shift


def _scale_outputs(layer: nn.Module, scale: Tensor) -> Tensor:
    """The layer's weight in float64, each output channel multiplied by its scale.

    The output axis is the first, but a transposed convolution stores (in, out / groups, ...),
    with the groups along the inputs.
    """
    weight = layer.weight.double()
    if not isinstance(layer, _TRANSPOSED_CONVS):
        return weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    grouped = weight.unflatten(0, (layer.groups, -1))
    return (grouped * scale.reshape(layer.groups, 1, -1, *[1] * (weight.ndim - 2))).flatten(0, 1)


class _Tracer(fx.Tracer):
    """Keeps bnlib's layers whole, as fx does with torch.nn's."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m).__module__ == bnn.__name__ or super().is_leaf_module(
            m, module_qualified_name
        )


def fold_model(model: nn.Module) -> fx.GraphModule:
    """A copy of model with every batch norm that follows a conv or linear folded into it.

    model   in evaluation mode, and traceable by torch.fx (no control flow on tensor values):
            Sequential, residual nets, ...
    Returns a GraphModule that computes the same; model itself is untouched. Of a BatchNormAct2d
    the residual and the ReLU remain. A batch norm stays where folding would change the result:
    its input or its layer's weight is used elsewhere too, its layer is called twice, or one of the
    two is of a class `fold` does not know or has hooks; and where it has no running statistics.
    Like `fold`, it takes a Linear before a batch norm to act on (N, C).
    Raises ValueError if a batch norm is in training mode, or if model itself (not a part of it)
    has forward hooks or is compiled: a copy would be without them.
    """
    if hasattr(model, "_orig_mod") or _has_hooks(model):
        raise ValueError("model: expected no forward hooks and nothing compiled; fold it before")
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and module.training:
            raise ValueError(
                f"model: expected evaluation mode, but {name or 'the model'!r} is in training "
                "mode; call model.eval() first"
            )
    tracer = _Tracer()
    groups = [getattr(module, "process_group", None) for module in model.modules()]
    copies = {id(group): group for group in groups if group is not None}  # nothing to copy
    # A pruned weight is computed anew by a hook in each forward; deepcopy refuses what is computed.
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                copies[id(value)] = value.detach().clone()
    graph = tracer.trace(copy.deepcopy(model, copies))
    folded = fx.GraphModule(tracer.root, graph, type(model).__name__)
    uses = Counter(
        node.target if node.op == "call_module" else node.target.rpartition(".")[0]
        for node in graph.nodes
        if node.op in ("call_module", "get_attr")  # a parameter of it, read
    )
    for node in list(graph.nodes):
        if _can_fold(folded, node, uses):
            _fold_node(folded, node)
    folded.delete_all_unused_submodules()
    folded.recompile()
    return folded


def _can_fold(model: fx.GraphModule, node: fx.Node, uses: Counter) -> bool:
    """Whether node is a batch norm that alone reads the output of a foldable layer."""
    if not (node.op == "call_module" and node.args and isinstance(node.args[0], fx.Node)):
        return False
    source = node.args[0]
    if source.op != "call_module" or len(source.users) > 1 or uses[source.target] > 1:
        return False
    layer, bn = model.get_submodule(source.target), model.get_submodule(node.target)
    return (
        type(layer) in _FOLDABLE
        and _is_plain(layer)
        and type(bn) in (*_BATCH_NORMS, bnn.BatchNormAct2d)
        and _is_plain(bn)
        and bn.running_mean is not None
        and bn.num_features == _out_channels(layer)
    )


def _fold_node(model: fx.GraphModule, node: fx.Node) -> None:
    source, *residual = *node.args, *node.kwargs.values()
    bn = copy.copy(model.get_submodule(node.target))
    result = source
    if type(bn) is bnn.BatchNormAct2d:
        bn.__class__ = bnn.BatchNorm2d
        with model.graph.inserting_before(node):
            for other in filter(None, residual):
                result = model.graph.call_function(operator.add, (result, other))
            result = model.graph.call_function(torch.relu, (result,))
    model.set_submodule(source.target, fold(model.get_submodule(source.target), bn))
    node.replace_all_uses_with(result)
    model.graph.erase_node(node)
