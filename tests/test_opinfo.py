"""Every input PyTorch tests its own norm functions with, run against bnlib.functional.

The inputs ship in torch.testing._internal; the oracle is torch's function in float64 (complex128)
on the same stored values. bnlib takes inputs this small through its formulas, which round once, so
no bound here grows with kappa.
"""

import pytest
import torch
import torch.nn.functional as torch_functional
from tolerances import TOLERANCES
from torch.autograd import gradcheck, gradgradcheck
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._pytree import tree_map_only

import bnlib.functional as own_functional

NORMS = ("batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm")
OPS = {
    op.name.rpartition(".")[2]: op
    for op in op_db
    if op.name in {f"nn.functional.{name}" for name in NORMS} and not op.variant_test_name
}
CASES = [(name, dtype) for name in NORMS for dtype in sorted(OPS[name].dtypes, key=str)]


def samples(name, dtype, requires_grad=False):
    torch.manual_seed(5)
    return list(OPS[name].sample_inputs("cpu", dtype, requires_grad=requires_grad))


def copies(tree, wide=False):
    """Leaves of their own, so a call can update buffers and collect gradients."""

    def copy(tensor):
        needs_gradient = tensor.requires_grad
        if wide:
            tensor = tensor.to(torch.promote_types(tensor.dtype, torch.float64))
        return tensor.detach().clone().requires_grad_(needs_gradient)

    return tree_map_only(torch.Tensor, copy, tree)


def call(functional, name, sample, wide=False):
    """Return the output, the gradients and the buffers of one call on copies of the sample."""
    args = copies((sample.input, *sample.args), wide)
    kwargs = copies(sample.kwargs, wide)
    y = getattr(functional, name)(*args, **kwargs)
    tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)]
    leaves = [tensor for tensor in tensors if tensor.requires_grad]
    torch.manual_seed(6)
    dy = torch.randn(y.shape, dtype=torch.float64).to(sample.input.dtype).to(y.dtype)
    gradients = torch.autograd.grad(y, leaves, dy) if leaves else ()
    buffers = [tensor for tensor in tensors if not tensor.requires_grad]
    return y.detach(), gradients, buffers


def assert_within(own, exact, bound):
    assert own.shape == exact.shape
    if exact.numel() == 0:
        return
    wide = torch.promote_types(own.dtype, torch.float64)
    # The terms of a gradient are of order 1 and may cancel to nothing: one value, one group.
    scale = max(1.0, torch.nan_to_num(exact.abs()).max().item())
    torch.testing.assert_close(
        own.to(wide), exact.to(wide), rtol=0, atol=bound(scale), equal_nan=True
    )


def tolerance(dtype):
    real = {"complex64": "float32", "complex128": "float64"}
    name = str(dtype).removeprefix("torch.")
    return TOLERANCES[real.get(name, name)]


def test_all_five_norms_have_samples():
    assert sorted(OPS) == sorted(NORMS)
    assert all(len(samples(name, torch.float32)) >= 6 for name in NORMS)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_samples_match_torch(name, dtype):
    bounds = tolerance(dtype)
    for sample in samples(name, dtype, requires_grad=True):
        y, gradients, buffers = call(own_functional, name, sample)
        exact_y, exact_gradients, exact_buffers = call(torch_functional, name, sample, wide=True)
        torch_y, torch_gradients, _ = call(torch_functional, name, sample)
        assert (y.dtype, y.stride()) == (torch_y.dtype, torch_y.stride())
        assert [g.dtype for g in gradients] == [g.dtype for g in torch_gradients]
        assert_within(y, exact_y, bounds.forward_bound)
        assert len(gradients) == len(exact_gradients)
        for own, exact in zip(gradients, exact_gradients, strict=True):
            assert_within(own, exact, bounds.gradient_bound)
        for own, exact in zip(buffers, exact_buffers, strict=True):
            assert_within(own, exact, bounds.forward_bound)


@pytest.mark.parametrize("name", NORMS)
def test_noncontiguous_samples_match_torch(name):
    bounds = tolerance(torch.float32)
    for sample in samples(name, torch.float32, requires_grad=True):
        strided = sample.noncontiguous()
        y, gradients, _ = call(own_functional, name, strided)
        exact_y, exact_gradients, _ = call(torch_functional, name, strided, wide=True)
        assert_within(y, exact_y, bounds.forward_bound)
        for own, exact in zip(gradients, exact_gradients, strict=True):
            assert_within(own, exact, bounds.gradient_bound)


@pytest.mark.parametrize("name", [name for name in NORMS if OPS[name].error_inputs_func])
def test_error_inputs_are_refused(name):
    errors = list(OPS[name].error_inputs("cpu"))
    assert errors
    for error in errors:
        sample = error.sample_input
        with pytest.raises(error.error_type, match=error.error_regex):
            getattr(own_functional, name)(sample.input, *sample.args, **sample.kwargs)


@pytest.mark.parametrize("name", NORMS)
def test_samples_pass_gradcheck_and_gradgradcheck(name):
    checked = 0
    for sample in samples(name, torch.float64, requires_grad=True):
        if sample.input.numel() > 120:
            continue  # central differences of every pair; the formulas do not depend on size
        tree = (sample.input, *sample.args, *sample.kwargs.values())
        leaves = [a for a in tree if isinstance(a, torch.Tensor) and a.requires_grad]

        def function(*leaves, sample=sample):
            leaves = iter(leaves)

            def replace(tensor):
                return next(leaves) if tensor.requires_grad else tensor.clone()

            args = tree_map_only(torch.Tensor, replace, (sample.input, *sample.args))
            kwargs = tree_map_only(torch.Tensor, replace, sample.kwargs)
            return getattr(own_functional, name)(*args, **kwargs)

        assert gradcheck(function, leaves, check_forward_ad=True, check_batched_grad=True)
        assert gradgradcheck(function, leaves)
        checked += 1
    assert checked >= 2
