"""What a torch model's norm layers suffer from: the cases of the book's bug clinic, chapter 12.

    for finding in inspect(model, batch, optimizer=optimizer):
        print(finding)

A finding is a symptom with its numbers, not a proof: each names the section that tells how to
make sure.
"""

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.parameter import is_lazy
from torch.optim.swa_utils import AveragedModel
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.data import DataLoader

from . import nn as bnn
from ._clinic import FIXES, REASONS, SECTIONS
from .exercises.language import Text
from .inference import broadcast_nothing, fed

CHAPTER = "12_bug_clinic"
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_NORM_NAMES = re.compile(r"norm(act|tlu)?(\dd)?$", re.I)  # LlamaRMSNorm and others inherit nothing
_WRAPPERS = (nn.parallel.DistributedDataParallel, nn.DataParallel, AveragedModel)
_DROPOUTS = {
    *(nn.functional.dropout, nn.functional.alpha_dropout, nn.functional.feature_alpha_dropout),
    *(nn.functional.dropout1d, nn.functional.dropout2d, nn.functional.dropout3d),
}

FEW_SAMPLES = 4  # at 4 images a batch Wu & He 2018 (figure 1) find batch norm clearly worse
FEW_VALUES = 16  # the variance of 16 values is off by a third: sqrt(2 / 15)
ENOUGH_SAMPLES = 32  # the per-worker batch of Goyal et al. 2017, where own statistics do no harm
ENOUGH_TO_COMPARE = 16  # samples from which statistics are compared with the running ones
FAR_MEAN = 0.5  # standard deviations, the median channel's
FAR_VARIANCE = 2.0  # a ratio, the median channel's
NOISY_VARIANCE = 1.1  # a ratio, the mean channel's: dropout on against dropout off
PADDED_MEAN, PADDED_VARIANCE = 0.1, 1.2
LOST_DIGITS = 0.01  # relative error of a variance
TINY = 1e-30  # keeps a ratio of two zero variances at 1


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or about to go wrong, with some layers of a model.

    case    its name: "training-mode", "tiny-batch", ...
    layers  names of the layers as in `model.named_modules()`, the worst first
    reason  what was seen, with its numbers; fix: what to do about it (`.ko` and `.en`)
    link    label of the section on this case in the book
    """

    case: str
    layers: tuple[str, ...]
    reason: Text
    fix: Text
    link: str

    @property
    def page(self) -> str:
        """Where the section is, relative to the book's chapters."""
        return f"{CHAPTER}.html#{self.link}"

    def __str__(self) -> str:
        more = f" and {len(self.layers) - 1} more" if len(self.layers) > 1 else ""
        said = f"{self.reason.en} {self.fix.en}"
        return f"[{self.case}] {self.layers[0]}{more}: {said} See {self.page}"


