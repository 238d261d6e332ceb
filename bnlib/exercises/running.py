"""Run an answer on one input, and keep what it did as plain data."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .exercise import call
from .guard import Guard, NoGuard
from .time_limit import OutOfTime
from .values import Foreign, TooLarge, name_kind, plain, same

PRINTED_CHARACTERS = 10_000
OURS = os.path.dirname(__file__) + os.sep  # the files of the checker and the bank


@dataclass(frozen=True)
class Outcome:
    """What an answer did with one input.

    value        what it returned, made plain
    kind         the type of what it returned
    problem      why that is nothing to compare: "too_large" or None
    error        what it raised instead, as "ZeroDivisionError: division by zero"
    error_types  the names of the error's class and of those it derives from
    line         the answer's line that raised it, the deepest if there are several
    changed_input, replaced  whether its arrays changed; which functions of NumPy it replaced
    """

    value: Any = None
    kind: str = "NoneType"
    problem: str | None = None
    error: str | None = None
    error_types: tuple[str, ...] = ()
    line: int | None = None
    changed_input: bool = False
    replaced: tuple[str, ...] = ()
    printed: str = ""


class BoundedOutput(io.StringIO):
    """Keeps the first characters and drops the rest: an answer may print without end."""

    is_full = False

    def write(self, text: str) -> int:
        if not self.is_full:
            super().write(text[: max(0, PRINTED_CHARACTERS - self.tell())])
            self.is_full = self.tell() >= PRINTED_CHARACTERS
        return len(text)

    def close(self) -> None:
        """Stays open: an answer may close what it prints to."""


def run(answer: Callable, case: tuple, use: Callable = call, is_trusted: bool = False) -> Outcome:
    """Use `answer` on a copy of `case`, so that no answer can spoil the next one's input.

    is_trusted  skip what only a reader's code makes necessary: half of the time
    """
    arguments = copy.deepcopy(case)
    printed = BoundedOutput()
    guard = NoGuard() if is_trusted else Guard()
    try:
        with (
            np.errstate(all="ignore"),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            warnings.simplefilter("ignore")
            with guard:
                returned = use(answer, *arguments)
            with type(guard)():  # a returned object's methods are the answer's code as well
                kind = name_kind(returned)
                value, problem = plain_or_problem(returned)
    except (OutOfTime, KeyboardInterrupt) as error:  # these end the check
        error.line = line_of(error)
        raise
    except BaseException as error:  # an answer may raise anything, SystemExit too
        return Outcome(
            error=name_error(error),
            error_types=tuple(kind.__name__ for kind in type(error).__mro__),
            line=line_of(error),
            replaced=tuple(guard.replaced),
            printed=printed.getvalue(),
        )
    return Outcome(
        value,
        kind,
        problem,
        changed_input=not is_trusted and not all(map(unchanged, arguments, case)),
        replaced=tuple(guard.replaced),
        printed=printed.getvalue(),
    )


def plain_or_problem(value: Any) -> tuple[Any, str | None]:
    try:
        return plain(value), None
    except TooLarge:
        return None, "too_large"
    except Exception as error:
        if line_of(error) is not None:  # in a method of the answer's
            raise
        return Foreign(name_kind(value)), None


def unchanged(after: Any, before: Any) -> bool:
    """Whether an argument is as it was. A function or random generator is no data to spoil."""
    return same(plain_or_problem(after)[0], plain_or_problem(before)[0], rtol=0)


def name_error(error: BaseException) -> str:
    """As at the end of a traceback; an error's own __str__ may fail as well."""
    try:
        text = str(error)
    except Exception:
        text = ""
    text = text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate cannot be shown
    return f"{type(error).__name__}: {text}".removesuffix(": ")[:300]


def line_of(error: BaseException) -> int | None:
    """The deepest line of the answer's own file that the error passed through.

    None if the answer was never entered, as when it takes fewer arguments.
    """
    places = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    while places and places[0][0].startswith(OURS):
        del places[0]
    own = [line for file, line in places if file == places[0][0]]
    return own[-1] if own else None


def agree(first: Outcome, second: Outcome, tolerance: float | None = None) -> bool:
    """Whether an answer did what another did: the same kind of error, or the same value."""
    if first.error is not None or second.error is not None:
        return second.error is not None and second.error_types[0] in first.error_types
    if first.problem or second.problem:
        return (first.problem, first.kind) == (second.problem, second.kind)
    return same(first.value, second.value, tolerance)
