"""inspect names what a model suffers from, stays silent on healthy ones, and leaves no trace."""

import copy
import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.distributed
from test_models import ResNet18, Transformer
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn

from bnlib import nn as bnn
from bnlib._clinic import FIXES, REASONS, SECTIONS
from bnlib.data import load
from bnlib.exercises import Text
from bnlib.inference import population_statistics
from bnlib.inspect import inspect

digits = load("digits")
PIXELS = torch.tensor(digits.x_train, dtype=torch.float32).flatten(1) / 16
LABELS = torch.tensor(digits.y_train)


def batch_of(size, seed=0, shape=(64,)):
    chosen = torch.randperm(len(PIXELS), generator=torch.Generator().manual_seed(seed))[:size]
    return PIXELS[chosen].reshape(-1, *shape), LABELS[chosen]


def mlp(*, dropout=0.0, momentum=0.1, batch_norm=nn.BatchNorm1d):
    torch.manual_seed(0)
    layers = [nn.Linear(64, 48, bias=False), batch_norm(48, momentum=momentum), nn.ReLU()]
    layers += [nn.Dropout(dropout)] if dropout else []
    layers += [nn.Linear(48, 32, bias=False), batch_norm(32, momentum=momentum), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(32, 10))


def cnn(norm=nn.BatchNorm2d):
    torch.manual_seed(0)
    first = [nn.Conv2d(1, 16, 3, padding=1, bias=False), norm(16), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(16, 32, 3, padding=1, bias=False), norm(32), nn.ReLU()]
    return nn.Sequential(*first, *second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def undecayed(model, decay=1e-2):
    """SGD that decays only what has more than one axis."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, 0.1)


def trained(model, steps=60, size=64, shape=(64,)):
    optimizer = undecayed(model)
    for step in range(steps):
        x, y = batch_of(size, step, shape)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(x), y).backward()
        optimizer.step()
    return model


@contextmanager
def two_workers():
    """A process group of two in which nobody waits for the other."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


# --- healthy


def resnet():
    """A few steps, then statistics taken afresh."""
    torch.manual_seed(0)
    model, generator = ResNet18(), torch.Generator().manual_seed(1)
    batches = [torch.randn(16, 3, 32, 32, generator=generator) for _ in range(2)]
    update_bn(batches, model)
    return model


HEALTHY = {
    "ResNet-18, evaluating": lambda: (resnet().eval(), torch.randn(16, 3, 32, 32)),
    "ResNet-18, training": lambda: (resnet().train(), torch.randn(16, 3, 32, 32)),
    "trained MLP": lambda: (trained(mlp()).eval(), batch_of(64, 99)),
    "trained CNN": lambda: (trained(cnn(), shape=(1, 8, 8)).eval(), batch_of(64, 99, (1, 8, 8))),
    "GroupNorm": lambda: (cnn(lambda c: nn.GroupNorm(4, c)), batch_of(2, 99, (1, 8, 8))),
    "Transformer": lambda: (Transformer(), torch.randn(5, 9, 7)),
    "fresh MLP": lambda: (mlp().train(), batch_of(32)),
    "fresh CNN of bnlib": lambda: (bnn.convert(cnn()).train(), batch_of(32, 0, (1, 8, 8))),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_no_false_alarm(name):
    model, batch = HEALTHY[name]()
    assert inspect(model) == []
    assert inspect(model, batch, optimizer=undecayed(model)) == []
    if not model.training:
        with torch.no_grad():
            assert inspect(model, batch) == []


# --- sick, in the order of the chapter; each gives a model and what to inspect it with


def forgot_eval():
    return trained(mlp()).train(), {"batch": batch_of(64, 99)}


def tiny_batches():
    return trained(mlp()).train(), {"batch": batch_of(2)[0]}


def frozen_but_moving():
    model = trained(mlp())
    for parameter in model[:6].parameters():
        parameter.requires_grad_(False)
    return model.train(), {"batch": batch_of(64)}


def ported_momentum():
    return mlp(momentum=0.99).train(), {"batch": batch_of(64)}


def batch_of_one():
    return mlp().train(), {"batch": 4095 * batch_of(1)[0]}  # as a 12-bit camera counts


def two_workers_unsynchronized():
    return nn.parallel.DistributedDataParallel(mlp().train()), {"batch": batch_of(16)}


def accumulated():
    return mlp().train(), {"batch": batch_of(16), "accumulate": 4}


def decayed_gamma():
    model = mlp().train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    return model, {"batch": batch_of(64), "optimizer": optimizer}


def averaged_weights():
    model = trained(mlp(), 60)
    averaged = AveragedModel(model)
    for _ in range(3):
        averaged.update_parameters(trained(model, 30))
    model_without_average = averaged.module
    for norm in (model_without_average[1], model_without_average[4]):
        norm.reset_running_stats()
        norm(torch.randn(64, norm.num_features))  # what it was when averaging began
    return averaged.eval(), {"batch": batch_of(64, 99)}


def ordered_batches():
    chosen = LABELS.argsort(stable=True)[:64]
    return mlp().train(), {"batch": (PIXELS[chosen], LABELS[chosen])}


def dropout_before_norm():
    return trained(mlp(dropout=0.5)).train(), {"batch": batch_of(64)}


def half_precision_at_a_large_mean():
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 10)).train()
    return model, {"batch": 1000 + torch.randn(64, 8)}


