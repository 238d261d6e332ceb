"""What the Triton kernels promise; `test_kernels.py` runs this file. The oracle is float64.

Everything goes through `bnlib.functional` and `bnlib.nn`, as users do, and a fixture sees to it
that the kernels have answered, and not the formulas they fall back to.
"""

import functools
import inspect
import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as torch_functional
import triton
import triton.language as tl
from tolerances import TOLERANCES
from torch import nn
from triton.runtime import interpreter

import bnlib
import bnlib.functional as own_functional
import bnlib.nn as bnn
from bnlib import kernels
from bnlib._triton_kernels import _tile

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LAST, LAST_3D = torch.channels_last, torch.channels_last_3d


@functools.cache
def builtins_of(module):
    return [name for name, member in inspect.getmembers(module) if tl.core.is_builtin(member)]


def patch_builtins(module, builder, scope):
    """As the interpreter's own, which lists the module anew at each call of a helper.

    That took a quarter of these tests' time.
    """
    for name in builtins_of(module):
        member = getattr(module, name)
        if tl.core.is_builtin(member):  # not patched yet
            interpreter._patch_attr(module, name, member, builder, scope)


if kernels.INTERPRETED:
    interpreter._patch_builtin = patch_builtins


def batch_norm(functional, x, weight, bias, eps=1e-5):
    return functional.batch_norm(x, None, None, weight, bias, True, eps=eps)


def instance_norm(functional, x, weight, bias, eps=1e-5):
    return functional.instance_norm(x, None, None, weight, bias, eps=eps)


def group_norm(functional, x, weight, bias, eps=1e-5):
    return functional.group_norm(x, 3, weight, bias, eps)


def layer_norm(functional, x, weight, bias, eps=1e-5):
    return functional.layer_norm(x, x.shape[-1:], weight, bias, eps)


def rms_norm(functional, x, weight, bias, eps=1e-5):
    return functional.rms_norm(x, x.shape[-1:], weight, eps) + bias


# Odd sizes, so that tiles, parts and rows all end within a block.
LAYOUTS = {
    "batch norm (N, C)": (batch_norm, (131, 5), torch.contiguous_format),
    "batch norm (N, C, L)": (batch_norm, (7, 3, 11), torch.contiguous_format),
    "batch norm (N, C, H, W)": (batch_norm, (5, 3, 7, 5), torch.contiguous_format),
    "batch norm, channels_last": (batch_norm, (5, 67, 3, 5), LAST),
    "batch norm, channels_last_3d": (batch_norm, (3, 5, 2, 3, 5), LAST_3D),
    "instance norm": (instance_norm, (3, 5, 7, 5), torch.contiguous_format),
    "group norm (N, C)": (group_norm, (40, 24), torch.contiguous_format),
    "group norm": (group_norm, (4, 6, 5, 3), torch.contiguous_format),
    "group norm, channels_last": (group_norm, (4, 6, 5, 3), LAST),
    "layer norm": (layer_norm, (6, 3, 37), torch.contiguous_format),
    "RMS norm": (rms_norm, (19, 37), torch.contiguous_format),
}
CASES = [("float32", 0.0), ("float32", 1e4), ("float16", 1.5), ("bfloat16", 1.5)]
IN_ONE_PROGRAM = ["batch norm (N, C, L)", "batch norm (N, C, H, W)"]


def bounds_of(dtype):
    """The table's, and one more rounding where Triton's interpreter cuts bfloat16 off."""
    bounds = TOLERANCES[dtype]
    cut = bounds.unit_roundoff if kernels.INTERPRETED and dtype == "bfloat16" else 0.0
    forward, gradient = bounds.forward_per_max_y + cut, bounds.gradient + cut
    return replace(bounds, forward_per_max_y=forward, gradient=gradient)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def draw(layout, dtype=torch.float32, mean=0.0, std=1.0):
    """x of this mean and std, parameters away from 1 and 0, and an upstream gradient."""
    norm, shape, memory_format = LAYOUTS[layout]
    parameters = shape[-1] if norm in (layer_norm, rms_norm) else shape[1]
    x = (normal(*shape) * std + mean).to(dtype).contiguous(memory_format=memory_format)
    weight = (normal(parameters, seed=1).abs() / 2 + 0.5).to(dtype)
    bias = normal(parameters, seed=2).to(dtype)
    dy = normal(*shape, seed=3).to(dtype)
    return norm, *(tensor.to(DEVICE) for tensor in (x, weight, bias, dy))


