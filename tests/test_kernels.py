"""`bnlib.kernels`: on a GPU if there is one, else in Triton's interpreter, in its own process.

The interpreter is chosen when Triton is imported, for good, so the tests themselves are in
`kernels_on_device.py`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
HERE = Path(__file__).parent


def test_kernels():
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if not torch.cuda.is_available():
        environment["TRITON_INTERPRET"] = "1"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "kernels_on_device.py"]
    run = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-1000:]


def test_triton_is_not_imported_for_tensors_on_the_cpu():
    script = (
        "import sys, torch, bnlib.nn, bnlib.functional as F;"
        "F.batch_norm(torch.randn(4, 3), None, None, training=True);"
        "print('bnlib.kernels' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_gpu_benchmark_runs_dry_and_stores_nothing():
    before = sorted((HERE.parent / "benchmarks" / "results").iterdir())
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, HERE.parent / "benchmarks" / "gpu.py", "layer_norm", "--dry"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "RMS norm" in run.stdout and "'bnlib'" in run.stdout
    assert sorted((HERE.parent / "benchmarks" / "results").iterdir()) == before


def test_the_kernels_recorded_errors_keep_the_bound():
    path = HERE.parent / "benchmarks" / "results" / "accuracy_kernels.json"
    rows = json.loads(path.read_text("utf-8"))["rows"]
    assert len(rows) == 30
    for row in rows:
        assert row["y"]["bnlib"] <= row["bound"] and row["dx"]["bnlib"] <= 8, row


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: it would be measured")
def test_the_gpu_benchmark_says_that_there_is_no_gpu_and_stores_nothing():
    before = sorted((HERE.parent / "benchmarks" / "results").iterdir())
    run = subprocess.run(
        [sys.executable, HERE.parent / "benchmarks" / "gpu.py"], capture_output=True, text=True
    )
    assert run.returncode != 0 and "No GPU can be used" in run.stderr
    assert sorted((HERE.parent / "benchmarks" / "results").iterdir()) == before
