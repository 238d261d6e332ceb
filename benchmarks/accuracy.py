"""How far each batch norm is from float64: bnlib, torch eager, torch.compile, E[x^2] - E[x]^2.

    python benchmarks/accuracy.py            prints the table, writes results/accuracy.json
    python benchmarks/accuracy.py --quick    small inputs, no compiler, writes nothing
    python benchmarks/accuracy.py --kernels  bnlib's kernels, to results/accuracy_kernels.json: on a
                                             GPU, or small inputs in Triton's interpreter where
                                             TRITON_INTERPRET=1 is set

Errors of y are in units of u * max|y|, errors of dx in units of u * max|dx|, with u = 2**-24. The
bound is bnlib's promise for y: 8 + 2 * kappa / max|y|, where kappa = |mean| / std.
"""

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as torch_functional
from torch import Tensor

import bnlib.functional as own_functional
from bnlib._provenance import provenance

RESULTS = Path(__file__).parent / "results"
U = 2.0**-24
EPS = 1e-5
SEED = 0
UNIT = (
    "errors of y in u * max|y|, of dx in u * max|dx|, u = 2**-24; "
    "bound = 8 + 2 * kappa / max|y| for y of bnlib"
)
LAYOUTS = {
    "(64, 64, 56, 56)": ((64, 64, 56, 56), torch.contiguous_format),
    "(64, 64, 56, 56) channels_last": ((64, 64, 56, 56), torch.channels_last),
    "(32768, 256)": ((32768, 256), torch.contiguous_format),
    "(2**24, 2)": ((2**24, 2), torch.contiguous_format),
    "(1, 2, 4096, 4096)": ((1, 2, 4096, 4096), torch.contiguous_format),
}
QUICK_LAYOUTS = {
    "(8, 16, 20, 20)": ((8, 16, 20, 20), torch.contiguous_format),
    "(8, 16, 20, 20) channels_last": ((8, 16, 20, 20), torch.channels_last),
}
INTERPRETED_LAYOUTS = QUICK_LAYOUTS | {  # of several parts that are merged, of many channels
    "(2, 2, 256, 256)": ((2, 2, 256, 256), torch.contiguous_format),
    "(2, 2, 256, 256) channels_last": ((2, 2, 256, 256), torch.channels_last),
    "(2048, 64)": ((2048, 64), torch.contiguous_format),
}
# (mean, std): ordinary, far from zero, constant, and squares that overflow float32
INPUTS = {
    "kappa 0": (0.0, 1.0),
    "kappa 10": (10.0, 1.0),
    "kappa 100": (100.0, 1.0),
    "kappa 10000": (1e4, 1.0),
    "constant 1000.1": (1000.1, 0.0),
    "std 1e30": (0.0, 1e30),
}


def own(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return own_functional.batch_norm(x, None, None, weight, bias, True, eps=EPS)


def torch_eager(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch_functional.batch_norm(x, None, None, weight, bias, True, eps=EPS)


def one_pass(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The form that bnlib never uses: var = E[x^2] - E[x]^2, in float32."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = (1, -1, *[1] * (x.ndim - 2))
    mean = x.mean(axes, keepdim=True)
    var = (x.square().mean(axes, keepdim=True) - mean.square()).clamp(min=0)
    return (x - mean) * (var + EPS).rsqrt() * weight.view(shape) + bias.view(shape)


def exact(x: Tensor, weight: Tensor, bias: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
    """Return y and dx by the formulas, in float64."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = (1, -1, *[1] * (x.ndim - 2))
    wide = x.double()
    centred = wide - wide.mean(axes, keepdim=True)
    inv_std = (centred.square().mean(axes, keepdim=True) + EPS).rsqrt()
    x_hat = centred * inv_std
    g = dy.double() * weight.double().view(shape)
    rest = x_hat * (g * x_hat).mean(axes, keepdim=True) + g.mean(axes, keepdim=True)
    y = x_hat * weight.double().view(shape) + bias.double().view(shape)
    return y, inv_std * (g - rest)


def relative_error(values: Tensor, exact_values: Tensor) -> float | None:
    """Return the largest error in units of u, to four digits, or None if a value is not finite."""
    error = (values - exact_values).abs().max().item() / exact_values.abs().max().item() / U
    return float(f"{error:.4g}") if math.isfinite(error) else None


def measure(layouts: dict, implementations: dict, device: str = "cpu") -> list[dict]:
    rows = []
    for layout, (shape, memory_format) in layouts.items():
        generator = torch.Generator().manual_seed(SEED)
        noise = torch.randn(shape, generator=generator).to(device)
        weight = torch.rand(shape[1], generator=generator).to(device) + 0.5
        bias = torch.randn(shape[1], generator=generator).to(device)
        dy = torch.randn(shape, generator=generator).to(device)
        dy = dy.contiguous(memory_format=memory_format)
        for name, (mean, std) in INPUTS.items():
            x = (noise * std + mean).contiguous(memory_format=memory_format).requires_grad_()
            exact_y, exact_dx = exact(x.detach(), weight, bias, dy)
            kappa = mean / std if std else 0.0
            row = {
                "shape": layout,
                "input": name,
                "bound": 8 + 2 * kappa / exact_y.abs().max().item(),
                "y": {},
                "dx": {},
            }
            for implementation, function in implementations.items():
                y = function(x, weight, bias)
                (dx,) = torch.autograd.grad(y, x, dy)
                row["y"][implementation] = relative_error(y.detach(), exact_y)
                row["dx"][implementation] = relative_error(dx, exact_dx)
            rows.append(row)
            print_row(row)
    return rows


def print_row(row: dict) -> None:
    cells = [f"{row['shape']:32}{row['input']:18}{row['bound']:10.3g}"]
    for quantity in ("y", "dx"):
        errors = row[quantity].values()
        cells += [f"{'not finite' if e is None else format(e, '.3g'):>12}" for e in errors]
    print("".join(cells), flush=True)


def device_of_kernels() -> str:
    if torch.cuda.is_available():
        return "cuda"
    if os.environ.get("TRITON_INTERPRET") != "1":
        sys.exit("No GPU can be used. TRITON_INTERPRET=1 measures in Triton's interpreter.")
    return "cpu"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true")
    which.add_argument("--kernels", action="store_true")
    options = parser.parse_args()
    device = device_of_kernels() if options.kernels else "cpu"
    implementations = {"bnlib": own, "torch": torch_eager, "E[x^2]-E[x]^2": one_pass}
    layouts = QUICK_LAYOUTS if options.quick else LAYOUTS
    if options.kernels and device == "cpu":
        layouts = INTERPRETED_LAYOUTS
    elif not options.quick:
        implementations["torch.compile"] = torch.compile(torch_eager, dynamic=False)
    names = [f"{quantity} {name}"[:11] for quantity in ("y", "dx") for name in implementations]
    print(f"{'shape':32}{'input':18}{'bound':>10}" + "".join(f"{name:>12}" for name in names))
    start = time.time()
    rows = measure(layouts, implementations, device)
    if options.quick:
        return
    report = provenance(device) | {
        "threads": torch.get_num_threads(),
        "seeds": [SEED],
        "unit": UNIT,
        "wall_seconds": round(time.time() - start),
        "rows": rows,
    }
    if options.kernels:
        report["kernels"] = "on a GPU" if device == "cuda" else "in Triton's interpreter"
    path = RESULTS / f"accuracy{'_kernels' * options.kernels}.json"
    path.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    print(f"wrote {path.relative_to(RESULTS.parents[1])}", file=sys.stderr)


if __name__ == "__main__":
    main()
