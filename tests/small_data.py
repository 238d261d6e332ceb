"""Run an experiment on the first images of its data set, so that a small run takes seconds.

`run_small(script, *options)` is `python script *options` with 10,000 training and 500 test images,
in a process of its own. It is forked from one that has imported torch, which takes longer than most
of the small runs.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bnlib import data

TRAIN, TEST = 10_000, 500
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["torch._dynamo", "sklearn.datasets", "tqdm"])
load = data.load


def run_small(script: Path, *options: str) -> subprocess.CompletedProcess:
    with TemporaryDirectory() as folder:
        printed = [Path(folder, name) for name in ("stdout", "stderr")]
        process = PROCESSES.Process(target=run_here, args=(script, options, printed))
        process.start()
        process.join()
        texts = [file.read_text("utf-8") for file in printed]
    return subprocess.CompletedProcess([script, *options], process.exitcode, *texts)


def run_here(script: Path, options: tuple[str, ...], printed: list[Path]) -> None:
    for stream, file in zip((sys.stdout, sys.stderr), printed, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), stream.fileno())
    data.load = load_the_first
    sys.argv = [str(script), *options]
    sys.path[0] = str(script.parent)
    runpy.run_path(str(script), run_name="__main__")


def load_the_first(name: str) -> data.Dataset:
    full = load(name)
    train, test = (full.x_train[:TRAIN], full.y_train[:TRAIN]), (full.x_test, full.y_test)
    return data.Dataset(name, *train, *(values[:TEST] for values in test))
