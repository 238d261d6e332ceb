"""What is wrong with an answer that makes no known mistake: its kind, and facts about the values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import facts, messages
from .exercise import Exercise, call
from .language import Text, join
from .running import Outcome
from .values import as_array, is_sequence, same, same_shape, tolerance

ORDINALS = {1: ("첫", "first"), 2: ("두", "second"), 3: ("세", "third"), 4: ("네", "fourth")}


@dataclass(frozen=True)
class Explanation:
    """A mistake that any exercise can see, or None; `fact` is the name of what was found out."""

    mistake: str | None
    text: Text
    fact: str | None = None

    @property
    def key(self) -> tuple[str | None, str | None]:
        return self.mistake, self.fact


def explain(case: tuple, outcome: Outcome, wanted: Outcome, exercise: Exercise) -> Explanation:
    """What is wrong with an outcome, as far as it can be told without knowing the exercise."""
    if outcome.error is not None:
        if wanted.error is not None and outcome.line is not None:
            values = dict(expected=wanted.error_types[0], line=outcome.line, error=outcome.error)
            return Explanation("wrong_error", messages.OTHER_ERROR.format(**values))
        return explain_error(outcome, len(case), exercise)
    if wanted.error is not None:
        error = wanted.error_types[0]
        return Explanation("no_error", messages.NO_ERROR.format(error=error))
    if outcome.problem == "too_large":
        return Explanation("too_large", messages.TOO_LARGE)
    if outcome.problem == "wrong_type":
        return wrong_type(outcome.kind, wanted.value)
    arrays = [argument for argument in case if isinstance(argument, np.ndarray)]
    if same_shape(outcome.value, wanted.value) and any(
        same(outcome.value, array, exercise.tolerance) for array in arrays
    ):
        return Explanation(None, messages.RETURNED_INPUT, "returned_input")
    return explain_value(outcome.value, wanted.value, exercise.tolerance)


def explain_error(outcome: Outcome, inputs: int, exercise: Exercise) -> Explanation:
    error = outcome.error
    if outcome.line is not None:
        return Explanation("raised", messages.RAISED.format(line=outcome.line, error=error))
    if exercise.use is not call:
        return Explanation("call_failed", messages.USE_FAILED.format(error=error))
    return Explanation("call_failed", messages.CALL_FAILED.format(inputs=inputs, error=error))


def wrong_type(got: str, want: Any) -> Explanation:
    text = messages.WRONG_TYPE.format(got=got, expected=kind(want))
    return Explanation("wrong_type", text)


def kind(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} ({len(value)})"
    return type(value).__name__


def explain_value(got: Any, want: Any, rtol: float | None) -> Explanation:
    """What is wrong with a plain value, in the first place where it is."""
    if got is None:
        return Explanation("returned_none", messages.RETURNED_NONE)
    if isinstance(want, dict) and isinstance(got, dict):
        if got.keys() != want.keys():
            yours, needed = (", ".join(map(repr, keys)) or "–" for keys in (got, want))
            text = messages.WRONG_KEYS.format(got=yours, expected=needed)
            return Explanation("wrong_keys", text)
        key = next(key for key in want if not same(got[key], want[key], rtol))
        inner = explain_value(got[key], want[key], rtol)
        return within(messages.ITEM.format(item=repr(key)), inner)
    if isinstance(want, list | tuple) and is_sequence(got) and len(got) == len(want):
        pairs = list(zip(got, want, strict=True))
        place = next(i for i, pair in enumerate(pairs) if not same(*pair, rtol))
        return within(name_item(place, len(want)), explain_value(*pairs[place], rtol))
    if isinstance(want, str) and isinstance(got, str):
        return Explanation(None, messages.DIFFERENT_TEXT)
    a, b = as_array(got), as_array(want)
    if a is None or b is None or isinstance(want, list | tuple):
        return wrong_type(kind(got), want)
    return explain_array(a, b, rtol)


def within(where: Text, inner: Explanation) -> Explanation:
    if inner.mistake == "returned_none":  # inside of a tuple: no return is missing
        inner = Explanation("wrong_type", messages.NONE_INSIDE)
    return Explanation(inner.mistake, join([where, inner.text]), inner.fact)


def name_item(place: int, count: int) -> Text:
    """Which of the returned values is wrong, and that those before it are right."""
    if count == 1 or place + 1 not in ORDINALS:
        return messages.ITEM.format(item=f"[{place}]")
    ko, en = ORDINALS[place + 1]
    where = messages.NTH_VALUE.format(ko=ko, en=en)
    return join([messages.EARLIER_VALUES, where]) if place else where


def explain_array(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Explanation:
    if got.shape != want.shape:
        text = messages.WRONG_SHAPE.format(got=got.shape, expected=want.shape)
        fact = facts.shape_fact(got, want, rtol)
        return Explanation("wrong_shape", join([text, fact] if fact else [text]))
    # A bool is no number cut short, and a single integer may be just another number.
    cut_short = got.dtype.kind in "fc" or (got.dtype.kind in "iu" and got.ndim > 0)
    if cut_short and got.dtype != want.dtype and same(got, want.astype(got.dtype), rtol):
        text = messages.WRONG_DTYPE.format(got=got.dtype, expected=want.dtype)
        return Explanation("wrong_dtype", text)
    name, fact = next(facts.facts(got, want, rtol), (None, None))
    if name == "not_finite":
        return Explanation("not_finite", join([messages.NOT_FINITE, fact]))
    values_differ = messages.VALUES_DIFFER if want.ndim else messages.NUMBER_DIFFERS
    return Explanation(None, join([values_differ, fact] if fact else [values_differ]), name)


def explain_numbers(outcomes: Sequence[Outcome], expected: Sequence[Outcome]) -> Text | None:
    """A relation that single numbers show only when all inputs are seen together."""
    pairs = [
        (outcome.value, wanted.value)
        for outcome, wanted in zip(outcomes, expected, strict=True)
        if outcome.error is None and wanted.error is None
    ]
    got, want = as_array([got for got, _ in pairs]), as_array([want for _, want in pairs])
    if got is None or want is None or got.ndim != 1 or got.shape != want.shape:
        return None
    rtol = max(tolerance(np.asarray(number).dtype) for _, number in pairs)
    fact = next((text for _, text in facts.number_facts(got, want, rtol)), None)
    return fact and join([messages.OVER_INPUTS, fact])
