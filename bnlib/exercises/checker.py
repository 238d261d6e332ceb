"""Run an answer, compare it with the solution, and say which mistake it makes."""

from __future__ import annotations

import contextlib
import copy
import io
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from . import messages
from .exercise import Exercise
from .language import Text, join, shown_languages
from .time_limit import OutOfTime, time_limit

SECONDS = 5.0  # for all inputs of a check together; a right answer needs some milliseconds
PRINTED_CHARACTERS = 500


@dataclass(frozen=True)
class Outcome:
    """What a function did with one input: a value or an error, and whether the input survived."""

    value: Any = None
    error: BaseException | None = None
    changed_input: bool = False
    printed: str = ""


@dataclass(frozen=True)
class Result:
    """The answer to an answer.

    passed   True if the answer does what the solution does on every input
    mistake  the name of the mistake that was recognised, or None
    message  what to tell the reader, in the chosen language
    """

    passed: bool
    mistake: str | None
    text: Text
    example: tuple[tuple[Text, str], ...] = ()

    @property
    def message(self) -> str:
        return str(self.text)

    @property
    def state(self) -> str:
        if self.passed:
            return "passed"
        return "untried" if self.mistake == "not_attempted" else "wrong"

    def __repr__(self) -> str:
        verdict = " · ".join(
            getattr(messages.VERDICTS[self.state], language) for language in shown_languages()
        )
        lines = [verdict, self.message]
        lines += [
            f"{' · '.join(str(label).split(chr(10)))}: {shown}" for label, shown in self.example
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        verdict = messages.VERDICTS[self.state].html()
        example = "".join(
            f"<figure><figcaption>{label.html()}</figcaption><pre>{escape(shown)}</pre></figure>"
            for label, shown in self.example
        )
        return (
            f'<div class="check check-{self.state}">'
            f'<strong class="check-verdict">{verdict}</strong>'
            f'<div class="check-message">{self.text.html()}</div>'
            f'<div class="check-example">{example}</div></div>'
        )


def check_answer(exercise: Exercise, answer: Callable, seconds: float = SECONDS) -> Result:
    """Compare `answer` with the exercise's solution on all its inputs."""
    if not callable(answer):
        kind = type(answer).__name__
        return Result(False, "not_callable", messages.NOT_CALLABLE.format(kind=kind))
    cases = exercise.arguments()
    expected = [run(exercise.solution, case) for case in cases]
    try:
        with time_limit(seconds):
            outcomes = [run(answer, case) for case in cases]
    except OutOfTime:
        return Result(False, "timed_out", messages.TIMED_OUT.format(seconds=seconds))

    wrong = [i for i in range(len(cases)) if not agree(outcomes[i], expected[i])]
    if not wrong:
        return right_values(outcomes, cases)
    smallest = min(wrong, key=lambda i: size(cases[i]))
    case, outcome, wanted = cases[smallest], outcomes[smallest], expected[smallest]
    if isinstance(outcome.error, NotImplementedError):
        return Result(False, "not_attempted", messages.NOT_ATTEMPTED)

    example = describe(case, outcome, wanted)
    for mistake in exercise.mistakes:
        if any(behaves_like(function, cases, outcomes) for function in mistake.functions):
            praise = [messages.SHAPE_IS_RIGHT] if same_shape(outcome.value, wanted.value) else []
            return Result(False, mistake.name, join([*praise, mistake.message]), example)
    name, text = general_mistake(case, outcome, wanted)
    return Result(False, name, text, example)


def right_values(outcomes: list[Outcome], cases: list[tuple]) -> Result:
    if any(outcome.changed_input for outcome in outcomes):
        return Result(False, "changed_input", messages.CHANGED_INPUT)
    return Result(True, None, messages.PASSED.format(cases=len(cases)))


def run(function: Callable, case: tuple) -> Outcome:
    """Call `function` on a copy of `case`, so that no answer can spoil the next one's input."""
    arguments = copy.deepcopy(case)
    printed = io.StringIO()
    try:
        with (
            np.errstate(all="ignore"),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(printed),
        ):
            warnings.simplefilter("ignore")
            value = function(*arguments)
    except (OutOfTime, KeyboardInterrupt):
        raise
    except BaseException as error:  # an answer may raise anything, SystemExit too
        return Outcome(error=error, printed=printed.getvalue())
    return Outcome(value, None, not same(arguments, case, rtol=0), printed.getvalue())


def behaves_like(function: Callable, cases: list[tuple], outcomes: list[Outcome]) -> bool:
    return all(
        agree(outcome, run(function, case)) for case, outcome in zip(cases, outcomes, strict=True)
    )


def agree(first: Outcome, second: Outcome) -> bool:
    """Whether two functions did the same: the same error type, or the same value."""
    if first.error is not None or second.error is not None:
        return type(first.error) is type(second.error)
    return same(first.value, second.value, rtol=tolerance(second.value))


def tolerance(value: Any) -> float:
    """Relative tolerance for comparing with `value`.

    Two correct formulas round differently: a few hundred units in the last place, n times over.
    """
    leaves = [np.asarray(leaf) for leaf in (value if isinstance(value, tuple) else (value,))]
    halves = [np.finfo(leaf.dtype).eps for leaf in leaves if leaf.dtype.kind == "f"]
    return float(np.sqrt(max(halves, default=np.finfo(float).eps)))


def same(first: Any, second: Any, rtol: float) -> bool:
    if isinstance(second, tuple):
        return (
            isinstance(first, tuple | list)
            and len(first) == len(second)
            and all(same(a, b, rtol) for a, b in zip(first, second, strict=True))
        )
    if first is None or second is None:
        return first is second
    try:
        a, b = np.asarray(first), np.asarray(second)
    except ValueError:  # a ragged list
        return False
    if a.shape != b.shape or a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc":
        return a.shape == b.shape and a.dtype.kind == b.dtype.kind and bool(np.all(a == b))
    largest = np.max(np.abs(b), initial=0.0, where=np.isfinite(b))
    return bool(np.allclose(a, b, rtol=rtol, atol=rtol * largest, equal_nan=True))


def same_shape(first: Any, second: Any) -> bool:
    if isinstance(second, tuple):
        return (
            isinstance(first, tuple | list)
            and len(first) == len(second)
            and all(same_shape(a, b) for a, b in zip(first, second, strict=True))
        )
    return is_numeric(first) and np.shape(first) == np.shape(second)


def is_numeric(value: Any) -> bool:
    try:
        return np.asarray(value).dtype.kind in "biufc"
    except ValueError:
        return False


def general_mistake(case: tuple, outcome: Outcome, wanted: Outcome) -> tuple[str | None, Text]:
    """What is wrong with an outcome that no named mistake explains."""
    if outcome.error is not None:
        line = line_of(outcome.error)
        if line is None:
            text = messages.CALL_FAILED.format(inputs=len(case), error=name_error(outcome.error))
            return "call_failed", text
        return "raised", messages.RAISED.format(line=line, error=name_error(outcome.error))
    if outcome.value is None:
        return "returned_none", messages.RETURNED_NONE
    if isinstance(wanted.value, tuple):
        if not isinstance(outcome.value, tuple | list) or len(outcome.value) != len(wanted.value):
            return "wrong_type", wrong_type(outcome.value, wanted.value)
        for got, want in zip(outcome.value, wanted.value, strict=True):
            if not same(got, want, tolerance(want)):
                return general_mistake(case, Outcome(got), Outcome(want))
    if not is_numeric(outcome.value):
        return "wrong_type", wrong_type(outcome.value, wanted.value)
    got, want = np.asarray(outcome.value), np.asarray(wanted.value)
    if got.shape != want.shape:
        return "wrong_shape", messages.WRONG_SHAPE.format(got=got.shape, expected=want.shape)
    if same(got, np.asarray(want).astype(got.dtype), tolerance(got)):
        return "wrong_dtype", messages.WRONG_DTYPE.format(got=got.dtype, expected=want.dtype)
    if np.isfinite(want).all() and not np.isfinite(got).all():
        return "not_finite", messages.NOT_FINITE
    return None, messages.UNKNOWN


def wrong_type(got: Any, wanted: Any) -> Text:
    return messages.WRONG_TYPE.format(got=kind(got), expected=kind(wanted))


def kind(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} ({len(value)})"
    return type(value).__name__


def name_error(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")[:300]


def line_of(error: BaseException) -> int | None:
    """The deepest line of the answer's own file that the error passed through."""
    called = traceback.extract_tb(error.__traceback__)[1:]  # the first frame is `run`
    own = [frame.lineno for frame in called if frame.filename == called[0].filename]
    return own[-1] if own else None  # None: the call itself failed, as with too many arguments


def size(case: tuple) -> int:
    return sum(np.size(argument) for argument in case)


def describe(case: tuple, outcome: Outcome, wanted: Outcome) -> tuple[tuple[Text, str], ...]:
    """The input, what the answer made of it and what was expected, as short texts."""
    digits = next((d for d in (4, 8) if show(outcome.value, d) != show(wanted.value, d)), 17)
    rows = [(messages.INPUT, ",\n".join(show(argument, 4) for argument in case))]
    if outcome.error is None:
        rows.append((messages.YOURS, show(outcome.value, digits)))
    rows.append((messages.EXPECTED, show(wanted.value, digits)))
    if outcome.printed:
        rows.append((messages.PRINTED, outcome.printed[:PRINTED_CHARACTERS]))
    return tuple(rows)


def show(value: Any, digits: int) -> str:
    if isinstance(value, tuple | list):
        return ",\n".join(show(item, digits) for item in value[:4])
    if isinstance(value, np.ndarray | np.number | float):
        array = np.asarray(value)
        return np.array2string(array, precision=digits, suppress_small=True, threshold=40)
    return repr(value)[:200]
