"""Whatever an answer does, the reader gets a clear message and the next answer a clean start."""

import builtins
import contextlib
import random
import sys
import warnings

import numpy as np
import pytest
from hostile_answers import CELLS, ENDLESS, HOSTILE, NATIVE, Hostile

from bnlib import exercises
from bnlib.exercises import Result, checker, isolation, set_language
from bnlib.exercises.checker import check_answer
from bnlib.exercises.page import run_cell

STANDARDIZE = exercises.find("standardize")
SOLVED = f"{STANDARDIZE.solution_source}\n\n{STANDARDIZE.check_line}"


def each(table: list[Hostile]):
    return pytest.mark.parametrize("hostile", table, ids=[name for name, *_ in table])


@pytest.fixture(autouse=True)
def no_progress_kept(monkeypatch):
    monkeypatch.setenv("BNLIB_PROGRESS", "")
    yield
    set_language("both")


@pytest.fixture
def impatient(monkeypatch):
    """For answers that never end; a right one may need longer on a busy machine."""
    monkeypatch.setattr(checker, "SECONDS", 0.5)


@contextlib.contextmanager
def patience():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checker, "SECONDS", 60)
        yield


@pytest.fixture
def in_this_process(monkeypatch):
    """As in the page, where an answer shares its process with all others."""
    monkeypatch.setattr(isolation, "can_fork", lambda: False)


def state_of_python() -> dict:
    """What an answer might have left changed."""
    return {
        "numpy": {name: id(value) for name, value in vars(np).items()},
        "builtins": {name: id(value) for name, value in vars(builtins).items()},
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "recursion": sys.getrecursionlimit(),
        "errors": np.geterr(),
        "print": {k: v for k, v in np.get_printoptions().items()},
        "numpy random": np.random.get_state()[1].tolist(),
        "random": random.getstate(),
        "warnings": warnings.filters[:],
        "trace": sys.gettrace(),
    }


@contextlib.contextmanager
def nothing_changed():
    before = state_of_python()
    yield
    after = state_of_python()
    for what in before:
        assert after[what] == before[what], what


def in_python(cell: str) -> Result:
    """Run a cell as a notebook would, and return what its check answered."""
    results = []

    def check(id, answer):
        results.append(check_answer(exercises.find(id), answer))
        return results[-1]

    exec(compile(cell, "<cell>", "exec"), {"np": np, "check": check})
    return results[-1]


@each([hostile for hostile in HOSTILE if hostile not in CELLS])
def test_in_python(hostile: Hostile):
    _, cell, mistake, says = hostile
    found = {name: value for name, value in vars(np).items()}
    try:
        result = in_python(cell)
    finally:
        vars(np).update(found)  # one cell replaces functions itself, before its check
    assert (result.passed, result.mistake) == (False, mistake), repr(result)
    assert says in result.text.en
    assert any("가" <= letter <= "힣" for letter in result.text.ko)
    assert len(repr(result)) < 3000


def tell(hostile: Hostile) -> None:
    """Run it as the page does, and see that the message is clear and nothing is left behind."""
    _, cell, mistake, says = hostile
    with nothing_changed():
        said = run_cell(cell, "en")
    assert (said["state"] == "untried") == (mistake == "not_attempted")
    assert said["state"] != "passed" and said["mistake"] == mistake, said["html"]
    assert says in said["html"] and "<script>" not in said["html"]
    assert len(said["html"]) < 5000 and len(said["printed"]) <= 60_000
    assert "입니다" not in said["html"]
    with patience():
        assert run_cell(SOLVED, "en")["state"] == "passed"


@each(HOSTILE)
def test_in_a_cell(hostile: Hostile):
    tell(hostile)


@each(HOSTILE)
def test_in_a_cell_of_the_same_process(hostile: Hostile, in_this_process):
    tell(hostile)


@each(ENDLESS)
def test_endless(hostile: Hostile, impatient, monkeypatch):
    tell(hostile)
    monkeypatch.setattr(isolation, "can_fork", lambda: False)
    tell(hostile)


@pytest.mark.skipif(not isolation.can_fork(), reason="needs a process of its own")
@each(NATIVE)
def test_what_only_another_process_survives(hostile: Hostile, impatient):
    tell(hostile)