def padded_sequences():
    torch.manual_seed(0)
    lengths = torch.tensor([3, 20, 5, 8] * 8)
    mask = torch.arange(20) < lengths[:, None]
    x = (2 + torch.randn(32, 20, 6)) * mask[:, :, None]
    model = nn.Sequential(nn.BatchNorm1d(6), nn.Conv1d(6, 4, 1)).train()
    return model, {"batch": x.transpose(1, 2), "mask": mask}


def checkpoint_without_buffers():
    model, loaded = trained(mlp()), mlp()
    loaded.load_state_dict(dict(model.named_parameters()), strict=False)
    return loaded.eval(), {"batch": batch_of(64, 99)}


SICK = {
    "training-mode": forgot_eval,
    "tiny-batch": tiny_batches,
    "frozen-affine": frozen_but_moving,
    "ported-momentum": ported_momentum,
    "batch-of-one": batch_of_one,
    "unsynchronized": two_workers_unsynchronized,
    "accumulation": accumulated,
    "weight-decay": decayed_gamma,
    "averaged-weights": averaged_weights,
    "ordered-batch": ordered_batches,
    "dropout-before-norm": dropout_before_norm,
    "precision": half_precision_at_a_large_mean,
    "padding": padded_sequences,
    "missing-buffers": checkpoint_without_buffers,
}


@pytest.mark.parametrize("case", SICK)
def test_the_cause_is_named(case):
    with two_workers():
        model, arguments = SICK[case]()
        with torch.set_grad_enabled(case != "training-mode"):
            (finding,) = inspect(model, **arguments)
    assert finding.case == case
    batch_norms = {n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm1d)}
    assert all(any(n.endswith(layer) for n in batch_norms) for layer in finding.layers)
    assert str(finding).startswith(f"[{case}] {finding.layers[0]}")


def cured(case, model, arguments):
    """The same patient after what the finding says to do."""
    if case in ("training-mode", "batch-of-one"):
        model.eval()
        return trained(mlp()).eval() if case == "batch-of-one" else model, arguments
    if case == "tiny-batch" or case == "accumulation":
        return model, {"batch": batch_of(32)}
    if case == "frozen-affine":
        for norm in (model[1], model[4]):
            norm.eval()
    if case == "ported-momentum":
        for norm in (model[1], model[4]):
            norm.momentum = 0.01
    if case == "unsynchronized":
        model = mlp(batch_norm=bnn.SyncBatchNorm)  # torch's refuses the CPU
        model = nn.parallel.DistributedDataParallel(model.train())
    if case == "weight-decay":
        arguments["optimizer"] = undecayed(model)
    if case in ("averaged-weights", "missing-buffers"):
        update_bn([PIXELS], model)
    if case == "ordered-batch":
        arguments["batch"] = batch_of(64)
    if case == "dropout-before-norm":
        model.append(model.pop(3))
    if case == "precision":
        arguments["batch"] -= 1000
    if case == "padding":
        model = nn.Sequential(nn.GroupNorm(1, 6), nn.Conv1d(6, 4, 1))
    return model, arguments


@pytest.mark.parametrize("case", SICK)
def test_the_fix_silences_it(case):
    with two_workers():
        model, arguments = SICK[case]()
        with torch.set_grad_enabled(case != "training-mode"):
            assert inspect(*_unpacked(*cured(case, model, arguments))) == []


def _unpacked(model, arguments):
    return model, arguments["batch"]


