"""Dropout against BN where a net overfits, and the size of the batch as noise, on MNIST.

Two hidden layers of 256 ReLUs, 2,048 training images, 2,048 others for validation, 10,000 for
testing; every seed draws its own images. Every learning rate is run for every kind of net:

    none, dropout, BN, both       32 a batch; two drop rates
    batches of 8, 32, 128, 512    without and with BN; the larger the batch, the more epochs
    groups of 8, 32, 128          512 a batch for the gradient, but BN takes its statistics from
                                  groups of them: only the noise of the statistics changes

Stored a run: after each quarter of the epochs the accuracy on validation and test images, and the
mean training loss of the last epoch. Choose on validation images; report on test images.

    python experiments/regularizers.py     about a quarter of an hour of one core
"""

import torch
from harness import main
from torch import Tensor, nn
from training import IMAGE_MEAN_AND_STD, accuracy, batches, fully_connected, images

IMAGES = 2048  # to train on, and as many to choose on
WIDTHS = [784, 256, 256, 10]
DROP_RATES = [0.2, 0.5]
EPOCHS = {8: 10, 32: 20, 128: 40, 512: 80}  # for each batch size
LEARNING_RATES = {
    8: [0.01, 0.03, 0.1, 0.3, 1.0],
    32: [0.03, 0.1, 0.3, 1.0, 3.0],
    128: [0.03, 0.1, 0.3, 1.0, 3.0],
    512: [0.03, 0.1, 0.3, 1.0, 3.0],
}


def configurations(small: bool) -> list[dict]:
    kinds = [
        {"batch": batch, "group": batch, "batch_norm": batch_norm, "drop": 0.0}
        for batch in EPOCHS
        for batch_norm in (False, True)
    ]
    kinds += [
        {"batch": 32, "group": 32, "batch_norm": batch_norm, "drop": drop}
        for batch_norm in (False, True)
        for drop in DROP_RATES
    ]
    kinds += [
        {"batch": 512, "group": group, "batch_norm": True, "drop": 0.0} for group in (8, 32, 128)
    ]
    return [
        kind
        | {"learning_rate": rate, "seed": seed}
        | {"epochs": 1 if small else EPOCHS[kind["batch"]]}
        for seed in range(1 if small else 5)
        for kind in kinds
        for rate in ([0.1] if small else LEARNING_RATES[kind["batch"]])
    ]


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    x_train, y_train, x_validation, y_validation, x_test, y_test = splits(device)
    batch_norm, drop = configuration["batch_norm"], configuration["drop"]
    net = fully_connected(WIDTHS, nn.ReLU, batch_norm, dropout=drop).to(device)
    batch, epochs = configuration["batch"], configuration["epochs"]
    if configuration["group"] < batch:
        net = nn.Sequential(*[in_groups(layer, configuration["group"]) for layer in net])
    optimizer = torch.optim.SGD(net.parameters(), lr=configuration["learning_rate"])
    steps_per_epoch = IMAGES // batch
    steps = steps_per_epoch * epochs
    looks = [round(steps * quarter / 4) for quarter in (1, 2, 3, 4)]
    result = {"steps": looks, "validation_accuracy": [], "test_accuracy": []}
    losses = []
    order = batches(IMAGES, batch, steps, configuration["seed"], device)
    for step, chosen in enumerate(order, start=1):
        loss = nn.functional.cross_entropy(net(x_train[chosen]), y_train[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if step in looks:
            result["validation_accuracy"].append(accuracy(net, x_validation, y_validation))
            result["test_accuracy"].append(accuracy(net, x_test, y_test))
    return result | {"train_loss": torch.stack(losses[-steps_per_epoch:]).mean().item()}


def splits(device: str) -> list[Tensor]:
    """Images and classes to train on, to choose on and to report on."""
    data = images("mnist", device)
    mean, std = IMAGE_MEAN_AND_STD["mnist"]
    order = torch.randperm(len(data["x_train"]))[: 2 * IMAGES].to(device)
    parts = []
    for chosen in order.split(IMAGES):
        parts += [(data["x_train"][chosen] - mean) / std, data["y_train"][chosen]]
    return [*parts, (data["x_test"] - mean) / std, data["y_test"]]


def in_groups(layer: nn.Module, size: int) -> nn.Module:
    return GroupedBatchNorm(layer, size) if isinstance(layer, nn.BatchNorm1d) else layer


class GroupedBatchNorm(nn.Module):
    """BN with statistics of parts of the batch, the "ghost batches" of Hoffer et al. 2017."""

    def __init__(self, batch_norm: nn.BatchNorm1d, size: int):
        super().__init__()
        self.batch_norm, self.size = batch_norm, size

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.batch_norm(x)
        return torch.cat([self.batch_norm(group) for group in x.split(self.size)])


if __name__ == "__main__":
    main(configurations, run)
