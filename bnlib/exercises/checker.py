"""Run an answer, compare it with the solution, and say which mistake it makes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import messages
from .example import Example
from .exercise import Exercise, Mistake
from .explain import explain_numbers
from .guard import Guard, OriginalNumpy
from .isolation import Crashed, isolated
from .language import join
from .result import Result
from .running import Outcome, agree, name_error, run
from .time_limit import OutOfTime
from .values import count_numbers, has_shape, same_shape

SECONDS = 5.0  # for all inputs of a check together; a right answer needs some milliseconds


def check_answer(exercise: Exercise, answer: Callable, seconds: float | None = None) -> Result:
    """Compare `answer` with the exercise's solution on all its inputs."""
    if not callable(answer):
        kind = type(answer).__name__
        return Result(False, "not_callable", messages.NOT_CALLABLE.format(kind=kind))
    seconds = SECONDS if seconds is None else seconds
    try:
        with OriginalNumpy(), Guard(with_random=True), np.errstate(all="ignore"):
            return isolated(lambda: examine(exercise, answer), seconds)
    except OutOfTime as error:
        text = messages.TIMED_OUT.format(seconds=seconds)
        if error.line is not None:
            text = join([text, messages.TIMED_OUT_AT.format(line=error.line)])
        return Result(False, "timed_out", text)
    except Crashed:
        return Result(False, "crashed", messages.CRASHED)


def examine(exercise: Exercise, answer: Callable) -> Result:
    cases = exercise.arguments()
    expected = [run(exercise.solution, case, exercise.use, is_trusted=True) for case in cases]
    try:
        outcomes = [run(answer, case, exercise.use) for case in cases]
    except KeyboardInterrupt as error:
        text = messages.RAISED.format(line=error.line, error=name_error(error))
        return Result(False, "raised", text)
    return Verdict(exercise, answer, cases, outcomes, expected).result()


