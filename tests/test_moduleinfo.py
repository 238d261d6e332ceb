"""Every input PyTorch tests its own norm modules with, run against bnlib.

The inputs ship in torch.testing._internal; the oracle is torch's module in float64, on the same
stored parameters and inputs.
"""

import copy
import io

import pytest
import torch
from tolerances import TOLERANCES
from torch.autograd import gradcheck, gradgradcheck
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

from bnlib import nn as bnn

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
NORMS = {info.module_cls: info for info in module_db if info.module_cls.__name__ in vars(bnn)}
# The inputs are uniform on (-9, 9), in groups of at least four values: |mean| / std stays below.
KAPPA = 10


def own_class(torch_class):
    return getattr(bnn, torch_class.__name__)


def module_inputs(torch_class, dtype, training, requires_grad=False):
    """(description, constructor input, forward arguments) of each sample, reproducibly drawn."""
    torch.manual_seed(3)
    info = NORMS[torch_class]
    samples = info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=requires_grad, training=training
    )
    for sample in samples:
        forward_input = sample.forward_input
        (x,) = (*forward_input.args, *forward_input.kwargs.values())
        yield sample, x


def build(module_class, sample, dtype, training):
    args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
    return module_class(*args, dtype=dtype, **kwargs).train(training)


def randomize(module):
    """Move parameters and statistics off 0 and 1, where wrong gradients hide."""
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 2.0)


def pair(torch_class, sample, dtype, training):
    """The same layer twice: torch's in float64, the oracle, and bnlib's in dtype."""
    own = build(own_class(torch_class), sample, dtype, training)
    randomize(own)
    oracle = build(torch_class, sample, torch.float64, training)
    oracle.load_state_dict(own.state_dict())
    return oracle, own


def run(module, x, dy):
    """Output, gradient of the input, gradients of the parameters by name."""
    x = x.detach().requires_grad_()
    parameters = dict(module.named_parameters())
    y = module(x)
    dx, *gradients = torch.autograd.grad(y, (x, *parameters.values()), dy)
    return y.detach(), dx, dict(zip(parameters, gradients, strict=True))


def assert_within(actual, exact, bound, what):
    error = (actual.double() - exact).abs().max().item() if actual.numel() else 0.0
    assert error <= bound, f"{what}: error {error:.3g}, allowed {bound:.3g}"


def largest(tensor):
    return tensor.abs().max().item() if tensor.numel() else 0.0


every_norm = pytest.mark.parametrize("torch_class", NORMS, ids=lambda c: c.__name__)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d).removeprefix("torch."))
both_modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


def test_the_database_covers_the_norms():
    dimensions = [f"{kind}Norm{n}d" for kind in ("Batch", "Instance") for n in (1, 2, 3)]
    names = {torch_class.__name__ for torch_class in NORMS}
    assert names == {*dimensions, "LayerNorm", "GroupNorm", "RMSNorm"}


@every_norm
@every_dtype
@both_modes
def test_matches_float64(torch_class, dtype, training):
    tolerance = TOLERANCES[str(dtype).removeprefix("torch.")]
    for sample, x in module_inputs(torch_class, dtype, training):
        oracle, own = pair(torch_class, sample, dtype, training)
        dy = torch.randn(x.shape, dtype=torch.float64).to(dtype)
        y, dx, gradients = run(own, x, dy)
        exact_y, exact_dx, exact_gradients = run(oracle, x.double(), dy.double())
        where = f"{torch_class.__name__} {sample.desc}"

        assert (y.dtype, y.shape, dx.dtype) == (dtype, exact_y.shape, dtype), where
        bound = tolerance.forward_bound(largest(exact_y), KAPPA)
        assert_within(y, exact_y, bound, f"{where}, y")
        bound = tolerance.gradient_bound(largest(exact_dx), KAPPA)
        assert_within(dx, exact_dx, bound, f"{where}, dx")
        for name, exact in exact_gradients.items():
            terms = exact_y.numel() // exact.numel()  # each at most max|dy| * max|x_hat|
            bound = tolerance.gradient_bound(terms * largest(dy) * max(largest(exact_y), 1), KAPPA)
            assert_within(gradients[name], exact, bound, f"{where}, d{name}")
        for name, exact in oracle.named_buffers():
            bound = 16 * tolerance.unit_roundoff * max(largest(exact), largest(x))
            assert_within(own.get_buffer(name), exact, bound, f"{where}, {name}")


