"""Batch sizes from 2 to 64 on Fashion-MNIST: batch norm against norms that do not see the batch.

The images are halved to 14 x 14 pixels. Three 3 x 3 convolutions with 8, 16 and 32 channels and
strides 2, 1 and 2, each followed by a norm and ReLU, then the mean over the 4 x 4 positions and a
linear layer. Every net sees 3,200 images whatever the size of the mini-batch: 1,600 steps of 2, or
50 steps of 64. Since that is another number of steps for each size, there are also runs of 200
steps with 2 and with 64 images, as many as the 3,200 images make with 16. `norm` is

    BN  torch.nn.BatchNorm2d
    GN  4 groups of channels
    LN  1 group: over C, H and W, as Wu & He 2018 compare it
    IN  a group for every channel

All four learn a gamma and a beta for each channel. A run trains a net for each norm at each of five
learning rates. All start alike, see the same mini-batches and share nothing else: side by side
they are the groups of one grouped convolution, which costs little more than a single net.

Stored a run, with a list of numbers, one for each learning rate, under each norm: the mean
training loss of the last tenth of the steps (null if it diverged); accuracy on 1,000 validation
images (the last of the training images, never trained on) and on 2,000 test images. "BN exact" is
BN with exact population statistics in place of the running ones. Choose on validation images;
report on test images.

    python experiments/batch_size.py            about an hour and a half of one core
    python experiments/batch_size.py --full     ten epochs, for a GPU
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
NETS = len(LEARNING_RATES) * len(NORMS)  # all rates of the first norm, then of the second, ...
IMAGES_SEEN = 3200
VALIDATION, TEST = 1000, 2000
CHANNELS = [1, 8, 16, 32]
STRIDES = [2, 1, 2]
GROUPS = 4
CLASSES = 10
SIZE = 28
POPULATION = 1000  # training images for the exact statistics
PART = 100  # images at a time, small enough to stay in the cache


def configurations(small: bool) -> list[dict]:
    images_seen = 128 if small else IMAGES_SEEN
    equal_images = [(size, images_seen) for size in (BATCH_SIZES[::5] if small else BATCH_SIZES)]
    equal_steps = [] if small else [(size, 200 * size) for size in (2, 64)]
    return [
        {"batch_size": size, "seed": seed, "images_seen": seen}
        for seed in range(1 if small else 5)
        for size, seen in equal_images + equal_steps
    ]


def full_configurations() -> list[dict]:
    return [
        {"batch_size": size, "seed": seed, "images_seen": 10 * 59_000}
        for seed in range(5)
        for size in BATCH_SIZES
    ]


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    data = images("fashion-mnist", device)
    x_train, y_train = halved(data["x_train"][:-VALIDATION]), data["y_train"][:-VALIDATION]
    net = side_by_side().to(device)
    rates = torch.tensor(LEARNING_RATES * len(NORMS), device=device)
    size = configuration["batch_size"]
    steps = configuration["images_seen"] // size
    losses = []
    for chosen in batches(len(x_train), size, steps, configuration["seed"], device):
        loss = cross_entropies(net(x_train[chosen]), y_train[chosen])
        net.zero_grad()
        loss.sum().backward()
        descend(net, rates)
        losses.append(loss.detach())
    result = {"learning_rates": LEARNING_RATES}
    result["train_loss"] = by_norm(torch.stack(losses[-max(1, steps // 10) :]).mean(0))
    looks = {
        "validation_accuracy": (data["x_train"][-VALIDATION:], data["y_train"][-VALIDATION:]),
        "test_accuracy": (data["x_test"][:TEST], data["y_test"][:TEST]),
    }
    for name, (x, y) in looks.items():
        result[name] = by_norm(accuracies(net, halved(x), y))
    population_statistics(net, x_train[:POPULATION].split(PART))
    for name, (x, y) in looks.items():
        result[name]["BN exact"] = by_norm(accuracies(net, halved(x), y))["BN"]
    return result


def halved(pixels: Tensor) -> Tensor:
    mean, std = IMAGE_MEAN_AND_STD["fashion-mnist"]
    return nn.functional.avg_pool2d(((pixels - mean) / std).reshape(-1, 1, SIZE, SIZE), 2)


def by_norm(values: Tensor) -> dict[str, list[float]]:
    return dict(zip(NORMS, values.reshape(len(NORMS), -1).tolist(), strict=True))


class EachItsNorm(nn.Module):
    """Every norm for its part of the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        nets = len(LEARNING_RATES)
        self.batch = nn.BatchNorm2d(nets * channels)
        self.others = nn.ModuleList(
            nn.GroupNorm(nets * groups, nets * channels) for groups in (GROUPS, 1, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = x.chunk(len(NORMS), 1)
        return torch.cat(
            [
                self.batch(first),
                *(norm(part) for norm, part in zip(self.others, rest, strict=True)),
            ],
            dim=1,
        )


def side_by_side() -> nn.Sequential:
    """The logits (N, NETS * CLASSES, 1, 1) of nets that start alike and share nothing.

    He et al.'s initial weights, of standard deviation sqrt(2 / fan_in); biases 0.
    """
    layers = []
    for i, stride in enumerate(STRIDES):
        groups = 1 if i == 0 else NETS  # all nets read the same image
        shape = groups * CHANNELS[i], NETS * CHANNELS[i + 1], 3, stride
        layers.append(nn.Conv2d(*shape, padding=1, bias=False, groups=groups))
        layers += [EachItsNorm(CHANNELS[i + 1]), nn.ReLU()]
    layers.append(nn.AdaptiveAvgPool2d(1))
    layers.append(nn.Conv2d(NETS * CHANNELS[-1], NETS * CLASSES, 1, groups=NETS))
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            one = torch.randn(len(layer.weight) // NETS, *layer.weight.shape[1:])
            one *= math.sqrt(2 / layer.weight[0].numel())
            layer.weight.data = one.repeat(NETS, 1, 1, 1)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def cross_entropies(logits: Tensor, y: Tensor) -> Tensor:
    """The mean cross-entropy of each net."""
    each = logits.reshape(len(y), -1, CLASSES).transpose(1, 2)
    return nn.functional.cross_entropy(
        each, y[:, None].expand(-1, each.shape[2]), reduction="none"
    ).mean(0)


@torch.no_grad()
def descend(net: nn.Sequential, rates: Tensor) -> None:
    """One step of SGD. The outputs of a convolution belong to the nets in equal parts."""
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            parts = [(layer, rates)]
        elif isinstance(layer, EachItsNorm):
            each = rates.chunk(len(NORMS))
            parts = zip((layer.batch, *layer.others), each, strict=True)
        else:
            continue
        for part, its_rates in parts:
            for values in part.parameters():
                step = its_rates[:, None] * values.grad.reshape(len(its_rates), -1)
                values -= step.reshape(values.shape)


@torch.no_grad()
def accuracies(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The share of right answers of each net, in evaluation mode."""
    net.eval()
    guesses = torch.cat([net(a).reshape(len(a), -1, CLASSES).argmax(2) for a in x.split(PART)])
    return (guesses == y[:, None]).float().mean(0)


if __name__ == "__main__":
    main(configurations, run, full=full_configurations)
