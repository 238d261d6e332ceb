"""What one step of gradient descent costs, against the size of the mini-batch.

    OMP_NUM_THREADS=1 python benchmarks/mini_batch.py            writes results/mini_batch.json
    OMP_NUM_THREADS=1 python benchmarks/mini_batch.py --quick    few repeats, writes nothing

The step is the one of chapter 03: softmax regression on the digits, NumPy, float64, one thread.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from bnlib._provenance import provenance
from bnlib.data import load

RESULT = Path(__file__).parent / "results" / "mini_batch.json"
SIZES = [1, 4, 16, 64, 256, 1437]
STEPS = 50  # timed together, because one step is short
SEED = 0


def step(weights: np.ndarray, x: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """One step at learning rate 0.5, from the mean gradient over the samples in x."""
    scores = x @ weights
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    error = p / p.sum(axis=1, keepdims=True) - targets
    return weights - 0.5 * (x.T @ error) / len(x)


def measure(repeats: int) -> dict[int, float]:
    """The fastest of `repeats` runs, in microseconds a step, for each size of the mini-batch."""
    digits = load("digits")
    x = digits.x_train.reshape(-1, 64) / 16
    x = np.column_stack([x - x.mean(axis=0), np.ones(len(x))])
    targets = np.eye(10)[digits.y_train]
    rng = np.random.default_rng(SEED)
    fastest = dict.fromkeys(SIZES, float("inf"))
    for _ in range(repeats):  # sizes in turn, so that a busy moment of the machine hits all alike
        for size in SIZES:
            batches = [rng.choice(len(x), size, replace=False) for _ in range(STEPS)]
            weights = np.zeros((65, 10))
            start = time.perf_counter()
            for batch in batches:
                weights = step(weights, x[batch], targets[batch])
            seconds = (time.perf_counter() - start) / STEPS
            fastest[size] = min(fastest[size], seconds * 1e6)
    return fastest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    repeats = 2 if quick else 100
    start = time.time()
    fastest = measure(repeats)
    for size, microseconds in fastest.items():
        print(
            f"{size:>5} samples: {microseconds:8.1f} us a step {microseconds / size:8.2f} us each"
        )
    if not quick:
        rows = [{"size": size, "microseconds": round(t, 1)} for size, t in fastest.items()]
        report = provenance() | {
            "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
            "seeds": [SEED],
            "unit": "microseconds a step, the fastest of the repeats",
            "repeats": repeats,
            "wall_seconds": round(time.time() - start),
            "rows": rows,
        }
        RESULT.write_text(json.dumps(report, indent=1) + "\n")
        print(f"wrote {RESULT.relative_to(Path(__file__).parent.parent)}", file=sys.stderr)


if __name__ == "__main__":
    main()