def test_other_findings():
    """What the fourteen cases look like from another side."""
    model, batch = trained(mlp()).eval(), batch_of(64, 99)
    model[1].train()
    assert [f.case for f in inspect(model, batch)] == ["training-mode"]
    model.eval()[1].running_var[3] = torch.inf
    assert [f.case for f in inspect(model)] == ["broken-statistics"]
    said = str(inspect(model)[0])
    assert "1 of 48 channels" in said and said.endswith("12_bug_clinic.html#sec-clinic-precision")
    model[1].running_var[3] = 1
    model[4].running_mean += 3
    (finding,) = inspect(model, batch)
    assert (finding.case, finding.layers) == ("stale-statistics", ("4",))
    (finding,) = inspect(mlp().eval())
    assert (finding.case, finding.layers) == ("never-updated", ("1", "4"))
    (finding,) = inspect(mlp().bfloat16().train())
    assert finding.case == "half-statistics" and "bfloat16" in str(finding)
    model, head = mlp().train(), torch.nn.Linear(32, 10)
    (finding,) = inspect(model, optimizer=torch.optim.SGD(head.parameters(), 0.1))
    assert finding.case == "frozen-affine"
    overflowing = trained(mlp())
    update_bn([4095 * PIXELS], overflowing)  # as a 12-bit camera counts
    overflowing.half().eval()
    (finding,) = inspect(overflowing, 4095 * batch_of(64)[0].half())
    assert (finding.case, finding.layers) == ("broken-statistics", ("1",))
    with two_workers():
        apart = nn.parallel.DistributedDataParallel(mlp().train(), forward_sync_buffers=False)
        assert [f.case for f in inspect(apart)] == ["unbroadcast"]
        assert inspect(apart.module) == []
        part = nn.parallel.DistributedDataParallel(mlp().train())
        (finding,) = inspect(nn.Sequential(part, nn.BatchNorm1d(10)), batch_of(16)[0])
        assert finding.case == "unsynchronized"
        assert finding.layers == ("0.module.1", "0.module.4")


