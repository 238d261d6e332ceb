"""bnlib.nn against torch.nn: bookkeeping, errors, conversion, and what torch does to modules."""

import copy
import inspect
import itertools
import time
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
from tolerances import TOLERANCES
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.utils.checkpoint import checkpoint

from bnlib import nn as bnn
from bnlib.inference import population_statistics

NAMES = (
    *(f"{kind}Norm{n}d" for kind in ("Batch", "Instance") for n in (1, 2, 3)),
    *("SyncBatchNorm", "LayerNorm", "GroupNorm", "RMSNorm"),
)
U32 = TOLERANCES["float32"].unit_roundoff


def randomize(module):
    """Move parameters and statistics off 0 and 1, where wrong gradients and updates hide."""
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 2.0)
    return module


def twins(name, *args, **kwargs):
    """The same layer with the same random state, torch's and bnlib's."""
    torchs = randomize(getattr(nn, name)(*args, **kwargs))
    own = getattr(bnn, name)(*args, **kwargs)
    own.load_state_dict(torchs.state_dict())
    return torchs, own


def buffers(module):
    return {name: tensor.clone() for name, tensor in module.named_buffers()}


def assert_same_buffers(own, torchs):
    assert own.state_dict().keys() == torchs.state_dict().keys()
    for name, expected in torchs.named_buffers():
        torch.testing.assert_close(own.get_buffer(name), expected, rtol=8 * U32, atol=0)


@pytest.mark.skipif(not bnn._TORCH_HAS_BIAS, reason="bnlib takes `bias`, this torch does not")
@pytest.mark.parametrize("name", NAMES)
def test_takes_torchs_arguments(name):
    own, torchs = getattr(bnn, name), getattr(nn, name)
    expected = inspect.signature(torchs).parameters
    assert list(inspect.signature(own).parameters) == list(expected)
    defaults = [p.default for p in inspect.signature(own).parameters.values()]
    assert defaults == [p.default for p in expected.values()]


def test_bias_argument_where_torch_lacks_it():
    class Old(nn.BatchNorm2d):
        def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True):
            super().__init__(num_features, eps, momentum, affine)

        def reset_parameters(self):
            nn.init.zeros_(self.bias)

    class BatchNorm2d(bnn._OptionalBias, Old):
        pass

    layer = BatchNorm2d(3, 1e-3, bias=False)
    assert layer.eps == 1e-3
    assert layer.bias is None and "bias" not in layer.state_dict()
    randomize(layer).reset_parameters()
    assert layer.weight.tolist() == [1.0] * 3 and layer.running_var.tolist() == [1.0] * 3
    assert BatchNorm2d(3).bias.tolist() == [0.0] * 3
    assert BatchNorm2d(3, affine=False, bias=False).weight is None


def test_is_torchs_batch_norm_where_isinstance_matters():
    for name in NAMES:
        if name != "SyncBatchNorm":
            assert issubclass(getattr(bnn, name), getattr(nn, name))
    for layer in bnn.SyncBatchNorm(3), bnn.BatchNormAct2d(3):
        assert isinstance(layer, nn.modules.batchnorm._BatchNorm)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track_running_stats", [True, False])
@pytest.mark.parametrize("momentum", [0.3, None])
def test_buffers_follow_torch(affine, track_running_stats, momentum):
    """Three training steps, then evaluation: outputs and buffers at every step."""
    torch.manual_seed(0)
    torchs, own = twins("BatchNorm2d", 5, 1e-3, momentum, affine, track_running_stats)
    for training in (True, True, True, False):
        x = torch.randn(3, 5, 2, 4) * 3 + 1
        expected = torchs.train(training)(x)
        torch.testing.assert_close(own.train(training)(x), expected)
        assert_same_buffers(own, torchs)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("momentum", [0.3, None])
def test_flags_changed_after_construction(training, momentum):
    x = torch.randn(7, 5)

    def stop_tracking(layer):
        layer.track_running_stats = False

    def drop_buffers(layer):
        layer.running_mean = layer.running_var = layer.num_batches_tracked = None

    def drop_count(layer):
        layer.num_batches_tracked = None

    for change in stop_tracking, drop_buffers, drop_count:
        torchs, own = twins("BatchNorm1d", 5, momentum=momentum)
        for layer in torchs, own:
            change(layer.train(training))
        torch.testing.assert_close(own(x), torchs(x), msg=change.__name__)
        assert_same_buffers(own, torchs)


