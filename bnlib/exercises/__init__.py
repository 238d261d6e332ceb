"""Exercises that name the mistake. NumPy only: the same code runs in Jupyter and in the page.

check("standardize", standardize)   # -> Result(passed, mistake, message), which draws itself
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache

from . import bank
from .checker import Result, check_answer
from .exercise import Exercise, Mistake
from .language import Text, set_language

__all__ = ["Exercise", "Mistake", "Result", "Text", "catalog", "check", "hint", "set_language"]


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
    try:
        return _exercises()[id]
    except (KeyError, TypeError):
        known = ", ".join(_exercises())
        raise ValueError(f"id must be one of {known}; got {id!r}") from None


def check(id: str, answer: Callable) -> Result:
    """Check an answer to exercise `id` and say what is right and which mistake it makes.

    id      an exercise's id, as in `catalog()`
    answer  the function that the exercise asks for
    Returns Result(passed, mistake, message). Never raises for a wrong answer.
    Raises ValueError for an unknown id.
    """
    return check_answer(find(id), answer)


def hint(id: str, number: int = 1) -> Text:
    """The exercise's hint with this number, counted from 1; later ones say more."""
    hints = find(id).hints
    if not 1 <= number <= len(hints):
        raise ValueError(f"number must be between 1 and {len(hints)} for {id!r}, got {number!r}")
    return hints[number - 1]