@every_norm
@both_modes
def test_gradients_of_both_orders(torch_class, training):
    for sample, x in module_inputs(torch_class, torch.float64, training, requires_grad=True):
        _, own = pair(torch_class, sample, torch.float64, training)
        parameters = dict(own.named_parameters())

        def forward(x, *values, own=own, names=tuple(parameters)):
            return torch.func.functional_call(own, dict(zip(names, values, strict=True)), x)

        inputs = (x, *parameters.values())
        assert gradcheck(forward, inputs, fast_mode=True), sample.desc
        assert gradgradcheck(forward, inputs, fast_mode=True), sample.desc


@every_norm
@both_modes
def test_reference_functions(torch_class, training):
    """In float32, as PyTorch's reference for RMSNorm computes in it."""
    for sample, x in module_inputs(torch_class, torch.float32, training):
        if sample.reference_fn is not None:
            own = build(own_class(torch_class), sample, torch.float32, training)
            torch.testing.assert_close(own(x), sample.reference_fn(copy.deepcopy(own), x))


@every_norm
@both_modes
def test_memory_layouts(torch_class, training):
    """Transposed, expanded and channels_last inputs give the values of a contiguous copy."""
    for sample, x in module_inputs(torch_class, torch.float32, training):
        _, own = pair(torch_class, sample, torch.float32, training)
        layouts = [x.transpose(0, -1).contiguous().transpose(0, -1), x[..., :1].expand_as(x)]
        if "BatchNorm" in torch_class.__name__ and x.ndim in (4, 5):
            format = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
            layouts.append(x.contiguous(memory_format=format))
            assert own(layouts[-1]).is_contiguous(memory_format=format)
        for layout in layouts:
            expected = copy.deepcopy(own)(layout.contiguous())
            torch.testing.assert_close(copy.deepcopy(own)(layout), expected, msg=sample.desc)


@every_norm
def test_error_inputs(torch_class):
    info = NORMS[torch_class]
    for error_input in (info.module_error_inputs_func or (lambda *_, **__: ()))(
        info, device="cpu", dtype=torch.float32, requires_grad=False, training=True
    ):
        sample = error_input.module_error_input
        args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
        with pytest.raises(error_input.error_type, match=error_input.error_regex):
            own = own_class(torch_class)(*args, **kwargs)
            assert error_input.error_on is ModuleErrorEnum.FORWARD_ERROR
            own(*sample.forward_input.args, **sample.forward_input.kwargs)


@every_norm
def test_state_repr_and_copies(torch_class):
    for sample, x in module_inputs(torch_class, torch.float32, training=False):
        torchs = build(torch_class, sample, torch.float32, training=False)
        own = build(own_class(torch_class), sample, torch.float32, training=False)
        assert repr(own) == repr(torchs)
        assert isinstance(own, torch_class)
        assert own.state_dict().keys() == torchs.state_dict().keys()
        assert own.state_dict()._metadata == torchs.state_dict()._metadata
        for name, tensor in torchs.state_dict().items():
            assert torch.equal(own.state_dict()[name], tensor), name
        randomize(own)
        stored = io.BytesIO()
        torch.save(own, stored)
        stored.seek(0)
        for twin in copy.deepcopy(own), torch.load(stored, weights_only=False):
            assert type(twin) is own_class(torch_class)
            assert torch.equal(twin(x), own(x))


@every_norm
def test_factory_arguments(torch_class):
    for sample, _ in module_inputs(torch_class, torch.float32, training=True):
        args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
        own = own_class(torch_class)(*args, device="meta", dtype=torch.float64, **kwargs)
        for name, tensor in own.state_dict().items():
            assert tensor.is_meta
            assert tensor.dtype == (torch.int64 if "num_batches" in name else torch.float64)
