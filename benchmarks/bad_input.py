"""What torch and bnlib say to bad input: the calls of tests/test_functional.py and test_nn.py.

    python benchmarks/bad_input.py       prints a Markdown table, writes results/bad_input.json

Both libraries are called. X is torch.ones(4, 3, 5), GROUPED torch.ones(4, 6, 5); ZEROS and ONES
have 3 values, FOUR and SIX that many ones, and META is on the meta device. The first line of each
message is shown; the tests assert that the exceptions have one type and that bnlib's words are
torch's, to which it may add what came.
"""

import ast
import json
import sys
import warnings
from pathlib import Path

import torch

import bnlib.functional
import bnlib.nn
from bnlib._provenance import provenance

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "bad_input.json"
sys.path.insert(0, str(ROOT / "tests"))
from test_functional import REFUSED  # noqa: E402
from test_nn import BAD_INPUTS  # noqa: E402


def functions():
    """Yield each call of a function as text, and what makes it of a module."""
    tree = ast.parse((ROOT / "tests" / "test_functional.py").read_text())
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REFUSED"
    )
    for row, (call, *_) in zip(table.values, REFUSED.values(), strict=True):
        yield ast.unparse(row.elts[0].body), call, torch.nn.functional, bnlib.functional


def layers():
    """The same for each call of a layer."""
    for name, args, training, shape, dtype in BAD_INPUTS:
        mode = "" if training else ".eval()"
        arguments = ", ".join(map(repr, args))
        text = f"{name}({arguments}){mode}(torch.ones({shape}, dtype={dtype}))"

        def call(module, name=name, args=args, training=training, shape=shape, dtype=dtype):
            return getattr(module, name)(*args).train(training)(torch.ones(shape).to(dtype))

        yield text, call, torch.nn, bnlib.nn


def refusal(call, module) -> str:
    try:
        call(module)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return "accepted"


def main() -> None:
    warnings.simplefilter("ignore")
    rows = [
        {"call": text, "torch": refusal(call, torchs), "bnlib": refusal(call, own)}
        for text, call, torchs, own in (*functions(), *layers())
    ]
    print("| call | torch | bnlib |\n| --- | --- | --- |")
    for row in rows:
        own = "the same" if row["bnlib"] == row["torch"] else f"`{row['bnlib']}`"
        print(f"| `{row['call']}` | `{row['torch']}` | {own} |")
    RESULT.write_text(json.dumps(provenance() | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