def evaluate(functional, norm, x, weight, bias, dy, eps=1e-5):
    """Return y, dx, dweight and dbias."""
    leaves = [a.detach().requires_grad_() for a in (x, weight, bias)]
    y = norm(functional, *leaves, eps=eps)
    return y.detach(), *torch.autograd.grad(y, leaves, dy)


def exactly(norm, x, weight, bias, dy, eps=1e-5):
    return evaluate(torch_functional, norm, *(a.double() for a in (x, weight, bias, dy)), eps)


def assert_within(bounds, own, exact, dy, kappa=0.0):
    worst = [(a.double() - b).abs().max().item() for a, b in zip(own, exact, strict=True)]
    largest = [b.abs().max().item() for b in exact]
    assert worst[0] <= bounds.forward_bound(largest[0], kappa)
    assert worst[1] <= bounds.gradient_bound(largest[1], kappa)
    terms = dy.double().abs().sum().item() / exact[2].numel()
    for error, size in zip(worst[2:], largest[2:], strict=True):
        assert error <= bounds.gradient_bound(max(terms, size), kappa)


@pytest.fixture
def answered(monkeypatch):
    """The names of the kernels' functions that gave an answer."""
    names = []

    def watched(name, function):
        def call(*args, **kwargs):
            answer = function(*args, **kwargs)
            if answer is not None:
                names.append(name)
            return answer

        return call

    for name in "normalize", "gradient", "standardize", "batch_norm_add_relu":
        monkeypatch.setattr(kernels, name, watched(name, getattr(kernels, name)))
    return names


def shrink(monkeypatch, **limits):
    """Cut the work otherwise, as larger tensors would be."""
    for name, value in limits.items():
        monkeypatch.setattr(kernels, name, value)
    uncached = getattr(kernels._view_of, "__wrapped__", kernels._view_of)
    monkeypatch.setattr(kernels, "_view_of", uncached)


@pytest.fixture
def one_program(monkeypatch):
    """Each channel of batch norm is in one program, and not spread over some."""
    shrink(monkeypatch, WHOLE_PROGRAMS=1)


