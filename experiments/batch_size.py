"""Batch sizes from 2 to 64 on Fashion-MNIST: batch norm against norms that do not see the batch.

The images are halved to 14 x 14 pixels. Three 3 x 3 convolutions with 8, 16 and 32 channels and
strides 2, 1 and 2, each followed by a norm and ReLU, then the mean over the 4 x 4 positions and a
linear layer. Every net sees 3,200 images whatever the size of the mini-batch: 1,600 steps of 2, or
50 steps of 64. `norm` is

    BN  torch.nn.BatchNorm2d
    GN  4 groups of channels
    LN  1 group: over C, H and W, as Wu & He 2018 compare it
    IN  a group for every channel

All four learn a gamma and a beta for each channel. A run trains one net for each of five learning
rates. They start alike, see the same mini-batches and share nothing else: side by side they are
the groups of one grouped convolution, which costs little more than one of them alone.

Stored a run, with one number for each learning rate: the mean training loss of the last tenth of
the steps (null if it diverged); accuracy on 2,000 validation images (the last of the training
images, never trained on) and on 5,000 test images; for BN both also with exact population
statistics in place of the running ones. Choose on validation images; report on test images.

    python experiments/batch_size.py     about eight minutes of one core
"""

import math

import torch
from harness import main
from torch import Tensor, nn
from training import IMAGE_MEAN_AND_STD, batches, images

from bnlib.inference import population_statistics

BATCH_SIZES = [2, 4, 8, 16, 32, 64]
NORMS = ["BN", "GN", "LN", "IN"]
LEARNING_RATES = [0.03, 0.1, 0.3, 1.0, 3.0]
IMAGES_SEEN = 3200
VALIDATION, TEST = 2000, 5000
CHANNELS = [1, 8, 16, 32]
STRIDES = [2, 1, 2]
GROUPS = 4
CLASSES = 10
SIZE = 28
POPULATION = 2000  # training images for the exact statistics
PART = 100  # images at a time, small enough to stay in the cache


def configurations(small: bool) -> list[dict]:
    return [
        {"batch_size": batch_size, "norm": norm, "seed": seed}
        | {"images_seen": 128 if small else IMAGES_SEEN}
        for seed in range(1 if small else 5)
        for batch_size in (BATCH_SIZES[::5] if small else BATCH_SIZES)
        for norm in NORMS
    ]


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    data = images("fashion-mnist", device)
    mean, std = IMAGE_MEAN_AND_STD["fashion-mnist"]
    x, x_test = (
        nn.functional.avg_pool2d(((data[name] - mean) / std).reshape(-1, 1, SIZE, SIZE), 2)
        for name in ("x_train", "x_test")
    )
    x_train, x_validation = x[:-VALIDATION], x[-VALIDATION:]
    y_train, y_validation = data["y_train"][:-VALIDATION], data["y_train"][-VALIDATION:]
    x_test, y_test = x_test[:TEST], data["y_test"][:TEST]
    size = configuration["batch_size"]
    rates = torch.tensor(LEARNING_RATES, device=device)
    net = side_by_side(configuration["norm"], len(rates)).to(device)
    steps = configuration["images_seen"] // size
    losses = []
    for chosen in batches(len(x_train), size, steps, configuration["seed"], device):
        loss = cross_entropies(net(x_train[chosen]), y_train[chosen])
        net.zero_grad()
        loss.sum().backward()
        descend(net, rates)
        losses.append(loss.detach())
    result = {"learning_rates": LEARNING_RATES}
    result["train_loss"] = torch.stack(losses[-max(1, steps // 10) :]).mean(0).tolist()

    def look(suffix: str) -> dict:
        return {
            f"validation_accuracy{suffix}": accuracies(net, x_validation, y_validation),
            f"test_accuracy{suffix}": accuracies(net, x_test, y_test),
        }

    result |= look("")
    if configuration["norm"] == "BN":
        population_statistics(net, x_train[:POPULATION].split(PART))
        result |= look("_exact")
    return result


def side_by_side(norm: str, nets: int) -> nn.Sequential:
    """The logits (N, nets * CLASSES, 1, 1) of nets that start alike and share nothing.

    He et al.'s initial weights, of standard deviation sqrt(2 / fan_in); biases 0.
    """
    layers = []
    for i, stride in enumerate(STRIDES):
        channels_in, channels = CHANNELS[i], nets * CHANNELS[i + 1]
        groups = 1 if i == 0 else nets  # all nets read the same image
        shape = groups * channels_in, channels, 3, stride
        layers.append(nn.Conv2d(*shape, padding=1, bias=False, groups=groups))
        layers += [norm_layer(norm, nets, CHANNELS[i + 1]), nn.ReLU()]
    layers.append(nn.AdaptiveAvgPool2d(1))
    layers.append(nn.Conv2d(nets * CHANNELS[-1], nets * CLASSES, 1, groups=nets))
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            one = torch.randn(len(layer.weight) // nets, *layer.weight.shape[1:])
            one *= math.sqrt(2 / layer.weight[0].numel())
            layer.weight.data = one.repeat(nets, 1, 1, 1)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def norm_layer(norm: str, nets: int, channels: int) -> nn.Module:
    if norm == "BN":
        return nn.BatchNorm2d(nets * channels)
    groups = {"GN": GROUPS, "LN": 1, "IN": channels}[norm]
    return nn.GroupNorm(nets * groups, nets * channels)


def cross_entropies(logits: Tensor, y: Tensor) -> Tensor:
    """The mean cross-entropy of each net."""
    each = logits.reshape(len(y), -1, CLASSES).transpose(1, 2)
    return nn.functional.cross_entropy(
        each, y[:, None].expand(-1, each.shape[2]), reduction="none"
    ).mean(0)


@torch.no_grad()
def descend(net: nn.Module, rates: Tensor) -> None:
    """One step of SGD; the outputs of every layer belong to the nets in equal parts."""
    for values in net.parameters():
        each = values.grad.reshape(len(rates), -1)
        values -= (rates[:, None] * each).reshape(values.shape)


@torch.no_grad()
def accuracies(net: nn.Module, x: Tensor, y: Tensor) -> list[float]:
    """The share of right answers of each net, in evaluation mode."""
    net.eval()
    guesses = torch.cat([net(a).reshape(len(a), -1, CLASSES).argmax(2) for a in x.split(PART)])
    return (guesses == y[:, None]).float().mean(0).tolist()


if __name__ == "__main__":
    main(configurations, run)
