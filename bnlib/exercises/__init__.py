"""Exercises that name the mistake. NumPy only: the same code runs in Jupyter and in the page.

check("standardize", standardize)   # -> Result(passed, mistake, message), which draws itself
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from . import bank
from .checker import check_answer
from .exercise import Exercise, Mistake
from .language import Text, set_language
from .record import Progress, export_progress, import_progress, record_pass
from .result import Result

__all__ = [
    "Exercise",
    "Mistake",
    "Progress",
    "Result",
    "Text",
    "catalog",
    "check",
    "export_progress",
    "find",
    "hint",
    "import_progress",
    "progress",
    "set_language",
]


@cache
def _exercises() -> dict[str, Exercise]:
    modules = (
        importlib.import_module(f"{bank.__name__}.{module.name}")
        for module in pkgutil.iter_modules(bank.__path__)
    )
    found = sorted((m.exercise for m in modules), key=lambda e: (e.chapter, e.number))
    return {exercise.id: exercise for exercise in found}


def catalog() -> list[Exercise]:
    """All exercises, in the order of the book."""
    return list(_exercises().values())


def find(id: str) -> Exercise:
    """The exercise with this id. Raises ValueError, listing the known ones, if there is none."""
    try:
        return _exercises()[id]
    except (KeyError, TypeError):
        known = ", ".join(_exercises())
        raise ValueError(f"id must be one of {known}; got {id!r}") from None


def check(id: str, answer: Callable) -> Result:
    """Check an answer to exercise `id` and say what is right and which mistake it makes.

    id      an exercise's id, as in `catalog()`
    answer  the function or class that the exercise asks for
    Returns Result(passed, mistake, message). Never raises for a wrong answer. A pass is kept in the
    progress file, if there can be one.
    Raises ValueError for an unknown id.
    """
    result = check_answer(find(id), answer)
    note = record_pass(id) if result.passed else None
    return replace(result, note=note) if note else result


def progress() -> Progress:
    """How many exercises are solved, by chapter and in all. Draws itself."""
    return Progress.of(catalog())


def hint(id: str, number: int = 1) -> Text:
    """The exercise's hint with this number, counted from 1; later ones say more."""
    hints = find(id).hints
    if not 1 <= number <= len(hints):
        raise ValueError(f"number must be between 1 and {len(hints)} for {id!r}, got {number!r}")
    return hints[number - 1]
