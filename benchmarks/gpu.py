"""Norms on a GPU: bnlib's kernels against torch, torch.compile and, where installed, Liger.

    make bench-gpu                                    all of it, to results/gpu_*.json
    python benchmarks/gpu.py batch_norm               one part
    TRITON_INTERPRET=1 python benchmarks/gpu.py --dry the same code on tiny inputs on the CPU; its
                                                      times mean nothing and are not stored
    python benchmarks/gpu.py --draw                   draw again what is stored, without a GPU

Times are medians over rounds in which every implementation runs once, after a copy of x into a warm
buffer in the same round. "ms" is the GPU's: before each call its cache is overwritten, and it is
kept waiting until the whole call is queued, so that Python is not measured; "host_ms" is how long
the queueing took. Batch norm moves its running statistics, as in training. GB/s counts the bytes
that the operation cannot avoid: batch norm 1.5 copies forward and 2.5 backward, with a residual one
array more each way; rows that fit the cache 1 and 1.5. "of copy" is that bandwidth as a share of
the copy's, and what the figure beside each JSON file draws, for forward and backward together.
Several processes compile for different inputs at the same time; they measure one after another.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from types import FunctionType

import torch
import torch.nn.functional as torch_functional
from torch import Tensor

import bnlib.functional as own_functional
from bnlib._provenance import provenance

RESULTS = Path(__file__).parent / "results"
ROUNDS = 15
SEED = 0
CACHE = 256 * 2**20  # bytes, more than any GPU's cache holds
TICKS = 2_000_000  # of a GPU's clock in a millisecond
# Channels and height of the batch norms of a ResNet-50 for images of 224 x 224.
RESNET_50 = [
    *((64, 112), (64, 56), (256, 56), (128, 56), (128, 28), (512, 28)),
    *((256, 28), (256, 14), (1024, 14), (512, 14), (512, 7), (2048, 7)),
]
LAYOUTS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
GROUPS = 32  # Wu & He 2018
PARTS = ("batch_norm", "layer_norm", "group_norm")
# Copies of x that have the bytes that cannot be avoided, forward and with the backward
LEAST = {
    "batch norm": {"forward": 1.5, "both": 4.0},
    "batch norm, add, ReLU": {"forward": 2.0, "both": 5.0},
    "layer norm": {"forward": 1.0, "both": 2.5},
    "RMS norm": {"forward": 1.0, "both": 2.5},
    "group norm": {"forward": 1.0, "both": 2.5},
}


def cases(part: str, dry: bool) -> list[dict]:
    """What is measured: norm, shape, layout and dtype of each row."""
    if part == "layer_norm":
        shapes = [(8, 64)] if dry else [(4096, size) for size in (1024, 2048, 4096, 8192, 16384)]
        norms, layouts = ("layer norm", "RMS norm"), [None]
    else:
        # Group norm is for small batches, and was published for NCHW.
        batches = (2,) if dry else (64,) if part == "group_norm" else (64, 256)
        sides = [(32, 4)] if dry else RESNET_50
        shapes = [(n, channels, side, side) for n in batches for channels, side in sides]
        layouts = ["NCHW"] if part == "group_norm" else list(LAYOUTS)
        norms = ("group norm",) if part == "group_norm" else ("batch norm", "batch norm, add, ReLU")
    return [
        {"shape": list(shape)} | ({"layout": layout} if layout else {}) | {"dtype": d, "norm": norm}
        for shape in shapes
        for layout in layouts
        for d in DTYPES
        for norm in norms
    ]


def tensor(row: dict, seed: int) -> Tensor:
    memory_format = LAYOUTS[row.get("layout", "NCHW")]
    return normal(row["shape"], DTYPES[row["dtype"]], seed).contiguous(memory_format=memory_format)


def rivals(row: dict) -> dict[str, Callable]:
    """What is compared: functions of x, weight, bias, residual and the two running statistics."""
    size = tuple(row["shape"][1:])
    if row["norm"] == "group norm":
        return torchs_and_own("group_norm", min(GROUPS, row["shape"][1]))
    if row["norm"] == "layer norm":
        found = torchs_and_own("layer_norm", size)
        if liger := liger_function("layer_norm", "LigerLayerNormFunction"):
            found["Liger"] = lambda x, w, b, *_: liger.apply(x, w, b, 1e-5)
        return found
    if row["norm"] == "RMS norm":
        found = torchs_and_own("rms_norm", size, parameters=1, eps=1e-6)
        if liger := liger_function("rms_norm", "LigerRMSNormFunction"):
            found["Liger"] = lambda x, w, *_: liger.apply(x, w, 1e-6)
        return found
    if row["norm"] == "batch norm, add, ReLU":
        return {"bnlib": fused, "torch": chain, "torch.compile": compiled(chain)}
    own, torchs = batch_norm_of(own_functional), batch_norm_of(torch_functional)

    def without_cudnn(*inputs):
        with torch.backends.cudnn.flags(enabled=False):
            return torchs(*inputs)

    return {
        "bnlib": own,
        "torch": torchs,
        "torch without cuDNN": without_cudnn,
        "torch.compile": compiled(torchs),
    }


def batch_norm_of(functional) -> Callable:
    def batch_norm(x, weight, bias, _residual, *running):
        return functional.batch_norm(x, *running, weight, bias, True)

    return batch_norm


def chain(x, weight, bias, residual, *running):
    return (torch_functional.batch_norm(x, *running, weight, bias, True) + residual).relu()


def fused(x, weight, bias, residual, *running):
    return own_functional.batch_norm_add_relu(x, residual, *running, weight, bias, True)


def torchs_and_own(norm: str, size, parameters: int = 2, **options) -> dict[str, Callable]:
    def of(functional):
        function = getattr(functional, norm)
        return lambda x, *others: function(x, size, *others[:parameters], **options)

    torchs = of(torch_functional)
    return {"bnlib": of(own_functional), "torch": torchs, "torch.compile": compiled(torchs)}


def compiled(function: Callable) -> Callable:
    # The compiler counts shapes by code object, and gives up after eight: each gets its own.
    code = function.__code__.replace()
    own = FunctionType(code, function.__globals__, None, None, function.__closure__)
    return torch.compile(own, dynamic=False)


def liger_function(module: str, name: str):
    try:
        return getattr(__import__(f"liger_kernel.ops.{module}", fromlist=[name]), name)
    except ImportError:
        return None


def normal(shape: Sequence[int], dtype: torch.dtype, seed: int) -> Tensor:
    generator = torch.Generator(device()).manual_seed(SEED + seed)
    return torch.randn(*shape, generator=generator, device=device()).to(dtype)


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def milliseconds(call: Callable, cache: Tensor, wait: float) -> tuple[float, float]:
    """Return how long the device took for a call, and how long the host took to queue it.

    The device waits first, for about `wait` milliseconds, in which the call should be queued.
    """
    if device() == "cpu":
        start = time.perf_counter()
        call()
        return 2 * (1e3 * (time.perf_counter() - start),)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    cache.zero_()
    torch.cuda._sleep(int(TICKS * wait))
    start.record()
    queued = time.perf_counter()
    call()
    queued = time.perf_counter() - queued
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end), 1e3 * queued


class Case:
    """A row, and the calls that are timed for it. Compiled functions stay, inputs do not."""

    def __init__(self, row: dict, dry: bool):
        self.row = row
        self.functions = rivals(row)
        if dry:
            self.functions = {name: self.functions[name] for name in ("bnlib", "torch")}

    def calls(self) -> dict[tuple[str, str], Callable]:
        row, channels = self.row, self.row["shape"][1]
        x = tensor(row, seed=0)
        # Statistics and parameters stay float32 beside bfloat16 activations, as under autocast; row
        # norms take them in the dtype of x.
        dtype = torch.float32 if row["norm"].startswith("batch") else x.dtype
        leaves = (
            x.requires_grad_(),
            *(normal((channels,), dtype, n).requires_grad_() for n in (2, 3)),
        )
        running = torch.zeros(channels, device=device()), torch.ones(channels, device=device())
        residual = None
        if "add" in row["norm"]:
            residual = tensor(row, seed=1).requires_grad_()
            leaves += (residual,)
        dy, buffer = tensor(row, seed=4), torch.empty_like(x)

        def forward(function):
            return function(*leaves[:3], residual, *running)

        def both(function):
            torch.autograd.grad(forward(function), leaves, dy, allow_unused=True)

        calls = {("copy", "forward"): lambda: buffer.copy_(x.detach())}
        for name, function in self.functions.items():
            calls[name, "forward"] = lambda function=function: forward(function)
            calls[name, "both"] = lambda function=function: both(function)
        return calls

    def warm_up(self):
        for call in self.calls().values():
            call()

    def measure(self, rounds: int) -> dict:
        calls = self.calls()
        cache = torch.empty(CACHE if device() == "cuda" else 1, dtype=torch.uint8, device=device())
        times, waits = {key: [] for key in calls}, dict.fromkeys(calls, 5.0)
        for number in range(-2, rounds):
            for key, call in calls.items():
                spent = milliseconds(call, cache, waits[key])
                waits[key] = min(1.5 * spent[1] + 0.2, 5.0)
                if number >= 0:
                    times[key].append(spent)
        medians = {
            key: [statistics.median(t) for t in zip(*values, strict=True)]
            for key, values in times.items()
        }
        copy = medians["copy", "forward"][0]
        values = prod(self.row["shape"])
        moved = 2 * values * DTYPES[self.row["dtype"]].itemsize / 1e6  # MB a copy; MB / ms is GB/s
        found = self.row | {"copy_ms": round(copy, 4), "copy_gb_s": round(moved / copy)}
        for way, least in LEAST[self.row["norm"]].items():
            found[way] = {}
            for name in self.functions:
                spent, queued = medians[name, way]
                found[way][name] = {
                    "ms": round(spent, 4),
                    "gb_s": round(least * moved / spent),
                    "of_copy": round(least * copy / spent, 3),
                    "host_ms": round(queued, 4),
                }
            print(self.row, way, {n: f["of_copy"] for n, f in found[way].items()}, flush=True)
        return found


def work(number: int, processes: int, part: str, rounds: int, dry: bool, lock, all_ready, found):
    """One process's share of the rows: compile for all of them, then measure each in its turn."""
    mine = list(enumerate(cases(part, dry)))[number::processes]
    try:
        ready = [(index, Case(row, dry)) for index, row in mine]
        for _, case in ready:
            case.warm_up()
        if device() == "cuda":
            torch.cuda.empty_cache()
        all_ready.wait()
        for index, case in ready:
            with lock:
                found.put((index, case.measure(rounds)))
                if device() == "cuda":
                    torch.cuda.empty_cache()
    except BaseException:
        all_ready.abort()
        found.put((number, None))
        raise


