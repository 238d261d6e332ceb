"""What folding saves: a convolution with batch norm in evaluation mode, apart and folded.

    python benchmarks/folding.py          prints the table, writes the result
    python benchmarks/folding.py --quick  small feature maps, writes nothing

The result is results/folding.json. One thread, float32, no gradients, torch's own BatchNorm2d. One
round times each layer once, in turn, so that all see the same machine; the table gives medians over
the rounds, of CPU time, which other processes on the machine disturb least. `bytes` counts what the
layers read and write at least: activations once in and once out for each layer, and the kernels. As
in speed.py, freed memory is kept, so that page faults do not drown the arithmetic.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import torch
from speed import KEEP_FREED_MEMORY
from torch import nn

from bnlib._provenance import provenance
from bnlib.inference import fold

RESULT = Path(__file__).parent / "results" / "folding.json"
SEED = 0
SHAPE, QUICK_SHAPE = (8, 64, 56, 56), (2, 8, 8, 8)
KINDS = {  # kernel size, and whether each channel has a kernel of its own
    "3 x 3": (3, False),
    "1 x 1": (1, False),
    "3 x 3 depthwise": (3, True),
}


def layers(channels: int, size: int, depthwise: bool) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    groups = channels if depthwise else 1
    conv = nn.Conv2d(channels, channels, size, padding=size // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(channels)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.normal_(norm.bias)
    return conv, norm.eval()


def measure(shape: tuple, kind: str, rounds: int) -> dict:
    """Median milliseconds of the convolution, of both layers and of the folded one."""
    torch.manual_seed(SEED)
    x = torch.randn(shape)
    conv, norm = layers(shape[1], *KINDS[kind])
    folded = fold(conv, norm)
    torch.testing.assert_close(folded(x), norm(conv(x)), atol=1e-4, rtol=1e-4)
    calls = {
        "convolution": lambda: conv(x),
        "convolution and batch norm": lambda: norm(conv(x)),
        "folded": lambda: folded(x),
    }
    seconds = {name: [] for name in calls}
    for round_number in range(-3, rounds):  # three rounds warm up
        for name, call in calls.items():
            start = time.process_time()
            call()
            if round_number >= 0:
                seconds[name].append(time.process_time() - start)
    activations, kernels = 4 * x.numel(), 4 * conv.weight.numel()
    return {
        "kind": kind,
        "milliseconds": {
            name: float(f"{statistics.median(times) * 1e3:.4g}") for name, times in seconds.items()
        },
        "bytes": {
            "convolution and batch norm": 4 * activations + kernels,
            "folded": 2 * activations + kernels,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    if "MALLOC_MMAP_MAX_" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP_FREED_MEMORY)
    torch.set_num_threads(1)
    start = time.time()
    rows = []
    with torch.no_grad():
        for kind in KINDS:
            rows.append(measure(QUICK_SHAPE if options.quick else SHAPE, kind, options.rounds))
            print(kind, rows[-1]["milliseconds"], flush=True)
    if not options.quick:
        report = provenance() | {
            "seeds": [SEED],
            "unit": "medians of CPU time, one thread, float32, evaluation mode",
            "shape": SHAPE,
            "rounds": options.rounds,
            "wall_seconds": round(time.time() - start),
            "rows": rows,
        }
        RESULT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
