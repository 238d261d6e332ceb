"""One small CNN on Fashion-MNIST: batch norm per channel, per activation, and none.

Three 3 x 3 convolutions of stride 2 with 16, 32 and 64 channels, each followed by batch norm and
ReLU, then the mean over all positions and a linear layer. `normalization` is

    none            no batch norm; the convolutions have a bias
    per channel     bnlib.nn.BatchNorm2d: statistics over N, H and W
    per activation  the classic error: flatten to (N, C*H*W), then bnlib.nn.BatchNorm1d

With 128 images a mini-batch (an epoch and a half) and with 4 (4,000 images), several learning
rates for every net, around its best. Stored a run: test accuracy and mean training loss over the
steps, in evaluation mode with the running statistics; at the end also with exact population
statistics, for the test images as they are, moved to the right by a few pixels, and without the
columns that such a move loses; and how many numbers the net learns. The three strides halve the
picture three times, so a move by 8 pixels moves every map by whole places; 2 and 4 do not.

    python experiments/fashion_cnn.py     about forty minutes of one core
"""

import itertools
import math

import torch
from harness import main
from torch import Tensor, nn
from training import IMAGE_MEAN_AND_STD, accuracy, batches, images, when_to_look

from bnlib import nn as bnn
from bnlib.inference import population_statistics

SETTINGS = [  # images a mini-batch, steps, nets, learning rates
    (128, 702, ["none"], [0.03, 0.1, 0.3, 1.0]),
    (128, 702, ["per channel", "per activation"], [0.3, 1.0, 3.0, 10.0]),
    (4, 1000, ["per channel", "per activation"], [0.01, 0.03, 0.1, 0.3, 1.0]),
]
CHANNELS = [1, 16, 32, 64]
SIZE = 28
LOOKS = 8
MOVES = [0, 2, 4, 8]  # pixels
POPULATION = 10_000  # training images for the exact statistics
PART = 250  # images at a time, small enough to stay in the cache


def configurations(small: bool) -> list[dict]:
    return [
        {
            "normalization": normalization,
            "batch_size": batch_size,
            "learning_rate": rate,
            "seed": seed,
            "steps": 2 if small else steps,
        }
        for seed in range(1 if small else 5)
        for batch_size, steps, nets, rates in SETTINGS
        for rate in (rates[1:2] if small else rates)
        for normalization in nets
    ]


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    data = images("fashion-mnist", device)
    mean, std = IMAGE_MEAN_AND_STD["fashion-mnist"]
    x_train, x_test = (
        ((data[name] - mean) / std).reshape(-1, 1, SIZE, SIZE) for name in ("x_train", "x_test")
    )
    net = convolutional(configuration["normalization"]).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=configuration["learning_rate"])
    steps, batch_size = configuration["steps"], configuration["batch_size"]
    looks = when_to_look(steps, LOOKS)
    result = {"steps": looks, "test_accuracy": [], "train_loss": []}
    losses = []
    order = batches(len(x_train), batch_size, steps, configuration["seed"], device)
    for step, chosen in enumerate(order, start=1):
        loss = nn.functional.cross_entropy(net(x_train[chosen]), data["y_train"][chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if step in looks:
            result["test_accuracy"].append(accuracy(net, x_test, data["y_test"], PART))
            result["train_loss"].append(torch.stack(losses).mean().item())
            losses.clear()
    if configuration["normalization"] != "none":
        population_statistics(net, x_train[:POPULATION].split(PART))
    result["moves"] = MOVES
    for name, changed in (("moved_accuracy", moved), ("cut_accuracy", cut)):
        result[name] = [
            accuracy(net, changed(x_test, pixels, -mean / std), data["y_test"], PART)
            for pixels in MOVES
        ]
    result["learned_numbers"] = sum(p.numel() for p in net.parameters())
    return result


def convolutional(normalization: str) -> nn.Sequential:
    """He et al.'s initial weights, of standard deviation sqrt(2 / fan_in); biases 0."""
    layers, size = [], SIZE
    for channels_in, channels in itertools.pairwise(CHANNELS):
        size = (size + 1) // 2
        has_bias = normalization == "none"
        layers.append(nn.Conv2d(channels_in, channels, 3, stride=2, padding=1, bias=has_bias))
        if normalization == "per channel":
            layers.append(bnn.BatchNorm2d(channels))
        elif normalization == "per activation":
            shape = channels, size, size
            layers += [nn.Flatten(), bnn.BatchNorm1d(math.prod(shape)), nn.Unflatten(1, shape)]
        layers.append(nn.ReLU())
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS[-1], 10)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.weight[0].numel()))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def moved(x: Tensor, pixels: int, background: float) -> Tensor:
    """The images moved to the right; the background comes in at the left."""
    return nn.functional.pad(x, (pixels, 0), value=background)[..., :SIZE]


def cut(x: Tensor, pixels: int, background: float) -> Tensor:
    """The images at their place, without the columns that `moved` loses at the right."""
    return nn.functional.pad(x[..., : SIZE - pixels], (0, pixels), value=background)


if __name__ == "__main__":
    main(configurations, run)
