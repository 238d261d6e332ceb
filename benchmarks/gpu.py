"""Norms on a GPU: bnlib's kernels against torch, torch.compile and, where installed, Liger.

    make bench-gpu                                    all of it, to results/gpu_*.json
    python benchmarks/gpu.py batch_norm               one part
    TRITON_INTERPRET=1 python benchmarks/gpu.py --dry the same code on tiny inputs on the CPU; its
                                                      times mean nothing and are not stored
    python benchmarks/gpu.py --draw                   draw again what is stored, without a GPU

Times are medians of CUDA events over rounds in which every implementation runs once, after a copy
of x into a warm buffer in the same round. GB/s counts the bytes that the operation cannot avoid:
batch norm 1.5 copies forward and 2.5 backward, with a residual one array more each way; rows that
fit the cache 1 and 1.5. "of copy" is that bandwidth as a share of the copy's, and what the figure
beside each JSON file draws, for forward and backward together.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as torch_functional
from torch import Tensor

import bnlib.functional as own_functional
from bnlib._provenance import provenance

RESULTS = Path(__file__).parent / "results"
ROUNDS = 25
SEED = 0
# Channels and height of the batch norms of a ResNet-50 for images of 224 x 224.
RESNET_50 = [
    *((64, 112), (64, 56), (256, 56), (128, 56), (128, 28), (512, 28)),
    *((256, 28), (256, 14), (1024, 14), (512, 14), (512, 7), (2048, 7)),
]
LAYOUTS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
GROUPS = 32  # Wu & He 2018
PARTS = ("batch_norm", "layer_norm", "group_norm")


def batch_norm_add_relu(functional, x, residual, weight, bias):
    y = functional.batch_norm(x, None, None, weight, bias, True)
    return (y + residual).relu()


def own_batch_norm_add_relu(x, residual, weight, bias):
    return own_functional.batch_norm_add_relu(x, residual, None, None, weight, bias, True)


def cases(part: str, dry: bool) -> Iterator[tuple[dict, Tensor, int, float, float, dict]]:
    """Yield what is measured: its row, x, parameters, copies at least (forward, both), rivals."""
    if part == "layer_norm":
        for size in (64,) if dry else (1024, 2048, 4096, 8192, 16384):
            for name, dtype in DTYPES.items():
                x = normal((8, size) if dry else (4096, size), dtype)
                row = {"shape": list(x.shape), "dtype": name}
                yield row | {"norm": "layer norm"}, x, size, 1.0, 2.5, layer_norms(size)
                yield row | {"norm": "RMS norm"}, x, size, 1.0, 2.5, rms_norms(size)
        return
    shapes = [(32, 4)] if dry else RESNET_50
    for batch in (2,) if dry else (64, 256):
        for (channels, height), (layout, memory_format) in (
            (shape, item) for shape in shapes for item in LAYOUTS.items()
        ):
            for name, dtype in DTYPES.items():
                shape = batch, channels, height, height
                x = normal(shape, dtype).contiguous(memory_format=memory_format)
                row = {"shape": list(shape), "layout": layout, "dtype": name}
                if part == "group_norm":
                    yield row | {"norm": "group norm"}, x, channels, 1.0, 2.5, group_norms()
                else:
                    residual = normal(shape, dtype, seed=1).contiguous(memory_format=memory_format)
                    yield row | {"norm": "batch norm"}, x, channels, 1.5, 4.0, batch_norms()
                    fused = batch_norms_add_relu(residual)
                    yield row | {"norm": "batch norm, add, ReLU"}, x, channels, 2.0, 5.0, fused


def batch_norms() -> dict[str, Callable]:
    def of(functional):
        return lambda x, w, b: functional.batch_norm(x, None, None, w, b, True)

    def without_cudnn(x, w, b):
        with torch.backends.cudnn.flags(enabled=False):
            return torch_functional.batch_norm(x, None, None, w, b, True)

    return {
        "bnlib": of(own_functional),
        "torch": of(torch_functional),
        "torch without cuDNN": without_cudnn,
        "torch.compile": torch.compile(of(torch_functional), dynamic=False),
    }


def batch_norms_add_relu(residual: Tensor) -> dict[str, Callable]:
    def chain(x, w, b):
        return batch_norm_add_relu(torch_functional, x, residual, w, b)

    return {
        "bnlib": lambda x, w, b: own_batch_norm_add_relu(x, residual, w, b),
        "torch": chain,
        "torch.compile": torch.compile(chain, dynamic=False),
    }


def group_norms() -> dict[str, Callable]:
    def of(functional):
        return lambda x, w, b: functional.group_norm(x, min(GROUPS, x.shape[1]), w, b)

    compiled = torch.compile(of(torch_functional), dynamic=False)
    return {
        "bnlib": of(own_functional),
        "torch": of(torch_functional),
        "torch.compile": compiled,
    }


def layer_norms(size: int) -> dict[str, Callable]:
    def of(functional):
        return lambda x, w, b: functional.layer_norm(x, (size,), w, b)

    rivals = {"bnlib": of(own_functional), "torch": of(torch_functional)}
    rivals["torch.compile"] = torch.compile(of(torch_functional), dynamic=False)
    if liger := liger_function("layer_norm", "LigerLayerNormFunction"):
        rivals["Liger"] = lambda x, w, b: liger.apply(x, w, b, 1e-5)
    return rivals


def rms_norms(size: int) -> dict[str, Callable]:
    def of(functional):
        return lambda x, w, b: functional.rms_norm(x, (size,), w, 1e-6)

    rivals = {"bnlib": of(own_functional), "torch": of(torch_functional)}
    rivals["torch.compile"] = torch.compile(of(torch_functional), dynamic=False)
    if liger := liger_function("rms_norm", "LigerRMSNormFunction"):
        rivals["Liger"] = lambda x, w, b: liger.apply(x, w, 1e-6)
    return rivals


def liger_function(module: str, name: str):
    try:
        return getattr(__import__(f"liger_kernel.ops.{module}", fromlist=[name]), name)
    except ImportError:
        return None


def normal(shape: tuple[int, ...], dtype: torch.dtype, seed: int = SEED) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(device(), dtype)


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def milliseconds(call: Callable) -> float:
    if device() == "cpu":
        start = time.perf_counter()
        call()
        return 1e3 * (time.perf_counter() - start)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end)


def measure(x: Tensor, parameters: int, rivals: dict[str, Callable], rounds: int) -> dict:
    """Median milliseconds of the copy and of each rival, forward and forward with backward."""
    torch.compiler.reset()  # or the compiler gives up after eight shapes
    # Statistics and parameters stay float32 beside bfloat16 activations, as under autocast; row
    # norms take them in the dtype of x.
    dtype = x.dtype if x.ndim == 2 else torch.float32
    weight, bias = (normal((parameters,), dtype, seed).requires_grad_() for seed in (2, 3))
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    dy = torch.randn_like(x)
    buffer = torch.empty_like(x)

    def forward(function):
        with torch.no_grad():
            function(x, weight, bias)

    def both(function):
        inputs = (leaf, weight, bias)
        torch.autograd.grad(function(*inputs), inputs, dy, allow_unused=True)

    calls = {"copy": lambda: buffer.copy_(x)}
    for name, function in rivals.items():
        calls[name, "forward"] = lambda function=function: forward(function)
        calls[name, "both"] = lambda function=function: both(function)
    times = {key: [] for key in calls}
    for number in range(-3, rounds):  # three rounds warm up, and compile
        for key, call in calls.items():
            spent = milliseconds(call)
            if number >= 0:
                times[key].append(spent)
    return {key: statistics.median(values) for key, values in times.items()}


def rows(part: str, rounds: int, dry: bool) -> Iterator[dict]:
    for row, x, parameters, least_forward, least_both, rivals in cases(part, dry):
        if dry:
            rivals = {name: f for name, f in rivals.items() if name in ("bnlib", "torch")}
        times = measure(x, parameters, rivals, rounds)
        moved = 2 * x.numel() * x.element_size() / 1e6  # of a copy, in MB: MB / ms is GB/s
        found = row | {
            "copy_ms": round(times["copy"], 4),
            "copy_gb_s": round(moved / times["copy"]),
        }
        for way, least in (("forward", least_forward), ("both", least_both)):
            found[way] = {
                name: {
                    "ms": round(times[name, way], 4),
                    "gb_s": round(least * moved / times[name, way]),
                    "of_copy": round(least * times["copy"] / times[name, way], 3),
                }
                for name in rivals
            }
            print(row, way, {n: f["of_copy"] for n, f in found[way].items()}, flush=True)
        yield found


def draw(report: dict):
    """One panel for each norm, dtype and layout: the share of the copy's bandwidth, by shape."""
    import matplotlib.pyplot as plt

    plt.style.use("bnlib.book")
    panels = {}
    for row in report["rows"]:
        panels.setdefault(tuple(row.get(k, "") for k in ("norm", "dtype", "layout")), []).append(
            row
        )
    columns = min(len(panels), 2)
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        lines,
        columns,
        figsize=(5.2 * columns, 2 * lines + 1.5),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for (title, found), axis in zip(panels.items(), axes.flat, strict=False):
        for rival in found[0]["both"]:
            shares = [100 * row["both"][rival]["of_copy"] for row in found]
            axis.plot(range(len(found)), shares, "o-", ms=4, label=rival)
        axis.set_xticks(range(len(found)), [" × ".join(map(str, row["shape"])) for row in found])
        axis.tick_params(axis="x", rotation=60, labelsize=8)
        axis.set_title(", ".join(filter(None, title)))
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    axes.flat[0].set_ylim(bottom=0)  # of all, now that all is drawn
    axes.flat[0].legend()
    figure.supylabel("% of copy bandwidth", fontsize=11)
    figure.suptitle(report["hardware"].split(";")[0])
    return figure


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
        found = list(rows(part, 1 if options.dry else options.rounds, options.dry))
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
