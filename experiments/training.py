"""The nets and the training loop that the experiments share.

The layers are torch's: whoever doubts a result should not have to trust bnlib first. bnlib's are
drop-ins and train alike (tests/test_models.py).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from bnlib.data import load

IMAGE_MEAN_AND_STD = {"mnist": (0.1307, 0.3081), "fashion-mnist": (0.2860, 0.3530)}


@functools.cache
def images(name: str, device: str) -> dict[str, Tensor]:
    """x_train, y_train, x_test, y_test on the device; pixels from 0 to 1, (N, 784)."""
    data = load(name)
    tensors = {}
    for split in ("train", "test"):
        x = torch.from_numpy(getattr(data, f"x_{split}")).to(device)
        tensors[f"x_{split}"] = x.flatten(1).float() / 255
        tensors[f"y_{split}"] = torch.from_numpy(getattr(data, f"y_{split}")).to(device)
    return tensors


def batches(count: int, size: int, steps: int, seed: int, device: str) -> Iterator[Tensor]:
    """Indices of `steps` mini-batches: every epoch another permutation, the rest dropped."""
    generator = torch.Generator().manual_seed(seed)
    order, at = torch.empty(0, dtype=torch.long), 0
    for _ in range(steps):
        if at + size > len(order):
            order, at = torch.randperm(count, generator=generator), 0
        yield order[at : at + size].to(device)
        at += size


def fully_connected(
    widths: Sequence[int],
    activation: Callable[[], nn.Module],
    batch_norm: bool,
    init_std: float | None = None,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Linear, (batch norm,) activation (, dropout) for every hidden layer; a linear last layer.

    init_std  the weights' standard deviation; None for He et al.'s, sqrt(2 / fan_in). Biases are 0.
    """
    layers = []
    for fan_in, fan_out in itertools.pairwise(widths[:-1]):
        layers.append(nn.Linear(fan_in, fan_out))
        if batch_norm:
            layers.append(nn.BatchNorm1d(fan_out))
        layers.append(activation())
        if dropout:
            layers.append(nn.Dropout(dropout))
    net = nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))
    for layer in net:
        if isinstance(layer, nn.Linear):
            std = math.sqrt(2 / layer.in_features) if init_std is None else init_std
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)
    return net


@torch.no_grad()
def accuracy(net: nn.Module, x: Tensor, y: Tensor, batch: int = 2000) -> float:
    """The share of right answers in evaluation mode."""
    was_training = net.training
    net.eval()
    parts = zip(x.split(batch), y.split(batch), strict=True)
    right = sum((net(a).argmax(1) == b).sum().item() for a, b in parts)
    net.train(was_training)
    return right / len(x)


def when_to_look(steps: int, count: int = 60) -> list[int]:
    """Steps at which to evaluate: closer at the start, where most happens, and the last one."""
    return sorted({max(1, round(steps * (i / count) ** 2)) for i in range(1, count + 1)})


def steps_to(goal: float, steps: list[int], accuracies: list[float]) -> int | None:
    """The first looked-at step with at least the goal's accuracy; None if it never came."""
    return next((s for s, a in zip(steps, accuracies, strict=True) if a >= goal), None)