def test_initial_statistics():
    """Mean 0 and variance 1, so an untrained layer in evaluation mode is nearly the identity."""
    layer = bnn.BatchNorm1d(4, eps=1e-12)
    assert layer.running_mean.tolist() == [0.0] * 4
    assert layer.running_var.tolist() == [1.0] * 4
    x = torch.randn(3, 4)
    torch.testing.assert_close(layer.eval()(x), x)


def test_one_scale_and_one_statistic_per_channel():
    """The convolutional property: gamma, beta and the buffers belong to a whole feature map."""
    x = torch.randn(2, 3, 4, 5) * 2 + 7
    layer = bnn.BatchNorm2d(3, momentum=1.0)
    y = layer(x)
    values = x.transpose(0, 1).flatten(1)
    torch.testing.assert_close(layer.running_mean, values.mean(1))
    torch.testing.assert_close(layer.running_var, values.var(1, correction=1))
    torch.testing.assert_close(
        y.transpose(0, 1).flatten(1).mean(1), torch.zeros(3), atol=1e-6, rtol=0
    )


# Layer, constructor arguments, training, input shape, dtype. bnlib's layer raises what torch's
# raises: the type of exception and its words, to which it may add what came.
BAD_INPUTS = [
    ("BatchNorm1d", (5,), True, (4, 5, 3, 3), torch.float32),
    ("BatchNorm1d", (5,), True, (5,), torch.float32),
    ("BatchNorm2d", (5,), True, (4, 5), torch.float32),
    ("BatchNorm2d", (5,), False, (4, 5, 3), torch.float32),
    ("BatchNorm3d", (5,), True, (4, 5, 3, 3), torch.float32),
    ("BatchNorm1d", (5,), True, (1, 5), torch.float32),
    ("BatchNorm1d", (5,), True, (1, 5, 1), torch.float32),
    ("BatchNorm2d", (5, 1e-5, None), True, (1, 5, 1, 1), torch.float32),
    ("BatchNorm2d", (5, 1e-5, 0.1, True, False), False, (1, 5, 1, 1), torch.float32),
    ("BatchNorm2d", (5,), True, (4, 6, 3, 3), torch.float32),
    ("BatchNorm2d", (5,), False, (4, 6, 3, 3), torch.float32),
    ("BatchNorm2d", (5, 1e-5, 0.1, True, False), True, (4, 6, 3, 3), torch.float32),
    ("BatchNorm2d", (5,), True, (4, 5, 3, 3), torch.int64),
    ("BatchNorm2d", (5,), True, (4, 5, 3, 3), torch.float64),
    ("BatchNorm2d", (5,), True, (4, 5, 3, 3), torch.complex64),
    ("BatchNorm2d", (5, 0.0), True, (4, 5, 3, 3), torch.float32),
    ("BatchNorm2d", (5, -1.0), False, (4, 5, 3, 3), torch.float32),
    ("SyncBatchNorm", (5,), True, (5,), torch.float32),
    ("SyncBatchNorm", (5,), True, (4, 0), torch.float32),
    ("InstanceNorm1d", (5,), True, (4,), torch.float32),
    ("InstanceNorm2d", (5,), True, (4, 5), torch.float32),
    ("InstanceNorm2d", (5, 1e-5, 0.1, True), True, (4, 6, 3, 3), torch.float32),
    ("InstanceNorm2d", (5,), True, (4, 5, 1, 1), torch.float32),
    ("InstanceNorm2d", (5,), True, (4, 5, 3, 3), torch.int64),
    ("LayerNorm", ((5, 3),), True, (4, 3), torch.float32),
    ("LayerNorm", ((5, 3),), True, (3,), torch.float32),
    ("LayerNorm", ((5, 3), 1e-5, False), True, (4, 5, 3), torch.int64),
    ("GroupNorm", (2, 6), True, (4, 5, 3), torch.float32),
    ("GroupNorm", (2, 6), True, (4, 8, 3), torch.float32),
    ("GroupNorm", (2, 6), True, (6,), torch.float32),
    ("RMSNorm", ((5, 3),), True, (4, 3), torch.float32),
    ("RMSNorm", ((5, 3),), True, (4, 5, 3), torch.int64),
]


