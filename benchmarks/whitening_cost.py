"""What whitening costs as the features grow, in multiples of standardizing the same batch.

Both are torch's: standardizing is its batch norm without gamma and beta, one operation.

    python benchmarks/whitening_cost.py          prints the table, writes the result
    python benchmarks/whitening_cost.py --quick  few features, writes nothing

The result is results/whitening_cost.json. A batch has N samples of d features in float32 and runs
on one thread, so that the exponents of d are those of the arithmetic. One round times standardizing
and every part of whitening once, in turn, so that all of them see the same machine; the table gives
medians over the rounds, of CPU time, which other processes on the machine disturb least. `whole` is
ZCA whitening from a batch to its white form: the covariance, its eigendecomposition, the inverse
root and the product with the batch. As in speed.py, freed memory is kept, so that page faults do
not drown the arithmetic.
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

from bnlib._provenance import provenance

RESULT = Path(__file__).parent / "results" / "whitening_cost.json"
SEED = 0
EPS = 1e-5
SAMPLES = 4096
FEATURES = (16, 32, 64, 128, 256, 512, 1024)
QUICK_FEATURES = (16, 32)


def covariance(x):
    centred = x - x.mean(dim=0)
    return centred.T @ centred / len(x)


def inverse_root(eigenvalues, eigenvectors):
    return (eigenvectors * (eigenvalues + EPS).rsqrt()) @ eigenvectors.T


def zca_whiten(x):
    return (x - x.mean(dim=0)) @ inverse_root(*torch.linalg.eigh(covariance(x)))


def correlated(samples: int, features: int):
    """Samples whose standard deviations run from 1 to 0.1 along axes of no special direction."""
    generator = torch.Generator().manual_seed(SEED)
    rotation, _ = torch.linalg.qr(torch.randn(features, features, generator=generator))
    spread = torch.logspace(0, -1, features)
    return torch.randn(samples, features, generator=generator) * spread @ rotation


def measure(features: int, rounds: int) -> dict:
    """Return the median seconds of each part."""
    x = correlated(SAMPLES, features)
    sigma = covariance(x)
    matrix = inverse_root(*torch.linalg.eigh(sigma))
    identity = torch.eye(features)
    white = zca_whiten(x)
    assert torch.allclose(white.T @ white / len(x), identity, atol=0.05), "not white"
    calls = {
        "standardize": lambda: torch.nn.functional.batch_norm(x, None, None, training=True),
        "covariance": lambda: covariance(x),
        "eigendecomposition": lambda: torch.linalg.eigh(sigma),
        "cholesky": lambda: torch.linalg.cholesky(sigma),
        "apply": lambda: x @ matrix,
        "whole": lambda: zca_whiten(x),
    }
    seconds = {name: [] for name in calls}
    for round_number in range(-2, rounds):  # two rounds warm up
        for name, call in calls.items():
            start = time.process_time()
            call()
            if round_number >= 0:
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def table(all_features: tuple, rounds: int) -> list[dict]:
    rows = []
    for features in all_features:
        seconds = measure(features, rounds)
        standardize = seconds.pop("standardize")
        ratios = {name: float(f"{s / standardize:.4g}") for name, s in seconds.items()}
        if not rows:
            print(f"{'d':>5}{'ms':>9}" + "".join(f"{name:>20}" for name in ratios))
        print(f"{features:5}{standardize * 1e3:9.3f}", end="")
        print("".join(f"{ratio:20.3g}" for ratio in ratios.values()), flush=True)
        milliseconds = float(f"{standardize * 1e3:.4g}")
        rows.append({"features": features, "standardize_ms": milliseconds, "ratios": ratios})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    if "MALLOC_MMAP_MAX_" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP_FREED_MEMORY)
    torch.set_num_threads(1)
    start = time.time()
    with torch.no_grad():
        rows = table(QUICK_FEATURES if options.quick else FEATURES, options.rounds)
    if not options.quick:
        report = provenance() | {
            "threads": 1,
            "seeds": [SEED],
            "unit": "medians in multiples of standardizing the same batch (torch's batch_norm "
            "without gamma and beta), paired round by round; float32, forward only",
            "samples": SAMPLES,
            "rounds": options.rounds,
            "memory": "kept",
            "wall_seconds": round(time.time() - start),
            "rows": rows,
        }
        RESULT.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