@pytest.mark.parametrize(("dtype", "kappa"), CASES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_errors_stay_within_the_bounds(layout, dtype, kappa, answered):
    norm, x, weight, bias, dy = draw(layout, getattr(torch, dtype), 3 * kappa, 3)
    own = evaluate(own_functional, norm, x, weight, bias, dy)
    assert set(answered) == {"normalize", "gradient"}
    assert own[0].dtype == own[1].dtype == x.dtype
    if norm in (batch_norm, group_norm):
        assert own[0].stride() == own[1].stride() == x.stride()
    exact = exactly(norm, x, weight, bias, dy)
    if norm is rms_norm:  # the bias is added outside, and rounds once more
        own, exact = (own[1], *own[1:3]), (exact[1], *exact[1:3])
    assert_within(bounds_of(dtype), own, exact, dy, kappa)


@pytest.mark.parametrize(("dtype", "kappa"), CASES)
@pytest.mark.parametrize("layout", IN_ONE_PROGRAM)
def test_a_channel_in_one_program(layout, dtype, kappa, one_program, answered):
    test_errors_stay_within_the_bounds(layout, dtype, kappa, answered)


@pytest.mark.parametrize("layout", ["batch norm (N, C, H, W)", "batch norm (N, C)", "layer norm"])
def test_many_parts_of_several_tiles(layout, monkeypatch):
    """As on tensors too large for the interpreter: few channels, split, merged by Chan."""
    shrink(
        monkeypatch,
        TILE=64,
        WHOLE_TILE=16,
        ROW_TILE=16,
        LONG_ROW_TILE=4,
        GROUP_TILE=8,
        LARGEST_ROW_TILE=16,
    )
    norm, x, weight, bias, dy = draw(layout, mean=3e3, std=3)
    own = evaluate(own_functional, norm, x, weight, bias, dy)
    assert_within(TOLERANCES["float32"], own, exactly(norm, x, weight, bias, dy), dy, 1e3)


@pytest.mark.parametrize("layout", IN_ONE_PROGRAM)
def test_a_channel_in_one_program_of_several_tiles(layout, one_program, monkeypatch):
    test_many_parts_of_several_tiles(layout, monkeypatch)


@triton.jit
def _store_offsets(out, channels, start, LAYOUT: tl.constexpr):
    channel = channels - 2 + tl.arange(0, 2)
    _, offsets, _ = _tile(channel, start, channels, start + 4, LAYOUT)
    tl.store(out + tl.arange(0, 2)[:, None] * 4 + tl.arange(0, 4)[None, :], offsets)


def test_places_beyond_32_bits():
    """Of channels_last tensors with more values than a test can hold."""
    samples, channels = 2**28, 64
    layout = kernels._channels_of((samples, channels), True, 4).layout
    assert layout.wide
    out = torch.zeros(2, 4, dtype=torch.int64, device=DEVICE)
    _store_offsets[(1,)](out, channels, samples - 4, layout._replace(channels=2, values=4))
    exact = [[(samples - 4 + v) * channels + channels - 2 + c for v in range(4)] for c in range(2)]
    assert out.tolist() == exact


@pytest.mark.parametrize("value", [0.0, 0.001, -1000.1, 3.4e38])
@pytest.mark.parametrize("layout", ["batch norm (N, C, H, W)", "group norm", "layer norm"])
def test_a_constant_channel_gives_its_bias_exactly(layout, value):
    norm, x, weight, bias, dy = draw(layout)
    y, dx, dweight, _ = evaluate(own_functional, norm, x.fill_(value), weight, bias, dy)
    shape = (-1,) if norm is layer_norm else (-1, 1, 1)
    assert torch.equal(y, bias.view(shape).expand_as(y))
    assert dx.isfinite().all()
    assert torch.equal(dweight, torch.zeros_like(dweight))


@pytest.mark.parametrize(("std", "eps"), [(1e-14, 1e-29), (1e18, 1e-5), (1e30, 1e-5), (6e37, 1.0)])
@pytest.mark.parametrize("layout", ["batch norm, channels_last", "layer norm"])
def test_squares_that_leave_float32_do_no_harm(layout, std, eps):
    norm, x, weight, bias, dy = draw(layout, mean=0.5 * std, std=std)
    bounds = TOLERANCES["float32"]
    y, dx, *_ = evaluate(own_functional, norm, x, weight, bias, dy, eps)
    exact_y, exact_dx, *_ = exactly(norm, x, weight, bias, dy, eps)
    assert (y - exact_y).abs().max() <= bounds.forward_bound(exact_y.abs().max().item(), 1.0)
    smallest = torch.finfo(torch.float32).smallest_normal
    bound = bounds.gradient_bound(exact_dx.abs().max().item(), 1.0) + smallest
    assert (dx - exact_dx).abs().max() <= bound


@pytest.mark.parametrize("layout", ["batch norm (N, C, H, W)", "layer norm"])
def test_the_same_input_gives_the_same_bits(layout):
    inputs = draw(layout, mean=3.0)
    for a, b in zip(*(evaluate(own_functional, *inputs) for _ in range(2)), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("layout", ["batch norm (N, C)", "layer norm"])
def test_not_a_number_stays_one(layout):
    norm, x, weight, bias, _ = draw(layout)
    x.view(-1)[1] = torch.nan
    y = norm(own_functional, x, weight, bias)
    assert torch.equal(y.isnan(), norm(torch_functional, x, weight, bias).isnan())


def test_no_affine_parameters_and_strided_tensors(answered):
    x = normal(6, 8, 5, 4).float().to(DEVICE)[:, ::2, :, 1:]
    assert not x.is_contiguous()
    leaves = [x.clone().requires_grad_(), x.double().requires_grad_()]
    for norm in (batch_norm, instance_norm, layer_norm):
        answered.clear()
        own, exact = (
            norm(functional, leaf, None, None)
            for functional, leaf in zip((own_functional, torch_functional), leaves, strict=True)
        )
        torch.testing.assert_close(own.double(), exact, rtol=1e-6, atol=1e-6)
        # An expanded gradient has strides of 0.
        (dx,) = torch.autograd.grad(own.square().sum() + own.sum(), leaves[0])
        (exact_dx,) = torch.autograd.grad(exact.square().sum() + exact.sum(), leaves[1])
        torch.testing.assert_close(dx.double(), exact_dx, rtol=1e-4, atol=1e-5)
        assert answered == ["normalize", "gradient"]


def test_one_parameter_alone(answered):
    for kept in (0, 1):
        norm, x, *parameters, dy = draw("layer norm")
        parameters[1 - kept] = None
        leaves = [t for t in (x, *parameters) if t is not None]
        results = []
        for functional, dtype in (own_functional, torch.float32), (torch_functional, torch.float64):
            inputs = [t.to(dtype).detach().requires_grad_() for t in leaves]
            given = [inputs[1] if p is not None else None for p in parameters]
            y = norm(functional, inputs[0], *given)
            results.append(torch.autograd.grad(y, inputs, dy.to(dtype)))
        for own, exact in zip(*results, strict=True):
            torch.testing.assert_close(own.double(), exact, rtol=1e-5, atol=1e-5)
    assert answered == ["normalize", "gradient"] * 2


# Batch norm with a residual and a ReLU


def two_layers(dtype, memory_format, training, parameters=torch.float32):
    """bnlib's fused layer; torch's, in float64; their input, residual and dy."""
    torchs = nn.BatchNorm2d(5).train(training).to(DEVICE)
    with torch.no_grad():
        for index, tensor in enumerate(torchs.state_dict().values()):
            if tensor.is_floating_point():
                tensor.copy_(torch.linspace(0.5, 2.0, 5).roll(index) - float(index == 1))
    own = bnn.BatchNormAct2d(5, dtype=parameters).train(training).to(DEVICE)
    own.load_state_dict(torchs.state_dict())
    x, residual, dy = (
        normal(4, 5, 3, 5, seed=seed).to(DEVICE, dtype).contiguous(memory_format=memory_format)
        for seed in range(3)
    )
    return own, torchs.double(), x, residual, dy


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, LAST])
@pytest.mark.parametrize("with_residual", [True, False])
def test_add_and_relu_in_the_same_pass(dtype, memory_format, with_residual, answered):
    """Half-precision inputs beside float32 parameters, as under autocast."""
    own, torchs, x, residual, dy = two_layers(getattr(torch, dtype), memory_format, True)
    x.requires_grad_(), residual.requires_grad_()
    added = [residual] if with_residual else []
    y = own(x, *added)
    assert "batch_norm_add_relu" in answered
    assert y.dtype == x.dtype and y.stride() == x.stride()
    grads = torch.autograd.grad(y, [x, own.weight, own.bias, *added], dy)
    assert grads[0].dtype == x.dtype and grads[1].dtype == torch.float32

    wide, wide_residual = (t.detach().double().requires_grad_() for t in (x, residual))
    before = torchs(wide) + (wide_residual if with_residual else 0)
    exact = before.relu()
    bounds = bounds_of(dtype)
    worst = (y.double() - exact).abs().max()
    assert worst <= bounds.forward_bound(before.abs().max().item(), 1.0)
    # Where y rounds to 0 the ReLU is closed, so the exact gradient takes the same mask.
    leaves = [wide, torchs.weight, torchs.bias, *([wide_residual] if with_residual else [])]
    exact_grads = torch.autograd.grad(before, leaves, dy.double() * (y > 0))
    for own_grad, exact_grad in zip(grads, exact_grads, strict=True):
        terms = exact_grad.abs().max().item()
        if own_grad.ndim == 1:
            terms = max(terms, dy.double().abs().sum().item() / 5)
        assert (own_grad.double() - exact_grad).abs().max() <= bounds.gradient_bound(terms, 1.0)
    for name in "running_mean", "running_var":
        torch.testing.assert_close(
            own.get_buffer(name).double(), torchs.get_buffer(name), rtol=1e-6, atol=1e-6
        )
    assert own.num_batches_tracked == 1


