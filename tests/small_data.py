"""Run an experiment on the first images of its data set, so that a small run takes seconds.

python small_data.py SCRIPT OPTIONS... is python SCRIPT OPTIONS..., with 10,000 training and 500
test images.
"""

import runpy
import sys
from pathlib import Path

from bnlib import data

TRAIN, TEST = 10_000, 500
load = data.load


def load_the_first(name: str) -> data.Dataset:
    full = load(name)
    train, test = (full.x_train[:TRAIN], full.y_train[:TRAIN]), (full.x_test, full.y_test)
    return data.Dataset(name, *train, *(values[:TEST] for values in test))


if __name__ == "__main__":
    data.load = load_the_first
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
