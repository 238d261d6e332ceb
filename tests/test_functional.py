"""bnlib.functional beside torch.nn.functional: values, buffers, transforms, layouts and refusals.

No input here has weight 1, bias 0, mean 0 or square shapes, since those hide mistakes.
"""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as torch_functional
from tolerances import TOLERANCES
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.fx.experimental.proxy_tensor import make_fx

import bnlib.functional as own_functional
from bnlib import _cpu

EXACT = TOLERANCES["float64"].forward_bound(10.0)
HALVES = (torch.float16, torch.bfloat16)


def draw(*shape, seed=0, low=0.5, high=2.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(shape, dtype=dtype).uniform_(low, high, generator=generator)


def normal(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) + 3


def channels_last(x):
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.contiguous(memory_format=formats[x.ndim])


def batch_norm(functional):
    return lambda x, w, b: functional.batch_norm(x, None, None, w, b, True)


def batch_norm_eval(functional):
    def call(x, w, b):
        mean = torch.linspace(2, 4, len(w), dtype=w.dtype)
        return functional.batch_norm(x, mean, mean + 1, w, b, False)

    return call


def instance_norm(functional):
    return lambda x, w, b: functional.instance_norm(x, None, None, w, b)


def group_norm(functional):
    return lambda x, w, b: functional.group_norm(x, 2, w, b)


def layer_norm(functional):
    return lambda x, w, b: functional.layer_norm(x, w.shape, w, b)


def rms_norm(functional):
    return lambda x, w, b: functional.rms_norm(x, w.shape, w)


NORMS = (batch_norm, batch_norm_eval, instance_norm, group_norm, layer_norm, rms_norm)


def arguments(norm, *shape, dtype=torch.float64, seed=0):
    parameter_shape = shape[2:] if norm in (layer_norm, rms_norm) else shape[1:2]
    return (
        normal(*shape, seed=seed, dtype=dtype),
        draw(*parameter_shape, seed=seed + 1, dtype=dtype),
        draw(*parameter_shape, seed=seed + 2, low=-2, dtype=dtype),
    )


def close(own, exact, atol=EXACT):
    torch.testing.assert_close(own, exact, rtol=0, atol=atol)


# Values and buffers


@pytest.mark.parametrize("momentum", [0.1, 0.7, 1.0, 0.0])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (3, 4, 2, 5), (2, 3, 2, 3, 4)])
def test_batch_norm_moves_its_buffers_as_torch_does(shape, momentum):
    x, weight, bias = arguments(batch_norm, *shape)
    buffers = {}
    for functional in (own_functional, torch_functional):
        mean, var = draw(shape[1], seed=7), draw(shape[1], seed=8)
        for _ in range(3):
            y = functional.batch_norm(x, mean, var, weight, bias, True, momentum, 0.3)
        buffers[functional] = y, mean, var
    for own, exact in zip(*buffers.values(), strict=True):
        close(own, exact)


def test_running_statistics_by_hand():
    """x has mean 4 and squared deviations 9, 1, 4, 16: biased var 7.5, unbiased 10."""
    x = torch.tensor([[1.0], [3.0], [6.0], [8.0]]) - 0.5
    x += torch.tensor([[0.0], [0.0], [0.0], [0.0]])
    mean, var = torch.tensor([10.0]), torch.tensor([20.0])
    y = own_functional.batch_norm(x, mean, var, training=True, momentum=0.25, eps=1.75)
    unbiased = x.var().item()
    assert mean.item() == pytest.approx(0.75 * 10 + 0.25 * 4, rel=1e-7)
    assert var.item() == pytest.approx(0.75 * 20 + 0.25 * unbiased, rel=1e-7)
    assert y[0].item() == pytest.approx((0.5 - 4) / (x.var(correction=0).item() + 1.75) ** 0.5)


@pytest.mark.parametrize("tracked", [True, False])
def test_instance_norm_averages_its_buffers_over_samples(tracked):
    x, weight, bias = arguments(instance_norm, 4, 3, 5, 2)
    results = []
    for functional in (own_functional, torch_functional):
        mean, var = draw(3, seed=7), draw(3, seed=8)
        y = functional.instance_norm(x, mean, var, weight, bias, tracked, 0.3, 0.2)
        results.append((y, mean, var))
    for own, exact in zip(*results, strict=True):
        close(own, exact)


@pytest.mark.parametrize("dtype", HALVES)
def test_buffers_keep_their_identity_and_dtype(dtype):
    x = normal(4, 3, 5, dtype=dtype)
    for buffer_dtype in (dtype, torch.float32):
        mean, var = draw(3, dtype=buffer_dtype), draw(3, seed=1, dtype=buffer_dtype)
        address, version = mean.data_ptr(), mean._version
        expected = [buffer.double() for buffer in (mean, var)]
        own_functional.batch_norm(x, mean, var, training=True)
        torch_functional.batch_norm(x.double(), *expected, training=True)
        assert (mean.data_ptr(), mean.dtype, var.dtype) == (address, buffer_dtype, buffer_dtype)
        assert mean._version > version
        for own, exact in zip((mean, var), expected, strict=True):
            bound = TOLERANCES[str(buffer_dtype).removeprefix("torch.")].forward_bound(10)
            close(own.double(), exact, atol=bound)


