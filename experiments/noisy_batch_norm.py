"""Batch norm with a covariate shift put back in, after Santurkar et al. 2018, section 2.1.

Three nets (`NETS`): the three sigmoid layers of the batch norm paper, a deep linear net, both on
MNIST, and a VGG-style stack of 3 x 3 convolutions with ReLU on Fashion-MNIST. Four arms:

    plain        no batch norm
    batch norm   after every layer but the last
    noisy        batch norm, and after it (after gamma and beta) noise
    noise alone  the same noise without batch norm

The noise has another distribution at every step. For each feature (channel) a mean is drawn from
U(-0.5, 0.5) and a scale from U(1, 1.25); then each value is multiplied by N(scale, 0.1) and moved
by N(mean, 0.1), where 0.1 is the standard deviation. It acts in training only.

Every arm runs at three learning rates, two seeds each, and at the middle one with three more.
Stored a run, over the steps: the mean training loss since the last look; the accuracy on the first
1,000 test images, in evaluation mode with exact population statistics; `drift`, how far in one step
the inputs of each nonlinearity (in the linear net: of the next layer) move on the batch of the step
(`activation_drift`, in standard deviations); and the percentiles of the first unit of the last
hidden layer on that batch.

    python experiments/noisy_batch_norm.py     about five minutes of one core
    python experiments/noisy_batch_norm.py --full     wider, deeper, longer: for a GPU
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from harness import main
from torch import Tensor, nn
from training import IMAGE_MEAN_AND_STD, accuracy, batches, images, when_to_look

from bnlib.analysis import activation_drift
from bnlib.inference import population_statistics


class Net(NamedTuple):
    data: str
    widths: list[int]
    strides: list[int] | None  # None: fully connected
    activation: type[nn.Module]
    gain: float  # the weights' standard deviation is gain / sqrt(fan_in)
    batch_size: int
    steps: int


NETS = {
    "sigmoids": Net("mnist", [784, 100, 100, 100], None, nn.Sigmoid, 1.0, 60, 500),
    "linear": Net("mnist", [784, *[64] * 10], None, nn.Identity, 1.0, 60, 300),
    "vgg": Net("fashion-mnist", [1, 8, 8, 16, 16], [2, 1, 2, 1], nn.ReLU, 2**0.5, 60, 200),
}
FULL_NETS = {
    "sigmoids": Net("mnist", [784, 100, 100, 100], None, nn.Sigmoid, 1.0, 60, 20_000),
    "linear": Net("mnist", [784, *[64] * 25], None, nn.Identity, 1.0, 128, 10_000),
    "vgg": Net("fashion-mnist", [1, 64, 64, 128, 128], [2, 1, 2, 1], nn.ReLU, 2**0.5, 128, 10_000),
}
ARMS = ["plain", "batch norm", "noisy", "noise alone"]
LEARNING_RATES = {  # around the best; in the middle what runs with all seeds
    ("sigmoids", "plain"): [0.3, 1.0, 3.0],
    ("sigmoids", "batch norm"): [1.0, 3.0, 10.0],
    ("sigmoids", "noisy"): [1.0, 3.0, 10.0],
    ("sigmoids", "noise alone"): [0.3, 1.0, 3.0],
    ("linear", "plain"): [0.003, 0.01, 0.03],
    ("linear", "batch norm"): [0.01, 0.03, 0.1],
    ("linear", "noisy"): [0.01, 0.03, 0.1],
    ("linear", "noise alone"): [0.001, 0.003, 0.01],
    ("vgg", "plain"): [0.03, 0.1, 0.3],
    ("vgg", "batch norm"): [0.3, 1.0, 3.0],
    ("vgg", "noisy"): [0.3, 1.0, 3.0],
    ("vgg", "noise alone"): [0.1, 0.3, 1.0],
}
SEEDS, SEEDS_BESIDE = 5, 2
SIZE = 28
LOOKS = 12
TEST = 1000
POPULATION = 300  # training images for the exact statistics
PART = 300  # images at a time, small enough to stay in the cache
PERCENTILES = [15, 50, 85]


def configurations(small: bool) -> list[dict]:
    return [
        {"net": net, "arm": arm, "learning_rate": rate, "seed": seed}
        | {"size": "usual", "steps": 3 if small else NETS[net].steps}
        for seed in range(1 if small else SEEDS)
        for (net, arm), rates in LEARNING_RATES.items()
        for rate in (rates if seed < SEEDS_BESIDE and not small else rates[1:2])
    ]


def full_configurations() -> list[dict]:
    return [
        {**configuration, "size": "full", "steps": FULL_NETS[configuration["net"]].steps}
        for configuration in configurations(small=False)
    ]


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    spec = spec_of(configuration)
    net = build(spec, configuration["arm"]).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=configuration["learning_rate"])
    watched = watch(net)
    looks = when_to_look(configuration["steps"], LOOKS)
    result = {"steps": looks, "test_accuracy": [], "train_loss": [], "drift": []}
    result |= {"percentiles": PERCENTILES, "unit": []}
    losses = []
    for step, (x, y) in enumerate(mini_batches(configuration, device), start=1):
        loss = nn.functional.cross_entropy(net(x), y)
        losses.append(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in looks:
            before = list(watched)
            with torch.no_grad():
                net(x)
            moves = zip(before, watched, strict=True)
            result["drift"].append([activation_drift(a, b).mean for a, b in moves])
            result["unit"].append(percentiles(before[-1][:, 0]))
            result["train_loss"].append(torch.stack(losses).mean().item())
            result["test_accuracy"].append(exact_accuracy(net, spec, device))
            losses.clear()
    return result


def spec_of(configuration: dict) -> Net:
    return (FULL_NETS if configuration["size"] == "full" else NETS)[configuration["net"]]


def standardized(x: Tensor, spec: Net) -> Tensor:
    """Images with mean 0 and standard deviation 1 over all training pixels."""
    mean, std = IMAGE_MEAN_AND_STD[spec.data]
    shape = (-1, SIZE * SIZE) if spec.strides is None else (-1, 1, SIZE, SIZE)
    return ((x - mean) / std).reshape(shape)


def mini_batches(configuration: dict, device: str) -> Iterator[tuple[Tensor, Tensor]]:
    spec, seed, steps = spec_of(configuration), configuration["seed"], configuration["steps"]
    data = images(spec.data, device)
    for chosen in batches(len(data["x_train"]), spec.batch_size, steps, seed, device):
        yield standardized(data["x_train"][chosen], spec), data["y_train"][chosen]


def build(spec: Net, arm: str) -> nn.Sequential:
    """Blocks of a layer, (batch norm) and (noise), each followed by the activation; a linear end.

    The initial biases are 0; before batch norm there is none.
    """
    has_batch_norm, has_noise = arm in ("batch norm", "noisy"), arm in ("noisy", "noise alone")
    net = nn.Sequential()
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(spec.widths)):
        bias = not has_batch_norm
        if spec.strides is None:
            block = nn.Sequential(nn.Linear(fan_in, fan_out, bias=bias))
            norm = nn.BatchNorm1d
        else:
            stride = spec.strides[i]
            block = nn.Sequential(nn.Conv2d(fan_in, fan_out, 3, stride, padding=1, bias=bias))
            norm = nn.BatchNorm2d
        if has_batch_norm:
            block.append(norm(fan_out))
        if has_noise:
            block.append(Noise())
        net.extend([block, spec.activation()])
    if spec.strides is not None:
        net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten()])
    net.append(nn.Linear(spec.widths[-1], 10))
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, std=spec.gain / math.sqrt(layer.weight[0].numel()))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net


class Noise(nn.Module):
    """y = scale * x + shift, whose distribution is drawn anew at every step (see the top)."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        features = (1, x.shape[1], *[1] * (x.ndim - 2))
        mean = torch.empty(features, device=x.device).uniform_(-0.5, 0.5)
        std = torch.empty(features, device=x.device).uniform_(1.0, 1.25)
        return x * (std + 0.1 * torch.randn_like(x)) + mean + 0.1 * torch.randn_like(x)


def watch(net: nn.Sequential) -> list[Tensor]:
    """A list that every forward pass fills with the outputs of the blocks."""
    blocks = [module for module in net if isinstance(module, nn.Sequential)]
    outputs = [torch.empty(0)] * len(blocks)

    def keep(at: int):
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            outputs[at] = output.detach()

        return hook

    for at, block in enumerate(blocks):
        block.register_forward_hook(keep(at))
    return outputs


def exact_accuracy(net: nn.Module, spec: Net, device: str) -> float:
    """On the first test images, in evaluation mode with exact statistics."""
    data = images(spec.data, device)
    if any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in net.modules()):
        population = standardized(data["x_train"][:POPULATION], spec)
        population_statistics(net, population.split(PART))
    return accuracy(net, standardized(data["x_test"][:TEST], spec), data["y_test"][:TEST], PART)


def percentiles(values: Tensor) -> list[float]:
    at = torch.tensor(PERCENTILES, device=values.device) / 100
    return torch.quantile(values.flatten(), at).tolist()


if __name__ == "__main__":
    main(configurations, run, full=full_configurations)