def bad_input_id(case):
    name, args, training, shape, dtype = case
    return f"{name}{args}-{'train' if training else 'eval'}-{shape}-{dtype}".replace(" ", "")


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
@pytest.mark.parametrize(
    "name, args, training, shape, dtype", BAD_INPUTS, ids=map(bad_input_id, BAD_INPUTS)
)
def test_bad_inputs(name, args, training, shape, dtype):
    torchs, own = twins(name, *args)
    x = torch.ones(shape).to(dtype)
    before = buffers(own)
    with pytest.raises(Exception) as expected:
        torchs.train(training)(x)
    with pytest.raises(type(expected.value)) as raised:
        own.train(training)(x)
    text = str(expected.value).replace("shape [*5, 3]", "shape [*, 5, 3]")  # a slip of torch's
    assert str(raised.value).startswith(text)
    for buffer, value in before.items():
        assert torch.equal(own.get_buffer(buffer), value), f"{buffer} changed"


def test_constructor_errors():
    with pytest.raises(ValueError, match=r"num_channels \(7\) must be divisible by num_groups"):
        bnn.GroupNorm(2, 7)


def test_loads_a_checkpoint_without_num_batches_tracked():
    """Version 1 of the state_dict, from before torch 0.4.1."""
    state = randomize(nn.BatchNorm2d(3)).state_dict()
    del state["num_batches_tracked"]
    state._metadata[""]["version"] = 1
    own = bnn.BatchNorm2d(3)
    own.load_state_dict(state)
    assert torch.equal(own.running_var, state["running_var"])
    assert own.num_batches_tracked == 0
    state._metadata[""]["version"] = 2
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        own.load_state_dict(state)


def separate(layer, x, residual):
    y = layer(x)
    return (y if residual is None else y + residual).relu()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("with_residual", [True, False])
def test_batch_norm_act(training, with_residual):
    """Outputs, gradients and buffers of the three separate steps, from their checkpoint."""
    torchs = randomize(nn.BatchNorm2d(5)).double().train(training)
    torchs.bias.data.sub_(1.2)  # so that the ReLU cuts about half
    own = bnn.BatchNormAct2d(5, dtype=torch.float64).train(training)
    own.load_state_dict(torchs.state_dict())
    x = torch.randn(3, 5, 4, 2, dtype=torch.float64, requires_grad=True)
    residual = torch.randn_like(x, requires_grad=True) if with_residual else None
    wanted = [x, *own.parameters()] + ([residual] if with_residual else [])
    theirs = [x, *torchs.parameters()] + ([residual] if with_residual else [])
    expected, y = separate(torchs, x, residual), own(x, residual)
    torch.testing.assert_close(y, expected)
    dy = torch.randn_like(y)
    for actual, exact in zip(
        torch.autograd.grad(y, wanted, dy), torch.autograd.grad(expected, theirs, dy), strict=True
    ):
        torch.testing.assert_close(actual, exact)
    assert_same_buffers(own, torchs)
    assert (y == 0).any() and (y > 0).any()


