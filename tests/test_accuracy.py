"""The numerical promises: error bounds, constant channels, extreme values, the same bits each run.

With u = 2**-24 and kappa = |mean| / std, float32 keeps
    |y - exact y|   <= u * (8 * max|y| + 2 * kappa)
    |dx - exact dx| <= (16u + 2u * kappa) * max|dx|
in every layout. The oracle is torch in float64 on the same stored values.
"""

import pytest
import torch
import torch.nn.functional as torch_functional
from tolerances import TOLERANCES

import bnlib.functional as own_functional


def batch_norm(functional, x, weight, bias, eps=1e-5):
    return functional.batch_norm(x, None, None, weight, bias, True, eps=eps)


def instance_norm(functional, x, weight, bias, eps=1e-5):
    return functional.instance_norm(x, None, None, weight, bias, eps=eps)


def group_norm(functional, x, weight, bias, eps=1e-5):
    return functional.group_norm(x, 3, weight, bias, eps)


def layer_norm(functional, x, weight, bias, eps=1e-5):
    return functional.layer_norm(x, x.shape[2:], weight, bias, eps)


# Two sizes of each: the first takes the formulas, the second the loops.
LAYOUTS = {
    "batch norm (N, C)": (batch_norm, ((50, 6), (20000, 15)), torch.contiguous_format),
    "batch norm (N, C, L), L = 2": (
        batch_norm,
        ((50, 6, 2), (100_000, 3, 2)),
        torch.contiguous_format,
    ),
    "batch norm (N, C, H, W)": (
        batch_norm,
        ((5, 6, 7, 3), (24, 15, 29, 31)),
        torch.contiguous_format,
    ),
    "batch norm, channels_last": (
        batch_norm,
        ((5, 6, 7, 3), (24, 15, 29, 31)),
        torch.channels_last,
    ),
    "batch norm, channels_last_3d": (
        batch_norm,
        ((5, 6, 2, 7, 3), (12, 15, 5, 19, 11)),
        torch.channels_last_3d,
    ),
    "instance norm": (instance_norm, ((5, 6, 7, 3), (24, 15, 29, 31)), torch.contiguous_format),
    "group norm": (group_norm, ((5, 6, 7, 3), (24, 15, 29, 31)), torch.contiguous_format),
    "layer norm": (layer_norm, ((5, 6, 70), (24, 15, 900)), torch.contiguous_format),
}
SIZES = pytest.mark.parametrize("size", [0, 1], ids=["formulas", "loops"])
# A half cannot store 1e4 standard deviations and the deviations too.
KAPPAS = [("float32", kappa) for kappa in (0.0, 1.5, 100.0, 1e4)]
KAPPAS += [(dtype, kappa) for dtype in ("float16", "bfloat16") for kappa in (0.0, 1.5, 50.0)]


def normal(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def draw(layout, size, dtype=torch.float32, mean=0.0, std=1.0):
    """x of this mean and std, parameters away from 1 and 0, and an upstream gradient."""
    norm, shapes, memory_format = LAYOUTS[layout]
    x = (normal(*shapes[size], dtype=torch.float64) * std + mean).to(dtype)
    x = x.contiguous(memory_format=memory_format)
    parameter_shape = x.shape[2:] if norm is layer_norm else x.shape[1:2]
    weight = normal(*parameter_shape, seed=1, dtype=dtype).abs() / 2 + 0.5
    bias = normal(*parameter_shape, seed=2, dtype=dtype)
    dy = normal(*x.shape, seed=3, dtype=dtype).contiguous(memory_format=memory_format)
    return norm, x, weight, bias, dy


def evaluate(functional, norm, x, weight, bias, dy, eps=1e-5):
    """Return y, dx, dweight and dbias."""
    leaves = [a.detach().requires_grad_() for a in (x, weight, bias)]
    y = norm(functional, *leaves, eps=eps)
    return y.detach(), *torch.autograd.grad(y, leaves, dy)


def errors(norm, x, weight, bias, dy, eps=1e-5):
    """Return max|error| and max|exact| of y, dx, dweight and dbias."""
    own = evaluate(own_functional, norm, x, weight, bias, dy, eps)
    wide = (a.double() for a in (x, weight, bias, dy))
    exact = evaluate(torch_functional, norm, *wide, eps)
    return [
        ((a.double() - b).abs().max().item(), b.abs().max().item())
        for a, b in zip(own, exact, strict=True)
    ]


@SIZES
@pytest.mark.parametrize(("dtype", "kappa"), KAPPAS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_errors_stay_within_the_bounds(layout, dtype, kappa, size):
    norm, x, weight, bias, dy = draw(layout, size, getattr(torch, dtype), 3 * kappa, 3)
    assert (x.numel() >= own_functional.SMALLEST) == bool(size)
    bounds = TOLERANCES[dtype]
    y, dx, dweight, dbias = errors(norm, x, weight, bias, dy)
    assert y[0] <= bounds.forward_bound(y[1], kappa)
    assert dx[0] <= bounds.gradient_bound(dx[1], kappa)
    terms = dy.double().abs().sum().item() / weight.numel()
    assert dweight[0] <= bounds.gradient_bound(max(terms, dweight[1]), kappa)
    assert dbias[0] <= bounds.gradient_bound(max(terms, dbias[1]))


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name.startswith("batch")])
def test_equal_gradients_are_added_up_to_the_last_digits(layout):
    """The gradient of a mean is the same everywhere, so float32 sums would all round one way."""
    norm, x, weight, bias, dy = draw(layout, 1)
    _, dx, _, dbias = errors(norm, x, weight, bias, dy.fill_(0.1))
    assert dbias[0] <= TOLERANCES["float32"].gradient_bound(dbias[1])
    scale = 0.1 * (weight / x.transpose(0, 1).flatten(1).std(1)).max().item()
    assert dx[0] <= TOLERANCES["float32"].gradient_bound(scale)