@pytest.mark.parametrize("shape", [(4, 5, 1, 1), (1,), (4, 5, 3, 4)])
@pytest.mark.parametrize("training", [True, False])
def test_no_kernel_reads_beyond_a_residual(shape, training):
    own, _, x, *_ = two_layers(torch.float32, torch.contiguous_format, training)
    before = own.running_mean.clone()
    with pytest.raises(ValueError, match="residual: expected the shape of input"):
        own_functional.batch_norm_add_relu(
            x, x.new_ones(shape), own.running_mean, own.running_var, training=training
        )
    assert torch.equal(own.running_mean, before)


@pytest.mark.parametrize("tile", [kernels.WHOLE_TILE, 16], ids=["held", "read twice"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("with_residual", [True, False])
def test_add_and_relu_in_one_program(dtype, with_residual, tile, monkeypatch, answered):
    shrink(monkeypatch, WHOLE_PROGRAMS=1, WHOLE_TILE=tile)
    test_add_and_relu_in_the_same_pass(dtype, torch.contiguous_format, with_residual, answered)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, LAST])
@pytest.mark.parametrize("with_residual", [True, False])
def test_add_and_relu_in_many_parts(dtype, memory_format, with_residual, monkeypatch, answered):
    """Of several tiles each, whose bits are noted and read again."""
    shrink(monkeypatch, TILE=16)
    monkeypatch.setattr(kernels, "_processors", lambda device: 16)
    test_add_and_relu_in_the_same_pass(dtype, memory_format, with_residual, answered)


