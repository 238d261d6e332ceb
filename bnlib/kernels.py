"""The norms of `bnlib.functional` as fused Triton kernels, for a GPU of NVIDIA.

`normalize`, `gradient` and `standardize` compute what the formulas in `bnlib.functional` say, and
those formulas are their oracle; like `bnlib._cpu` they return None for what they do not
cover, and the caller then takes the formulas. Batch norm takes a residual and a ReLU into the same
passes (`batch_norm_add_relu`). With TRITON_INTERPRET=1 the kernels run on the CPU, slowly.

Memory traffic decides the time. Batch norm reads x twice and writes y, 1.5 copies; its backward
reads x and dy twice and writes dx, 2.5 copies. With a residual and ReLU it is 2 and 3 copies, and a
bit for each value: where the ReLU was open. Without a residual that is computed again from x.
Batch norm's forward and backward are one launch each. Programs that have a part of the same
channels meet between the two readings, all of them running at a time (a cooperative launch; on a
GPU that refuses it, two launches); the second reading goes from the end to the start, from what is
still in registers to what the cache may hold. Rows that a program can hold are read once (layer and
RMS norm). The same input gives the same bits on the same GPU.
In NCHW, and in group norm, each other size of the planes is compiled anew, which takes seconds; in
channels_last a few programs serve all sizes.
On an H200 the batch norms of a ResNet-50 reached 74 to 100 % of a copy's bandwidth on large
tensors, and 55 to 80 % where planes of 7 x 7 in NCHW let no thread load neighbours at once. Batch
norm, add and ReLU in float32 channels_last were 1.42 to 1.55 times as fast as torch there. torch is
faster on small tensors in channels_last, and queued its work in about a third of the time
(benchmarks/results/gpu_trials.json, gpu_batch_norm.json).
The Triton programs themselves are in `bnlib._triton_kernels`.
"""

import math
import os
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache, wraps
from math import prod
from typing import NamedTuple

import torch
import triton
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.nn import Parameter
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from . import _triton_kernels as programs

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# How the work is cut, by trial on an H200.
TILE = 8192  # values that a program takes at a time where it has a part of its channels
TILE_WARPS = 16  # as many threads as leave each 128 registers, one program to a processor
WHOLE_TILE = 4096  # the same where it has all values of its channels
WHOLE_VALUES = 2**18  # of a channel, at most, for that ...
WHOLE_PROGRAMS = 256  # ... if there are at least so many programs
LARGE = 2**26  # bytes of x: of fewer, 32 neighbours at a time are enough in channels_last, not 64
ELEMENT_STEPS = 4  # tiles to a program that knows the statistics: it takes the roots only once
SHORT_ROWS = 2048  # values of rows that a program takes together
ROW_TILE = 4096  # of a row that a program holds ...
LARGEST_ROW_TILE = 8192  # ... and of one with a parameter to each value; twice if without bias
LONG_ROW_TILE = 2048  # values of one that it reads twice, times the bytes of each
GROUP_TILE = 8192  # values of a row whose gradient takes two readings, at a time
ROW_STEPS = 32  # tiles of rows to a program that adds up their gradients
MERGE_TILE = (4, 512)  # channels and parts
MERGED_AT_ONCE = 4096  # parts times channels
EPS_RANGE = (1e-30, 1e30)  # eps travels as float32
LARGEST_INDEX = 2**31 - 2**20  # int32, with room for the last tiles
LARGEST_GRID = 65535  # along the second axis


