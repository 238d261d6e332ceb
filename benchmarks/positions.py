"""What the positions of a feature map are worth to a mini-batch mean: as many values, or fewer?

    python benchmarks/positions.py          prints the table, writes the result
    python benchmarks/positions.py --quick  a few images, writes nothing

The result is results/positions.json. If the p*q values of a feature map were independent draws,
the mean over N images would have the variance Var(x) / (N p q). It has Var(image mean) / N, so

    worth of one image = Var(x) / Var(mean of x over one image)

values, for each channel; and the same for the variance, with (x - mean)^2 in place of x. Measured
on the pictures themselves and on what enters each batch norm of the experiment fashion_cnn's net
after 200 steps of 64 images at a learning rate of 1, over 3,000 training images.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from bnlib._provenance import provenance

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
from fashion_cnn import SIZE, convolutional
from training import IMAGE_MEAN_AND_STD, batches, images

RESULT = Path(__file__).parent / "results" / "positions.json"
SEED = 0
STEPS, BATCH, LEARNING_RATE = 200, 64, 1.0
IMAGES = 3000


def worth(x: Tensor) -> Tensor:
    """Var(x) / Var(image mean) for each channel of x (N, C, H, W)."""
    return x.var((0, 2, 3), correction=0) / x.mean((2, 3)).var(0, correction=0)


@torch.no_grad()
def measure(net: nn.Sequential, x: Tensor) -> list[dict]:
    rows = [row("picture", x)]
    for layer in net:
        if isinstance(layer, nn.BatchNorm2d):
            rows.append(row("feature map", x))
        x = layer(x)
    return rows


def row(kind: str, x: Tensor) -> dict:
    wide = x.double()
    deviation = wide - wide.mean((0, 2, 3), keepdim=True)
    return {
        "kind": kind,
        "positions": x.shape[2] * x.shape[3],
        "mean": [float(f"{w:.4g}") for w in worth(wide)],
        "variance": [float(f"{w:.4g}") for w in worth(deviation.square())],
    }


def trained(x: Tensor, y: Tensor, steps: int) -> nn.Sequential:
    torch.manual_seed(SEED)
    net = convolutional("per channel")
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE)
    for chosen in batches(len(x), BATCH, steps, SEED, "cpu"):
        loss = nn.functional.cross_entropy(net(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.time()
    tables = {}
    for name in ("mnist", "fashion-mnist"):
        data = images(name, "cpu")
        mean, std = IMAGE_MEAN_AND_STD[name]
        x = ((data["x_train"] - mean) / std).reshape(-1, 1, SIZE, SIZE)
        net = trained(x, data["y_train"], 2 if options.quick else STEPS)
        tables[name] = measure(net, x[: 100 if options.quick else IMAGES])
        for row in tables[name]:
            medians = (torch.tensor(row[kind]).median() for kind in ("mean", "variance"))
            print(f"{name:<14}{row['positions']:>5} positions, medians:", end="")
            print("".join(f"{median:8.1f}" for median in medians), flush=True)
    if not options.quick:
        report = provenance() | {
            "seeds": [SEED],
            "steps": STEPS,
            "images": IMAGES,
            "wall_seconds": round(time.time() - start),
            "worth": tables,
        }
        RESULT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
