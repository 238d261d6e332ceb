"""`bnlib.kernels`: on a GPU if there is one, else in Triton's interpreter, in its own process.

The interpreter is chosen when Triton is imported, for good, so the tests themselves are in
`kernels_on_device.py`.
"""

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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: it would be measured")
def test_the_gpu_benchmark_says_that_there_is_no_gpu_and_stores_nothing():
    before = sorted((HERE.parent / "benchmarks" / "results").iterdir())
    run = subprocess.run(
        [sys.executable, HERE.parent / "benchmarks" / "gpu.py"], capture_output=True, text=True
    )
    assert run.returncode != 0 and "No GPU can be used" in run.stderr
    assert sorted((HERE.parent / "benchmarks" / "results").iterdir()) == before