def test_evaluation_leaves_the_buffers_alone():
    mean, var = draw(3), draw(3, seed=1)
    before = mean.clone(), var.clone()
    own_functional.batch_norm(normal(4, 3, 5), mean, var, training=False)
    assert torch.equal(mean, before[0])
    assert torch.equal(var, before[1])


@pytest.mark.parametrize("seen", [(0, 3, 5), (4, 3, 0), (0, 3)])
@pytest.mark.parametrize("training", [True, False])
def test_an_empty_batch_changes_nothing(seen, training):
    x = torch.empty(seen, requires_grad=True)
    mean, var = draw(3, dtype=torch.float32), draw(3, seed=1, dtype=torch.float32)
    weight = draw(3, dtype=torch.float32).requires_grad_()
    before = mean.clone(), var.clone()
    y = own_functional.batch_norm(x, mean, var, weight, training=training)
    y.sum().backward()
    assert y.shape == x.shape
    assert x.grad.shape == x.shape
    assert torch.equal(weight.grad, torch.zeros(3))
    assert torch.equal(mean, before[0])
    assert torch.equal(var, before[1])


def test_an_empty_batch_has_gradients_of_both_orders():
    x = torch.empty(0, 3, 5, dtype=torch.float64, requires_grad=True)
    weight, bias = draw(3).requires_grad_(), draw(3, seed=1).requires_grad_()
    assert gradcheck(batch_norm(own_functional), (x, weight, bias))
    assert gradgradcheck(batch_norm(own_functional), (x, weight, bias))


def test_other_norms_take_empty_input():
    for own in (
        own_functional.layer_norm(torch.empty(0, 5), (5,), torch.ones(5)),
        own_functional.rms_norm(torch.empty(0, 5), (5,), torch.ones(5)),
        own_functional.instance_norm(torch.empty(0, 5, 3), weight=torch.ones(5)),
    ):
        assert own.shape[0] == 0
    assert own_functional.group_norm(torch.empty(0, 6, 3), 2).shape == (0, 6, 3)
    assert own_functional.layer_norm(torch.empty(3, 0), (0,)).shape == (3, 0)


@pytest.mark.parametrize("norm", [layer_norm, group_norm])
def test_a_single_value_gives_the_bias(norm):
    """torch allows it here, where nothing is tracked: the value is its own mean."""
    x, weight, bias = arguments(norm, 5, 2, 1)
    y = norm(own_functional)(x, weight, bias)
    expected = bias if norm is layer_norm else bias[:, None]
    assert torch.equal(y, expected.expand_as(y))


# Gradients


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_of_every_order(norm):
    args = tuple(a.requires_grad_() for a in arguments(norm, 3, 4, 5, 2))
    if norm is rms_norm:
        args = (*args[:2], args[2].detach())
    function = norm(own_functional)
    assert gradcheck(function, args, check_forward_ad=True, check_batched_forward_grad=True)
    assert gradgradcheck(function, args, check_fwd_over_rev=True, check_rev_over_rev=True)


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_match_torch(norm):
    x, weight, bias = arguments(norm, 3, 4, 5, 2)
    results = []
    for functional in (own_functional, torch_functional):
        leaves = [a.clone().requires_grad_() for a in (x, weight, bias)]
        loss = (norm(functional)(*leaves) ** 2).sin().sum()
        results.append(torch.autograd.grad(loss, leaves, allow_unused=True))
    for own, exact in zip(*results, strict=True):
        assert (own is None) == (exact is None)
        if own is not None:
            close(own, exact)


# Transforms: torch.func, tracers, compilers, autocast


def loss_of(function):
    return lambda *args: (function(*args) ** 2).sin().sum()


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("norm", NORMS)
def test_vmap_and_grad_match_torch(norm, size):
    shape = (3, 4, 5, 2) if size == "small" else (8, 4, 60, 40)
    x, weight, bias = arguments(norm, *shape)
    xs = torch.stack([normal(*shape, seed=seed) for seed in (3, 4)], dim=1)
    weights = torch.stack([weight, weight + 0.5])
    results = []
    for functional in (own_functional, torch_functional):
        function = norm(functional)
        gradient = torch.func.grad(loss_of(function), (0, 1))
        results.append(
            (
                torch.func.vmap(function, (1, None, None))(xs, weight, bias),
                torch.func.vmap(function, (None, 0, None))(x, weights, bias),
                *gradient(x, weight, bias),
                *torch.func.vmap(gradient, (1, 0, None))(xs, weights, bias),
            )
        )
    for own, exact in zip(*results, strict=True):
        close(own, exact, atol=EXACT * max(1, exact.abs().max().item()))


def test_vmap_over_any_dimension():
    x = normal(3, 4, 5)
    for dim in range(3):
        own = torch.func.vmap(
            lambda x: own_functional._normalize(x, None, None, (-1,), 0.1)[0], dim
        )(x)
        moved = x.movedim(dim, 0)
        close(own, torch_functional.layer_norm(moved, moved.shape[2:], eps=0.1))


@pytest.mark.parametrize("norm", NORMS)
def test_hessian_and_jacobians_match_torch(norm):
    args = arguments(norm, 2, 2, 3, 1)
    for transform in (torch.func.hessian, torch.func.jacfwd, torch.func.jacrev):
        results = [
            transform(loss_of(norm(functional)))(*args)
            for functional in (own_functional, torch_functional)
        ]
        close(*results, atol=EXACT * max(1, results[1].abs().max().item()))


