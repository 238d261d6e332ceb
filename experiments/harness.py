"""What every experiment shares: one command, a progress bar, resuming, and a record of it all.

An experiment is a script with two functions. `configurations(small)` lists what to run, each a
flat dict; `run(configuration, device)` runs one and returns its results. `main` runs those that
have no result yet and stores each at once, so an interrupted experiment goes on where it stopped:

    python experiments/mnist_sigmoids.py               what is missing in results/
    python experiments/mnist_sigmoids.py --workers 2   two at a time
    python experiments/mnist_sigmoids.py --small --results /tmp/try.json
                                                       a minute's version, as in the tests

Where a script has `full_configurations()`, larger ones meant for a GPU, `--full` runs those and
stores them in results/NAME_full.json. `schema.json` says what a results file holds.

The JSON holds each run's configuration, seed and time; the command, versions, hardware and date of
the last one; and the SHA-256 of the code of this folder that ran. Results of other code are not
mixed with new ones: `--again` starts over.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from bnlib._provenance import provenance

FOLDER = Path(__file__).parent
Configuration = dict[str, str | int | float]


def main(
    configurations: Callable[[bool], list[Configuration]],
    run: Callable[[Configuration, str], dict],
    arguments: list[str] | None = None,
    full: Callable[[], list[Configuration]] | None = None,
) -> None:
    """The command line of an experiment; see the top of this file."""
    script = Path(sys.modules[run.__module__].__file__)
    options = parse(script, arguments, has_full=full is not None)
    code = fingerprint(script)
    record = read(options.results, code, options.again)
    wanted = full() if options.full else configurations(options.small)
    known = {key(stored["configuration"]) for stored in record["runs"]}
    missing = [c for c in wanted if key(c) not in known]
    one = partial(timed, run, device=options.device)
    progress = tqdm(total=len(wanted), initial=len(wanted) - len(missing), desc=script.stem)
    for stored in results(one, missing, options.workers):
        record["runs"].append(stored)
        record |= provenance(options.device) | {
            "command": f"python experiments/{script.name}"
            + " --small" * options.small
            + " --full" * options.full,
            "code_sha256": code,
            "wall_seconds": round(sum(r["wall_seconds"] for r in record["runs"]), 1),
        }
        write(options.results, record, order=[key(c) for c in wanted])
        progress.update()
    progress.close()


def parse(script: Path, arguments: list[str] | None, has_full: bool) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__.splitlines()[0])
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--small", action="store_true", help="a minute's version, for trying out")
    sizes.add_argument("--full", action="store_true", help="a larger version, for a GPU")
    parser.add_argument("--again", action="store_true", help="forget stored results, start over")
    parser.add_argument("--workers", type=int, default=1, help="how many runs at a time")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=None, help="default: results/NAME.json")
    options = parser.parse_args(arguments)
    if options.workers < 1:
        parser.error(f"--workers: expected at least 1, got {options.workers}")
    if options.small and options.results is None:
        parser.error("--small: name a file with --results, so that the full results stay")
    if options.full and not has_full:
        parser.error(f"--full: {script.name} has no larger version")
    name = f"{script.stem}_full.json" if options.full else f"{script.stem}.json"
    options.results = options.results or FOLDER / "results" / name
    return options


def fingerprint(script: Path) -> str:
    """Which code made a result: the script and the modules it imports from this folder.

    Not their docstrings, nor their lists of what to run: each result names its configuration.
    """
    files, left = set(), [script]
    while left:
        files.add(file := left.pop())
        left += imported(file) - files
    return hashlib.sha256("\0".join(map(what_runs, sorted(files))).encode()).hexdigest()


def imported(file: Path) -> set[Path]:
    """The other files of this folder that it imports, but this one."""
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    files = {FOLDER / f"{name}.py" for name in names - {"harness"}}
    return {file for file in files if file.exists()}


def what_runs(file: Path) -> str:
    text = file.read_text("utf-8")
    lines = text.splitlines()
    for node in ast.parse(text).body:
        is_a_list = getattr(node, "name", "") in ("configurations", "full_configurations")
        if is_a_list or isinstance(node, ast.If) or is_docstring(node):
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return "\n".join(filter(str.strip, lines))


def is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def read(path: Path, code: str, again: bool) -> dict:
    if again or not path.exists():
        return {"runs": []}
    record = json.loads(path.read_text("utf-8"))
    if record["code_sha256"] != code:
        sys.exit(f"{path}: stored by other code. --again starts over, --results names another file")
    return record


def key(configuration: Configuration) -> str:
    return json.dumps(configuration, sort_keys=True)


def timed(run: Callable, configuration: Configuration, device: str) -> dict:
    torch.set_num_threads(1)  # the same sums in the same order, however many runs share the machine
    start = time.perf_counter()
    result = run(configuration, device)
    seconds = round(time.perf_counter() - start, 1)
    return {"configuration": configuration, "wall_seconds": seconds, "result": result}


def results(one: Callable, missing: list[Configuration], workers: int) -> Iterator[dict]:
    if workers == 1 or len(missing) < 2:
        yield from map(one, missing)
        return
    # A fresh process each: CUDA cannot be used after a fork.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(one, missing)


def write(path: Path, record: dict, order: list[str]) -> None:
    """Replace the file at once, a line a run, in the order of the configurations."""
    place = {name: i for i, name in enumerate(order)}
    runs = sorted(record["runs"], key=lambda r: place.get(key(r["configuration"]), len(place)))
    head = json.dumps({k: v for k, v in record.items() if k != "runs"}, indent=1)
    lines = ",\n".join(json.dumps(rounded(r), separators=(",", ":")) for r in runs)
    unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished.write_text(f'{head[:-2]},\n "runs": [\n{lines}\n]}}\n', "utf-8")
    unfinished.replace(path)


def rounded(value):
    """Five significant digits are more than any figure shows; NaN and infinity become null."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    return value