def _cdiv(a: int, b: int) -> int:
    return -(-a // b)  # triton.cdiv takes 4 microseconds


@dataclass(frozen=True)
class _View:
    """x in memory order as (samples, channels, inner), and how the work is cut."""

    samples: int
    channels: int  # or rows
    inner: int
    repeat: int  # channels until the parameters start again
    parameters: int = 1  # different ones in a channel; as many for a row of layer norm as values
    rows: bool = False  # each channel is normalized by itself, and samples is 1
    channels_last: bool = False
    itemsize: int = 4  # bytes of a value

    @cached_property
    def count(self) -> int:
        return self.samples * self.inner

    @cached_property
    def in_tile(self) -> bool:
        """Whether a program holds its rows."""
        most = LARGEST_ROW_TILE if self.parameters == self.inner else ROW_TILE
        return self.rows and self.inner <= most

    @cached_property
    def whole(self) -> bool:
        """Whether a program has all values of its channels: not in channels_last, where it would
        load too few neighbours at a time."""
        if self.rows or self.inner == 1:
            return self.rows
        groups = _cdiv(self.channels, self._whole_tile[0])
        return self.count <= WHOLE_VALUES and groups >= WHOLE_PROGRAMS

    @cached_property
    def _row_tile(self) -> tuple[int, int]:
        values = triton.next_power_of_2(self.inner)
        return max(1, min(16, SHORT_ROWS // values)), values

    @cached_property
    def _whole_tile(self) -> tuple[int, int]:
        if self.in_tile:
            return self._row_tile
        values = triton.next_power_of_2(self.count)
        if self.rows:
            return 1, min(LONG_ROW_TILE * self.itemsize, values)
        values = min(WHOLE_TILE if self.inner % 4 == 0 else WHOLE_TILE // 2, values)
        return max(1, min(16, 1024 // values)), values

    @cached_property
    def tile(self) -> tuple[int, int]:
        """Channels and values that lie side by side in memory, in powers of two."""
        if self.whole:
            return self._whole_tile
        channels, values = map(triton.next_power_of_2, (self.channels, self.count))
        if self.inner == 1:
            large = self.count * self.channels * self.itemsize > LARGE
            channels = min(64 if large else 32, channels)
            return channels, min(TILE // channels, values)
        size = TILE * (4 // self.itemsize)
        values = min(size, values)
        return min(channels, size // values), values

    @cached_property
    def warps(self) -> int:
        """Of a program: as many as leave a thread enough to load at a time."""
        lane = 64 // self.itemsize if self.in_tile else 16
        most = 32 if self.whole else TILE_WARPS
        return max(1, min(most, prod(self.tile) // (32 * lane)))

    @cached_property
    def layout(self) -> programs.Layout:
        return self._layout(self.inner, *self.tile, self.warps)

    @cached_property
    def row_layout(self) -> programs.Layout:
        """A tile of whole rows."""
        return self._layout(self.inner, *self._row_tile)

    @cached_property
    def group_layout(self) -> programs.Layout:
        """A tile of a row's parameters by values that each is for."""
        values = min(triton.next_power_of_2(self.span), GROUP_TILE)
        channels = min(triton.next_power_of_2(self.parameters), max(1, GROUP_TILE // values))
        return self._layout(self.span, channels, values)

    def _layout(self, inner, channels, values, warps=1) -> programs.Layout:
        wide = self.samples * self.channels * self.inner > LARGEST_INDEX
        neighbours = self.channels if inner == 1 else inner
        at_once = math.gcd(neighbours, 16 // self.itemsize)  # that a thread loads
        lanes = max(1, min(values, 32 * warps * at_once // channels))
        return programs.Layout(inner, self.samples == 1, wide, channels, values, lanes)

    @cached_property
    def span(self) -> int:
        """Values of a row to a parameter."""
        return self.inner // self.parameters

    @cached_property
    def columns(self) -> "_View":
        """Rows with a parameter to each value, as columns that have a parameter each."""
        return _View(self.channels, self.inner, 1, self.inner, 1, False, True, self.itemsize)

    def cut(self, processors: int) -> "_Cut":
        """Parts that meet all have to run at a time, on so many processors."""
        if processors not in self._cuts:
            groups = _cdiv(self.channels, self.tile[0])
            tiles = _cdiv(self.count, self.tile[1])
            parts = 1 if self.whole else max(1, min(processors // groups, tiles))
            steps = _cdiv(tiles, parts)
            parts = _cdiv(tiles, steps)
            merged = min(MERGED_AT_ONCE // self.tile[0], triton.next_power_of_2(parts))
            self._cuts[processors] = _Cut(parts, groups, steps, merged)
        return self._cuts[processors]

    @cached_property
    def _cuts(self) -> dict:
        return {}

    def like(self, tensor: Tensor | None, strides: tuple[int, ...]) -> Tensor | None:
        """A tensor of x's shape in this memory order, which x has by these strides."""
        if tensor is None or tensor.stride() == strides:
            return tensor
        if not self.channels_last:
            return tensor.contiguous()
        return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


class _Cut(NamedTuple):
    """How batch norm's work is spread."""

    parts: int  # of a group of channels, each a program's
    groups: int
    steps: int  # tiles to a part
    merged: int  # parts that a program merges at a time


@dataclass
class Running:
    """Statistics that batch norm moves toward those of a batch; `normalize` says if it has `moved`.

    running <- (1 - momentum) * running + momentum * (mean, var * n / (n - 1))
    """

    mean: Tensor
    var: Tensor
    momentum: float
    moved: bool = False

    def __post_init__(self):
        mean, var = self.mean, self.var
        self.can_be_moved = (
            isinstance(self.momentum, int | float)
            and _are_plain(mean, var)
            and mean.dtype == var.dtype == torch.float32
            and mean.is_contiguous()
            and var.is_contiguous()
        )


def _on_its_device(function):
    """Launch where x is: Triton launches on the current GPU, which may be another one."""

    @wraps(function)
    def launch(x, *arguments, **named):
        if not x.is_cuda or x.device.index == torch.cuda.current_device():
            return function(x, *arguments, **named)
        with torch.cuda.device(x.device):
            return function(x, *arguments, **named)

    return launch


@_on_its_device
def normalize(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    axes: tuple[int, ...],
    eps: float,
    centered: bool = True,
    residual: Tensor | None = None,
    relu: bool = False,
    running: Running | None = None,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Normalize x over the axes, scale and shift, then add and cut, in as few passes as can be.

        y = relu(weight * (x - mean) / sqrt(var + eps) + bias + residual)

    x             float32, float16 or bfloat16
    weight, bias  None, or of as many dimensions as x and broadcastable to it
    axes          counted from the end: all but the channels' (batch norm), or the last ones
    centered      False leaves the mean out, as RMS norm does
    residual      shaped like x, or None; it, relu and running are for batch norm alone
    running       statistics to move in passing, or None
    Returns y like x, mean and var in float64 with size 1 along the axes; None if not covered.
    """
    if _rows_are_scattered(x, axes):
        found = normalize(x.contiguous(), weight, bias, axes, eps, centered)
        return found and (torch.empty_like(x).copy_(found[0]), *found[1:])
    view = _view(x, weight, bias, axes, eps)
    if view is None or not _are_plain(residual):
        return None
    return _normalize(x, weight, bias, axes, view, eps, centered, residual, relu, running)


@_on_its_device
def gradient(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    dy: Tensor,
    axes: tuple[int, ...],
    eps: float,
    centered: bool = True,
) -> tuple[Tensor, Tensor | None, Tensor | None] | None:
    """Return dx, dweight and dbias of `normalize` without residual and ReLU; None if not covered.

    dx = inv_std * (g - mean(g) - x_hat * mean(g * x_hat)),   g = weight * dy
    """
    if _rows_are_scattered(x, axes):
        found = gradient(x.contiguous(), weight, bias, mean, var, dy, axes, eps, centered)
        return found and (torch.empty_like(x).copy_(found[0]), *found[1:])
    view = _view(x, weight, bias, axes, eps)
    if view is None or not _are_plain(dy):
        return None
    dx, _, dweight, dbias = _gradient(x, weight, bias, mean, var, dy, view, eps, centered)
    return dx, dweight, dbias


@_on_its_device
def standardize(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    axes: tuple[int, ...],
    eps: float,
    residual: Tensor | None = None,
    relu: bool = False,
) -> Tensor | None:
    """Normalize x by given statistics; None if not covered or if a gradient may be asked for."""
    view = _view(x, weight, bias, axes, eps)
    tensors = x, weight, bias, residual
    asked = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    if view is None or view.rows or asked or not _are_plain(mean, var, residual):
        return None
    if not (mean.is_contiguous() and var.is_contiguous()) or _is_forward_differentiated(*tensors):
        return None
    y = torch.empty_like(x)
    groups, tiles = _cdiv(view.channels, view.tile[0]), _cdiv(view.count, view.tile[1])
    steps = min(ELEMENT_STEPS, tiles)
    programs.standardize_channels[_cdiv(tiles, steps), groups](
        x,
        view.like(residual, x.stride()),
        weight,
        bias,
        mean,
        var,
        y,
        view.channels,
        view.count,
        steps,
        eps,
        relu,
        view.layout,
        num_warps=view.warps,
    )
    return y


@_on_its_device
def batch_norm_add_relu(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    eps: float,
    running: Running | None = None,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Batch norm in training, plus residual, then ReLU, fused forward and backward.

        y = relu(weight * (x - mean) / sqrt(var + eps) + bias + residual)

    x             (N, C, *spatial), contiguous or channels_last
    weight, bias  (1, C, 1, ...), or None
    residual      shaped like x, or None
    running       statistics to move in passing, or None
    Returns y, differentiable, and mean and var, which are not; None if not covered. The
    residual is not stored. A bit for each value tells the backward where the ReLU was open; without
    a residual, that is computed again.
    Gradients of gradients come from the formulas of `bnlib.functional`.
    """
    axes = tuple(axis for axis in range(-x.ndim, 0) if axis != 1 - x.ndim)
    view = _view(x, weight, bias, axes, eps)
    if view is None or view.rows or not _are_plain(residual):
        return None
    # _BatchNormAddReLU has neither the setup_context that torch.func asks for nor a jvp.
    if torch._C._are_functorch_transforms_active():
        return None
    if _is_forward_differentiated(x, weight, bias, residual):
        return None
    return _BatchNormAddReLU.apply(x, weight, bias, residual, axes, eps, view, running)


class _BatchNormAddReLU(Function):
    @staticmethod
    def forward(ctx, x, weight, bias, residual, axes, eps, view, running):
        opened = None if residual is None else _room_for_bits(x, view)
        y, mean, var = _normalize(
            x, weight, bias, axes, view, eps, True, residual, True, running, opened
        )
        ctx.save_for_backward(x, weight, bias, mean, var, y, opened)
        ctx.how = axes, eps, view, x.stride(), None if residual is None else residual.dtype
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx, dy, _mean, _var):
        x, weight, bias, mean, var, y, opened = ctx.saved_tensors
        axes, eps, view, strides, residual_dtype = ctx.how
        dresidual = None
        if torch.is_grad_enabled():  # these gradients will be differentiated
            dresidual = torch.where(y <= 0, 0, dy)
            grads = _differentiable_gradient(x, weight, bias, axes, eps, dresidual)
        else:
            dx, dresidual, *grads = _gradient(
                # Hooks on saved tensors may give them back in another order than the bits'.
                *(view.like(x, strides), weight, bias, mean, var, dy, view, eps),
                relu=True,
                opened=opened,
                with_residual=ctx.needs_input_grad[3],
            )
            grads = dx, *grads
        dresidual = dresidual.to(residual_dtype) if ctx.needs_input_grad[3] else None
        return *grads, dresidual, None, None, None, None


def _differentiable_gradient(x, weight, bias, axes, eps, dy):
    from .functional import _normalize

    # Views, so that the gradient stops here, also where one of them was computed from another.
    inputs = [t if t is None else t.view_as(t) for t in (x, weight, bias)]
    y = _normalize(*inputs, axes, eps)[0]
    wanted = [tensor for tensor in inputs if tensor is not None and tensor.requires_grad]
    grads = iter(torch.autograd.grad(y, wanted, dy, create_graph=True) if wanted else ())
    return [next(grads) if t is not None and t.requires_grad else None for t in inputs]


@cache
def _processors(device: torch.device) -> int:
    return 2 if INTERPRETED else torch.cuda.get_device_properties(device).multi_processor_count


def _normalize(
    x,
    weight,
    bias,
    axes,
    view,
    eps,
    centered=True,
    residual=None,
    relu=False,
    running=None,
    opened=None,
):
    y = torch.empty_like(x)
    mean = torch.empty(_kept_shape(axes, x.shape), dtype=torch.float64, device=x.device)
    var = torch.empty_like(mean)
    moving = None, None, 0.0
    if running is not None and running.can_be_moved:
        moving = running.mean, running.var, float(running.momentum)
    if view.rows:
        programs.normalize_rows[(_cdiv(view.channels, view.tile[0]),)](
            x,
            weight,
            bias,
            y,
            mean,
            var,
            view.channels,
            eps,
            view.in_tile,
            centered,
            view.repeat,
            view.parameters,
            view.span,
            view.layout,
            num_warps=view.warps,
        )
    else:
        moments = _room_for_parts(x, view)
        residual = view.like(residual, x.stride())
        outputs = y, opened, mean, var, *moving, moments
        _launch(programs.normalize_channels, view, eps, relu, x, residual, weight, bias, *outputs)
    if moving[0] is not None:
        torch.autograd.graph.increment_version(moving[:2])
        running.moved = True
    return y, mean, var


def _room_for_parts(x: Tensor, view: _View) -> Tensor | None:
    """What parts of the same channels tell each other, two numbers a channel."""
    parts = view.cut(_processors(x.device)).parts
    if parts == 1:
        return None
    return torch.empty((2, parts, view.channels), dtype=torch.float64, device=x.device)


# Where parts cannot meet: the interpreter runs one after another.
_devices_without_meeting = {torch.device("cpu")}


def _launch(program, view, eps, relu, x, *arguments):
    """Start a program whose parts meet; or else what comes before that, and then what comes after.

    A GPU of which this process may use a share alone refuses to run all parts at a time.
    """
    cut = view.cut(_processors(x.device))

    def start(phases, counters=None, **options):
        program[cut.parts, cut.groups](
            *(x, *arguments, counters, view.channels, view.count, cut.steps, eps),
            *(phases, relu, cut.merged, view.layout),
            num_warps=view.warps,
            **options,
        )

    if cut.parts == 1:
        return start(3)
    if x.device not in _devices_without_meeting:
        registers = 65536 // (32 * view.warps)
        counters = _counters(x, cut.groups)
        try:
            return start(3, counters, launch_cooperative_grid=True, maxnreg=registers)
        except RuntimeError:  # if this is not why, the next launch says so again
            _devices_without_meeting.add(x.device)
    start(1)
    start(2)


_unused_counters: dict[tuple, list[Tensor]] = {}


def _counters(x: Tensor, groups: int) -> Tensor:
    """Return zeros that nobody has counted in: each launch has its own, of its stream."""
    size = groups + -groups % 4  # 16 bytes: Triton compiles anew for another alignment
    if torch.cuda.is_current_stream_capturing():  # a graph sets its own to 0 again
        return torch.zeros(size, dtype=torch.int32, device=x.device)
    stream = torch.cuda.current_stream(x.device).cuda_stream
    unused = _unused_counters.setdefault((x.device, stream, size), [])
    try:
        return unused.pop()
    except IndexError:
        first, *others = torch.zeros((256, size), dtype=torch.int32, device=x.device).unbind()
        unused.extend(others)
        return first


def _room_for_bits(x: Tensor, view: _View) -> Tensor:
    """A bit for each value of x, in words that each hold those of a thread's repeats."""
    cut, layout = view.cut(_processors(x.device)), view.layout
    bits = layout.values // layout.lanes
    dtype = torch.int8 if bits <= 8 else torch.int16 if bits <= 16 else torch.int32
    words = cut.parts * cut.steps * cut.groups * layout.channels * layout.lanes
    return torch.empty(words, dtype=dtype, device=x.device)


def _gradient(
    x,
    weight,
    bias,
    mean,
    var,
    dy,
    view,
    eps,
    centered=True,
    relu=False,
    opened=None,
    with_residual=False,
):
    """Return dx, dresidual, dweight and dbias."""
    dy = view.like(dy, x.stride())
    dx = torch.empty_like(x)
    dresidual = torch.empty_like(x) if with_residual else None
    grads = [None if p is None else torch.empty_like(p) for p in (weight, bias)]
    if view.rows:
        if _gradient_in_rows(view, *grads):
            _row_gradient(x, dy, weight, mean, var, dx, *grads, view, eps, centered)
        else:
            _group_gradient(x, dy, weight, mean, var, dx, grads, view, eps, centered)
    else:
        sums = _room_for_parts(x, view)
        outputs = dx, dresidual, *grads, sums
        _launch(
            programs.gradient_channels,
            *(view, eps, relu, x, opened, dy, weight, bias, mean, var, *outputs),
        )
    return dx, dresidual, *grads


def _gradient_in_rows(view, dweight, dbias) -> bool:
    """Whether a program can hold rows and the sums of their gradients."""
    most = LARGEST_ROW_TILE if dbias is not None else 2 * LARGEST_ROW_TILE
    to_each_value = view.parameters == view.inner > 1 and view.repeat == 1
    return to_each_value and view.inner <= most and not (dweight is None and dbias is None)


def _row_gradient(x, dy, weight, mean, var, dx, dweight, dbias, view, eps, centered):
    # As many parts as run at a time: few sums to write, and to read again.
    layout = view.row_layout
    size = layout.channels * layout.values
    most = _processors(x.device) * max(1, min(4, 8192 // size))
    tiles = _cdiv(view.channels, layout.channels)
    steps = min(ROW_STEPS, _cdiv(tiles, most))
    parts = _cdiv(tiles, steps)
    sums = torch.empty((2, parts, view.inner), dtype=torch.float32, device=x.device)
    programs.gradient_rows[(parts,)](
        x,
        dy,
        weight,
        mean,
        var,
        dx,
        sums,
        view.channels,
        view.inner,
        steps,
        eps,
        centered,
        dbias is not None,
        layout,
        num_warps=max(1, size // 512),
    )
    _merge_sums(sums, dweight, dbias)


def _group_gradient(x, dy, weight, mean, var, dx, grads, view, eps, centered):
    given = grads[0] is not None or grads[1] is not None
    sums = None
    if given and (view.span > 1 or view.repeat > 1):
        sums = torch.empty(
            (2, view.channels, view.parameters), dtype=torch.float32, device=x.device
        )
    layout = view.group_layout
    programs.gradient_groups[(view.channels,)](
        x,
        dy,
        weight,
        mean,
        var,
        dx,
        sums,
        view.channels,
        view.repeat,
        view.parameters,
        eps,
        centered,
        layout,
        num_warps=max(1, min(16, layout.channels * layout.values // 512)),
    )
    if not given:
        return
    if sums is None:
        sums = _column_sums(x, dy, mean, var, view, eps)
    _merge_sums(sums.view(2, -1, view.repeat * view.parameters), *grads)


def _column_sums(x, dy, mean, var, view, eps):
    view = view.columns
    tiles, groups = _cdiv(view.count, view.tile[1]), _cdiv(view.channels, view.tile[0])
    steps = _cdiv(tiles, max(1, min(tiles, 4 * _processors(x.device) // groups)))
    parts = _cdiv(tiles, steps)
    sums = torch.empty((2, parts, view.channels), dtype=torch.float32, device=x.device)
    programs.column_sums[parts, groups](
        *(x, dy, mean, var, sums, view.count, view.channels, steps, eps, view.layout),
        num_warps=view.warps,
    )
    return sums


def _merge_sums(sums, dweight, dbias):
    _, parts, channels = sums.shape
    programs.merge_sums[(_cdiv(channels, MERGE_TILE[0]), 2)](
        sums, dweight, dbias, channels, parts, *MERGE_TILE
    )


def _view(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: tuple[int, ...], eps: float
) -> _View | None:
    """How the kernels are to see x, or None if they do not cover it."""
    if not _are_plain(x, weight, bias) or is_in_torch_dispatch_mode():
        return None
    if isinstance(eps, Tensor) or (eps != 0 and not EPS_RANGE[0] < eps < EPS_RANGE[1]):
        return None
    if not (weight is None or weight.is_contiguous()) or not (bias is None or bias.is_contiguous()):
        return None
    shapes = [None if parameter is None else parameter.shape for parameter in (weight, bias)]
    return _view_of(x.shape, x.stride(), x.dtype, *shapes, axes)


@lru_cache(1024)
def _view_of(
    shape: torch.Size,
    strides: tuple[int, ...],
    dtype: torch.dtype,
    weight_shape: torch.Size | None,
    bias_shape: torch.Size | None,
    axes: tuple[int, ...],
) -> _View | None:
    if dtype not in (torch.float32, torch.float16, torch.bfloat16) or prod(shape) == 0:
        return None
    x = torch.empty_strided(shape, strides, dtype=dtype, device="meta")
    kept = _kept_axes(axes, x.ndim)
    view = _channels(x) if kept == (1,) else _rows(x, {weight_shape, bias_shape} - {None}, kept)
    if view is None or view.count > LARGEST_INDEX:
        return None
    return view if view.rows or view.channels <= LARGEST_GRID else None


def _kept_axes(axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """The axes, counted from the first, that statistics keep."""
    return tuple(axis for axis in range(ndim) if axis - ndim not in axes)


@lru_cache(1024)
def _kept_shape(axes: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of statistics over the axes."""
    return tuple(1 if axis in axes else shape[axis] for axis in range(-len(shape), 0))


def _rows_are_scattered(x: Tensor, axes: tuple[int, ...]) -> bool:
    """Whether values normalized together are apart, as group norm's are in channels_last."""
    if x.is_contiguous() or x.numel() == 0:
        return False
    return axes == tuple(range(-len(axes), 0)) and _are_plain(x)


def _channels(x: Tensor) -> _View | None:
    if x.is_contiguous() and prod(x.shape[2:]) > 1:
        return _channels_of(tuple(x.shape), False, x.itemsize)
    if x.movedim(1, -1).is_contiguous():
        return _channels_of(tuple(x.shape), True, x.itemsize)
    return None


def _channels_of(shape: tuple[int, ...], channels_last: bool, itemsize: int) -> _View:
    samples, channels, *inner = shape
    if channels_last:
        samples, inner = samples * prod(inner), ()
    return _View(samples, channels, prod(inner), channels, 1, False, channels_last, itemsize)


def _rows(x: Tensor, parameter_shapes: set[tuple[int, ...]], kept: tuple[int, ...]) -> _View | None:
    first = len(kept)
    if kept != tuple(range(first)) or not x.is_contiguous() or len(parameter_shapes) > 1:
        return None
    return _rows_of(tuple(x.shape), first, next(iter(parameter_shapes), None), x.itemsize)


def _rows_of(
    shape: tuple[int, ...], first: int, parameter_shape: tuple[int, ...] | None, itemsize: int
) -> _View | None:
    """Rows of a shape whose dimensions from `first` on are normalized together."""
    rows, size = prod(shape[:first]), prod(shape[first:])
    if rows > LARGEST_INDEX:
        return None
    if parameter_shape is None:
        return _View(1, rows, size, repeat=1, rows=True, itemsize=itemsize)
    outer, inner = _without_leading_ones(parameter_shape[:first]), parameter_shape[first:]
    repeat, parameters = prod(outer), prod(inner)
    repeats = outer == shape[first - len(outer) : first]
    covers = prod(shape[first:][: len(_without_trailing_ones(inner))]) == parameters
    if not (repeats and covers) or repeat * parameters > LARGEST_GRID * 32:
        return None
    return _View(1, rows, size, repeat, parameters, rows=True, itemsize=itemsize)


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    while shape and shape[0] == 1:
        shape = shape[1:]
    return shape


def _without_trailing_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return _without_leading_ones(shape[::-1])[::-1]


def _is_forward_differentiated(*tensors: Tensor | None) -> bool:
    if forward_ad._current_level < 0:  # not in a `dual_level`: most calls stop here
        return False
    given = (tensor for tensor in tensors if tensor is not None)
    return any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in given)


def _are_plain(*tensors: Tensor | None) -> bool:
    """Whether this is memory a kernel can read, not a tracer's, a transform's or a subclass's."""
    for tensor in tensors:
        if tensor is None:
            continue
        if type(tensor) is not Tensor and type(tensor) is not Parameter:
            return False
        if not (tensor.is_cuda or (INTERPRETED and tensor.device.type == "cpu")):
            return False
        if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            return False
        if torch._C._functorch.is_legacy_batchedtensor(tensor):
            return False  # of torch.autograd.grad(is_grads_batched=True)
    return True