@pytest.mark.parametrize("norm", NORMS)
def test_forward_mode_on_large_input(norm):
    args = arguments(norm, 8, 4, 60, 40)
    with forward_ad.dual_level():
        tangents = [
            forward_ad.unpack_dual(
                norm(functional)(forward_ad.make_dual(args[0], args[0].sin()), *args[1:])
            ).tangent
            for functional in (own_functional, torch_functional)
        ]
        close(*tangents)


@pytest.mark.parametrize("size", [(3, 4, 5, 2), (8, 4, 60, 40)], ids=["small", "large"])
@pytest.mark.parametrize("norm", NORMS)
def test_compile_and_export(norm, size):
    torch.compiler.reset()
    args = tuple(a.requires_grad_() for a in arguments(norm, *size))
    own, exact = norm(own_functional), norm(torch_functional)(*args)
    y = torch.compile(own, fullgraph=True, backend="aot_eager")(*args)
    close(y, exact)
    used = args[:2]
    close(
        torch.autograd.grad(y, used, args[0].detach()),
        torch.autograd.grad(exact, used, args[0].detach()),
        atol=EXACT * args[0].numel(),
    )

    class Module(torch.nn.Module):
        def forward(self, *args):
            return own(*args)

    for strict in (False, True):
        program = torch.export.export(Module(), args, strict=strict)
        close(program.module()(*args), exact)
    for mode in ("real", "fake"):
        close(make_fx(own, tracing_mode=mode)(*args)(*args), exact)


def test_compiled_training_moves_the_buffers():
    torch.compiler.reset()
    x, weight, bias = arguments(batch_norm, 6, 3, 5)
    compiled = torch.compile(own_functional.batch_norm, fullgraph=True, backend="aot_eager")
    mean, var, exact_mean, exact_var = (draw(3, seed=seed) for seed in (1, 2, 1, 2))
    compiled(x, mean, var, weight, bias, True, 0.3)
    torch_functional.batch_norm(x, exact_mean, exact_var, weight, bias, True, 0.3)
    close(mean, exact_mean)
    close(var, exact_var)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_leaves_the_dtype_as_torch_does(norm, dtype):
    args = arguments(norm, 3, 4, 5, 2, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16):
        own, torch_y = (norm(f)(*args) for f in (own_functional, torch_functional))
    assert own.dtype == torch_y.dtype == dtype
    outside = norm(own_functional)(*args)
    assert torch.equal(own, outside)


# Layouts


def layouts():
    x = normal(3, 4, 5, 2)
    volume = normal(2, 4, 3, 5, 2)
    return {
        "contiguous": x,
        "channels_last": channels_last(x),
        "channels_last_3d": channels_last(volume),
        "transposed": normal(3, 5, 4).transpose(1, 2),
        "permuted": normal(4, 3, 5, 2).transpose(0, 1),
        "sliced": normal(3, 4, 5, 6)[..., ::3],
        "expanded": (normal(3, 4, 5, 1) + normal(3, 4, 5, 1)).expand(3, 4, 5, 2),
        "offset": normal(121).as_strided((3, 4, 5, 2), (40, 10, 2, 1), 1),
    }


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("norm", NORMS)
def test_every_layout_gives_torch_values_and_strides(norm, layout):
    x = layouts()[layout]
    _, weight, bias = arguments(norm, *x.shape)
    results = []
    for functional in (own_functional, torch_functional):
        leaf = x.detach().requires_grad_()
        y = norm(functional)(leaf, weight, bias)
        (dx,) = torch.autograd.grad((y**2).sin().sum(), leaf)
        results.append((y, dx))
    for own, exact in zip(*results, strict=True):
        close(own, exact)
    assert results[0][0].stride() == results[1][0].stride()
    y = results[0][0]
    y.add_(1).relu_()  # a layer after it may work in place


@pytest.mark.parametrize("norm", NORMS)
def test_an_expanded_upstream_gradient(norm):
    """sum() sends one stored value for all of dy; large input takes the loops."""
    args = [a.requires_grad_() for a in arguments(norm, 8, 4, 60, 40)]
    gradients = [
        torch.autograd.grad(norm(functional)(*args).sum(), args[:2])
        for functional in (own_functional, torch_functional)
    ]
    close(*gradients, atol=EXACT * 1e3)


# The loops against the formulas, which are their oracle


LOOP_CASES = {
    "batch norm (N, C)": ((5000, 17), (1, 17), (-2,)),
    "batch norm (N, C, L)": ((40, 17, 150), (1, 17, 1), (-3, -1)),
    "batch norm, few samples": ((2, 3, 170, 101), (1, 3, 1, 1), (-4, -2, -1)),
    "batch norm, channels_last": ((32, 17, 11, 13), (1, 17, 1, 1), (-4, -2, -1)),
    "batch norm, channels_last_3d": ((6, 17, 5, 11, 13), (1, 17, 1, 1, 1), (-5, -3, -2, -1)),
    "instance norm": ((32, 17, 11, 13), (1, 17, 1, 1), (-2, -1)),
    "group norm": ((32, 5, 3, 11, 13), (1, 5, 3, 1, 1), (-3, -2, -1)),
    "group norm, one group": ((32, 1, 15, 11, 13), (1, 1, 15, 1, 1), (-3, -2, -1)),
    "group norm, no positions": ((1100, 5, 13, 1), (1, 5, 13, 1), (-2, -1)),
    "layer norm": ((45, 11, 151), (1, 1, 151), (-1,)),
    "layer norm, all axes": ((45, 11, 151), (45, 11, 151), (-3, -2, -1)),
}


