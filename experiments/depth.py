"""What depth does to gradients and to the largest stable learning rate, with and without BN.

Three fully connected ReLU nets on MNIST, from He et al.'s initial weights: without batch norm,
with it, and with it and a skip around every layer. A layer is (batch norm,) ReLU, linear.

measure = "gradients": nothing is trained. In a net of 64 layers of 256 units, the root mean
square of the loss' gradient in front of every layer, on one mini-batch of 1,000 images.

measure = "rate": the largest stable learning rate of plain SGD, layers of 64 units, mini-batches of
64. A rate is stable if after 100 steps the net has learned something: no loss was above 1,000 or
not finite, and the last 20 have a mean below 90 % of ln 10, which guessing evenly costs. Rates
are tried from 32 down, halved until one is stable; then one bisection of the gap above it. So the
result is the largest stable rate on a grid of factor sqrt(2). Stored: every rate tried, in order.

    python experiments/depth.py            about four minutes of one core
    python experiments/depth.py --full     deeper, wider and longer, for a GPU
"""

import functools
import math

import torch
from harness import main
from torch import nn
from training import IMAGE_MEAN_AND_STD, batches, images

NETS = ["none", "batch norm", "batch norm and skips"]
DEPTHS = [2, 4, 8, 16, 32]
DEPTH_OF_GRADIENTS = 64
HIGHEST, LOWEST = 5, -12  # powers of two
STABLE_LOSS = 0.9 * math.log(10)


class Layer(nn.Module):
    def __init__(self, width: int, batch_norm: bool, skip: bool):
        super().__init__()
        norm = [nn.BatchNorm1d(width)] if batch_norm else []
        self.branch = nn.Sequential(*norm, nn.ReLU(), he(nn.Linear(width, width)))
        self.skip = skip

    def forward(self, x):
        return x + self.branch(x) if self.skip else self.branch(x)


def he(linear: nn.Linear) -> nn.Linear:
    nn.init.normal_(linear.weight, std=math.sqrt(2 / linear.in_features))
    nn.init.zeros_(linear.bias)
    return linear


def build(chosen: dict) -> nn.Sequential:
    batch_norm, skip = chosen["net"] != "none", chosen["net"] == "batch norm and skips"
    width = chosen["width"]
    layers = [Layer(width, batch_norm, skip) for _ in range(chosen["depth"])]
    last = [nn.BatchNorm1d(width)] if batch_norm else []
    return nn.Sequential(
        he(nn.Linear(784, width)), *layers, *last, nn.ReLU(), he(nn.Linear(width, 10))
    )


def configurations(small: bool) -> list[dict]:
    depths, seeds, deep = ([2], [0], 4) if small else (DEPTHS, range(5), DEPTH_OF_GRADIENTS)
    steps = 20 if small else 100
    gradients = [{"measure": "gradients", "depth": deep, "width": 256}]
    rates = [{"measure": "rate", "depth": d, "width": 64, "steps": steps} for d in depths]
    return [
        {**chosen, "net": net, "seed": seed}
        for chosen in gradients + rates
        for net in NETS
        for seed in seeds
    ]


def full_configurations() -> list[dict]:
    gradients = [{"measure": "gradients", "depth": 128, "width": 1024}]
    rates = [
        {"measure": "rate", "depth": depth, "width": 256, "steps": 1000} for depth in [*DEPTHS, 64]
    ]
    return [
        {**chosen, "net": net, "seed": seed}
        for chosen in gradients + rates
        for net in NETS
        for seed in range(5)
    ]


@functools.cache
def standardized(device: str) -> tuple[torch.Tensor, torch.Tensor]:
    data, (mean, std) = images("mnist", device), IMAGE_MEAN_AND_STD["mnist"]
    return (data["x_train"] - mean) / std, data["y_train"]


def gradient_sizes(net: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> list[float]:
    """In front of every layer, the root mean square over the samples and units."""
    values, kept = x, []
    for layer in net:
        if isinstance(layer, Layer):
            kept.append(values)
        values = layer(values)
    gradients = torch.autograd.grad(nn.functional.cross_entropy(values, y, reduction="sum"), kept)
    return [g.square().mean().sqrt().item() for g in gradients]


def final_loss(chosen: dict, rate: float, device: str) -> float:
    """The mean loss of the last fifth of the steps; infinite if training diverged."""
    torch.manual_seed(chosen["seed"])
    x, y = standardized(device)
    net = build(chosen).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    losses = []
    for batch in batches(len(x), 64, chosen["steps"], chosen["seed"], device):
        loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
        losses.append(loss.item())
        if not losses[-1] <= 1000:
            return math.inf
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    last = losses[-chosen["steps"] // 5 :]
    return sum(last) / len(last)


def largest_stable_rate(chosen: dict, device: str) -> dict:
    tried = []

    def is_stable(power: float) -> bool:
        loss = final_loss(chosen, 2.0**power, device)
        tried.append({"rate": 2.0**power, "loss": loss})
        return loss < STABLE_LOSS

    stable = next((p for p in range(HIGHEST, LOWEST - 1, -1) if is_stable(p)), None)
    if stable is None:
        return {"largest_stable_rate": None, "tried": tried}
    if stable < HIGHEST:
        stable += 0.5 * is_stable(stable + 0.5)
    return {"largest_stable_rate": 2.0**stable, "tried": tried}


def run(configuration: dict, device: str) -> dict:
    if configuration["measure"] == "rate":
        return largest_stable_rate(configuration, device)
    torch.manual_seed(configuration["seed"])
    x, y = standardized(device)
    net = build(configuration).to(device)
    chosen = next(batches(len(x), 1000, 1, configuration["seed"], device))
    return {"gradient_size": gradient_sizes(net, x[chosen], y[chosen])}


if __name__ == "__main__":
    main(configurations, run, full=full_configurations)
