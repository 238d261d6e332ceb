"""Why running statistics for each activation ruin the evaluation of `fashion_cnn.py`.

The nets of `fashion_cnn.py` at 128 images a mini-batch and a learning rate of 3, trained alike.
Then the weights are held still, and accuracy is measured with

    running        the running statistics that training has left
    held           those after 20 more mini-batches, same momentum: noise would stay, a lag would go
    worst          the running ones, but exact for the 1 % of the first layer's activations whose
                   running mean is furthest off, in their standard deviations
    exact          exact population statistics everywhere

Stored as well: how far those means are off in the first layer (median, largest), and its smallest
exact standard deviation beside the median one.

    python experiments/lagging_statistics.py --workers 2     about twenty minutes of one core
"""

import copy

import torch
from fashion_cnn import PART, POPULATION, SIZE, convolutional
from harness import main
from torch import nn
from training import IMAGE_MEAN_AND_STD, accuracy, batches, images

from bnlib.inference import population_statistics

BATCH, LEARNING_RATE = 128, 3.0
HELD_STEPS = 20
WORST = 0.01


def configurations(small: bool) -> list[dict]:
    return [
        {"normalization": normalization, "seed": seed, "steps": 10 if small else 702}
        for normalization in ("per activation", "per channel")
        for seed in range(1 if small else 5)
    ]


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    data = images("fashion-mnist", device)
    mean, std = IMAGE_MEAN_AND_STD["fashion-mnist"]
    x_train, x_test = (
        ((data[name] - mean) / std).reshape(-1, 1, SIZE, SIZE) for name in ("x_train", "x_test")
    )
    net = convolutional(configuration["normalization"]).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE)
    steps = configuration["steps"]
    order = batches(len(x_train), BATCH, steps + HELD_STEPS, configuration["seed"], device)
    nets = {"running": net}
    for step, chosen in enumerate(order):
        if step == steps:  # from here on the weights are held still
            nets["held"] = copy.deepcopy(net).train()
        if step >= steps:
            with torch.no_grad():
                nets["held"](x_train[chosen])
            continue
        loss = nn.functional.cross_entropy(net(x_train[chosen]), data["y_train"][chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    nets["exact"] = copy.deepcopy(net)
    population_statistics(nets["exact"], x_train[:POPULATION].split(PART))
    nets["worst"] = copy.deepcopy(net)
    known, lagging, mended = (first_norm(nets[name]) for name in ("exact", "running", "worst"))
    deviation = known.running_var.sqrt()
    off = (lagging.running_mean - known.running_mean).abs() / deviation
    worst = off.topk(max(1, round(WORST * len(off)))).indices
    for name in ("running_mean", "running_var"):
        mended.get_buffer(name)[worst] = known.get_buffer(name)[worst]
    return {
        "accuracy": {
            name: accuracy(nets[name], x_test, data["y_test"], PART)
            for name in ("running", "held", "worst", "exact")
        },
        "mean_off": {"median": off.median().item(), "largest": off.max().item()},
        "deviation": {"smallest": deviation.min().item(), "median": deviation.median().item()},
    }


def first_norm(net: nn.Module) -> nn.modules.batchnorm._BatchNorm:
    return next(m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))


if __name__ == "__main__":
    main(configurations, run)
