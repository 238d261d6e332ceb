"""Whole models, written for torch.nn alone: converted, they compute and learn the same.

The oracle is the unconverted model in float64. In float64 the two agree to rounding. In float32
and bfloat16 the roundings of convolutions and matrix products dominate, and both models share
them: the converted one may lie MARGIN times as far from the oracle as the unconverted one, or 16
roundings away, whichever is more.
"""

import copy

import pytest
import torch
from tolerances import TOLERANCES
from torch import nn

from bnlib import nn as bnn
from bnlib.inference import fold_model

MARGIN = 2


class BasicBlock(nn.Module):
    def __init__(self, inplanes, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    """The layers, names and initialization of torchvision.models.resnet18."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._layer(64, 64, stride=1)
        self.layer2 = self._layer(64, 128, stride=2)
        self.layer3 = self._layer(128, 256, stride=2)
        self.layer4 = self._layer(256, 512, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _layer(inplanes, planes, stride):
        return nn.Sequential(BasicBlock(inplanes, planes, stride), BasicBlock(planes, planes, 1))

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Transformer(nn.Module):
    """torch.nn's own encoder layers, norm first and norm last, and an RMSNorm before the head."""

    def __init__(self, width=24, num_classes=10):
        super().__init__()
        self.embedding = nn.Linear(7, width)
        self.blocks = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=norm_first
                )
                for norm_first in (True, False)
            )
        )
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.embedding(x))).mean(1))


MODELS = {"ResNet-18": (ResNet18, (6, 3, 64, 64)), "Transformer": (Transformer, (5, 9, 7))}
every_model = pytest.mark.parametrize("name", MODELS)


def make(name):
    torch.manual_seed(0)
    model_class, shape = MODELS[name]
    model = model_class()
    with torch.no_grad():
        for module in model.modules():
            if type(module) in bnn._TO_BNLIB:  # off 1 and 0, where wrong gradients hide
                for parameter in module.parameters():
                    parameter.add_(torch.rand_like(parameter) / 2)
    return model, torch.randn(shape), torch.arange(shape[0])


def train_one_step(model, x, target):
    """Output, gradients and the state after one step of SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    y = model(x)
    nn.functional.cross_entropy(y, target).backward()
    gradients = {f"d{name}": p.grad.clone() for name, p in model.named_parameters()}
    optimizer.step()
    return {"y": y.detach(), **gradients, **model.state_dict()}


def relative_errors(actual, exact):
    assert actual.keys() == exact.keys()
    return {
        name: ((actual[name] - value).norm() / value.norm().clamp(min=1e-3)).item()
        for name, value in exact.items()
        if value.is_floating_point()
    }


@every_model
def test_in_float64_a_step_is_the_same(name):
    model, x, target = make(name)
    model, x = model.double(), x.double()
    converted = bnn.convert(copy.deepcopy(model))
    assert any(type(m).__module__ == "bnlib.nn" for m in converted.modules())
    exact = train_one_step(model, x, target)
    for what, error in relative_errors(train_one_step(converted, x, target), exact).items():
        assert error <= 1e-10, f"{what}: {error:.3g}"


@every_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_low_precision_a_step_is_no_worse_than_torchs(name, dtype):
    model, x, target = make(name)
    model, x = model.to(dtype), x.to(dtype)
    converted, oracle = bnn.convert(copy.deepcopy(model)), copy.deepcopy(model).double()
    exact = train_one_step(oracle, x.double(), target)
    torchs = relative_errors(train_one_step(model, x, target), exact)
    own = relative_errors(train_one_step(converted, x, target), exact)
    unit_roundoff = TOLERANCES[str(dtype).removeprefix("torch.")].unit_roundoff
    for what, error in own.items():
        bound = max(MARGIN * torchs[what], 16 * unit_roundoff)
        assert error <= bound, f"{what}: {error:.3g}, torch {torchs[what]:.3g}"


@every_model
def test_checkpoints_go_both_ways(name):
    """In evaluation, without gradients, where torch's encoder layers take their fast path."""
    model, x, _ = make(name)
    model(x)
    converted = bnn.convert(make(name)[0])
    converted.load_state_dict(model.state_dict())
    back = make(name)[0]
    back.load_state_dict(converted.state_dict())
    with torch.no_grad():
        exact = {"y": copy.deepcopy(model).double().eval()(x.double())}
        torchs = {"y": model.eval()(x)}
        assert torch.equal(back.eval()(x), torchs["y"])
        own = relative_errors({"y": converted.eval()(x)}, exact)["y"]
    bound = MARGIN * relative_errors(torchs, exact)["y"]
    assert own <= max(bound, 16 * TOLERANCES["float32"].unit_roundoff)


def test_fold_resnet():
    model, x, _ = make("ResNet-18")
    model(x)
    model = bnn.convert(model).double().eval()
    folded = fold_model(model)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in folded.modules())
    torch.testing.assert_close(folded(x.double()), model(x.double()), rtol=1e-12, atol=1e-12)
