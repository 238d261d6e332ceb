"""What an exercise is: a solution, inputs to try it on, hints, and the mistakes it can name.

A file of the bank defines `exercise = Exercise(...)` and decorates wrong functions:

    @exercise.mistake(ko="...", en="...")
    def ddof_1(x): ...

    @exercise.mistake(ko="...", en="...")
    def forgets_the_mean(x): ...

Readers who are wrong are often wrong twice. Where mistakes can be made together, one more function
makes any of them, each behind a switch of the mistake's name:

    @exercise.combine
    def combined(x, *, ddof_1=False, forgets_the_mean=False): ...

Pairs are two switches on. With all switches off `combined` is the solution, with one on it is the
mistake of that name; the tests hold it to both. Where both switches cannot act, let one win: a
pair that behaves like a single mistake is named as that one.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from .language import Text
from .stub import body_of, cut


@dataclass(frozen=True)
class Mistake:
    """A wrong function, or some variants of it. An answer that behaves like one has made it."""

    name: str
    functions: tuple[Callable, ...]
    message: Text


def call(answer: Callable, *case: Any) -> Any:
    """How an exercise uses an answer, unless it says otherwise."""
    return answer(*case)


@dataclass
class Exercise:
    """One exercise. The stub, the shown solution and the check all come from `solution`.

    id          what readers pass to `check`
    chapter     chapter number, and `number`, its place among the chapter's exercises
    difficulty  1 to 3
    solution    the reference function or class; its docstrings are the stub's
    cases       cases(rng) -> iterable of argument tuples, odd shapes and values among them;
                every answer gets a deep copy, of random generators too
    hints       in the order a reader should see them
    use         use(answer, *case) -> the value to compare, where one call is not enough
    keeps       keeps(answer, *case) -> the object after each update, where what it holds may not
                grow with their number
    quiet       whether NumPy's warnings count as a mistake, as where the statement rules them out
    tolerance   relative; None: the square root of the dtype's eps
    accepts     accepts(*case) -> bool: whether an input with fewer rows or columns still fits the
                statement, where the solution gives finite values for more than that
    start       the mistake whose body the stub shows, where the task is to find a bug
    """

    id: str
    chapter: int
    number: int
    difficulty: int
    title: Text
    solution: Callable
    cases: Callable[[np.random.Generator], Iterable[tuple]]
    hints: list[Text]
    use: Callable = call
    keeps: Callable[..., Iterable] | None = None
    quiet: bool = False
    tolerance: float | None = None
    accepts: Callable[..., bool] | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    combined: Callable | None = None
    start: Callable | None = None

    def mistake(self, ko: str, en: str, **variants: list) -> Callable[[Callable], Callable]:
        """Decorate a wrong function to register it, with its message in each language.

        `variants` gives one keyword argument of the function several values:
        eps=[1e-8, 1e-5] recognises the mistake made with either.
        """

        def register(function: Callable) -> Callable:
            functions = [partial(function, **{k: v}) for k, vs in variants.items() for v in vs]
            name = function.__name__
            self.mistakes.append(Mistake(name, tuple(functions or [function]), Text(ko, en)))
            return function

        return register

    def combine(self, function: Callable) -> Callable:
        """Decorate the function that makes several mistakes at once."""
        self.combined = function
        return function

    @property
    def switches(self) -> list[str]:
        """The mistakes that can be made together, in the order of `combined`."""
        if self.combined is None:
            return []
        parameters = inspect.signature(self.combined).parameters.values()
        return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is False]

    def pairs(self) -> Iterator[tuple[Mistake, Mistake, Callable]]:
        """Two mistakes, and a function that makes both."""
        named = {mistake.name: mistake for mistake in self.mistakes}
        for first, second in combinations(self.switches, 2):
            both = partial(self.combined, **{first: True, second: True})
            yield named[first], named[second], both

    @property
    def solution_source(self) -> str:
        return textwrap.dedent(inspect.getsource(self.solution)).strip()

    @property
    def stub(self) -> str:
        """The solution with its bodies cut away, and the line that checks it."""
        body = body_of(inspect.getsource(self.start)) if self.start else "raise NotImplementedError"
        return f"{cut(self.solution_source, body)}\n\n\n{self.check_line}"

    @property
    def check_line(self) -> str:
        return f'check("{self.id}", {self.solution.__name__})'

    @property
    def names(self) -> list[str]:
        """What the inputs are called, in the solution or in `use`."""
        function = self.solution if self.use is call else self.use
        names = list(inspect.signature(function).parameters)
        return names if self.use is call else names[1:]

    def arguments(self, seed: int = 0) -> list[tuple]:
        return [tuple(case) for case in self.cases(np.random.default_rng(seed))]