@dataclass(frozen=True)
class Verdict:
    """Everything that is known about one answer: what it did, and what it should have done."""

    exercise: Exercise
    answer: Callable
    cases: list[tuple]
    outcomes: list[Outcome]
    expected: list[Outcome]

    def result(self) -> Result:
        replaced = sorted({name for outcome in self.outcomes for name in outcome.replaced})
        if replaced:
            text = messages.REPLACED.format(names=", ".join(replaced))
            return Result(False, "replaced_functions", text)
        wrong = [i for i in range(len(self.cases)) if not self.is_right(i)]
        if not wrong:
            return self.right_values()
        smallest = min(wrong, key=lambda i: size(self.cases[i]))
        if self.outcomes[smallest].error_types[:1] == ("NotImplementedError",):
            return self.unfinished(smallest, wrong)
        return self.known_mistake(smallest) or self.unknown_mistake(smallest, wrong)

    def unfinished(self, smallest: int, wrong: list[int]) -> Result:
        """An untouched stub, or an answer that has begun and still holds one."""
        line = self.outcomes[smallest].line
        has_begun = len(wrong) < len(self.cases) or not raises_at_once(self.answer, line)
        if line is not None and has_begun:
            return Result(False, "unfinished", messages.UNFINISHED.format(line=line))
        return Result(False, "not_attempted", messages.NOT_ATTEMPTED)

    def agree(self, first: Outcome, second: Outcome) -> bool:
        return agree(first, second, self.exercise.tolerance)

    def is_right(self, i: int) -> bool:
        return self.agree(self.outcomes[i], self.expected[i])

    def right_values(self) -> Result:
        if any(outcome.changed_input for outcome in self.outcomes):
            return Result(False, "changed_input", messages.CHANGED_INPUT)
        before, after = self.numbers_kept()
        if after > before:
            text = messages.KEEPS_ALL.format(before=before, after=after)
            return Result(False, "keeps_all", text)
        warned = self.warned()
        if warned is not None:
            text = messages.WARNED.format(line=warned.line, error=warned.error)
            return Result(False, "warned", text)
        return Result(True, None, messages.PASSED.format(cases=len(self.cases)))

    def numbers_kept(self) -> tuple[int, int]:
        """How many numbers the answer's object holds before the last update, and after it."""
        if self.exercise.keeps is None:
            return 0, 0

        def counted(answer: Callable, *case: Any) -> list[int]:
            return [count_numbers(state) for state in self.exercise.keeps(answer, *case)]

        case = max(self.cases, key=size)
        *_, before, after = run(self.answer, case, counted).value or (0, 0)
        return before, after

    def warned(self) -> Outcome | None:
        """The first outcome of the answer when a warning is an error, where it may cause none."""
        if not self.exercise.quiet:
            return None

        def strict(answer: Callable, *case: Any) -> Any:
            warnings.simplefilter("error", RuntimeWarning)
            with np.errstate(divide="warn", over="warn", invalid="warn"):
                return self.exercise.use(answer, *case)

        outcomes = (run(self.answer, case, strict) for case in self.cases)
        return next((outcome for outcome in outcomes if outcome.error is not None), None)

    # --- mistakes

    def behaves_like(self, function: Callable) -> bool:
        return all(
            self.agree(outcome, run(function, case, self.exercise.use, is_trusted=True))
            for case, outcome in zip(self.cases, self.outcomes, strict=True)
        )

    def recognise(self) -> tuple[list[Mistake], Callable] | None:
        """The mistake, or the two, that explain all outcomes, and the function that makes them."""
        for mistake in self.exercise.mistakes:
            for function in mistake.functions:
                if self.behaves_like(function):
                    return [mistake], function
        for first, second, function in self.exercise.pairs():
            if self.behaves_like(function):
                return [first, second], function
        return None

    def known_mistake(self, smallest: int) -> Result | None:
        recognised = self.recognise()
        if recognised is None:
            return None
        mistakes, function = recognised
        outcome, wanted = self.outcomes[smallest], self.expected[smallest]
        texts = [mistakes[0].message]
        if has_shape(wanted.value) and same_shape(outcome.value, wanted.value):
            texts.insert(0, messages.SHAPE_IS_RIGHT)
        if len(mistakes) == 2:
            texts.append(messages.SECOND_MISTAKE)
        example = self.example(smallest).shrunk_like(function)
        names = [mistake.name for mistake in mistakes]
        return Result(False, names[0], join(texts), example.rows(), *names[1:])

    def unknown_mistake(self, smallest: int, wrong: list[int]) -> Result:
        example = self.example(self.most_telling(smallest, wrong)).shrunk_alike()
        explanation = example.explanation
        texts = [explanation.text]
        if explanation.mistake is None:
            outcomes, expected = zip(*map(self.at, wrong), strict=True)
            texts.append(explain_numbers(outcomes, expected, explanation.fact))
            if len(wrong) < len(self.cases):
                right = len(self.cases) - len(wrong)
                texts.append(messages.RIGHT_ELSEWHERE.format(cases=len(self.cases), right=right))
        text = join([text for text in texts if text])
        return Result(False, explanation.mistake, text, example.rows())

    def most_telling(self, smallest: int, wrong: list[int]) -> int:
        """The smallest input, unless a fact about it is a coincidence: not true of the largest."""
        keys = {i: self.example(i).explanation.key for i in wrong}
        mistake, fact = keys[smallest]
        alike = [i for i in wrong if keys[i][0] == mistake]
        largest = max(alike, key=lambda i: size(self.cases[i]))
        if fact is None or keys[largest] == keys[smallest]:
            return smallest
        alike = [i for i in alike if keys[i] == keys[largest]]
        return min(alike, key=lambda i: size(self.cases[i]))

    def example(self, i: int) -> Example:
        return Example(self.exercise, self.answer, self.cases[i], *self.at(i))

    def at(self, i: int) -> tuple[Outcome, Outcome]:
        return self.outcomes[i], self.expected[i]


def raises_at_once(answer: Callable, line: int | None) -> bool:
    """Whether the error comes from the first method of a class, or from a function."""
    start = getattr(answer, "__init__", None) if isinstance(answer, type) else answer
    code = getattr(start, "__code__", None)
    return code is None or line in {number for _, _, number in code.co_lines()}


def size(case: Any) -> int:
    """How many values a reader would have to look at."""
    if isinstance(case, dict):
        case = [*case.values()]
    if isinstance(case, list | tuple):
        return sum(map(size, case))
    return np.size(case)
