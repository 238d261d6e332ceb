"""`bnlib.kernels`: on a GPU if there is one, else in Triton's interpreter, in its own process.

The interpreter is chosen when Triton is imported, for good, so the tests themselves are in
`kernels_on_device.py`.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

triton = pytest.importorskip("triton")
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from bnlib import functional, kernels  # noqa: E402

HERE = Path(__file__).parent
# In Triton's intermediate code: a loop, and a tile of values that is handed from thread to thread,
# which costs a trip to shared memory and back.
LOOP = re.compile(r"^( *)(?:%[\w:]+ = )?scf\.for .*?^\1\}", re.DOTALL | re.MULTILINE)
HANDED_OVER = re.compile(r"convert_layout .* : tensor<\d+x\d+xb?f")
POINTERS = {
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.int8: "*i8",
    torch.int16: "*i16",
    torch.int32: "*i32",
}


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


class OnGPU:
    """Stands for a tensor on the GPU of this number; a machine may have fewer."""

    is_cuda, requires_grad = True, False

    def __init__(self, index):
        self.device = SimpleNamespace(index=index)


def test_kernels_are_for_gpus_of_nvidia(monkeypatch):
    monkeypatch.setattr(functional, "_INTERPRETED", False)
    started = SimpleNamespace(active=SimpleNamespace(utils=None))
    monkeypatch.setattr(triton.runtime, "driver", started)  # a machine without a GPU has none
    functional._import_kernels.cache_clear()
    assert functional._kernels(OnGPU(0)) is kernels
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert functional._kernels(OnGPU(0)) is None


def test_kernels_are_launched_on_the_gpu_that_holds_the_tensor(monkeypatch):
    current = [0]

    @contextlib.contextmanager
    def device(wanted):
        current.append(wanted.index)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[-1])
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(kernels, "_view", lambda *_: launched.append(current[-1]))
    monkeypatch.setattr(kernels, "_rows_are_scattered", lambda *_: False)
    for function, arguments in (
        (kernels.normalize, (None, None, (-1,), 1e-5)),
        (kernels.gradient, (None, None, None, None, None, (-1,), 1e-5)),
        (kernels.standardize, (None, None, None, None, (-1,), 1e-5)),
    ):
        launched = []
        for index in (0, 1):
            function(OnGPU(index), *arguments)
        assert launched == [0, 1] and current == [0]


class Compiler:
    """Stands for a Triton program: compiles it for an H100 for the arguments, and does not run it.

    The interpreter takes much that Triton's compiler refuses; this needs no GPU.
    """

    def __init__(self, program):
        self.program, self.compiled, self.handed_over = program, 0, 0

    def __getitem__(self, grid):
        assert all(side >= 1 for side in grid) and len(grid) <= 3
        return self.compile

    def compile(self, *arguments, **options):
        names = self.program.arg_names
        signature, constants, hints = {}, {}, {}
        for index, (name, value) in enumerate(zip(names, arguments, strict=True)):
            if isinstance(value, torch.Tensor):
                signature[name] = POINTERS[value.dtype]
                hints[index,] = [["tt.divisibility", 16]]
            elif value is None or name.isupper():
                signature[name], constants[index,] = "constexpr", value
            else:
                signature[name] = "fp32" if isinstance(value, float) else "i32"
                if signature[name] == "i32" and value % 16 == 0:
                    hints[index,] = [["tt.divisibility", 16]]
        source = ASTSource(self.program, signature, constants, hints)
        binary = triton.compile(source, GPUTarget("cuda", 90, 32), options)
        assert len(binary.asm["cubin"]) > 1000
        self.compiled += 1
        loops = LOOP.finditer(binary.asm["ttgir"])
        self.handed_over += sum(len(HANDED_OVER.findall(loop.group())) for loop in loops)


@pytest.fixture
def compilers(monkeypatch):
    # As on an H100, with tensors on the CPU in place of its own.
    monkeypatch.setattr(kernels, "_are_plain", lambda *tensors: True)
    monkeypatch.setattr(kernels, "_processors", lambda device: 132)
    monkeypatch.setattr(kernels, "_devices_without_meeting", set())
    monkeypatch.setattr(kernels, "_counters", lambda x, groups: torch.zeros(4, dtype=torch.int32))
    found = {
        name: Compiler(program)
        for name, program in vars(kernels.programs).items()
        if isinstance(program, triton.JITFunction) and not name.startswith("_")
    }
    assert found, "unset TRITON_INTERPRET: with it, programs are not compiled"
    for name, compiler in found.items():
        monkeypatch.setattr(kernels.programs, name, compiler)
    return found


def test_every_program_compiles_for_a_gpu(compilers):
    def channels(size):
        return torch.ones(1, size, 1, 1)

    def forward_and_backward(x, weight, bias, axes, centered=True):
        y, mean, var = kernels.normalize(x, weight, bias, axes, 1e-5, centered)
        kernels.gradient(x, weight, bias, mean, var, y, axes, 1e-5, centered)
        return mean, var

    batch, positions = (-4, -2, -1), (-3, -2, -1)
    # Batch norm
    for shape, dtype, memory_format in (
        ((4, 64, 56, 56), torch.float32, torch.contiguous_format),
        ((4, 64, 56, 56), torch.bfloat16, torch.channels_last),
        ((8, 256, 7, 7), torch.float16, torch.contiguous_format),
        ((64, 256, 14, 14), torch.bfloat16, torch.contiguous_format),
    ):
        x = torch.zeros(shape, dtype=dtype).contiguous(memory_format=memory_format)
        affine = channels(shape[1]), channels(shape[1])
        mean, var = forward_and_backward(x, *affine, batch)
        kernels.standardize(x, mean, var, *affine, batch, 1e-5)
        running = kernels.Running(torch.zeros(shape[1]), torch.ones(shape[1]), 0.1)
        y, *_ = kernels.batch_norm_add_relu(x.requires_grad_(), *affine, x.detach(), 1e-5, running)
        assert running.moved
        y.sum().backward()
    assert {name: found.handed_over for name, found in compilers.items() if found.handed_over} == {}
    # Layer, RMS and group norm
    for size, dtype, centered in (1000, torch.bfloat16, True), (40_000, torch.float32, False):
        weight = torch.ones(1, size, dtype=dtype)
        bias = weight if centered else None
        forward_and_backward(torch.zeros(8, size, dtype=dtype), weight, bias, (-1,), centered)
    weight = torch.ones(1, 8, 4, 1, 1)
    forward_and_backward(torch.zeros(4, 8, 4, 7, 7).bfloat16(), weight, weight, positions)
    assert [name for name, compiler in compilers.items() if compiler.compiled == 0] == []