def loop_case(case, dtype, offset=0.5):
    shape, parameter_shape, axes = LOOP_CASES[case]
    x = (normal(*shape) + offset).to(dtype)
    if "channels_last" in case:
        x = channels_last(x)
    parameter_dtype = torch.promote_types(dtype, torch.float32)
    weight = draw(*parameter_shape, dtype=parameter_dtype)
    bias = draw(*parameter_shape, seed=1, low=-2, dtype=parameter_dtype)
    dy = torch.empty_like(x).copy_(normal(*shape, seed=2) - 2.5)
    return x, weight, bias, axes, dy


# RMS norm is the only norm that does not centre, and it keeps its rows.
CENTERED = [(case, True) for case in LOOP_CASES]
UNCENTERED = [(case, False) for case in LOOP_CASES if not case.startswith("batch")]


@pytest.mark.parametrize("affine", ["both", "weight", "bias", "none"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize(("case", "centered"), CENTERED + UNCENTERED)
def test_loops_match_the_formulas(case, dtype, centered, affine, monkeypatch):
    monkeypatch.setattr(_cpu, "PART", 5000)  # several parts, the last one smaller
    monkeypatch.setattr(_cpu, "SUMMED", 60)
    monkeypatch.setattr(_cpu, "SCALED", 40)
    x, weight, bias, axes, dy = loop_case(case, dtype)
    weight = weight if affine in ("both", "weight") else None
    bias = bias if affine in ("both", "bias") else None
    bounds = TOLERANCES[str(dtype).removeprefix("torch.")]
    how = axes, 1e-5, centered

    y, mean, var = _cpu.normalize(x, weight, bias, *how)
    wide = [None if a is None else a.double().clone().requires_grad_() for a in (x, weight, bias)]
    exact_y, exact_mean, exact_var = own_functional._forward(*wide, *how)
    assert (y.dtype, y.stride()) == (x.dtype, x.stride())
    close(y.double(), exact_y, atol=bounds.forward_bound(exact_y.abs().max().item(), kappa=3))
    statistics_bounds = TOLERANCES["float64" if dtype == torch.float64 else "float32"]
    for own, exact in ((mean, exact_mean), (var, exact_var)):
        close(own, exact, atol=statistics_bounds.forward_bound(exact.abs().max().item()))

    statistics = exact_mean.detach(), exact_var.detach()
    gradients = _cpu.gradient(x, weight, bias, *statistics, dy, *how)
    given = [a for a in wide if a is not None]
    exact_gradients = iter(torch.autograd.grad(exact_y, given, dy.double()))
    for own, a in zip(gradients, wide, strict=True):
        assert (own is None) == (a is None)
        if a is None:
            continue
        exact = next(exact_gradients)
        terms = 1.0 if own is gradients[0] else max(1.0, (dy.abs().sum() / a.numel()).item())
        assert own.shape == a.shape
        scale = max(terms, exact.abs().max().item())
        if own is not gradients[0]:  # kept in float32 or wider
            close(own.double(), exact, atol=statistics_bounds.gradient_bound(scale, kappa=3))
        else:
            close(own.double(), exact, atol=bounds.gradient_bound(scale, kappa=3))


def test_large_input_takes_the_loops(monkeypatch):
    """Otherwise the tests above would compare code that nobody runs."""
    taken = []
    for name in ("normalize", "gradient", "standardize"):
        original = getattr(_cpu, name)

        def spy(*args, name=name, original=original):
            result = original(*args)
            taken.append((name, result is not None))
            return result

        monkeypatch.setattr(_cpu, name, spy)
    for norm in (batch_norm, instance_norm, group_norm, layer_norm, rms_norm):
        args = [a.requires_grad_() for a in arguments(norm, 8, 4, 60, 40, dtype=torch.float32)]
        norm(own_functional)(*args).sum().backward()
    batch_norm_eval(own_functional)(*arguments(batch_norm_eval, 8, 4, 60, 40))
    assert taken == [("normalize", True), ("gradient", True)] * 5 + [("standardize", True)]


@pytest.mark.parametrize("shape", [(200_000, 5), (50, 5, 4000)], ids=["columns", "pieces"])
def test_a_first_value_far_from_the_mean_does_no_harm(shape):
    """It is what the sums are shifted by, 450 standard deviations from the mean."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x.view(shape[0], shape[1], -1)[0, :, 0] = 1e9
    y = own_functional.batch_norm(x, None, None, training=True)
    exact = own_functional._forward(x, None, None, own_functional._batch_axes(x), 1e-5, True)[0]
    close(y, exact, atol=EXACT)


@pytest.mark.parametrize("case", ["batch norm (N, C)", "batch norm (N, C, L)", "layer norm"])
def test_any_number_of_threads_gives_the_same_bits(case, monkeypatch):
    monkeypatch.setattr(_cpu, "PART", 5000)
    x, weight, bias, axes, dy = loop_case(case, torch.float32)
    results, threads = [], torch.get_num_threads()
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            y, mean, var = _cpu.normalize(x, weight, bias, axes, 1e-5, True)
            gradients = _cpu.gradient(x, weight, bias, mean, var, dy, axes, 1e-5, True)
            results.append((y, mean, var, *gradients))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_a_variance_of_zero_gives_what_the_formulas_give():
    """Without eps: 0 * infinity where all values are equal, as in torch."""
    x = normal(200, 100, dtype=torch.float32)
    x[3] = 5.0
    y = own_functional.layer_norm(x, (100,), eps=0.0)
    assert y[3].isnan().all() and not y[4:].isnan().any()
    images = normal(8, 4, 30, 30, dtype=torch.float32)
    zero = torch.zeros(4)
    for inputs in (images, channels_last(images)):
        y = own_functional.batch_norm(inputs, zero, zero, eps=0.0)
        assert y.isinf().all() and torch.equal(y.sign(), inputs.sign())


@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (8, 4, 60, 40)], ids=["small", "large"])
@pytest.mark.parametrize("norm", NORMS)
def test_a_trace_computes_anew(norm, shape):
    args = arguments(norm, *shape)
    traced = torch.jit.trace(norm(own_functional), args)
    others = arguments(norm, *shape)
    others[0].mul_(3).add_(1)
    close(traced(*others), norm(own_functional)(*others))


def run_python(program):
    return subprocess.run([sys.executable, "-c", program], timeout=120, check=True)


def test_without_numba_the_formulas_compute_large_input():
    run_python(
        "import sys; sys.modules['numba'] = None\n"
        "import torch, bnlib.functional as own, torch.nn.functional as exact\n"
        "x = torch.randn(400, 50)\n"
        "assert x.numel() >= own.SMALLEST and own._import_cpu() is None\n"
        "y = own.batch_norm(x, None, None, training=True)\n"
        "torch.testing.assert_close(y, exact.batch_norm(x, None, None, training=True))\n"
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_forked_process_has_threads_of_its_own():
    """As a data loader's worker does: the threads of its parent are not in it."""
    run_python(
        "import os, torch, bnlib.functional as own\n"
        "torch.set_num_threads(2)\n"
        "x = torch.randn(8, 64, 64, 64)\n"
        "y = own.batch_norm(x, None, None, training=True)\n"
        "child = os.fork()\n"
        "same = torch.equal(y, own.batch_norm(x, None, None, training=True))\n"
        "if not child: os._exit(0 if same else 1)\n"
        "assert same and os.waitpid(child, 0)[1] == 0\n"
    )


# Mixed dtypes


@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (8, 4, 60, 40)], ids=["small", "large"])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("norm", NORMS)
def test_half_input_with_float32_parameters(norm, dtype, shape):
    x, weight, bias = arguments(norm, *shape, dtype=torch.float32)
    x = x.to(dtype)
    leaves = [a.requires_grad_() for a in (x, weight, bias)]
    wide = [a.detach().double().requires_grad_() for a in leaves]
    y, exact = norm(own_functional)(*leaves), norm(torch_functional)(*wide)
    bounds = TOLERANCES[str(dtype).removeprefix("torch.")]
    assert y.dtype == dtype
    close(y.double(), exact, atol=bounds.forward_bound(exact.abs().max().item(), kappa=3))
    dy = normal(*shape, seed=4, dtype=dtype)
    own = torch.autograd.grad(y, leaves[:2], dy)
    exact = torch.autograd.grad(exact, wide[:2], dy.double())
    assert [g.dtype for g in own] == [dtype, torch.float32]
    for gradient, exact_gradient in zip(own, exact, strict=True):
        scale = max(1.0, exact_gradient.abs().max().item())
        close(gradient.double(), exact_gradient, atol=bounds.gradient_bound(scale, kappa=3))