@pytest.mark.parametrize("processors", [2, 60, 108, 132])
def test_parts_that_wait_for_each_other_run_at_the_same_time(processors):
    """A processor has room for one of them, so there are no more of them than processors."""
    split = 0
    for shape in (
        (64, 64, 112, 112),
        (64, 512, 7, 7),
        (256, 2048, 7, 7),
        (8, 3, 2, 2),
        (4096, 70000),
    ):
        for channels_last in (True, False):
            for itemsize in (2, 4):
                view = kernels._channels_of(shape, channels_last, itemsize)
                parts, groups, steps, _ = view.cut(processors)
                assert parts == 1 or parts * groups <= processors
                assert (parts - 1) * steps * view.tile[1] < view.count  # none of them is empty
                assert parts * steps * view.tile[1] >= view.count
                assert view.layout.values // view.layout.lanes <= 32  # bits fit in a word
                split += parts > 1
    assert split


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, LAST])
def test_where_parts_cannot_meet_they_are_launched_one_after_another(memory_format, monkeypatch):
    """As on a GPU of which a process may use a share alone."""

    class Refusing:
        def __init__(self, program):
            self.program = program

        def __getitem__(self, grid):
            def launch(*arguments, **options):
                if options.get("launch_cooperative_grid"):
                    refused.append(self.program)
                    raise RuntimeError("too many blocks in cooperative launch")
                self.program[grid](*arguments, **options)

            return launch

    def step(own, x, residual, dy, **_):
        x.requires_grad_(), residual.requires_grad_()
        y = own(x, residual)
        return y, *torch.autograd.grad(y, [x, residual, own.weight, own.bias], dy)

    shrink(monkeypatch, TILE=16)
    monkeypatch.setattr(kernels, "_processors", lambda device: 16)
    own, _, *tensors = two_layers(torch.float32, memory_format, True)
    expected = step(own, *tensors)
    refused = []
    monkeypatch.setattr(kernels, "_devices_without_meeting", set())
    monkeypatch.setattr(kernels, "_counters", lambda x, groups: x.new_zeros(groups).int())
    for name in "normalize_channels", "gradient_channels":
        monkeypatch.setattr(kernels.programs, name, Refusing(getattr(kernels.programs, name)))
    for found, wanted in zip(step(own, *tensors), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    assert len(refused) == 1  # and not asked again
    assert own.num_batches_tracked == 2


def test_what_hooks_on_saved_tensors_give_back():
    own, _, x, residual, dy = two_layers(torch.float32, LAST, True)
    x.requires_grad_(), residual.requires_grad_()
    expected = torch.autograd.grad(own(x, residual), [x, residual, own.weight], dy)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t.contiguous()):
        y = own(x, residual)
    for found, wanted in zip(
        torch.autograd.grad(y, [x, residual, own.weight], dy), expected, strict=True
    ):
        assert torch.equal(found, wanted)