def test_a_sharded_model():
    """Its parameters are other tensors while it runs, and nobody broadcasts its buffers."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    with two_workers():
        mesh, model = init_device_mesh("cpu", (2,)), mlp().train()
        fully_shard(model[0], mesh=mesh)
        fully_shard(model, mesh=mesh)
        optimizer = torch.optim.SGD(model.parameters(), 0.1, weight_decay=0.01)
        parameters = [*model.parameters()]
        found = inspect(model, batch_of(64)[0], optimizer=optimizer)
        assert [f.case for f in found] == ["unbroadcast", "weight-decay"]
        assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))


class Scribbler(nn.Module):
    """Writes to whatever it can: its input, a new buffer, a generator and weights of its own."""

    def __init__(self):
        super().__init__()
        self.net, self.noise = mlp(), torch.Generator().manual_seed(0)
        self.register_buffer("cache", None)

    def forward(self, x):
        self.cache = x.mul_(2).clone()
        self.register_buffer("late", x.clone())
        torch.rand(3, generator=self.noise)
        if self.net[0].weight.is_inference() and torch.is_inference_mode_enabled():
            self.net[0].weight.zero_()
        return self.net(x)


def test_what_the_forward_writes_is_undone():
    model, x = Scribbler().train(), batch_of(64)[0]
    before, generator, given = [*model.state_dict()], model.noise.get_state(), x.clone()
    assert inspect(model, x) == []
    assert [*model.state_dict()] == before and torch.equal(model.noise.get_state(), generator)
    assert torch.equal(x, given) and not hasattr(model, "late")
    with torch.inference_mode():
        model = Scribbler().eval()
        weight = model.net[0].weight.clone()
        inspect(model, x)
        assert torch.equal(model.net[0].weight, weight)
    assert [f.case for f in inspect(model, x)] == ["never-updated"]


def test_a_synchronized_layer_counts_the_samples_of_all_workers():
    def synchronized():
        model = bnn.SyncBatchNorm.convert_sync_batchnorm(mlp().train())
        return nn.parallel.DistributedDataParallel(model)

    with two_workers():
        (finding,) = inspect(synchronized(), batch_of(1)[0])
        assert finding.case == "tiny-batch" and "2 values of 2 samples" in finding.reason.en
        assert inspect(synchronized(), batch_of(16)[0]) == []
        assert inspect(synchronized(), batch_of(16)[0], accumulate=4) == []
        alone = synchronized().module
    (finding,) = inspect(alone, batch_of(16)[0], accumulate=4)  # with nobody to join
    assert finding.case == "accumulation"


def test_dropout_is_switched_on_and_nothing_else():
    """Stochastic depth, noise and targets in training are not dropout."""

    class Noisy(nn.Module):
        def forward(self, x):
            return x + 5 * torch.randn_like(x) if self.training else x

    def detector(module, args):
        assert not module.training, "targets are missing"

    model = nn.Sequential(Noisy(), nn.Linear(64, 8), nn.BatchNorm1d(8)).train()
    model.register_forward_pre_hook(detector)
    assert inspect(model, batch_of(64)[0]) == []


def test_dropout_that_has_been_dealt_with():
    model = dropout_before_norm()[0]
    update_bn([PIXELS], model)  # runs with dropout on
    assert [f.case for f in inspect(model.eval(), PIXELS)] == ["dropout-before-norm"]
    population_statistics(model, [PIXELS])
    assert inspect(model.eval(), PIXELS) == []


def test_a_norm_that_is_called_twice_normalizes_each_call_alone():
    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(64)

        def forward(self, x, y):
            return self.norm(x) + self.norm(y)

    pair = tuple(batch_of(2)[0].chunk(2))
    assert [f.case for f in inspect(Siamese().train(), (pair, None))] == ["batch-of-one"]
    several = dict(zip("xy", batch_of(64)[0].chunk(2), strict=True))
    assert inspect(Siamese().train(), several) == []


def test_a_compiled_model_in_data_parallel_talks_to_nobody():
    with two_workers():
        model = torch.compile(nn.parallel.DistributedDataParallel(mlp().train()))
        assert [f.case for f in inspect(model, batch_of(16)[0])] == ["unsynchronized"]


def test_a_forward_that_writes_to_its_weights():
    model = nn.Sequential(nn.Embedding(20, 16, max_norm=1.0), nn.Flatten(), nn.BatchNorm1d(16))
    before = model[0].weight.detach().clone()
    inspect(model.train(), torch.arange(20)[:, None])
    assert torch.equal(model[0].weight, before)


def test_labels_that_say_nothing_of_the_order():
    x = torch.randn(32, 64)
    for labels in (torch.full((32,), -100), torch.zeros(32, dtype=torch.int64)):
        assert inspect(nn.Sequential(nn.BatchNorm1d(64), nn.Flatten(0)), (x, labels)) == []


def test_norms_that_inherit_nothing():
    class LlamaRMSNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

    model = nn.Sequential(nn.Linear(4, 4), LlamaRMSNorm())
    decayed = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    (finding,) = inspect(model, optimizer=[decayed])
    assert (finding.case, finding.layers) == ("weight-decay", ("1",))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch": ()}, ValueError, r"batch: expected an input, or \(input, labels\), got \(\)"),
        ({"batch": torch.zeros(0, 64)}, ValueError, r"expected samples, got none, \(0, 64\)"),
        ({"batch": iter([])}, TypeError, "expected one batch, got a list_iterator"),
        ({"optimizer": iter([])}, TypeError, "expected a torch.optim.Optimizer, got list_iterator"),
    ],
)
def test_what_is_no_batch_or_optimizer(arguments, error, message):
    with pytest.raises(error, match=message):
        inspect(mlp().train(), **arguments)


def test_models_without_values():
    with pytest.raises(ValueError, match="tensors with values, got some on the meta device"):
        inspect(mlp().to("meta"))
    with pytest.raises(TypeError, match="got a scripted or traced one"):
        inspect(torch.jit.trace(mlp().eval(), torch.zeros(4, 64)))


def test_numbers_are_those_of_the_model():
    (finding,) = inspect(mlp().train(), batch_of(3)[0])
    assert "3 values of 3 samples" in finding.reason.en and "100%" in finding.reason.en
    (finding,) = inspect(*_unpacked(*dropout_before_norm()))
    assert finding.layers == ("5",)  # the first batch norm comes before the dropout
    (finding,) = inspect(mlp(momentum=0.9))
    assert "90%" in finding.reason.ko and finding.fix.en.endswith("0.1.")


def test_every_text_is_in_both_languages_and_links_to_the_chapter():
    assert set(SECTIONS) == set(REASONS) == set(FIXES) >= set(SICK)
    assert all(label.startswith("sec-clinic-") for label in SECTIONS.values())
    for text in (*REASONS.values(), *FIXES.values()):
        assert isinstance(text, Text) and text.ko != text.en
        fields = [
            sorted(part.split("}")[0] for part in t.split("{")[1:]) for t in (text.ko, text.en)
        ]
        assert fields[0] == fields[1]


def test_the_chapters_table_names_every_case_and_its_section():
    path = Path(__file__).parents[1] / "chapters" / "12_bug_clinic.ipynb"
    texts = {cell["id"]: "".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]}
    headed = re.compile(r"\((sec-clinic-\w+)\)=\n## (\d+) · ")
    numbers = {label: number for text in texts.values() for label, number in headed.findall(text)}
    for language in "ko", "en":
        told = {}
        for line in re.findall(r"^\|.*\|$", texts[f"table-{language}"], re.M):
            sections = re.findall(r"\{ref\}`(\d+) <([a-z-]+)>`", line)
            cases = re.findall(r"`([a-z-]+)`", line.rstrip("| ").rpartition("| ")[2])
            assert len(sections) in (1, len(cases)) or not cases
            for case, (number, label) in zip(cases, sections * len(cases), strict=False):
                assert numbers[label] == number
                told[case] = label
        assert told == SECTIONS


# --- nothing changes


def state(model):
    """Everything of a model that could have been touched."""
    return {
        "tensors": {n: (id(t), t.clone()) for n, t in model.state_dict(keep_vars=True).items()},
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "modes": [m.training for m in model.modules()],
        "hooks": [len(m._forward_pre_hooks) + len(m._forward_hooks) for m in model.modules()],
        "random": torch.get_rng_state(),
    }


def assert_same(before, after):
    for name, (identity, tensor) in before["tensors"].items():
        assert after["tensors"][name][0] == identity, name
        assert torch.equal(after["tensors"][name][1], tensor), name
    for a, b in zip(before["gradients"], after["gradients"], strict=True):
        assert (a is None and b is None) or torch.equal(a, b)
    assert before["modes"] == after["modes"] and before["hooks"] == after["hooks"]
    assert torch.equal(before["random"], after["random"])


class Fails(nn.Module):
    def forward(self, x):
        raise RuntimeError("out of order")


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails):
    model = nn.Sequential(trained(mlp(dropout=0.3), 5), nn.utils.spectral_norm(nn.Linear(10, 4)))
    model[0][0].eval()  # a mode of its own
    model.append(Fails() if fails else nn.Identity())
    torch.manual_seed(7)
    before = state(model)
    if fails:
        with pytest.raises(RuntimeError, match="out of order"):
            inspect(model, batch_of(32))
    else:
        inspect(model, batch_of(32))
    assert_same(before, state(model))


def test_the_same_twice():
    model, arguments = dropout_before_norm()
    assert inspect(model, **arguments) == inspect(copy.deepcopy(model), **arguments)


def test_bad_input():
    with pytest.raises(TypeError, match=r"model: expected a torch\.nn\.Module, got int"):
        inspect(3)
    with pytest.raises(ValueError, match="model: expected parameters with shapes"):
        inspect(nn.Sequential(nn.LazyBatchNorm1d()))
    with pytest.raises(ValueError, match="accumulate: expected at least 1"):
        inspect(mlp(), accumulate=0)
    model, arguments = padded_sequences()
    with pytest.raises(ValueError, match=r"mask: \(20, 32\) fits the input of no batch norm"):
        inspect(model, **arguments | {"mask": arguments["mask"].T})
    with pytest.raises(TypeError, match=r"mask: expected a tensor of booleans, got torch\.float32"):
        inspect(model, **arguments | {"mask": arguments["mask"].float()})
    with pytest.raises(TypeError, match="mask: expected a tensor of booleans, got list"):
        inspect(model, **arguments | {"mask": arguments["mask"].tolist()})
    with pytest.raises(TypeError, match=r"accumulate: expected a number of batches, got 1\.5"):
        inspect(mlp(), accumulate=1.5)
    with pytest.raises(ValueError, match=r"batch: expected samples, got none, \(0, 64\)"):
        inspect(mlp(), {"input": torch.randn(0, 64)})


def test_labels_of_groups_of_samples_do_not_tell_their_order():
    """One label for many samples, as for bags of instances, is no batch of one class."""
    x, labels = batch_of(64)
    assert inspect(mlp().train(), (x, labels[:1].repeat(3))) == []
    (finding,) = inspect(mlp().train(), (x, labels[:1].repeat(64)))
    assert finding.case == "ordered-batch"


def test_a_batch_with_a_nan_is_named():
    x, labels = batch_of(64)
    x[3, 5] = torch.nan
    (finding,) = inspect(mlp().train(), (x, labels))
    assert finding.case == "broken-batch" and "2 of 2 batch norms" in str(finding)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bool])
def test_one_hot_labels(dtype):
    model, arguments = ordered_batches()
    x, labels = arguments["batch"]
    one_hot = nn.functional.one_hot(labels, 10).to(dtype)
    (finding,) = inspect(model, (x, one_hot))
    assert str(finding) == str(inspect(model, (x, labels))[0])
    several = torch.ones_like(one_hot)  # each sample has all ten labels
    assert inspect(model, (x, several)) == inspect(model, (x, torch.ones(64, 1))) == []