LONG = {
    "batch norm (N, C)": (batch_norm, (2**24, 1)),
    "batch norm (N, C, H, W)": (batch_norm, (1, 1, 2**12, 2**12)),
    "layer norm": (layer_norm, (1, 1, 2**24)),
}


@pytest.mark.parametrize("layout", LONG)
def test_sixteen_million_values_share_one_mean(layout):
    """With kappa = 1e4; a running float32 sum would stop growing at 2**24 equal terms."""
    norm, shape = LONG[layout]
    kappa = 1e4
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).add_(kappa)
    dy = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    weight = bias = None
    if norm is batch_norm:
        weight, bias = torch.tensor([1.5]), torch.tensor([-0.5])
    leaf = x.requires_grad_()
    y = norm(own_functional, leaf, weight, bias)
    (dx,) = torch.autograd.grad(y, leaf, dy)
    with torch.no_grad():  # the formula, in float64
        centred = x.double()
        centred -= centred.mean()
        inv_std = (centred.square().mean() + 1e-5).rsqrt()
        x_hat = centred.mul_(inv_std)
        scale, offset = (1.5, -0.5) if norm is batch_norm else (1.0, 0.0)
        bounds = TOLERANCES["float32"]
        exact = x_hat * scale + offset
        error = (y - exact).abs_().max().item()
        assert error <= bounds.forward_bound(exact.abs_().max().item(), kappa)
        exact = dy.double()
        exact -= exact.mean() + x_hat * (dy * x_hat).mean()
        exact *= scale * inv_std
        error = (dx - exact).abs_().max().item()
        assert error <= bounds.gradient_bound(exact.abs_().max().item(), kappa)


@SIZES
@pytest.mark.parametrize("value", [0.0, 0.001, 0.1, -1000.1, 16777215.0, 1e30, 3.4e38])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_constant_channel_gives_its_bias_exactly(layout, value, size):
    norm, x, weight, bias, dy = draw(layout, size)
    x.fill_(value)
    y, dx, dweight, _ = evaluate(own_functional, norm, x, weight, bias, dy)
    shape = bias.shape if norm is layer_norm else (-1, *[1] * (x.ndim - 2))
    assert torch.equal(y, bias.view(shape).expand_as(y))
    assert dx.isfinite().all()
    assert torch.equal(dweight, torch.zeros_like(dweight))


@SIZES
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name.startswith("batch")])
def test_one_constant_channel_among_others(layout, size):
    norm, x, weight, bias, dy = draw(layout, size, mean=0.3)
    x[:, 2] = 0.001
    y, dx, _, _ = evaluate(own_functional, norm, x, weight, bias, dy)
    assert torch.equal(y[:, 2], torch.full_like(y[:, 2], bias[2]))
    assert dx.isfinite().all()


@SIZES
@pytest.mark.parametrize("std", [1e-25, 1e-15, 1e15, 1e19, 1e30, 6e37])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_squares_that_leave_float32_do_no_harm(layout, std, size):
    """x is finite, x**2 is not (or it is 0): the variance has to be wider than float32."""
    norm, x, weight, bias, dy = draw(layout, size, mean=0.5 * std, std=std)
    bounds = TOLERANCES["float32"]
    y, dx, _, _ = errors(norm, x, weight, bias, dy, eps=std**2 * 1e-5)
    assert y[0] <= bounds.forward_bound(y[1], 1.0)
    smallest = torch.finfo(torch.float32).smallest_normal  # dx is of order 1 / std
    assert dx[0] <= bounds.gradient_bound(dx[1], 1.0) + smallest


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_input_gives_the_same_bits(layout):
    norm, x, weight, bias, dy = draw(layout, 1, mean=3)
    first = evaluate(own_functional, norm, x, weight, bias, dy)
    for _ in range(3):
        again = (a.clone(memory_format=torch.preserve_format) for a in (x, weight, bias, dy))
        for a, b in zip(first, evaluate(own_functional, norm, *again), strict=True):
            assert torch.equal(a, b)


def test_the_bound_is_tight_enough_to_refuse_the_one_pass_variance():
    """E[x^2] - E[x]^2 in float32, else the same: at kappa = 100 it is out by far."""
    norm, x, weight, bias, dy = draw("batch norm (N, C)", 1, mean=100.0)
    var = x.square().mean(0) - x.mean(0).square()
    y = (x - x.mean(0)) * (var + 1e-5).rsqrt() * weight + bias
    exact = evaluate(torch_functional, norm, *(a.double() for a in (x, weight, bias, dy)))[0]
    bound = TOLERANCES["float32"].forward_bound(exact.abs().max().item(), 100.0)
    assert (y - exact).abs().max().item() > 5 * bound
