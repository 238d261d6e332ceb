"""Population statistics against the paper's formulas, folding against evaluation mode."""

import copy

import pytest
import torch
from tolerances import TOLERANCES
from torch import nn
from torch.nn.utils import prune

from bnlib import nn as bnn
from bnlib.inference import fold, fold_model, population_statistics

U32 = TOLERANCES["float32"].unit_roundoff


def randomize(module):
    """Move parameters and statistics off 0 and 1, where mistakes in folding hide."""
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.3, 1.5).mul_(torch.where(torch.rand(()) < 0.5, -1, 1))
        for layer in module.modules():
            if getattr(layer, "running_var", None) is not None:
                layer.running_var.abs_()
    return module


def state(module):
    """Everything population_statistics may touch: tensors, flags, hooks."""
    return (
        {name: tensor.tolist() for name, tensor in module.state_dict().items()},
        [(m.training, getattr(m, "track_running_stats", None)) for m in module.modules()],
        [len(m._forward_hooks) for m in module.modules()],
    )


@pytest.fixture
def batches():
    """Unequal batches whose means differ, far from zero."""
    torch.manual_seed(0)
    return [torch.randn(n, 4, 3, 2) * (1 + n) + 100 * n for n in (5, 2, 9, 1)]


@pytest.mark.parametrize("layer_class", [nn.BatchNorm2d, bnn.BatchNorm2d, bnn.BatchNormAct2d])
def test_first_layer_gets_the_statistics_of_all_values(layer_class, batches):
    layer = randomize(layer_class(4, momentum=0.9))
    population_statistics(layer, batches)
    values = torch.cat(batches).transpose(0, 1).flatten(1).double()
    torch.testing.assert_close(layer.running_mean.double(), values.mean(1), rtol=2 * U32, atol=0)
    variance = values.var(1, correction=1)
    torch.testing.assert_close(layer.running_var.double(), variance, rtol=2 * U32, atol=0)
    assert layer.num_batches_tracked == 4


def test_how_the_data_are_cut_does_not_matter(batches):
    layers = [randomize(nn.BatchNorm2d(4, dtype=torch.float64)) for _ in range(3)]
    values = torch.cat(batches).double()
    for layer, sizes in zip(layers, ([17], [4, 4, 4, 5], [1, 16]), strict=True):
        population_statistics(layer, values.split(sizes))
    for name in "running_mean", "running_var":
        first, *others = (layer.get_buffer(name) for layer in layers)
        for other in others:
            torch.testing.assert_close(other, first, rtol=1e-13, atol=0)


def test_within_batches_is_the_papers_line():
    """Var[x] = m/(m-1) E_B[var_B] for batches of one size m."""
    x = torch.randn(6, 5, 4, dtype=torch.float64) + torch.arange(6.0).reshape(6, 1, 1)
    layer = randomize(nn.BatchNorm1d(4, dtype=torch.float64))
    population_statistics(layer, x, within_batches=True)
    expected = 5 / (5 - 1) * x.var(1, correction=0).mean(0)
    torch.testing.assert_close(layer.running_var, expected)
    torch.testing.assert_close(layer.running_mean, x.mean((0, 1)))
    population_statistics(layer, x)
    assert (layer.running_var > 2 * expected).all()  # the means of these batches differ


def test_within_batches_weighs_unequal_batches_by_their_degrees_of_freedom(batches):
    layer = randomize(nn.BatchNorm2d(4, dtype=torch.float64))
    batches = [batch.double() for batch in batches]
    population_statistics(layer, batches, within_batches=True)
    m2 = sum(b.var((0, 2, 3), correction=0) * b[:, 0].numel() for b in batches)
    expected = m2 / sum(b[:, 0].numel() - 1 for b in batches)
    torch.testing.assert_close(layer.running_var, expected)


def deep_net():
    torch.manual_seed(1)
    return randomize(
        nn.Sequential(
            nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.9), nn.Linear(3, 5)
        ).append(nn.BatchNorm1d(5, dtype=torch.float32))
    )


def test_later_layers_see_batches_normalized_by_themselves():
    """The second layer's population is what the training network feeds it, without dropout."""
    net = deep_net()
    batches = [torch.randn(n, 4) * 3 for n in (6, 11)]
    training = copy.deepcopy(net).train()
    training[3].eval()
    fed = torch.cat([training[:5](batch) for batch in batches]).detach()
    population_statistics(net, [(batch, "target") for batch in batches])
    torch.testing.assert_close(net[5].running_mean, fed.mean(0))
    torch.testing.assert_close(net[5].running_var, fed.var(0))