@dataclass
class _Seen:
    """What a batch norm was fed when it, and those below, normalized by the batch."""

    calls: list[int] = field(default_factory=list)  # samples of each call
    dtype: torch.dtype | None = None
    parts: list[Tensor] = field(default_factory=list)
    real_parts: list[Tensor] = field(default_factory=list)  # without the padding

    @property
    def samples(self) -> int:
        return sum(self.calls)

    def moments(self, parts: list[Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The count, mean and variance of each channel."""
        count, mean, m2 = bnn.merge_moments(torch.stack(parts or self.parts))
        return count, mean, m2 / count

    def fewest(self, workers: int) -> tuple[int, int]:
        """Values a channel, and samples, of the smallest call."""
        values = min(int(part[0, 0]) for part in self.parts)
        return values * workers, min(self.calls) * workers


@dataclass
class _Patient:
    """Everything the checks look at."""

    model: nn.Module  # without wrappers
    wrappers: list[nn.Module]
    norms: dict[str, nn.Module]
    evaluating: bool
    accumulate: int
    groups: dict[int, dict]  # the optimizer's group of each parameter, by its id
    labels: Tensor | None = None
    classes: int = 0
    seen: dict[str, _Seen] = field(default_factory=dict)
    noisy: dict[str, _Seen] = field(default_factory=dict)  # with dropout on

    @property
    def batch_norms(self) -> dict[str, nn.Module]:
        return {name: m for name, m in self.norms.items() if isinstance(m, _BatchNorm)}

    def by_batch(self) -> dict[str, nn.Module]:
        """The batch norms that normalize by the batch they are given."""
        return {n: m for n, m in self.batch_norms.items() if m.training or m.running_var is None}

    def by_memory(self) -> dict[str, nn.Module]:
        """The batch norms that normalize by their running statistics."""
        return {n: m for n, m in self.batch_norms.items() if n not in self.by_batch()}

    def fed(self) -> dict[str, _Seen]:
        """What those were fed that normalize by the batch."""
        reached = {name: self.seen.get(name, _Seen()) for name in self.by_batch()}
        return {name: seen for name, seen in reached.items() if seen.parts}

    def data_parallel(self) -> Iterator[tuple[str, int, bool]]:
        """The parts that several workers train: how the names of their layers start, how many
        workers, and whether one of them sends the others its running statistics.
        """
        modules = [("", wrapper) for wrapper in self.wrappers]
        named = self.model.named_modules()
        modules += [(f"{name}." if name else "", module) for name, module in named]
        sharded = []
        for prefix, module in modules:
            if isinstance(module, nn.parallel.DistributedDataParallel):
                # The older name of forward_sync_buffers, which torch had no other for before 2.13.
                yield prefix, module.process_group.size(), module.broadcast_buffers
            elif _is_sharded(module) and not prefix.startswith(tuple(sharded)):
                sharded.append(prefix)
                meshes = [p.device_mesh for p in module.parameters() if hasattr(p, "device_mesh")]
                yield prefix, max((mesh.size() for mesh in meshes), default=1), False

    def few_of_many(self) -> dict[str, int]:
        """Samples by layer, where these few stand for a larger batch that is elsewhere."""
        return {
            name: seen.samples
            for name, seen in self.fed().items()
            if seen.samples < ENOUGH_SAMPLES and not _is_synchronized(self.norms[name])
        }

    def is_learned(self, parameter: nn.Parameter) -> bool:
        return parameter.requires_grad and (not self.groups or id(parameter) in self.groups)

    def is_ordered(self) -> bool:
        """Whether the labels are too alike for a shuffled batch: half the classes expected."""
        if self.labels is None:
            return False
        expected = self.classes * (1 - (1 - 1 / self.classes) ** len(self.labels))
        return self.classes > 1 and len(self.labels.unique()) <= round(expected / 2, 3)


def inspect(
    model: nn.Module,
    batch: Tensor | tuple | list | Mapping | None = None,
    *,
    optimizer: torch.optim.Optimizer | list[torch.optim.Optimizer] | None = None,
    mask: Tensor | None = None,
    accumulate: int = 1,
) -> list[Finding]:
    """Look a model's norm layers over, and list what they suffer from; [] if nothing.

    model       any torch model, as it is about to be used: in its mode, in its wrapper
                (DistributedDataParallel, AveragedModel) or sharded (fully_shard: then every rank
                calls this, with its batch). In a block without gradients it is taken to be
                evaluating
    batch       its input as in use, or a tuple (input, labels) with integer labels (N,), negative
                ones ignored, or one-hot ones (N, classes). An input that is a tuple or a mapping
                is given as model(*input) or model(**input). Without it only the model's state is
                looked at
    optimizer   to see weight decay, and parameters that nobody trains; a list if there are several
    mask        True where the input is real, False where it is padding: (N, T) for sequences,
                (N, H, W) for images
    accumulate  how many batches make up one step of the optimizer

    The model runs twice on the batch, with dropout off and on, each batch norm normalizing by the
    batch. Nothing of it changes, not even after an error: parameters, buffers, modes, hooks and
    the state of torch's random generators stay as they were.
    Raises TypeError if model is no Module or a scripted one, if optimizer is none, if batch is a
    loader of batches, if mask is not of booleans or accumulate no integer; ValueError if the model
    has parameters without a shape or values yet, if batch is empty, if mask fits the input of no
    batch norm or accumulate is not at least 1; and whatever model raises for the batch.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    if any(isinstance(m, torch.jit.ScriptModule) for m in model.modules()):
        raise TypeError("model: expected Python modules, got a scripted or traced one")
    tensors = [*model.parameters(), *model.buffers()]
    if any(t.is_meta for t in tensors if not is_lazy(t)):
        raise ValueError("model: expected tensors with values, got some on the meta device")
    if any(is_lazy(t) for t in tensors):
        raise ValueError("model: expected parameters with shapes, got lazy ones; run it once first")
    if mask is not None and getattr(mask, "dtype", None) != torch.bool:
        kind = getattr(mask, "dtype", type(mask).__name__)
        raise TypeError(f"mask: expected a tensor of booleans, got {kind}")
    if not isinstance(accumulate, int):
        raise TypeError(f"accumulate: expected a number of batches, got {accumulate!r}")
    if accumulate < 1:
        raise ValueError(f"accumulate: expected at least 1 batch, got {accumulate}")
    wrappers, inner = [], model
    while isinstance(inner, _WRAPPERS) or hasattr(inner, "_orig_mod"):  # torch.compile's
        wrappers.append(inner)
        inner = inner._orig_mod if hasattr(inner, "_orig_mod") else inner.module
    norms = {name or "model": m for name, m in inner.named_modules() if isinstance(m, _NORMS)}
    evaluating = not torch.is_grad_enabled()
    optimizers = optimizer if isinstance(optimizer, list | tuple) else [optimizer]
    optimizers = [o for o in optimizers if o is not None]
    for o in optimizers:
        if not isinstance(o, torch.optim.Optimizer):
            raise TypeError(f"optimizer: expected a torch.optim.Optimizer, got {type(o).__name__}")
    groups = {id(p): g for o in optimizers for g in o.param_groups for p in g["params"]}
    patient = _Patient(inner, wrappers, norms, evaluating, accumulate, groups)
    if batch is not None:
        _run(patient, batch, mask)
    return [finding for check in _CHECKS for finding in check(patient)]


def _is_sharded(module: nn.Module) -> bool:
    """By fully_shard, which takes seconds to import: where it was not, nothing is sharded."""
    fsdp = sys.modules.get("torch.distributed.fsdp")
    return fsdp is not None and isinstance(module, fsdp.FSDPModule)


# --- running the model without a trace


def _run(patient: _Patient, batch: Tensor | tuple | list | Mapping, mask: Tensor | None) -> None:
    if isinstance(batch, tuple | list) and not batch:
        raise ValueError(f"batch: expected an input, or (input, labels), got {batch!r}")
    x, *rest = batch if isinstance(batch, tuple | list) else (batch,)
    tensors = [value for value in tree_leaves(x) if isinstance(value, Tensor)]
    if tensors and not any(tensor.numel() for tensor in tensors):
        raise ValueError(f"batch: expected samples, got none, {tuple(tensors[0].shape)}")
    if isinstance(x, DataLoader | Iterator):
        raise TypeError(
            f"batch: expected one batch, got a {type(x).__name__}; give next(iter(...))"
        )
    output = _forward(patient, x, mask, patient.seen, noise=False)
    _forward(patient, x, mask, patient.noisy, noise=True)
    reached = [seen for seen in patient.seen.values() if seen.parts]
    if mask is not None and reached and not any(seen.real_parts for seen in reached):
        raise ValueError(f"mask: {tuple(mask.shape)} fits the input of no batch norm")
    labels = _integer_labels(rest[0]) if rest else None
    samples = len(x) if isinstance(x, Tensor) else 2  # fewer labels are not of single samples
    if labels is not None and len(rest[0]) >= samples and len(labels) > 1:
        patient.labels = labels
        patient.classes = int(labels.max()) + 1
        if isinstance(output, Tensor) and output.ndim == 2:
            patient.classes = max(patient.classes, output.shape[1])


def _integer_labels(labels: object) -> Tensor | None:
    """Class numbers (N,), also of one-hot rows (N, classes); None for any other target."""
    if not isinstance(labels, Tensor) or labels.ndim not in (1, 2):
        return None
    if labels.ndim == 2:
        one_hot = ((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all()
        return labels.int().argmax(1) if one_hot and labels.shape[1] > 1 else None
    return None if labels.is_floating_point() else labels[labels >= 0]  # -1, -100: ignored


class _DropoutOn(TorchFunctionMode):
    """Dropout as in training, and nothing else as there: no stochastic depth, no noise."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in _DROPOUTS and "training" in kwargs:
            kwargs["training"] = True
        return function(*args, **kwargs)


@torch.no_grad()
def _forward(patient: _Patient, x: object, mask: Tensor | None, seen: dict, noise: bool):
    """Run on copies of the buffers. Every batch norm is in evaluation mode, and what it is fed
    goes into its running statistics just before: no error for one value, no talk between ranks.
    """
    model = patient.model
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    devices = range(torch.cuda.device_count())
    with ExitStack() as undo, torch.random.fork_rng(devices):
        for p in model.parameters():  # a forward may write to them: Embedding(max_norm=1)
            if type(p) is not nn.Parameter:
                continue
            version = None if p.is_inference() else p._version  # those do not count their changes
            undo.callback(_restore, p, p.data, p.detach().clone(), version)
        broadcast_nothing(model, undo)
        for module in model.modules():
            undo.callback(setattr, module, "training", module.training)
            # Dropout of these two is no call of torch.nn.functional's.
            module.training = noise and isinstance(module, nn.RNNBase | nn.MultiheadAttention)
            for kept in module._buffers, module._non_persistent_buffers_set:
                undo.callback(_put_back, kept, kept.copy())
            for value in vars(module).values():
                if isinstance(value, torch.Generator):
                    undo.callback(value.set_state, value.get_state())
            if _is_sharded(module):
                undo.callback(module.reshard)
        if noise:
            undo.enter_context(_DropoutOn())
        for name, norm in patient.batch_norms.items():
            hook = partial(_record, seen.setdefault(name, _Seen()), mask)
            undo.callback(norm.register_forward_pre_hook(hook, with_kwargs=True).remove)
        torch.manual_seed(0)
        x = tree_map_only(Tensor, Tensor.clone, x)  # a forward may write to this, too
        args, kwargs = (x,), {}
        if isinstance(x, Mapping):
            args, kwargs = (), dict(x)
        elif isinstance(x, tuple):
            args = x
        return functional_call(model, buffers, args, kwargs)


def _restore(p: nn.Parameter, data: Tensor, values: Tensor, version: int | None) -> None:
    written = not torch.equal(data, values) if version is None else p._version != version
    if written or p.data_ptr() != data.data_ptr():
        with torch.inference_mode(version is None):
            data.copy_(values)
            p.data = data


def _put_back(kept: dict | set, before: dict | set) -> None:
    kept.clear()
    kept.update(before)


def _record(seen: _Seen, mask: Tensor | None, norm: nn.Module, args: tuple, kwargs: dict) -> None:
    x = fed(args, kwargs)
    seen.calls.append(len(x))
    seen.dtype = x.dtype
    seen.parts.append(bnn.channel_moments(x))
    rows = None if mask is None else _real_rows(x, mask)
    if rows is not None:
        seen.real_parts.append(bnn.channel_moments(rows))
    if norm.running_var is not None:
        largest = torch.finfo(norm.running_var.dtype).max  # infinite, it would blind later layers
        _, mean, var = seen.moments(seen.parts[-1:])
        norm.running_mean.copy_(mean.clamp(-largest, largest))
        norm.running_var.copy_(var.clamp(max=largest))


def _real_rows(x: Tensor, mask: Tensor) -> Tensor | None:
    """The positions of x that are no padding, as rows (n, C); None where the shapes differ."""
    positions = x.movedim(1, -1)
    if positions.shape[:-1] == mask.shape:
        return positions[mask]
    if x.ndim == 2 and len(x) == mask.numel():
        return x[mask.flatten()]
    return None


# --- the checks, in the order of the chapter


def _finding(case: str, layers: Iterable[str], **values: object) -> Finding:
    reason, fix = (texts[case].format(**values) for texts in (REASONS, FIXES))
    return Finding(case, tuple(layers), reason, fix, SECTIONS[case])


def _worst_first(measured: dict) -> list[str]:
    return sorted(measured, key=measured.get, reverse=True)


def _training_mode(patient: _Patient) -> Iterator[Finding]:
    layers = [n for n, m in patient.batch_norms.items() if m.training]
    if layers and (patient.evaluating or not patient.model.training):
        some, count = len(layers), len(patient.batch_norms)
        yield _finding("training-mode", layers, some=some, all=count)


def _tiny_batch(patient: _Patient) -> Iterator[Finding]:
    few = {}
    for name, seen in patient.fed().items():
        workers = _workers(patient.norms[name])
        count, samples = seen.fewest(workers)
        if count > 1 and (samples <= FEW_SAMPLES or count < FEW_VALUES):
            few[name] = -count, samples
    if few:
        layers = _worst_first(few)
        values, samples = -few[layers[0]][0], few[layers[0]][1]
        error = math.sqrt(2 / (values - 1))
        yield _finding("tiny-batch", layers, values=values, samples=samples, error=error)


def _frozen_affine(patient: _Patient) -> Iterator[Finding]:
    layers = []
    for name, norm in patient.batch_norms.items():
        own = list(norm.parameters(recurse=False))
        moves = norm.training and norm.running_var is not None and norm.momentum != 0
        if moves and own and not any(patient.is_learned(p) for p in own):
            layers.append(name)
    if layers:
        yield _finding("frozen-affine", layers, some=len(layers))


def _ported_momentum(patient: _Patient) -> Iterator[Finding]:
    shares = {n: m.momentum for n, m in patient.batch_norms.items() if 0.5 < (m.momentum or 0) < 1}
    if shares:
        share = max(shares.values())
        yield _finding("ported-momentum", _worst_first(shares), share=share, converted=1 - share)


def _batch_of_one(patient: _Patient) -> Iterator[Finding]:
    layers = [
        n for n, seen in patient.fed().items() if seen.fewest(_workers(patient.norms[n]))[0] == 1
    ]
    if layers:
        yield _finding("batch-of-one", layers)


def _unsynchronized(patient: _Patient) -> Iterator[Finding]:
    for prefix, workers, broadcast in patient.data_parallel():
        own = {n: m for n, m in patient.by_batch().items() if n.startswith(prefix)}
        plain = [n for n, m in own.items() if not _is_synchronized(m)]
        few = {n: samples for n, samples in patient.few_of_many().items() if n in own}
        if workers > 1 and plain and not broadcast:
            yield _finding("unbroadcast", plain, workers=workers)
        elif workers > 1 and few:
            samples = max(few.values())
            yield _finding("unsynchronized", few, workers=workers, samples=samples)


def _workers(norm: nn.Module) -> int:
    """How many workers' inputs the layer joins; each is taken to have as many samples."""
    is_sync = isinstance(norm, nn.SyncBatchNorm | bnn.SyncBatchNorm)
    if not (is_sync and dist.is_available() and dist.is_initialized()):
        return 1
    return max(dist.get_world_size(norm.process_group or dist.group.WORLD), 1)


def _is_synchronized(norm: nn.Module) -> bool:
    return _workers(norm) > 1


def _accumulation(patient: _Patient) -> Iterator[Finding]:
    if patient.accumulate > 1 and (few := patient.few_of_many()):
        samples = max(few.values())
        yield _finding("accumulation", few, samples=samples, total=samples * patient.accumulate)


def _weight_decay(patient: _Patient) -> Iterator[Finding]:
    rates = {}
    for name, norm in patient.model.named_modules():
        if isinstance(norm, _NORMS) or _NORM_NAMES.search(type(norm).__name__):
            found = [patient.groups.get(id(p), {}) for p in norm.parameters(recurse=False)]
            rate = max((group.get("weight_decay", 0) for group in found), default=0)
            rates[name or "model"] = rate
    layers = [name for name in _worst_first(rates) if rates[name] > 0]
    if layers:
        yield _finding("weight-decay", layers, some=len(layers), decay=rates[layers[0]])


def _stale_statistics(patient: _Patient) -> Iterator[Finding]:
    """Running statistics far from the batch's. An ordered or small batch is no yardstick, and
    behind a layer with broken statistics there is none.
    """
    broken = any(not _is_sound(norm) for norm in patient.batch_norms.values())
    if patient.model.training or patient.is_ordered() or broken:
        return
    far = {}
    for name, norm in patient.by_memory().items():
        seen = patient.seen.get(name, _Seen())
        if seen.samples >= ENOUGH_TO_COMPARE and not _is_untouched(norm):
            ratio, gap = _distance(norm.running_mean, norm.running_var, *seen.moments()[1:])
            if ratio > FAR_VARIANCE or gap > FAR_MEAN:
                far[name] = ratio, gap
    dropped = _dropped(patient)  # a case of its own
    far = {name: value for name, value in far.items() if name not in dropped}
    if far:
        layers = _worst_first(far)
        averaged = any(isinstance(wrapper, AveragedModel) for wrapper in patient.wrappers)
        case = "averaged-weights" if averaged else "stale-statistics"
        yield _finding(case, layers, ratio=far[layers[0]][0], gap=far[layers[0]][1])


def _distance(mean: Tensor, var: Tensor, true_mean: Tensor, true_var: Tensor) -> tuple:
    """The median channel's ratio of variances, and shift of the mean in standard deviations."""
    var, true_var = var.double() + TINY, true_var + TINY
    ratio = (var / true_var).log().abs().median().exp()
    gap = ((mean.double() - true_mean).abs() / true_var.sqrt()).median()
    return ratio.item(), gap.item()


def _ordered_batch(patient: _Patient) -> Iterator[Finding]:
    if patient.by_batch() and patient.is_ordered():
        labels, classes = patient.labels, patient.classes
        found = len(labels.unique())
        yield _finding(
            "ordered-batch", patient.by_batch(), samples=len(labels), classes=classes, found=found
        )


def _dropped(patient: _Patient) -> dict[str, float]:
    """How many times dropout makes the variance, where it shifts it and so did what is stored."""
    shifts = {}
    for name, seen in patient.seen.items():
        if not (seen.parts and patient.noisy[name].parts):
            continue
        quiet, noisy = (s.moments()[2].mean().item() + TINY for s in (seen, patient.noisy[name]))
        if not (math.isfinite(quiet) and math.isfinite(noisy)):
            continue
        norm = patient.norms[name]
        if not norm.training and norm.running_var is not None and _is_sound(norm):
            stored = norm.running_var.double().mean().item() + TINY
            if abs(math.log(stored / quiet)) < abs(math.log(stored / noisy)):
                continue  # taken with dropout off: it fits inference
        if max(noisy / quiet, quiet / noisy) > NOISY_VARIANCE:
            shifts[name] = noisy / quiet
    return shifts


def _dropout_before_norm(patient: _Patient) -> Iterator[Finding]:
    shifts = _dropped(patient)
    layers = _worst_first({n: abs(math.log(r)) for n, r in shifts.items()})
    if layers:
        yield _finding("dropout-before-norm", layers, ratio=shifts[layers[0]])


def _precision(patient: _Patient) -> Iterator[Finding]:
    """How much a variance can lose: by E[x^2] - E[x]^2 in float32, or by rounding the input."""
    lost = {}
    for name, seen in patient.seen.items():
        if seen.parts:
            count, mean, var = seen.moments()
            wide = torch.promote_types(seen.dtype, torch.float32)
            roundoff, of_input = (torch.finfo(d).eps / 2 for d in (wide, seen.dtype))
            # A constant channel is no symptom, unless it was rounding that made it constant.
            varies = (var > 0) | ((count > 1) & (of_input > roundoff))
            kappas = (mean.square() / (var + patient.norms[name].eps)).sqrt() * varies
            kappa = kappas.max().item()
            lost[name] = max(roundoff * kappa**2, (of_input * kappa) ** 2), kappa
    layers = [n for n in _worst_first(lost) if lost[n][0] > LOST_DIGITS]
    if layers:
        yield _finding("precision", layers, error=lost[layers[0]][0], kappa=lost[layers[0]][1])


def _half_statistics(patient: _Patient) -> Iterator[Finding]:
    half = {
        name: str(norm.running_var.dtype).removeprefix("torch.")
        for name, norm in patient.batch_norms.items()
        if norm.training
        and norm.running_var is not None
        and norm.running_var.dtype in (torch.float16, torch.bfloat16)
    }
    if half:
        yield _finding("half-statistics", half, dtype=next(iter(half.values())))


def _broken_statistics(patient: _Patient) -> Iterator[Finding]:
    broken = [n for n, m in patient.batch_norms.items() if not _is_sound(m)]
    if broken:
        norm = patient.batch_norms[broken[0]]
        finite = norm.running_mean.isfinite() & norm.running_var.isfinite()
        bad = int((~finite | (norm.running_var < 0)).sum())
        yield _finding("broken-statistics", broken, bad=bad, channels=norm.num_features)


def _broken_batch(patient: _Patient) -> Iterator[Finding]:
    fed = {name: seen for name, seen in patient.seen.items() if seen.parts}
    broken = [n for n, seen in fed.items() if not torch.stack(seen.moments()).isfinite().all()]
    if broken:
        yield _finding("broken-batch", broken, some=len(broken), all=len(fed))


def _is_sound(norm: nn.Module) -> bool:
    if norm.running_var is None:
        return True
    finite = norm.running_mean.isfinite().all() and norm.running_var.isfinite().all()
    return bool(finite and (norm.running_var >= 0).all())


def _padding(patient: _Patient) -> Iterator[Finding]:
    shifted = {}
    for name, seen in patient.fed().items():
        if seen.real_parts:
            count, mean, var = seen.moments()
            real_count, real_mean, real_var = seen.moments(seen.real_parts)
            ratio, gap = _distance(mean, var, real_mean, real_var)
            if ratio > PADDED_VARIANCE or gap > PADDED_MEAN:
                shifted[name] = ratio, gap, 1 - (real_count / count)[0].item()
    if shifted:
        layers = _worst_first(shifted)
        ratio, gap, share = shifted[layers[0]]
        yield _finding("padding", layers, ratio=ratio, gap=gap, share=share)


def _missing_buffers(patient: _Patient) -> Iterator[Finding]:
    ran = any(seen.parts for seen in patient.seen.values())
    fresh = {
        name: norm
        for name, norm in patient.by_memory().items()
        if _is_untouched(norm) and not (ran and not patient.seen[name].parts)
    }
    loaded = [n for n, m in fresh.items() if _is_trained(m)]
    others = [n for n in fresh if n not in loaded]
    for case, layers in (("missing-buffers", loaded), ("never-updated", others)):
        if layers:
            yield _finding(case, layers, some=len(layers))


def _is_untouched(norm: nn.Module) -> bool:
    """Whether the running statistics are as at the start."""
    return bool((norm.running_mean == 0).all() and (norm.running_var == 1).all())


def _is_trained(norm: nn.Module) -> bool:
    """Whether beta is not all 0, as at the start; without beta, whether gamma is not all 0 or 1."""
    if norm.weight is None:
        return False
    if norm.bias is not None:
        return bool((norm.bias != 0).any())  # DCGAN starts from random gamma
    return not ((norm.weight == norm.weight[0]).all() and norm.weight[0] in (0, 1))


_CHECKS: tuple[Callable[[_Patient], Iterator[Finding]], ...] = (
    _training_mode,
    _tiny_batch,
    _frozen_affine,
    _ported_momentum,
    _batch_of_one,
    _unsynchronized,
    _accumulation,
    _weight_decay,
    _stale_statistics,
    _ordered_batch,
    _dropout_before_norm,
    _precision,
    _half_statistics,
    _broken_statistics,
    _broken_batch,
    _padding,
    _missing_buffers,
)
