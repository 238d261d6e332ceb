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
from .showing import MOST_CHARACTERS
from .values import Foreign, as_array, is_sequence, most_axes, same, same_shape, tolerance

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


def wrong_type(got: Any, want: Any, is_inside: bool) -> Explanation:
    text = messages.WRONG_TYPE_INSIDE if is_inside else messages.WRONG_TYPE
    return Explanation("wrong_type", text.format(got=kind(got), expected=kind(want)))


def kind(value: Any) -> Text:
    name = value.kind if isinstance(value, Foreign) else type(value).__name__
    if isinstance(value, tuple | list):
        count = len(value)
        return Text(ko=f"값 {count}개의 {name}", en=f"a {name} of {count}")
    if isinstance(value, np.ndarray) and value.ndim == 0:
        name = type(value.item()).__name__
    return Text(name, name)


def explain_value(got: Any, want: Any, rtol: float | None, is_inside: bool = False) -> Explanation:
    """What is wrong with a plain value, in the first place where it is.

    is_inside  of a dict or sequence that was returned
    """
    if got is None and is_inside and not isinstance(want, tuple):  # a method returns a tuple
        return Explanation("wrong_type", messages.NONE_INSIDE)
    if got is None:
        return Explanation("returned_none", messages.RETURNED_NONE)
    if isinstance(want, dict) and isinstance(got, dict):
        if got.keys() != want.keys():
            yours, needed = (", ".join(map(repr, keys)) or "–" for keys in (got, want))
            text = messages.WRONG_KEYS.format(got=yours, expected=needed)
            return Explanation("wrong_keys", text)
        key = next(key for key in want if not same(got[key], want[key], rtol))
        inner = explain_value(got[key], want[key], rtol, is_inside=True)
        return within(messages.ITEM.format(item=repr(key)), inner)
    if isinstance(want, list | tuple) and holds_as_many(got, want):
        pairs = list(zip(got, want, strict=True))
        place = next(i for i, pair in enumerate(pairs) if not same(*pair, rtol))
        inner = explain_value(*pairs[place], rtol, is_inside=True)
        return within(name_item(place, want), inner)
    if isinstance(want, str) and isinstance(got, str):
        text = messages.DIFFERENT_TEXT.format(got=repr(got[:MOST_CHARACTERS]), expected=repr(want))
        return Explanation(None, text)
    a, b = as_array(got), as_array(want)
    if a is None or b is None or isinstance(want, list | tuple):
        return wrong_type(got, want, is_inside)
    return explain_array(a, b, rtol)


def holds_as_many(got: Any, want: list | tuple) -> bool:
    """Whether `got` can be read as `want`'s items; a single one of them may be as long by chance."""
    is_single = isinstance(got, np.ndarray) and got.ndim <= most_axes(want)
    return is_sequence(got) and len(got) == len(want) and not is_single


def within(where: Text, inner: Explanation) -> Explanation:
    return Explanation(inner.mistake, join([where, inner.text]), inner.fact)


def name_item(place: int, items: list | tuple) -> Text:
    """Which of the returned values is wrong, and that those before it are right."""
    is_outer = isinstance(items[place], list | tuple)  # another place follows, inside
    if len(items) == 1 or is_outer or place + 1 not in ORDINALS:
        return messages.ITEM.format(item=f"[{place}]")
    ko, en = ORDINALS[place + 1]
    where = messages.NTH_VALUE.format(ko=ko, en=en)
    return join([messages.EARLIER_VALUES, where]) if place else where


def explain_array(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Explanation:
    if got.shape != want.shape:
        text = messages.WRONG_SHAPE.format(got=got.shape, expected=want.shape)
        name, fact = next(facts.shape_facts(got, want, rtol), (None, None))
        return Explanation("wrong_shape", join([text, fact] if fact else [text]), name)
    # A bool is no number cut short, and a single integer may be just another number.
    cut_short = got.dtype.kind in "fc" or (got.dtype.kind in "iu" and got.ndim > 0)
    if cut_short and got.dtype != want.dtype and same(got, want.astype(got.dtype), rtol):
        text = messages.WRONG_DTYPE.format(got=got.dtype, expected=want.dtype)
        return Explanation("wrong_dtype", text)
    name, fact = next(facts.facts(got, want, rtol), (None, None))
    if name == "not_finite":
        return Explanation("not_finite", join([messages.NOT_FINITE, fact]) if want.ndim else fact)
    values_differ = messages.VALUES_DIFFER if want.ndim else messages.NUMBER_DIFFERS
    return Explanation(None, join([values_differ, fact] if fact else [values_differ]), name)


def explain_numbers(
    outcomes: Sequence[Outcome], expected: Sequence[Outcome], told: str | None
) -> Text | None:
    """A relation that single numbers show only when all inputs are seen together.

    told  the name of the one that was told of one input
    """
    pairs = [
        (outcome.value, wanted.value)
        for outcome, wanted in zip(outcomes, expected, strict=True)
        if outcome.error is None and wanted.error is None
    ]
    got, want = as_array([got for got, _ in pairs]), as_array([want for _, want in pairs])
    if got is None or want is None or got.ndim != 1 or got.shape != want.shape:
        return None
    rtol = max(tolerance(np.asarray(number).dtype) for _, number in pairs)
    name, fact = next(facts.number_facts(got, want, rtol), (None, None))
    return join([messages.OVER_INPUTS, fact]) if name not in (None, told) else None