def measured(part: str, rounds: int, dry: bool) -> list[dict]:
    processes = 1 if dry else max(1, min(10, (os.cpu_count() or 1) * 5 // 8))
    context = torch.multiprocessing.get_context("spawn")
    lock, all_ready, found = context.Lock(), context.Barrier(processes), context.SimpleQueue()
    workers = [
        context.Process(target=work, args=(n, processes, part, rounds, dry, lock, all_ready, found))
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    rows = {}
    for _ in cases(part, dry):
        index, row = found.get()
        if row is None:
            sys.exit(f"Process {index} of {processes} failed: its error is above.")
        rows[index] = row
    for worker in workers:
        worker.join()
    return [rows[index] for index in sorted(rows)]


def draw(report: dict):
    """One panel for each norm, dtype and layout: the share of the copy's bandwidth, by shape."""
    import matplotlib.pyplot as plt

    plt.style.use("bnlib.book")
    panels = {}
    for row in report["rows"]:
        title = ", ".join(filter(None, (row.get(k) for k in ("norm", "dtype", "layout"))))
        panels.setdefault(title, []).append(row)
    names = list(dict.fromkeys(name for row in report["rows"] for name in row["both"]))
    columns = min(len(panels), 2)
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        lines,
        columns,
        figsize=(5.6 * columns, 2 * lines + 1.8),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for (title, found), axis in zip(panels.items(), axes.flat, strict=False):
        for rival in found[0]["both"]:
            shares = [100 * row["both"][rival]["of_copy"] for row in found]
            shade = f"C{names.index(rival)}"
            axis.plot(range(len(found)), shares, "o-", ms=4, lw=1.2, color=shade, label=rival)
        axis.set_xticks(range(len(found)), [short(row["shape"]) for row in found])
        axis.tick_params(axis="x", rotation=90, labelsize=8)
        axis.set_title(title, fontsize=11)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    axes.flat[0].set_ylim(bottom=0)  # of all, now that all is drawn
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), fontsize=10)
    figure.supylabel("% of copy bandwidth, forward and backward", fontsize=11)
    figure.suptitle(report["hardware"].split(";")[0], x=0.01, ha="left")
    return figure


def short(shape: list[int]) -> str:
    """(64, 256, 56, 56) as 64 × 256 × 56²."""
    sides = [*map(str, shape[:-2]), f"{shape[-1]}²"] if len(shape) == 4 else map(str, shape)
    return " × ".join(sides)


def draw_stored(part: str) -> None:
    path = RESULTS / f"gpu_{part}.json"
    if not path.exists():
        sys.exit(f"{path.name} is not there: nothing was measured, so nothing is drawn.")
    draw(json.loads(path.read_text("utf-8"))).savefig(path.with_suffix(".png"), facecolor="white")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", choices=PARTS, help="default: all of them")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--dry", action="store_true", help="tiny inputs, nothing is stored")
    parser.add_argument("--draw", action="store_true", help="what is stored, without a GPU")
    options = parser.parse_args()
    parts = [options.part] if options.part else PARTS
    if options.draw:
        for part in parts:
            draw_stored(part)
        return
    if not torch.cuda.is_available() and not options.dry:
        sys.exit("No GPU can be used (torch.cuda.is_available() is False): nothing was measured.")
    for part in parts:
        start = time.time()
        found = measured(part, 1 if options.dry else options.rounds, options.dry)
        report = provenance(device()) | {
            "unit": "milliseconds; GB/s of the least bytes; share of the copy's bandwidth",
            "seeds": [SEED],
            "rounds": options.rounds,
            "wall_seconds": round(time.time() - start),
            "rows": found,
        }
        if options.dry:
            draw(report)
            continue
        path = RESULTS / f"gpu_{part}.json"
        path.write_text(json.dumps(report, indent=1) + "\n")
        draw_stored(part)


if __name__ == "__main__":
    main()