def test_a_residual_that_asks_for_no_gradient():
    own, _, x, residual, dy = two_layers(torch.float32, torch.contiguous_format, True)
    x.requires_grad_()
    (expected,) = torch.autograd.grad(own(x, residual.clone().requires_grad_()), x, dy)
    (found,) = torch.autograd.grad(own(x, residual), x, dy)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, LAST])
def test_evaluation_takes_one_pass(memory_format, answered):
    own, torchs, x, residual, _ = two_layers(torch.float32, memory_format, False)
    # A residual in the other layout is brought into x's.
    residual = residual.contiguous(memory_format=LAST).contiguous()
    with torch.no_grad():
        y = own(x, residual)
        exact = (torchs(x.double()) + residual.double()).relu()
    assert answered == ["standardize"]
    torch.testing.assert_close(y.double(), exact, rtol=1e-6, atol=1e-6)
    assert y.stride() == x.stride()
    y = own(x.requires_grad_(), residual)  # a gradient through it comes from the formulas
    (dx,) = torch.autograd.grad(y.sum(), x)
    wide = x.detach().double().requires_grad_()
    (exact_dx,) = torch.autograd.grad((torchs(wide) + residual).relu().sum(), wide)
    torch.testing.assert_close(dx.double(), exact_dx, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fused", [True, False])
def test_gradients_of_gradients(fused):
    """The formulas take over where a gradient is differentiated; no value may change."""
    own, torchs, x, residual, dy = two_layers(torch.float32, torch.contiguous_format, True)
    results = []
    for layer, dtype in (own, torch.float32), (torchs, torch.float64):
        leaf = x.to(dtype).requires_grad_()
        if layer is torchs or not fused:
            functional = own_functional if layer is own else torch_functional
            y = batch_norm(functional, leaf, layer.weight, layer.bias)
            y = (y + residual.to(dtype)).relu()
        else:
            y = layer(leaf, residual)
        (dx,) = torch.autograd.grad(y, leaf, dy.to(dtype), create_graph=True)
        results.append((dx, *torch.autograd.grad(dx.square().sum(), [leaf, layer.weight])))
    for actual, exact in zip(*results, strict=True):
        torch.testing.assert_close(actual.double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(0, 5, 3, 5),
        normal(4, 5, 3, 5),
        normal(4, 5, 3, 5).float().expand(2, 4, 5, 3, 5)[0],
    ],
    ids=["empty", "float64", "view"],
)
def test_what_the_kernels_leave_to_the_formulas(x):
    x = x.to(DEVICE)
    own, torchs, *_ = two_layers(torch.float32, torch.contiguous_format, True, x.dtype)
    y = own(x.requires_grad_())
    exact = torchs(x.double()).relu()
    torch.testing.assert_close(y.double(), exact, rtol=1e-5, atol=1e-5)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert own.weight.grad.isfinite().all()
    torch.testing.assert_close(own.running_var.double(), torchs.running_var, rtol=1e-6, atol=0)