def test_a_shared_layer_pools_its_calls():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.bn = nn.BatchNorm1d(3)

        def forward(self, x):
            return self.bn(x) + self.bn(input=x + 10)

    net, x = Twice(), torch.randn(7, 3)
    population_statistics(net, [x])
    torch.testing.assert_close(net.bn.running_mean, torch.cat([x, x + 10]).mean(0))


@pytest.mark.parametrize("training", [True, False])
def test_modes_and_hooks_are_restored(training):
    net = deep_net().train(training)
    net[1].eval()
    _, flags, hooks = state(net)
    population_statistics(net, iter([torch.randn(6, 4)]))
    assert state(net)[1:] == (flags, hooks)


def broken_loader():
    yield torch.randn(6, 4)
    raise OSError("disk gone")


@pytest.mark.parametrize(
    "batches, error, message",
    [
        (lambda: [], ValueError, "batches: expected inputs that reach a batch norm, got none"),
        (lambda: [torch.zeros(0, 4)], ValueError, "batches: expected inputs"),
        (lambda: [torch.randn(6, 4), torch.randn(1, 4)], ValueError, "more than 1 value"),
        (lambda: [torch.randn(6, 4), torch.randn(6, 3)], RuntimeError, "shapes cannot be"),
        (broken_loader, OSError, "disk gone"),
    ],
    ids=["no batches", "no values", "single value", "wrong shape", "loader fails"],
)
def test_an_error_leaves_the_model_as_it_was(batches, error, message):
    net = deep_net()
    net[1].eval()
    before = state(net)
    with pytest.raises(error, match=message):
        population_statistics(net, batches())
    assert state(net) == before


def test_a_layer_that_does_not_count_its_batches():
    layer = nn.BatchNorm1d(3)
    layer.num_batches_tracked = None
    population_statistics(layer, [torch.arange(12.0).reshape(4, 3)])
    assert layer.running_mean.tolist() == [4.5, 5.5, 6.5] and layer.num_batches_tracked is None


class OtherName(nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x)


class ByName(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn = OtherName(3)

    def forward(self, x):
        return self.bn(x=x)


def test_a_subclass_may_name_its_input_otherwise():
    model = ByName()
    population_statistics(model, [torch.arange(12.0).reshape(4, 3)])
    assert model.bn.running_mean.tolist() == [4.5, 5.5, 6.5]


def test_population_statistics_needs_running_statistics():
    for net in nn.Linear(4, 3), nn.BatchNorm1d(4, track_running_stats=False), nn.InstanceNorm1d(4):
        with pytest.raises(ValueError, match="model: expected a batch norm with running stat"):
            population_statistics(net, [torch.randn(5, 4)])


def test_a_layer_no_batch_reaches_keeps_its_statistics():
    net = nn.ModuleList([randomize(nn.BatchNorm1d(4)), randomize(nn.BatchNorm1d(4))])
    net.forward = lambda x: net[0](x)
    before = state(net[1])
    population_statistics(net, [torch.randn(5, 4)])
    assert state(net[1]) == before


LAYERS = {
    "linear": (lambda bias: nn.Linear(6, 4, bias=bias), (7, 6)),
    "conv1d": (lambda bias: nn.Conv1d(6, 4, 3, bias=bias, padding=1), (3, 6, 8)),
    "conv2d": (lambda bias: nn.Conv2d(6, 4, (3, 2), stride=2, bias=bias), (3, 6, 8, 5)),
    "conv2d groups": (lambda bias: nn.Conv2d(6, 4, 3, groups=2, bias=bias), (3, 6, 5, 4)),
    "conv2d depthwise": (lambda bias: nn.Conv2d(4, 4, 3, groups=4, bias=bias), (3, 4, 5, 4)),
    "conv3d": (lambda bias: nn.Conv3d(6, 4, 2, bias=bias), (2, 6, 4, 3, 5)),
    "transposed 1d": (lambda bias: nn.ConvTranspose1d(6, 4, 3, bias=bias), (3, 6, 5)),
    "transposed 2d": (
        lambda bias: nn.ConvTranspose2d(6, 4, 3, stride=2, output_padding=1, bias=bias),
        (3, 6, 4, 5),
    ),
    "transposed 2d groups": (
        lambda bias: nn.ConvTranspose2d(6, 4, 3, groups=2, bias=bias),
        (3, 6, 4, 5),
    ),
    "transposed 3d": (lambda bias: nn.ConvTranspose3d(6, 4, 2, bias=bias), (2, 6, 3, 2, 4)),
}


def batch_norm_for(shape, **kwargs):
    return (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[max(len(shape) - 3, 0)](4, **kwargs)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "not affine"])