@pytest.mark.parametrize(
    "residual, error, message",
    [
        (torch.ones(3, 5, 1, 1), ValueError, r".* \(3, 5, 4, 2\), got \(3, 5, 1, 1\)"),
        (torch.ones(1), ValueError, r".* got \(1,\)"),
        (torch.ones(3, 5, 4, 2, dtype=torch.complex64), RuntimeError, ".* got torch.complex64"),
        (1.0, TypeError, r".*must be Tensor, not float"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_act_refuses_another_residual(residual, error, message, training):
    own = randomize(bnn.BatchNormAct2d(5)).train(training)
    before = buffers(own)
    with pytest.raises(error, match="residual" + message):
        own(torch.ones(3, 5, 4, 2), residual)
    assert all(torch.equal(own.get_buffer(name), value) for name, value in before.items())


def every_norm():
    """One of each, and layers `convert` must leave alone."""

    class Shifted(nn.BatchNorm2d):
        def forward(self, input):
            return super().forward(input) + 1

    return nn.ModuleDict(
        {
            **{name: getattr(nn, name)(4) for name in NAMES if "Group" not in name},
            "GroupNorm": nn.GroupNorm(2, 4),
            "Shifted": Shifted(4),
            "Lazy": nn.LazyBatchNorm2d(),
            "Linear": nn.Linear(4, 4),
        }
    )


def test_convert_there_and_back():
    model = every_norm()
    tensors = {name: id(t) for name, t in model.state_dict(keep_vars=True).items()}
    before = {name: (type(layer), repr(layer)) for name, layer in model.items()}
    assert bnn.convert(model) is model
    for name, layer in model.items():
        expected = getattr(bnn, name) if name in NAMES else before[name][0]
        assert type(layer) is expected
    assert {n: id(t) for n, t in model.state_dict(keep_vars=True).items()} == tensors
    bnn.convert(model, to="torch")
    assert {name: (type(layer), repr(layer)) for name, layer in model.items()} == before
    with pytest.raises(ValueError, match='to: expected "bnlib" or "torch", got \'jax\''):
        bnn.convert(model, to="jax")


def test_convert_keeps_identity_flags_and_hooks():
    shared, frozen = nn.BatchNorm1d(4), nn.BatchNorm1d(4).eval()
    model = nn.Sequential(shared, nn.ReLU(), shared, frozen)
    calls = []
    shared.register_forward_hook(lambda *_: calls.append("forward"))
    shared.weight.register_hook(lambda _: calls.append("backward"))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    bnn.convert(model)
    assert model[0] is shared and model[2] is shared and type(shared) is bnn.BatchNorm1d
    assert shared.training and not frozen.training and type(frozen) is bnn.BatchNorm1d
    before = shared.weight.detach().clone()
    model(torch.randn(5, 4)).square().sum().backward()
    optimizer.step()
    assert calls == ["forward", "forward", "backward"]
    assert shared.num_batches_tracked == 2 and frozen.num_batches_tracked == 0
    assert not torch.equal(shared.weight, before)


def test_convert_a_layer_by_itself():
    layer = nn.LayerNorm(4)
    assert bnn.convert(layer) is layer and type(layer) is bnn.LayerNorm
    assert type(bnn.convert(bnn.BatchNormAct2d(4), to="torch")) is bnn.BatchNormAct2d


def test_update_bn_and_batch_norm_replacement():
    """What torch does to every `_BatchNorm` it finds, it does to bnlib's."""
    torch.manual_seed(0)
    torchs, own = twins("BatchNorm1d", 4)
    loader = [torch.randn(n, 4) * 2 + 3 for n in (5, 7, 6)]
    torch.optim.swa_utils.update_bn(loader, torchs)
    torch.optim.swa_utils.update_bn(loader, own)
    assert_same_buffers(own, torchs)
    torch.func.replace_all_batch_norm_modules_(own)
    assert own.running_mean is None and not own.track_running_stats


class SmallNet(nn.Module):
    """One of each kind of statistics, in the order a convolutional net meets them."""

    def __init__(self):
        super().__init__()
        self.batch, self.group = nn.BatchNorm2d(6), nn.GroupNorm(3, 6)
        self.instance = nn.InstanceNorm2d(6, affine=True)
        self.layer, self.rms = nn.LayerNorm(5), nn.RMSNorm(5)

    def forward(self, x):
        return self.rms(self.layer(self.instance(self.group(self.batch(x)).relu())))


@pytest.fixture
def small_nets():
    torch.manual_seed(0)
    torchs = randomize(SmallNet())
    return torchs, bnn.convert(copy.deepcopy(torchs)), torch.randn(3, 6, 4, 5)


def test_compile(small_nets):
    """The whole net is one graph, forward and backward, and the buffers move."""
    _, own, x = small_nets
    eager = copy.deepcopy(own)
    compiled = torch.compile(own, fullgraph=True, backend="aot_eager")
    x1, x2 = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = compiled(x1), eager(x2)
    torch.testing.assert_close(y, expected)
    dy = torch.randn_like(y)
    y.backward(dy)
    expected.backward(dy)
    torch.testing.assert_close(x1.grad, x2.grad, rtol=1e-4, atol=1e-5)
    assert_same_buffers(own, eager)
    assert own.batch.num_batches_tracked == 1


def test_export(small_nets):
    _, own, x = small_nets
    own.eval()
    program = torch.export.export(own, (x,))
    torch.testing.assert_close(program.module()(x), own(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_gives_torchs_dtypes(small_nets, dtype):
    torchs, own, x = small_nets
    with torch.autocast("cpu", torch.bfloat16):
        for name, layer in own.named_children():
            expected = torchs.get_submodule(name)(x.to(dtype))
            y = layer(x.to(dtype))
            assert y.dtype == expected.dtype, name
            torch.testing.assert_close(y, expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.BatchNorm1d(4, track_running_stats=False),
        lambda: nn.BatchNorm1d(4).eval(),
        lambda: nn.LayerNorm(4),
        lambda: nn.GroupNorm(2, 4),
        lambda: nn.RMSNorm(4),
    ],
    ids=["BatchNorm-train", "BatchNorm-eval", "LayerNorm", "GroupNorm", "RMSNorm"],
)
def test_vmap_over_an_ensemble(make):
    """Parameters and inputs stacked along a new axis, as torch.func does ensembles."""
    torch.manual_seed(0)
    ensemble = [randomize(bnn.convert(make())) for _ in range(3)]
    parameters, stacked_buffers = stack_module_state(ensemble)
    x = torch.randn(3, 6, 4)

    def call(parameters, buffers, x):
        return functional_call(ensemble[0], (parameters, buffers), (x,))

    y = vmap(call)(parameters, stacked_buffers, x)
    expected = torch.stack([layer(row) for layer, row in zip(ensemble, x, strict=True)])
    torch.testing.assert_close(y, expected)


def test_per_sample_gradients():
    """vmap over grad, the use torch.func documents, through layers that do not mix samples."""
    torch.manual_seed(0)
    own = randomize(bnn.LayerNorm(4))
    x = torch.randn(5, 4)
    parameters = dict(own.named_parameters())

    def loss(parameters, sample):
        return functional_call(own, parameters, (sample,)).square().sum()

    gradients = vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    for sample, gradient in zip(x, gradients["weight"], strict=True):
        (expected,) = torch.autograd.grad(loss(parameters, sample), own.weight)
        torch.testing.assert_close(gradient, expected)


def test_functional_call_moves_the_buffers_it_is_given():
    torchs, own = twins("BatchNorm1d", 4)
    x = torch.randn(6, 4)
    given = buffers(own)
    own_before = buffers(own)
    y = functional_call(own, given, (x,))
    torch.testing.assert_close(y, torchs(x))
    torch.testing.assert_close(given["running_mean"], torchs.running_mean)
    assert given["num_batches_tracked"] == 1
    for name, value in own_before.items():
        assert torch.equal(own.get_buffer(name), value)


# SyncBatchNorm. Two processes talk over gloo; every wait has a limit, so a lost rank is an error.

COLLECTIVE_TIMEOUT = timedelta(seconds=30)


def run_two_ranks(worker, directory):
    """Run worker(rank, directory) in two processes; return what each saved with torch.save."""
    context = torch.multiprocessing.spawn(_start_rank, (worker, directory), nprocs=2, join=False)
    deadline = time.monotonic() + 90
    try:
        while not context.join(timeout=1):
            assert time.monotonic() < deadline, "the ranks did not finish"
    finally:
        for process in context.processes:
            process.kill()
    return [torch.load(directory / f"{rank}.pt") for rank in range(2)]


def _start_rank(rank, worker, directory):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{directory}/store",
        rank=rank,
        world_size=2,
        timeout=COLLECTIVE_TIMEOUT,
    )
    torch.save(worker(rank), directory / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


# name: (samples on rank 0, on rank 1, keyword arguments of the layer)
SYNC_CASES = {
    "even": (4, 4, {}),
    "uneven": (5, 2, {}),
    "empty": (6, 0, {}),
    "one sample each": (1, 1, {}),
    "cumulative": (3, 4, {"momentum": None}),
    "not affine": (3, 4, {"affine": False}),
    "no bias": (3, 4, {"bias": False}),
    "not tracking": (3, 4, {"track_running_stats": False}),
}


def sync_inputs(case, dtype=torch.float64):
    """The whole batch and its gradient; the ranks' halves have far apart means."""
    on_first, on_second, _ = SYNC_CASES[case]
    generator = torch.Generator().manual_seed(list(SYNC_CASES).index(case))
    shape = (on_first + on_second, 3, 2, 1)
    x, dy = (torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(2))
    x[:on_first] += 5
    return x.to(dtype), dy.to(dtype)


def set_off_defaults(layer):
    with torch.no_grad():
        for index, tensor in enumerate(layer.state_dict().values()):
            if tensor.is_floating_point():
                tensor.copy_(torch.linspace(0.5, 2.0 + index, 3))
    return layer


def two_steps(layer, x, dy):
    """Two training steps: the last output, the gradients, the buffers."""
    layer(x)
    x = x.requires_grad_()
    y = layer(x)
    y.backward(dy)
    gradients = {name: p.grad for name, p in layer.named_parameters()}
    return {"y": y.detach(), "dx": x.grad, **gradients, **buffers(layer)}


def sync_rank(rank):
    results = {}
    for case, (on_first, _, kwargs) in SYNC_CASES.items():
        mine = slice(on_first) if rank == 0 else slice(on_first, None)
        x, dy = sync_inputs(case)
        layer = set_off_defaults(bnn.SyncBatchNorm(3, dtype=torch.float64, **kwargs))
        results[case] = two_steps(layer, x[mine].clone(), dy[mine])
    results["dtypes"] = [sync_dtype(rank, dtype) for dtype in (torch.float32, torch.bfloat16)]
    results["single value"] = sync_single_value(rank)
    results["bad inputs"] = sync_bad_inputs()
    results["data parallel"] = sync_data_parallel(rank)
    results["subgroup"] = sync_subgroup(rank)
    results["population"] = sync_population(rank)
    results["checkpointed"] = sync_checkpointed()
    results["lost rank"] = sync_lost_rank(rank)
    return results


def sync_dtype(rank, dtype):
    x, dy = sync_inputs("even", dtype)
    mine = slice(4) if rank == 0 else slice(4, None)
    return two_steps(set_off_defaults(bnn.SyncBatchNorm(3, dtype=dtype)), x[mine].clone(), dy[mine])


def sync_single_value(rank):
    """One value per channel in the union: both ranks learn it, and no buffer moves."""
    layer = bnn.SyncBatchNorm(3)
    try:
        layer(torch.ones(1 - rank, 3))
    except ValueError as error:
        return str(error), buffers(layer)
    return "accepted", buffers(layer)


def sync_bad_inputs():
    """Refused before the ranks talk, each by the error of plain batch norm."""
    layers = [bnn.SyncBatchNorm(3), bnn.SyncBatchNorm(3), bnn.SyncBatchNorm(3, eps=0.0)]
    layers += [bnn.SyncBatchNorm(3), bnn.SyncBatchNorm(3, dtype=torch.float64)]
    layers[3].running_var = None
    inputs = (
        torch.ones(4, 1),
        torch.ones(4, 3, dtype=torch.int64),
        torch.ones(4, 3),
        torch.ones(4, 3),
        torch.ones(4, 3),
    )
    messages = []
    for layer, x in zip(layers, inputs, strict=True):
        try:
            layer(x)
        except (RuntimeError, NotImplementedError, ValueError) as error:
            messages.append((type(error).__name__, str(error)))
    return messages


def sync_data_parallel(rank):
    """DistributedDataParallel on the CPU: averaged gradients over the two halves of a batch."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double()
    model = bnn.SyncBatchNorm.convert_sync_batchnorm(model)
    wrapped = nn.parallel.DistributedDataParallel(model)
    x = torch.arange(24, dtype=torch.float64).reshape(6, 4).sin()
    wrapped(x[3 * rank : 3 * rank + 3]).square()[:, 0].sum().backward()
    return {name: p.grad for name, p in model.named_parameters()}


def sync_subgroup(rank):
    """A group of one rank synchronizes with nobody; in evaluation nobody does."""
    alone = [dist.new_group([r]) for r in range(2)][rank]
    x = torch.randn(4, 3)
    layer, plain = bnn.SyncBatchNorm(3, process_group=alone), bnn.BatchNorm1d(3)
    torch.testing.assert_close(layer(x), plain(x))
    if rank == 0:  # the other rank takes no part in this
        in_world = bnn.SyncBatchNorm(3).eval()
        torch.testing.assert_close(in_world(x), nn.BatchNorm1d(3).eval()(x))
    return layer.num_batches_tracked


def sync_population(rank):
    """One rank alone takes statistics again, as before it saves the model."""
    model = bnn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm1d(3)))
    wrapped = nn.parallel.DistributedDataParallel(model)  # broadcasts buffers at each forward
    if rank == 0:
        population_statistics(wrapped, [torch.arange(12.0).reshape(4, 3)])
    assert wrapped.require_forward_param_sync
    return model[0].running_mean


def sync_checkpointed():
    """The average of all batches' means where each forward is run again before its backward."""
    block = nn.Sequential(nn.ReLU(), bnn.SyncBatchNorm(1, momentum=None))
    for level in (1.0, 2.0, 3.0):
        x = torch.tensor([[level], [level + 2]], requires_grad=True)
        checkpoint(block, x, use_reentrant=False).sum().backward()
    return block[1].running_mean


def sync_lost_rank(rank):
    short = dist.new_group([0, 1], timeout=timedelta(seconds=1))
    if rank == 1:
        return None
    try:
        bnn.SyncBatchNorm(3, process_group=short)(torch.randn(4, 3))
    except RuntimeError as error:
        return str(error)
    return "accepted"


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    if not (dist.is_available() and dist.is_gloo_available()):
        pytest.skip("this torch has no gloo")
    return run_two_ranks(sync_rank, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("case", SYNC_CASES)
def test_sync_batch_norm_is_batch_norm_of_the_union(ranks, case):
    on_first, on_second, kwargs = SYNC_CASES[case]
    x, dy = sync_inputs(case)
    plain = set_off_defaults(nn.BatchNorm2d(3, dtype=torch.float64, **kwargs))
    expected = two_steps(plain, x, dy)
    first, second = (rank[case] for rank in ranks)
    assert len(first["y"]) == on_first and len(second["y"]) == on_second
    assert first.keys() == expected.keys()
    for name, value in expected.items():
        if name in ("y", "dx"):
            actual = torch.cat([first[name], second[name]])
        elif name in ("weight", "bias"):  # each rank's own; data parallel training sums them
            actual = first[name] + second[name]
        else:
            actual = first[name]
            assert torch.equal(first[name], second[name]), f"the ranks disagree on {name}"
        torch.testing.assert_close(actual, value, rtol=1e-11, atol=1e-11, msg=f"{case}: {name}")


def test_sync_batch_norm_dtypes(ranks):
    for index, dtype in enumerate((torch.float32, torch.bfloat16)):
        tolerance = TOLERANCES[str(dtype).removeprefix("torch.")]
        x, dy = sync_inputs("even", dtype)
        plain = set_off_defaults(nn.BatchNorm2d(3, dtype=torch.float64))
        expected = two_steps(plain, x.double(), dy.double())
        y, dx = (torch.cat([rank["dtypes"][index][name] for rank in ranks]) for name in ("y", "dx"))
        assert y.dtype == dx.dtype == dtype
        error = (y.double() - expected["y"]).abs().max()
        assert error <= tolerance.forward_bound(expected["y"].abs().max(), kappa=2)
        error = (dx.double() - expected["dx"]).abs().max()
        assert error <= tolerance.gradient_bound(expected["dx"].abs().max(), kappa=2)


def test_sync_batch_norm_refuses_a_single_value(ranks):
    for rank, size in zip(ranks, ((1, 3), (0, 3)), strict=True):
        message, state = rank["single value"]
        assert "Expected more than 1 value per channel when training" in message
        assert str(torch.Size(size)) in message
        assert state["num_batches_tracked"] == 0 and state["running_var"].tolist() == [1.0] * 3


def test_sync_batch_norm_refuses_other_channels_and_integers(ranks):
    assert ranks[0]["bad inputs"] == [
        ("RuntimeError", "running_mean should contain 1 elements not 3"),
        ("NotImplementedError", "\"batch_norm\" not implemented for 'Long'"),
        ("ValueError", "batch_norm eps must be positive during training, but got 0.0"),
        ("ValueError", "running_mean and running_var must either both be None or neither be None"),
        (
            "RuntimeError",
            "mixed dtype (CPU): expect parameter to have scalar type of Float, but weight is "
            "Double",
        ),
    ]


def test_sync_batch_norm_in_data_parallel(ranks):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double()
    x = torch.arange(24, dtype=torch.float64).reshape(6, 4).sin()
    model(x).square()[:, 0].sum().backward()
    for rank, (name, p) in itertools.product(ranks, model.named_parameters()):
        torch.testing.assert_close(rank["data parallel"][name], p.grad / 2)  # DDP averages


def test_sync_batch_norm_in_a_group_of_one(ranks):
    assert [rank["subgroup"].item() for rank in ranks] == [1, 1]


def test_population_statistics_wait_for_no_other_rank(ranks):
    assert [rank["population"].tolist() for rank in ranks] == [[4.5, 5.5, 6.5], [0.0, 0.0, 0.0]]


def test_sync_batch_norm_counts_a_batch_once_that_is_run_again(ranks):
    assert [rank["checkpointed"].item() for rank in ranks] == pytest.approx([3.0, 3.0])


def test_a_lost_rank_is_an_error(ranks):
    assert "imed out" in ranks[0]["lost rank"]


def test_sync_batch_norm_without_a_process_group():
    torchs, own = twins("SyncBatchNorm", 4)
    assert repr(own) == repr(torchs)
    assert own.state_dict()._metadata == torchs.state_dict()._metadata
    x = torch.randn(5, 4, 2)
    torch.testing.assert_close(own(x), torchs(x))
    assert_same_buffers(own, torchs)


def test_convert_sync_batchnorm_both_classes():
    group = object()
    model = nn.Sequential(nn.BatchNorm2d(3), bnn.BatchNorm1d(3), nn.LayerNorm(3))
    model.extend([bnn.BatchNormAct2d(3), bnn.SyncBatchNorm(3), nn.SyncBatchNorm(3)])
    with pytest.warns(UserWarning, match=r"^not synchronized: 3 \(BatchNormAct2d\)$"):
        assert bnn.SyncBatchNorm.convert_sync_batchnorm(model, group) is model
    assert [type(layer) for layer in model] == [
        *(bnn.SyncBatchNorm, bnn.SyncBatchNorm, nn.LayerNorm, bnn.BatchNormAct2d),
        *(bnn.SyncBatchNorm, bnn.SyncBatchNorm),
    ]
    assert all(model[i].process_group is group for i in (0, 1, 4, 5))
    assert type(nn.SyncBatchNorm.convert_sync_batchnorm(bnn.BatchNorm2d(3))) is nn.SyncBatchNorm


def test_moments_of_float32_sums_keep_their_digits(monkeypatch):
    """As on a GPU, where float64 is slow: the mean's own rounding is told by the deviations."""
    monkeypatch.setattr(bnn, "_wide_dtype", lambda x: torch.float32)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 2, 28, 28, dtype=torch.float64, generator=generator) + 1e6
    x = x.float()
    count, mean, m2 = bnn.channel_moments(x)
    values = x.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean, values.mean(1), rtol=1e-9, atol=0)
    torch.testing.assert_close(m2 / count, values.var(1, correction=0), rtol=1e-6, atol=0)


def test_merged_moments_are_those_of_the_union():
    x = torch.randn(9, 3, 2, dtype=torch.float64) + 1e4
    parts = torch.stack([bnn.channel_moments(part) for part in x.split([4, 0, 5])])
    count, mean, m2 = bnn.merge_moments(parts)
    values = x.transpose(0, 1).flatten(1)
    assert count.tolist() == [18.0] * 3
    torch.testing.assert_close(mean, values.mean(1), rtol=1e-14, atol=0)
    torch.testing.assert_close(m2 / 17, values.var(1), rtol=1e-12, atol=0)
    assert bnn.merge_moments(parts[1:2]).tolist() == torch.zeros(3, 3).tolist()


@pytest.mark.parametrize("library", [nn, bnn], ids=["torch", "bnlib"])
def test_numbers_of_numpy(library):
    tenth, epsilon, x = np.float32(0.1), np.float32(1e-5), torch.randn(4, 6, 5)
    layers = [
        library.BatchNorm1d(6, epsilon, tenth),
        library.InstanceNorm1d(6, epsilon, tenth, track_running_stats=True),
        library.GroupNorm(np.int64(2), 6, epsilon),
        library.LayerNorm(np.int64(5), epsilon),
        library.RMSNorm(5, epsilon),
    ]
    for layer in layers:
        assert layer(x).shape == x.shape


def test_vmap_with_buffers_that_are_not_batched():
    """Refused in torch's words; the buffers have not moved."""
    for layer in bnn.BatchNorm1d(3), bnn.InstanceNorm1d(3, track_running_stats=True):
        layer.running_mean.fill_(5)
        with pytest.raises(RuntimeError, match="running_mean or running_var, which will be update"):
            vmap(layer)(torch.randn(4, 8, 3, 2))
        assert layer.running_mean.tolist() == [5, 5, 5] and layer.num_batches_tracked == 0


@pytest.mark.parametrize("library", [nn, bnn], ids=["torch", "bnlib"])
def test_vmap_over_the_parameters_alone(library):
    """One input, five weights: the running statistics move once, as without vmap."""
    layer, x, weights = library.BatchNorm1d(3), torch.randn(8, 3), torch.randn(5, 3)
    y = vmap(lambda weight: functional_call(layer, {"weight": weight}, (x,)))(weights)
    plain = library.BatchNorm1d(3)
    torch.testing.assert_close(y, plain(x) * weights[:, None])
    torch.testing.assert_close(layer.running_mean, plain.running_mean)
    assert layer.num_batches_tracked == 1
