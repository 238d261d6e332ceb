"""How rough the loss is along the gradient, over training, under four normalizations.

Eight hidden layers of 100 ReLU units on Fashion-MNIST: without normalization, with batch norm, and
with each unit centred and then divided by the mean of its sizes ("l1") or by the largest
("l-infinity") instead of the standard deviation. 200 steps of plain SGD with 128 images, He et
al.'s initial weights, three or four learning rates.

At eight looks, on the mini-batch of that step and in training mode, steps of 1/2, 1, 2 and 4
learning rates along the gradient: the loss there, how far the gradient is from the first one, and
the effective smoothness (Santurkar et al. 2018, Figure 4). Those steps grow with the learning rate,
so that smoothness is measured once more by single steps that are the same for every net. With it
the internal covariate shift of the fifth and of the last layer, when those below take one step at
the learning rate.

    python experiments/landscape.py            about six minutes of one core
    python experiments/landscape.py --full     2,000 steps, for a GPU
"""

import functools
import itertools

import torch
from harness import main
from torch import Tensor, nn
from training import IMAGE_MEAN_AND_STD, accuracy, batches, images, when_to_look

from bnlib.analysis import (
    effective_smoothness,
    gradient_predictiveness,
    internal_covariate_shift,
    loss_along_gradient,
)

LEARNING_RATES = {"none": [0.03, 0.1, 0.3]} | {
    name: [0.1, 0.3, 1.0, 3.0] for name in ("batch norm", "l1", "l-infinity")
}
FACTORS = [0.5, 1.0, 2.0, 4.0]  # of the learning rate: how far to look along the gradient
RULERS = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]  # the same at every learning rate
BATCH, WIDTHS = 128, [784, *[100] * 8]
cross_entropy = nn.functional.cross_entropy


class LpNorm(nn.Module):
    """Batch norm with another size: y = gamma * d / (mean(|d|^p)^(1/p) + eps) + beta, d centred."""

    def __init__(self, features: int, p: float, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        self.p, self.eps, self.momentum = p, eps, momentum
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_size", torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        mean, size = self.running_mean, self.running_size
        if self.training:
            mean = x.mean(0)
            size = torch.linalg.vector_norm(x - mean, self.p, 0) / len(x) ** (1 / self.p)
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_size.lerp_(size.detach(), self.momentum)
        return self.weight * (x - mean) / (size + self.eps) + self.bias


def normalization(name: str, features: int) -> list[nn.Module]:
    if name == "none":
        return []
    if name == "batch norm":
        return [nn.BatchNorm1d(features)]
    return [LpNorm(features, {"l1": 1, "l-infinity": float("inf")}[name])]


def build(name: str) -> tuple[nn.Sequential, list[str]]:
    """The net, and the names of the layers whose covariate shift is measured."""
    layers = []
    for fan_in, fan_out in itertools.pairwise(WIDTHS):
        layers += [nn.Linear(fan_in, fan_out), *normalization(name, fan_out), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(WIDTHS[-1], 10))
    linear = [i for i, layer in enumerate(net) if isinstance(layer, nn.Linear)]
    for i in linear:
        nn.init.kaiming_normal_(net[i].weight, nonlinearity="relu")
        nn.init.zeros_(net[i].bias)
    return net, [str(linear[4]), str(linear[-1])]


@functools.cache
def pictures(device: str) -> dict[str, Tensor]:
    data, (mean, std) = images("fashion-mnist", device), IMAGE_MEAN_AND_STD["fashion-mnist"]
    return data | {name: (data[name] - mean) / std for name in ("x_train", "x_test")}


def configurations(small: bool) -> list[dict]:
    seeds, steps = ([0], 4) if small else (range(5), 200)
    return [
        {"normalization": name, "learning_rate": rate, "seed": seed, "steps": steps}
        for name, rates in LEARNING_RATES.items()
        for rate in (rates[1:2] if small else rates)
        for seed in seeds
    ]


def full_configurations() -> list[dict]:
    return [{**configuration, "steps": 2000} for configuration in configurations(small=False)]


def look(net: nn.Module, layers: list[str], batch: tuple[Tensor, Tensor], rate: float) -> dict:
    step_sizes = [rate * factor for factor in FACTORS]
    losses = loss_along_gradient(net, cross_entropy, batch, [0, *step_sizes])
    shifts = [internal_covariate_shift(net, cross_entropy, batch, i, rate) for i in layers]
    return {
        "losses": losses,
        "gradient_moves": gradient_predictiveness(net, cross_entropy, batch, step_sizes),
        "effective_smoothness": effective_smoothness(net, cross_entropy, batch, step_sizes),
        "smoothness_by_ruler": [
            effective_smoothness(net, cross_entropy, batch, [ruler]) for ruler in RULERS
        ],
        "shift": [shift.distance for shift in shifts],
        "shift_cosine": [shift.cosine for shift in shifts],
        "gradient_norm": [shift.norm_before for shift in shifts],
    }


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    data, rate, steps = pictures(device), configuration["learning_rate"], configuration["steps"]
    net, layers = build(configuration["normalization"])
    optimizer = torch.optim.SGD(net.to(device).parameters(), lr=rate)
    looks, losses, found = when_to_look(steps, 8), [], []
    order = batches(len(data["x_train"]), BATCH, steps, configuration["seed"], device)
    for step, chosen in enumerate(order, start=1):
        x, y = data["x_train"][chosen], data["y_train"][chosen]
        if step in looks:
            found.append(look(net, layers, (x, y), rate))
        loss = cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {
        "steps": looks,
        "looks": found,
        "final_loss": sum(losses[-20:]) / len(losses[-20:]),
        "test_accuracy": accuracy(net, data["x_test"], data["y_test"]),
    }


if __name__ == "__main__":
    main(configurations, run, full=full_configurations)