@pytest.mark.parametrize("name", LAYERS)
def test_fold_is_evaluation_mode(name, bias, affine):
    """In float64 on float64 layers, so that a bound of 1e-12 leaves no room for a wrong axis."""
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layer = randomize(make(bias)).double()
    bn = randomize(batch_norm_for(shape, affine=affine, eps=0.1)).double().eval()
    before = copy.deepcopy(layer).state_dict()
    folded = fold(layer, bn)
    x = torch.randn(shape, dtype=torch.float64)
    expected = bn(layer(x))
    assert type(folded) is type(layer)
    error = (folded(x) - expected).abs().max() / expected.abs().max()
    assert error <= TOLERANCES["float64"].forward_per_max_y
    for key, value in before.items():
        assert torch.equal(layer.state_dict()[key], value), "the given layer changed"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_fold_rounds_once_to_the_layers_dtype(dtype):
    torch.manual_seed(0)
    layer, bn = randomize(nn.Conv2d(3, 4, 2)).to(dtype), randomize(nn.BatchNorm2d(4)).eval()
    folded = fold(layer, bn)
    scale = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
    weight = layer.weight.double() * scale.reshape(-1, 1, 1, 1)
    bias = (layer.bias.double() - bn.running_mean.double()) * scale + bn.bias.double()
    assert folded.weight.dtype == folded.bias.dtype == dtype
    unit_roundoff = TOLERANCES[str(dtype).removeprefix("torch.")].unit_roundoff
    for actual, exact in (folded.weight, weight), (folded.bias, bias):
        error = (actual.double() - exact).abs() / exact.abs()
        assert error.max() <= unit_roundoff * (1 + 1e-6)


def test_fold_keeps_requires_grad():
    bn = nn.BatchNorm1d(4).eval()
    assert fold(nn.Linear(3, 4), bn).bias.requires_grad
    frozen = fold(nn.Linear(3, 4).requires_grad_(False), bn)
    assert not frozen.weight.requires_grad and not frozen.bias.requires_grad


def with_a_doubling_hook(layer):
    layer.register_forward_hook(lambda _module, _input, output: 2 * output)
    return layer


COMPUTED = {
    "spectral norm": nn.utils.parametrizations.spectral_norm,
    "old spectral norm": nn.utils.spectral_norm,
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 2),
    "hook": with_a_doubling_hook,
}


@pytest.mark.parametrize("name", COMPUTED)
def test_a_layer_that_computes_otherwise_is_not_folded(name):
    layer, bn = COMPUTED[name](nn.Linear(3, 4)), nn.BatchNorm1d(4).eval()
    with pytest.raises(TypeError, match="conv_or_linear: expected"):
        fold(layer, bn)


@pytest.mark.parametrize("name", ["pruned", "hook"])
def test_a_batch_norm_that_computes_otherwise_is_not_folded(name):
    bn = COMPUTED[name](nn.BatchNorm1d(4)).eval()
    with pytest.raises(TypeError, match="bn: expected parameters of its own"):
        fold(nn.Linear(3, 4), bn)


class StandardizedConv(nn.Conv2d):
    """A subclass that uses its weight in another way."""