def test_rms_norm_takes_any_mixture_and_a_default_eps():
    x = draw(3, 5, low=1e-4, high=2e-4)
    for dtype in (*HALVES, torch.float32, torch.float64):
        own, exact = (
            f.rms_norm(x.to(dtype), (5,), draw(5)) for f in (own_functional, torch_functional)
        )
        assert own.dtype == exact.dtype == dtype
        bounds = TOLERANCES[str(dtype).removeprefix("torch.")]
        close(own.double(), exact.double(), atol=4 * bounds.forward_bound(2.0))


# What torch refuses. Each row: the call, torch's exception, its words, and bnlib's where it says
# more than torch does.

X, ZEROS, ONES, FOUR = torch.ones(4, 3, 5), torch.zeros(3), torch.ones(3), torch.ones(4)
GROUPED, SIX = torch.ones(4, 6, 5), torch.ones(6)
META = torch.ones(3, device="meta")

REFUSED = {
    # batch norm
    "one value per channel": (
        lambda f: f.batch_norm(torch.ones(1, 3, 1), ZEROS, ONES, training=True),
        ValueError,
        "Expected more than 1 value per channel when training, got input size "
        "torch.Size([1, 3, 1])",
    ),
    "running_mean too long": (
        lambda f: f.batch_norm(X, FOUR, ONES, training=True),
        RuntimeError,
        "running_mean should contain 3 elements not 4",
    ),
    "running_var too long": (
        lambda f: f.batch_norm(X, ZEROS, FOUR),
        RuntimeError,
        "running_var should contain 3 elements not 4",
    ),
    "weight too long": (
        lambda f: f.batch_norm(X, ZEROS, ONES, FOUR, training=True),
        RuntimeError,
        "weight should contain 3 elements not 4",
    ),
    "bias too long": (
        lambda f: f.batch_norm(X, ZEROS, ONES, ONES, FOUR),
        RuntimeError,
        "bias should contain 3 elements not 4",
    ),
    "no running_mean in evaluation": (
        lambda f: f.batch_norm(X, None, ONES),
        RuntimeError,
        "running_mean must be defined in evaluation mode",
    ),
    "no running_var in evaluation": (
        lambda f: f.batch_norm(X, ZEROS, None),
        RuntimeError,
        "running_var must be defined in evaluation mode",
    ),
    "half of the buffers": (
        lambda f: f.batch_norm(X, ZEROS, None, training=True),
        ValueError,
        "running_mean and running_var must either both be None or neither be None",
    ),
    "a vector": (
        lambda f: f.batch_norm(torch.ones(3), ZEROS, ONES, training=True),
        RuntimeError,
        "running_mean should contain 0 elements not 3",
    ),
    "a vector, no buffers": (
        lambda f: f.batch_norm(torch.ones(3), None, None, training=True),
        IndexError,
        "Dimension out of range",
        "input: expected at least 2 dimensions, got 1",
    ),
    "integers": (
        lambda f: f.batch_norm(X.long(), ZEROS, ONES, training=True),
        NotImplementedError,
        "\"batch_norm\" not implemented for 'Long'",
    ),
    "complex numbers": (
        lambda f: f.batch_norm(X + 0j, ZEROS, ONES),
        NotImplementedError,
        "\"batch_norm\" not implemented for 'ComplexFloat'",
    ),
    "a list": (
        lambda f: f.batch_norm([1.0], ZEROS, ONES),
        TypeError,
        "batch_norm(): argument 'input' (position 1) must be Tensor, not list",
    ),
    "float64 buffers": (
        lambda f: f.batch_norm(X, ZEROS.double(), ONES.double(), training=True),
        RuntimeError,
        "mixed dtype (CPU): expect parameter to have scalar type of Float",
        "mixed dtype (CPU): expect parameter to have scalar type of Float, but running_mean is "
        "Double",
    ),
    "float64 input": (
        lambda f: f.batch_norm(X.double(), ZEROS, ONES),
        RuntimeError,
        "mixed dtype (CPU): all inputs must share same datatype.",
        "mixed dtype (CPU): all inputs must share same datatype. input is Double, its parameters "
        "are Float",
    ),
    "float64 bias": (
        lambda f: f.batch_norm(X, ZEROS, ONES, ONES, ONES.double(), training=True),
        RuntimeError,
        "expected scalar type Float but found Double",
        "expected scalar type Float but found Double in bias",
    ),
    "half weight, float32 buffers": (
        lambda f: f.batch_norm(X.half(), ZEROS, ONES, ONES.half(), ONES.half(), training=True),
        RuntimeError,
        "expected scalar type Half but found Float",
        "expected scalar type Half but found Float in running_mean",
    ),
    "two-dimensional buffer": (
        lambda f: f.batch_norm(X, ZEROS[:, None], ONES, training=True),
        RuntimeError,
        "expected 1 dims but tensor has 2",
        "running_mean: expected 1 dimension, got 2",
    ),
    "eps 0 in training": (
        lambda f: f.batch_norm(X, ZEROS, ONES, training=True, eps=0.0),
        ValueError,
        "batch_norm eps must be positive during training, but got 0.0",
    ),
    "negative eps": (
        lambda f: f.batch_norm(X, ZEROS, ONES, eps=-1.0),
        ValueError,
        "batch_norm eps must be non-negative, but got -1.0",
    ),
    "momentum None": (
        lambda f: f.batch_norm(X, ZEROS, ONES, training=True, momentum=None),
        TypeError,
        "batch_norm(): argument 'momentum' (position 7) must be float, not NoneType",
    ),
    "running_mean with gradient": (
        lambda f: f.batch_norm(X, torch.zeros(3, requires_grad=True), ONES, training=True),
        RuntimeError,
        "The function 'native_batch_norm' is not differentiable with respect to argument "
        "'running_mean'. This input cannot have requires_grad True.",
    ),
    "weight on another device": (
        lambda f: f.batch_norm(X, ZEROS, ONES, META, training=True),
        RuntimeError,
        "Tensor on device meta is not on the expected device cpu!",
        "weight: expected the device of input, cpu, got meta",
    ),
    # instance norm
    "one position": (
        lambda f: f.instance_norm(torch.ones(4, 3, 1)),
        ValueError,
        "Expected more than 1 spatial element when training, got input size torch.Size([4, 3, 1])",
    ),
    "instance norm, running_mean too long": (
        lambda f: f.instance_norm(X, FOUR, ONES),
        RuntimeError,
        "running_mean should contain 12 elements not 16",  # torch counts every sample
        "running_mean should contain 3 elements not 4",
    ),
    "instance norm, no buffers": (
        lambda f: f.instance_norm(X, use_input_stats=False),
        RuntimeError,
        "Expected running_mean and running_var to be defined when use_input_stats is false",
    ),
    "instance norm, half of the buffers": (
        lambda f: f.instance_norm(X, ZEROS, None),
        ValueError,
        "running_mean and running_var must either both be None or neither be None",
    ),
    "instance norm, float64 weight": (
        lambda f: f.instance_norm(X, None, None, ONES.double(), ONES.double()),
        RuntimeError,
        "mixed dtype (CPU): expect parameter to have scalar type of Float",
        "mixed dtype (CPU): expect parameter to have scalar type of Float, but weight is Double",
    ),
    "instance norm, momentum None": (
        lambda f: f.instance_norm(X, ZEROS, ONES, momentum=None),
        TypeError,
        "instance_norm(): argument 'momentum' (position 7) must be float, not NoneType",
    ),
    # layer norm
    "empty normalized_shape": (
        lambda f: f.layer_norm(X, []),
        RuntimeError,
        "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
        "element, but got normalized_shape = []",
    ),
    "other normalized_shape": (
        lambda f: f.layer_norm(X, [4]),
        RuntimeError,
        "Given normalized_shape=[4], expected input with shape [*, 4], but got input of "
        "size[4, 3, 5]",
    ),
    "an int for normalized_shape": (
        lambda f: f.layer_norm(X, 5),
        TypeError,
        "layer_norm(): argument 'normalized_shape' (position 2) must be tuple of ints, not int",
    ),
    "layer norm, weight too short": (
        lambda f: f.layer_norm(X, (5,), FOUR),
        RuntimeError,
        "Expected weight to be of same shape as normalized_shape, but got weight of shape [4] and "
        "normalized_shape = [5]",
    ),
    "layer norm, bias too short": (
        lambda f: f.layer_norm(X, (5,), torch.ones(5), FOUR),
        RuntimeError,
        "Expected bias to be of same shape as normalized_shape, but got bias of shape [4] and "
        "normalized_shape = [5]",
    ),
    "layer norm, integers": (
        lambda f: f.layer_norm(X.int(), (5,)),
        NotImplementedError,
        "\"LayerNormKernelImpl\" not implemented for 'Int'",
    ),
    "layer norm, half bias": (
        lambda f: f.layer_norm(X, (5,), torch.ones(5), torch.ones(5).half()),
        RuntimeError,
        "expected scalar type Float but found Half",
        "expected scalar type Float but found Half in bias",
    ),
    "layer norm, eps None": (
        lambda f: f.layer_norm(X, (5,), eps=None),
        TypeError,
        "layer_norm(): argument 'eps' (position 5) must be float, not NoneType",
    ),
    # group norm
    "group norm of a vector": (
        lambda f: f.group_norm(FOUR, 2),
        RuntimeError,
        "Expected at least 2 dimensions for input tensor but received 1",
    ),
    "one value per group": (
        lambda f: f.group_norm(torch.ones(1, 2), 2),
        ValueError,
        "Expected more than 1 value per channel when training, got input size [1, 2]",
    ),
    "groups that do not divide": (
        lambda f: f.group_norm(GROUPED, 4),
        RuntimeError,
        "Expected number of channels in input to be divisible by num_groups, but got input of "
        "shape [4, 6, 5] and num_groups=4",
    ),
    "no groups": (
        lambda f: f.group_norm(GROUPED, 0),
        ZeroDivisionError,
        "by zero",
    ),
    "negative groups": (
        lambda f: f.group_norm(GROUPED, -1),
        RuntimeError,
        "Expected num groups to be greater than 0, got -1",
    ),
    "float groups": (
        lambda f: f.group_norm(GROUPED, 2.0),
        TypeError,
        "group_norm(): argument 'num_groups' (position 2) must be int, not float",
    ),
    "group norm, weight too short": (
        lambda f: f.group_norm(GROUPED, 2, ONES),
        RuntimeError,
        "Expected weight to be a vector of size equal to the number of channels in input, but got "
        "weight of shape [3] and input of shape [4, 6, 5]",
    ),
    "group norm, half weight": (
        lambda f: f.group_norm(GROUPED, 2, SIX.half(), SIX.half()),
        RuntimeError,
        "mixed dtype (CPU): expect parameter to have scalar type of Float",
        "mixed dtype (CPU): expect parameter to have scalar type of Float, but weight is Half",
    ),
    "group norm, booleans": (
        lambda f: f.group_norm(GROUPED > 0, 2),
        NotImplementedError,
        "\"GroupNormKernelImpl\" not implemented for 'Bool'",
    ),
    # what is no tensor, no number
    "batch norm, list as weight": (
        lambda f: f.batch_norm(X, ZEROS, ONES, [1.0], training=True),
        TypeError,
        "batch_norm(): argument 'weight' (position 2) must be Tensor, not list",
    ),
    "batch norm, list as running_var": (
        lambda f: f.batch_norm(X, ZEROS, [1.0], training=True),
        TypeError,
        "batch_norm(): argument 'running_var' (position 5) must be Tensor, not list",
    ),
    "instance norm, list as bias": (
        lambda f: f.instance_norm(X, bias=[1.0]),
        TypeError,
        "instance_norm(): argument 'bias' (position 3) must be Tensor, not list",
    ),
    "layer norm, list as weight": (
        lambda f: f.layer_norm(X, (5,), [1.0]),
        TypeError,
        "layer_norm(): argument 'weight' (position 3) must be Tensor, not list",
    ),
    "layer norm, float as size": (
        lambda f: f.layer_norm(X, (5.0,)),
        TypeError,
        "layer_norm(): argument 'normalized_shape' (position 2) must be tuple of ints, but found "
        "element of type float at pos 0",
    ),
    "group norm, list as bias": (
        lambda f: f.group_norm(GROUPED, 2, SIX, [1.0]),
        TypeError,
        "group_norm(): argument 'bias' (position 4) must be Tensor, not list",
    ),
    "rms norm, list as weight": (
        lambda f: f.rms_norm(X, (5,), [1.0]),
        TypeError,
        "rms_norm(): argument 'weight' (position 3) must be Tensor, not list",
    ),
    "rms norm, eps as text": (
        lambda f: f.rms_norm(X, (5,), eps="small"),
        TypeError,
        "rms_norm(): argument 'eps' (position 4) must be float, not str",
    ),
    # RMS norm
    "rms norm, other normalized_shape": (
        lambda f: f.rms_norm(X, [4]),
        RuntimeError,
        "Given normalized_shape=[4], expected input with shape [*",
    ),
    "rms norm of a scalar": (
        lambda f: f.rms_norm(torch.tensor(1.0), (1,)),
        ValueError,
        "Input tensor must have at least 1 dimensions, but got 0",
    ),
    "rms norm, weight too short": (
        lambda f: f.rms_norm(X, (5,), FOUR),
        RuntimeError,
        "Expected weight to be of same shape as normalized_shape, but got weight of shape [4] and "
        "normalized_shape = [5]",
    ),
    "rms norm, integers": (
        lambda f: f.rms_norm(X.long(), (5,)),
        NotImplementedError,
        "\"rms_norm\" not implemented for 'Long'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_as_torch_refuses_it(case):
    call, exception, words, *own_words = REFUSED[case]
    with pytest.raises(exception) as torch_error:
        call(torch_functional)
    with pytest.raises(exception) as own_error:
        call(own_functional)
    assert type(own_error.value) is type(torch_error.value)
    assert words in str(torch_error.value)
    assert (own_words[0] if own_words else words) in str(own_error.value)


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_call_changes_no_buffer(case):
    before = [tensor.clone() for tensor in (X, ZEROS, ONES, FOUR, GROUPED, SIX)]
    with pytest.raises(REFUSED[case][1]):
        REFUSED[case][0](own_functional)
    for tensor, copy in zip((X, ZEROS, ONES, FOUR, GROUPED, SIX), before, strict=True):
        assert torch.equal(tensor, copy)


def test_a_buffer_may_require_grad_where_no_gradient_is_recorded():
    with torch.no_grad():
        own_functional.batch_norm(X, torch.zeros(3, requires_grad=True), ONES)


def test_a_buffer_without_memory_of_its_own_is_refused_before_the_other_moves():
    running_mean = torch.zeros(3)
    with pytest.raises(RuntimeError, match="running_var: expected a place in memory for each"):
        own_functional.batch_norm(X + 5, running_mean, torch.ones(1).expand(3), training=True)
    assert running_mean.tolist() == [0, 0, 0]


def test_a_residual_of_8_bits_is_refused_before_a_buffer_moves():
    running_mean, residual = torch.zeros(3), torch.zeros(4, 3, 5).to(torch.float8_e5m2)
    with pytest.raises(RuntimeError, match="residual: expected a floating point tensor"):
        own_functional.batch_norm_add_relu(X + 5, residual, running_mean, ONES, training=True)
    assert running_mean.tolist() == [0, 0, 0]


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("norm", NORMS)
def test_batched_gradients_match_torch(norm, size):
    """torch.autograd.grad(is_grads_batched=True), by which jacobian(vectorize=True) works."""
    shape = (3, 4, 5, 2) if size == "small" else (8, 4, 60, 40)
    args = [a.requires_grad_() for a in arguments(norm, *shape) if a is not None]
    results = []
    for functional in (own_functional, torch_functional):
        y = norm(functional)(*args)
        several = torch.stack([normal(*y.shape, seed=seed) for seed in (3, 4)])
        results.append(torch.autograd.grad(y, args[:2], several, is_grads_batched=True))
    for own, exact in zip(*results, strict=True):
        close(own, exact, atol=EXACT * max(1, exact.abs().max().item()))


def test_a_view_with_a_negative_bit():
    x, negative = torch.randn(200, 200), torch._neg_view(torch.randn(200, 200))
    y = own_functional.layer_norm(negative, (200,), negative[0], negative[1])
    close(y, torch_functional.layer_norm(negative, (200,), negative[0], negative[1]), atol=1e-4)
    grads = []
    for functional in (own_functional, torch_functional):
        x.requires_grad_().grad = None
        functional.layer_norm(x, (200,)).backward(negative)
        grads.append(x.grad)
    close(*grads, atol=1e-4)
