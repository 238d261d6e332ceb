"""A residual net on Fashion-MNIST whose blocks start as the identity (gamma = 0), or not (1).

Two 3 x 3 convolutions of stride 2, then 16 residual blocks of two 3 x 3 convolutions with 16
channels on 7 x 7 positions, the mean over all positions and a linear layer. `gamma` is the initial
value of every gamma in the *last* batch norm of a block; all others start at 1. 64 images a
mini-batch, 100 steps, every learning rate for both. Stored a run: the training loss of every step,
test accuracy with exact population statistics at the end, and the variance of what enters each
block before the first step.

    python experiments/residual_gamma.py     about four minutes of one core
"""

import math

import torch
from harness import main
from torch import Tensor, nn
from training import IMAGE_MEAN_AND_STD, accuracy, batches, images

from bnlib import nn as bnn
from bnlib.inference import population_statistics

BATCH = 64
STEPS = 100
LEARNING_RATES = [0.03, 0.1, 0.3, 1.0, 3.0]
CHANNELS = 16
BLOCKS = 16
SIZE = 28
POPULATION, PART = 5_000, 250  # training images for the exact statistics, and how many at a time


def configurations(small: bool) -> list[dict]:
    return [
        {"gamma": gamma, "learning_rate": rate, "seed": seed, "steps": 5 if small else STEPS}
        for seed in range(1 if small else 5)
        for rate in (LEARNING_RATES[1:2] if small else LEARNING_RATES)
        for gamma in (0, 1)
    ]


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    data = images("fashion-mnist", device)
    mean, std = IMAGE_MEAN_AND_STD["fashion-mnist"]
    x_train, x_test = (
        ((data[name] - mean) / std).reshape(-1, 1, SIZE, SIZE) for name in ("x_train", "x_test")
    )
    net = residual(configuration["gamma"]).to(device)
    result = {"variances": variances(net, x_train[:BATCH])}
    optimizer = torch.optim.SGD(net.parameters(), lr=configuration["learning_rate"])
    losses = []
    order = batches(len(x_train), BATCH, configuration["steps"], configuration["seed"], device)
    for chosen in order:
        loss = nn.functional.cross_entropy(net(x_train[chosen]), data["y_train"][chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    result["train_loss"] = torch.stack(losses).tolist()
    population_statistics(net, x_train[:POPULATION].split(PART))
    result["test_accuracy"] = accuracy(net, x_test, data["y_test"], PART)
    return result


class Block(nn.Module):
    """relu(x + bn(conv(relu(bn(conv(x)))))): He et al. 2016."""

    def __init__(self, channels: int, gamma: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = bnn.BatchNormAct2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = bnn.BatchNormAct2d(channels)
        nn.init.constant_(self.bn2.weight, gamma)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.bn1(self.conv1(x))), residual=x)


def residual(gamma: float) -> nn.Sequential:
    """He et al.'s initial weights in the convolutions, of standard deviation sqrt(2 / fan_in)."""
    net = nn.Sequential(
        nn.Conv2d(1, CHANNELS, 3, stride=2, padding=1, bias=False),
        bnn.BatchNormAct2d(CHANNELS),
        nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1, bias=False),
        bnn.BatchNormAct2d(CHANNELS),
        *(Block(CHANNELS, gamma) for _ in range(BLOCKS)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(CHANNELS, 10),
    )
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.weight[0].numel()))
    return net


@torch.no_grad()
def variances(net: nn.Sequential, x: Tensor) -> list[float]:
    """The variance of what enters each block, and of what leaves the last one."""
    found = []
    for layer in net:
        if isinstance(layer, Block):
            found.append(x.var().item())
        x = layer(x)
        if isinstance(layer, Block) and len(found) == BLOCKS:
            found.append(x.var().item())
    for layer in net.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.reset_running_stats()
    return found


if __name__ == "__main__":
    main(configurations, run)