@pytest.mark.parametrize(
    "layer, bn, error, message",
    [
        (nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), ValueError, "bn: expected evaluation mode"),
        (
            nn.Conv2d(3, 4, 2),
            nn.BatchNorm2d(4, track_running_stats=False).eval(),
            ValueError,
            "bn: expected running statistics, got track_running_stats=False",
        ),
        (
            nn.ConvTranspose2d(4, 3, 2),
            nn.BatchNorm2d(4).eval(),
            ValueError,
            "bn: expected 3 channels, the outputs of conv_or_linear, got 4",
        ),
        (
            nn.Conv2d(3, 4, 2),
            nn.InstanceNorm2d(4).eval(),
            TypeError,
            "bn: expected BatchNorm1d/2d/3d or SyncBatchNorm, got InstanceNorm2d",
        ),
        (nn.Conv2d(3, 4, 2), bnn.BatchNormAct2d(4).eval(), TypeError, "got BatchNormAct2d"),
        (
            StandardizedConv(3, 4, 2),
            nn.BatchNorm2d(4).eval(),
            TypeError,
            "conv_or_linear: expected Linear, Conv1d/2d/3d or .* got StandardizedConv",
        ),
        (nn.ReLU(), nn.BatchNorm2d(4).eval(), TypeError, "got ReLU"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_fold_refuses(layer, bn, error, message):
    with pytest.raises(error, match=message):
        fold(layer, bn)


class Residual(nn.Module):
    """Two convolutions and a shortcut; the last batch norm adds it, with or without fusion."""

    def __init__(self, fused):
        super().__init__()
        self.fused = fused
        self.conv1, self.bn1 = nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 4, 3, padding=1)
        self.bn2 = bnn.BatchNormAct2d(4) if fused else bnn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv2(self.bn1(self.conv1(x)).relu())
        return self.bn2(y, residual=x) if self.fused else (self.bn2(y) + x).relu()


class NothingToAdd(nn.Module):
    """Fused layers that are told of no residual, in both ways."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 6, 3), bnn.BatchNormAct2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 4, 3), bnn.BatchNormAct2d(4)

    def forward(self, x):
        return self.bn2(self.conv2(self.bn1(self.conv1(x), None)), residual=None)


class Shares(nn.Module):
    """Nothing to fold: called twice, read twice, another class, parametrized, no statistics,
    a weight that is read elsewhere too, a batch norm with a hook.
    """

    def __init__(self):
        super().__init__()
        self.first = nn.BatchNorm2d(4)
        self.twice, self.after = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.read_twice, self.one = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.standardized, self.two = StandardizedConv(4, 4, 1), nn.BatchNorm2d(4)
        self.parametrized = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1))
        self.three = nn.BatchNorm2d(4)
        self.conv, self.untracked = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)
        self.lent, self.four = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.before_hook, self.five = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.five.register_forward_hook(lambda layer, args, y: -y)

    def forward(self, x):
        x = self.four(self.lent(x)) + nn.functional.conv2d(x, self.lent.weight)
        x = self.five(self.before_hook(x))
        x = self.after(self.twice(self.twice(self.first(x))))
        y = self.read_twice(x)
        y = self.two(self.standardized(self.one(y) + y))
        return self.untracked(self.conv(self.three(self.parametrized(y))))


def batch_norms(model):
    return [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


@pytest.mark.parametrize(
    "make, left",
    [
        (lambda: nn.Sequential(nn.Conv2d(4, 3, 2), nn.BatchNorm2d(3), bnn.BatchNorm2d(3)), 0),
        (lambda: nn.Sequential(Residual(fused=False), nn.ReLU(), Residual(fused=True)), 0),
        (lambda: nn.Sequential(nn.Conv2d(4, 3, 2), bnn.BatchNormAct2d(3)), 0),
        (NothingToAdd, 0),
        (Shares, 8),
        (lambda: nn.Sequential(nn.Conv2d(4, 3, 2), nn.ReLU()), 0),
    ],
    ids=["sequential", "residual", "activation", "None", "nothing to fold", "no batch norm"],
)
def test_fold_model_is_evaluation_mode(make, left):
    torch.manual_seed(0)
    model = randomize(make()).double().eval()
    x = torch.randn(3, 4, 5, 6, dtype=torch.float64)
    before = copy.deepcopy(model).state_dict()
    folded = fold_model(model)
    expected = model(x)
    error = (folded(x) - expected).abs().max() / expected.abs().max()
    assert error <= TOLERANCES["float64"].forward_per_max_y
    assert len(batch_norms(folded)) == left
    assert not {*model.parameters()} & {*folded.parameters()}
    assert model.state_dict().keys() == before.keys()
    for key, value in before.items():
        assert torch.equal(model.state_dict()[key], value), "the given model changed"


def test_fold_model_with_a_process_group():
    """It cannot be copied or pickled, and need not be."""

    class Group:
        def __reduce_ex__(self, protocol):
            raise TypeError("cannot pickle 'ProcessGroup' object")

    sync = randomize(bnn.SyncBatchNorm(3, process_group=Group()))
    model = nn.Sequential(nn.Linear(2, 3), sync).eval()
    x = torch.randn(5, 2)
    torch.testing.assert_close(fold_model(model)(x), model(x), rtol=1e-5, atol=1e-6)


def test_fold_model_names_the_layer_in_training_mode():
    model = nn.Sequential(nn.Conv2d(4, 3, 2), nn.BatchNorm2d(3)).eval()
    model[1].train()
    with pytest.raises(ValueError, match="expected evaluation mode, but '1' is in training mode"):
        fold_model(model)


def test_fold_model_does_not_lose_hooks():
    model = nn.Sequential(nn.Conv2d(4, 3, 2), nn.BatchNorm2d(3)).eval()
    model.register_forward_hook(lambda model, args, y: -y)
    with pytest.raises(ValueError, match="model: expected no forward hooks"):
        fold_model(model)


def test_fold_model_of_a_pruned_model():
    """The pruned weight is computed before each forward: that layer and its norm stay."""
    model = nn.Sequential(
        *(nn.Conv2d(4, 3, 2), nn.BatchNorm2d(3)), *(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    )
    model = randomize(model).eval()
    prune.l1_unstructured(model[0], "weight", 5)
    folded = fold_model(model)
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(folded(x), model(x), rtol=1e-5, atol=1e-6)
    assert len(batch_norms(folded)) == 1
    kept = folded.get_submodule("0")
    with torch.no_grad():
        kept.weight_orig.zero_()
    torch.testing.assert_close(kept(x), kept.bias[:, None, None].expand_as(model[0](x)))
    assert model[0].weight.any()
