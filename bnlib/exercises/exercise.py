"""What an exercise is: a solution, inputs to try it on, hints, and the mistakes it can name."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from .language import Text


@dataclass(frozen=True)
class Mistake:
    """A wrong function, or some variants of it. An answer that behaves like one has made it."""

    name: str
    functions: tuple[Callable, ...]
    message: Text


@dataclass
class Exercise:
    """One exercise. The stub, the shown solution and the check all come from `solution`.

    id          what readers pass to `check`
    chapter     chapter number, and `number`, its place among the chapter's exercises
    difficulty  1 to 3
    solution    the reference function; its docstring is the stub's
    cases       cases(rng) -> iterable of argument tuples, odd shapes and values among them
    hints       in the order a reader should see them
    """

    id: str
    chapter: int
    number: int
    difficulty: int
    title: Text
    solution: Callable
    cases: Callable[[np.random.Generator], Iterable[tuple]]
    hints: list[Text]
    mistakes: list[Mistake] = field(default_factory=list)

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

    @property
    def solution_source(self) -> str:
        return textwrap.dedent(inspect.getsource(self.solution)).strip()

    @property
    def stub(self) -> str:
        """The solution with its body cut away, and the line that checks it."""
        source = self.solution_source
        docstring = ast.parse(source).body[0].body[0]
        head = "\n".join(source.splitlines()[: docstring.end_lineno])
        return f"{head}\n    raise NotImplementedError\n\n\n{self.check_line}"

    @property
    def check_line(self) -> str:
        return f'check("{self.id}", {self.solution.__name__})'

    def arguments(self, seed: int = 0) -> list[tuple]:
        return [tuple(case) for case in self.cases(np.random.default_rng(seed))]