def test_transforms_and_compilers_see_formulas(answered):
    _, x, weight, bias, _ = draw("batch norm (N, C)")
    many = torch.stack([x, 2 * x])

    def normalized(values):
        return batch_norm(own_functional, values, weight, bias)

    expected = torch.stack([normalized(values) for values in many])
    answered.clear()
    mapped = torch.func.vmap(normalized)(many)
    compiled = torch.compile(normalized, backend="eager", fullgraph=True)(x)
    assert answered == []
    torch.testing.assert_close(mapped, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(compiled, expected[0], rtol=1e-6, atol=1e-6)


def test_batched_gradients_see_formulas():
    _, x, weight, bias, dy = draw("batch norm (N, C)")
    x.requires_grad_()
    y = batch_norm(own_functional, x, weight, bias)
    expected = torch.autograd.grad(y, x, dy, retain_graph=True)[0]
    both = torch.autograd.grad(y, x, torch.stack([dy, 2 * dy]), is_grads_batched=True)[0]
    torch.testing.assert_close(both, torch.stack([expected, 2 * expected]), rtol=1e-5, atol=1e-6)


def test_running_statistics_that_lie_scattered():
    x, mean, var = (
        normal(9, 3).float().to(DEVICE),
        normal(6).float().to(DEVICE),
        normal(6).abs().float().to(DEVICE) + 1,
    )
    for scattered in ((mean[::2], var[::2]), (mean[:3], var[:1].expand(3))):
        own, theirs = (f.batch_norm(x, *scattered) for f in (own_functional, torch_functional))
        torch.testing.assert_close(own, theirs)


@pytest.mark.parametrize("layout", ["group norm", "layer norm", "RMS norm"])
def test_sums_are_float32_whatever_the_default(layout):
    torch.set_default_dtype(torch.bfloat16)
    try:
        norm, x, weight, bias, dy = draw(layout)
        own = evaluate(own_functional, norm, x, weight, bias, dy)
    finally:
        torch.set_default_dtype(torch.float32)
    assert_within(TOLERANCES["float32"], own, exactly(norm, x, weight, bias, dy), dy)


def test_parameters_that_come_from_x_are_differentiated_twice():
    """As in a net that computes gamma from its input: the path through gamma counts once."""
    found = []
    for dtype in (torch.float32, torch.float64):
        x = normal(4, 3, 5, 5).to(dtype).to(DEVICE).requires_grad_()
        weight = x.mean((0, 2, 3)) * 2 + 1
        y = own_functional.batch_norm_add_relu(x, None, None, None, weight, None, True)
        dy = normal(*x.shape, seed=3).to(dtype).to(DEVICE)
        found.append(torch.autograd.grad(y, [x, weight], dy, create_graph=True)[0])
    torch.testing.assert_close(found[0].double(), found[1], rtol=1e-5, atol=1e-5)


def test_gradients_pass_where_y_is_not_a_number():
    """As in torch, whose ReLU closes at y <= 0, which nan is not."""
    x, residual, dy = (normal(4, 3, 5, 5, seed=seed).float().to(DEVICE) for seed in range(3))
    residual[0, 0, 0, 0] = torch.nan
    residual.requires_grad_()
    own = own_functional.batch_norm_add_relu(x, residual, None, None, training=True)
    theirs = (torch_functional.batch_norm(x, None, None, training=True) + residual).relu()
    gradients = [torch.autograd.grad(y, residual, dy)[0] for y in (own, theirs)]
    torch.testing.assert_close(*gradients)


def test_rms_norm_of_an_infinite_value():
    x = normal(5, 8).float().to(DEVICE)
    x[0, 3] = torch.inf
    own, theirs = (f.rms_norm(x, (8,)) for f in (own_functional, torch_functional))
    torch.testing.assert_close(own, theirs, equal_nan=True)


def test_a_tensor_as_eps():
    for norm, x, weight, bias, _ in map(draw, ("batch norm (N, C)", "layer norm")):
        own = norm(own_functional, x, weight, bias, torch.tensor(1e-5))
        torch.testing.assert_close(own, norm(own_functional, x, weight, bias))


def test_forward_differentiation_takes_the_formulas():
    x, tangent = normal(9, 3).float().to(DEVICE), normal(9, 3, seed=1).float().to(DEVICE)
    mean, var = torch.zeros(3, device=DEVICE), torch.ones(3, device=DEVICE) * 4
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, tangent)
        for y in (
            own_functional.batch_norm(dual, mean, var),
            own_functional.batch_norm_add_relu(dual, 10 * x.abs(), mean, var),
        ):
            found = torch.autograd.forward_ad.unpack_dual(y).tangent
            torch.testing.assert_close(found, tangent / 2, rtol=1e-4, atol=1e-4)


def test_triton_that_cannot_build(monkeypatch):
    """It builds its launcher at the first use, with a C compiler, which may be missing."""

    class Driver:
        @property
        def active(self):
            raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(kernels, "INTERPRETED", False)
    monkeypatch.setattr(triton.runtime, "driver", Driver())
    own_functional._import_kernels.cache_clear()
    with pytest.warns(RuntimeWarning, match="formulas take its place: Failed to find C compiler"):
        assert own_functional._import_kernels() is None
    own_functional._import_kernels.cache_clear()


def test_triton_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "bnlib.kernels")
    monkeypatch.delattr(bnlib, "kernels")
    own_functional._import_kernels.cache_clear()
    norm, x, weight, bias, dy = draw("layer norm")
    own = evaluate(own_functional, norm, x, weight, bias, dy)
    own_functional._import_kernels.cache_clear()
    assert_within(TOLERANCES["float32"], own, exactly(norm, x, weight, bias, dy), dy)
