"""The input that is shown for a wrong answer: small, and as telling as the one it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from . import messages
from .exercise import Exercise
from .explain import Explanation, explain
from .language import Text
from .running import Outcome, agree, run
from .showing import Shown, show, unmarked
from .shrink import shrink
from .time_limit import OutOfTime, time_limit
from .values import Foreign, is_finite, same_shape

SECONDS = 0.1  # of the processor, for making it smaller
PRINTED_CHARACTERS = 500


@dataclass(frozen=True)
class Example:
    """One input on which the answer is wrong."""

    exercise: Exercise
    answer: Callable
    case: tuple
    outcome: Outcome
    wanted: Outcome

    @property
    def explanation(self) -> Explanation:
        return explain(self.case, self.outcome, self.wanted, self.exercise)

    def shrunk_like(self, mistaken: Callable) -> Example:
        """The smallest input on which the answer does what `mistaken` does and no other mistake."""
        functions = [f for mistake in self.exercise.mistakes for f in mistake.functions]
        others = [f for f in functions if not self.looks_like(f)]

        def is_as_telling(example: Example) -> bool:
            return (
                example.looks_like(mistaken)
                and example.kind() == self.kind()
                and not any(example.looks_like(other) for other in others)
            )

        return self.shrunk(is_as_telling)

    def shrunk_alike(self) -> Example:
        """The smallest input of which the same can be said."""
        key = self.explanation.key
        return self.shrunk(lambda example: example.explanation.key == key)

    def shrunk(self, is_as_telling: Callable[[Example], bool]) -> Example:
        def still_shows(case: tuple) -> bool:
            example = self.with_case(case)
            return example is not None and is_as_telling(example)

        case = self.case
        try:
            with time_limit(
                20 * SECONDS
            ):  # an answer may loop, or sleep, on the smaller input only
                case = shrink(self.case, still_shows, SECONDS)
            return self.with_case(case) or self
        except (OutOfTime, KeyboardInterrupt):
            return self

    def with_case(self, case: tuple) -> Example | None:
        """The same for another input, or None if the answer is right there or the input is bad."""
        if case is self.case:
            return self
        if self.exercise.accepts is not None and not self.exercise.accepts(*case):
            return None
        wanted = run(self.exercise.solution, case, self.exercise.use, is_trusted=True)
        if wanted.error_types != self.wanted.error_types:
            return None
        if is_finite(self.wanted.value) and not is_finite(wanted.value):
            return None
        outcome = run(self.answer, case, self.exercise.use)
        if agree(outcome, wanted, self.exercise.tolerance):
            return None
        return replace(self, case=case, outcome=outcome, wanted=wanted)

    def looks_like(self, function: Callable) -> bool:
        theirs = run(function, self.case, self.exercise.use, is_trusted=True)
        return agree(self.outcome, theirs, self.exercise.tolerance)

    def kind(self) -> tuple:
        """How it goes wrong, roughly."""
        outcome = self.outcome
        is_shaped = same_shape(outcome.value, self.wanted.value)
        return outcome.error_types, outcome.problem, is_finite(outcome.value), is_shaped

    # --- drawing

    def rows(self) -> tuple[tuple[Text, Shown], ...]:
        """The input, what the answer made of it and what was expected."""
        names = self.exercise.names
        names += names[-1:] * (len(self.case) - len(names))  # f(*batches)
        rows = [
            (messages.INPUT.format(name=name), show(argument))
            for name, argument in zip(names, self.case, strict=False)
        ]
        yours, expected = self.values()
        if self.outcome.error is None:
            rows.append((messages.YOURS, yours))
        rows.append((messages.EXPECTED, expected))
        if self.outcome.printed:
            rows.append((messages.PRINTED, unmarked(self.outcome.printed[:PRINTED_CHARACTERS])))
        return tuple(rows)

    def values(self) -> tuple[Shown, Shown]:
        """Yours and the expected value, with as many digits as it takes to tell them apart."""
        rtol = self.exercise.tolerance
        for digits in (4, 8, 17):
            yours = show_outcome(self.outcome, digits, self.wanted.value, rtol)
            expected = show_outcome(self.wanted, digits)
            if yours.text != expected.text:
                break
        return yours, expected


def show_outcome(
    outcome: Outcome, digits: int, other: Any = None, rtol: float | None = None
) -> Shown:
    if outcome.error is not None:
        return unmarked(outcome.error_types[0])
    if outcome.problem or isinstance(outcome.value, Foreign):
        return unmarked(outcome.kind)
    return show(outcome.value, digits, other, rtol)
