"""How long batch norm takes on the CPU, in multiples of a warm copy: bnlib, torch, four lines.

    python benchmarks/speed.py               prints the table, writes results/speed_cpu.json
    python benchmarks/speed.py --quick       small inputs, no compiler, writes nothing

Each run measures with one thread and with all. One round times `buffer.copy_(x)` and every
implementation, in turn, by torch.utils.benchmark, so that all of them see the same machine; the
table gives medians over the rounds. A fresh output costs page faults, which cost more than the
arithmetic and are the same for all: so the allocator is told to keep freed memory (glibc), as a
caching allocator does. Run it on an idle machine: an implementation made of many short parallel
loops waits at the end of each for a busy core, and loses what it had in the cache to whoever ran
meanwhile. "load" is how many processes were running, on average over the last minute, when the
measurement began.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as torch_functional
from torch.utils.benchmark import Timer

import bnlib.functional as own_functional
from bnlib._provenance import provenance

RESULT = Path(__file__).parent / "results" / "speed_cpu.json"
SEED = 0
SHAPES = {
    "(64, 64, 56, 56)": ((64, 64, 56, 56), torch.contiguous_format),
    "(64, 64, 56, 56) channels_last": ((64, 64, 56, 56), torch.channels_last),
    "(256, 256, 14, 14)": ((256, 256, 14, 14), torch.contiguous_format),
    "(256, 256, 14, 14) channels_last": ((256, 256, 14, 14), torch.channels_last),
    "(32768, 256)": ((32768, 256), torch.contiguous_format),
    "(64, 64)": ((64, 64), torch.contiguous_format),  # small: what calling costs
}
AT_LEAST = 2**22  # values that a timing goes through, in as many calls as that takes
QUICK_SHAPES = {"(8, 16, 28, 28)": ((8, 16, 28, 28), torch.contiguous_format)}
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**34)}


def implementations(compiled: bool) -> dict:
    def four_lines(x, running_mean, running_var, weight, bias, training):
        """The paper's formula as chapter 13 writes it, differentiated by autograd."""
        axes = [axis for axis in range(x.ndim) if axis != 1]
        gamma, beta = (p.view(1, -1, *[1] * (x.ndim - 2)) for p in (weight, bias))
        mean = x.mean(axes, keepdim=True)
        var = ((x - mean) ** 2).mean(axes, keepdim=True)
        x_hat = (x - mean) / torch.sqrt(var + 1e-5)
        return gamma * x_hat + beta

    functions = {
        "bnlib": own_functional.batch_norm,
        "torch": torch_functional.batch_norm,
        "four lines": four_lines,
    }
    if compiled:
        for name in ("torch", "four lines"):
            functions[name + ", compiled"] = torch.compile(functions[name], dynamic=False)
    return functions


def measure(shape, memory_format, functions: dict, rounds: int) -> dict:
    """Return seconds per call of the copy and of each function, forward and with backward."""
    torch.compiler.reset()  # or the compiler gives up after eight shapes and modes
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn(shape, generator=generator).contiguous(memory_format=memory_format)
    dy = torch.randn(shape, generator=generator).contiguous(memory_format=memory_format)
    weight = (torch.rand(shape[1], generator=generator) + 0.5).requires_grad_()
    bias = torch.randn(shape[1], generator=generator).requires_grad_()
    running_mean, running_var = torch.zeros(shape[1]), torch.ones(shape[1])
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    buffer = torch.empty_like(x)

    def forward(function):
        with torch.no_grad():
            function(x, running_mean, running_var, weight, bias, True)

    def forward_backward(function):
        y = function(leaf, running_mean, running_var, weight, bias, True)
        torch.autograd.grad(y, (leaf, weight, bias), dy)

    calls = {("copy", "copy"): lambda: buffer.copy_(x)}
    for name, function in functions.items():
        calls[name, "forward"] = lambda function=function: forward(function)
        calls[name, "forward+backward"] = lambda function=function: forward_backward(function)
    threads = torch.get_num_threads()
    timers = {
        key: Timer("call()", globals={"call": call}, num_threads=threads)
        for key, call in calls.items()
    }
    seconds = {key: [] for key in calls}
    for round_number in range(-1, rounds):  # one round warms up, and compiles
        for key, timer in timers.items():
            spent = timer.timeit(max(1, AT_LEAST // x.numel())).mean
            if round_number >= 0:
                seconds[key].append(spent)
    return {key: statistics.median(times) for key, times in seconds.items()}


def table(shapes: dict, functions: dict, rounds: int) -> list[dict]:
    rows = []
    print(f"{torch.get_num_threads()} threads")
    print(f"{'shape':34}{'pass':18}" + "".join(f"{name:>21}" for name in functions) + "  / torch")
    for name, (shape, memory_format) in shapes.items():
        seconds = measure(shape, memory_format, functions, rounds)
        copy = seconds["copy", "copy"]
        for part in ("forward", "forward+backward"):
            copies = {f: round(seconds[f, part] / copy, 3) for f in functions}
            ratio = round(copies["bnlib"] / copies["torch"], 3)
            rows.append(
                {
                    "shape": name,
                    "pass": part,
                    "copy_ms": float(f"{copy * 1e3:.4g}"),
                    "copies": copies,
                }
                | {"bnlib_over_torch": ratio}
            )
            print(f"{name:34}{part:18}" + "".join(f"{c:21.2f}" for c in copies.values()), end="")
            print(f"{ratio:9.2f}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, torch.get_num_threads()])
    options = parser.parse_args()
    if "MALLOC_MMAP_MAX_" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP_FREED_MEMORY)
    shapes = QUICK_SHAPES if options.quick else SHAPES
    start, load = time.time(), round(os.getloadavg()[0], 1)
    rows = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        functions = implementations(compiled=not options.quick)
        rows += [row | {"threads": threads} for row in table(shapes, functions, options.rounds)]
    if not options.quick:
        report = provenance() | {
            "unit": "medians in multiples of the median of buffer.copy_(x), paired round by round",
            "threads": options.threads,
            "seeds": [SEED],
            "rounds": options.rounds,
            "load": load,
            "wall_seconds": round(time.time() - start),
            "rows": rows,
        }
        RESULT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
