"""How well the checker names mistakes: make each one, and see which it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .checker import check_answer
from .exercise import Exercise


@dataclass(frozen=True)
class Trial:
    """A mistake, or two made at once, and what the checker called them."""

    exercise: Exercise
    made: tuple[str, ...]
    named: tuple[str | None, ...]

    @property
    def is_right(self) -> bool:
        return self.made == self.named


def single_trials(exercise: Exercise) -> list[Trial]:
    """Every variant of every mistake."""
    return [
        Trial(exercise, (mistake.name,), named(exercise, function))
        for mistake in exercise.mistakes
        for function in mistake.functions
    ]


def pair_trials(exercise: Exercise) -> list[Trial]:
    """Every two mistakes that can be made at once and then look like neither alone."""
    trials = [
        Trial(exercise, (first.name, second.name), named(exercise, function))
        for first, second, function in exercise.pairs()
    ]
    return [trial for trial in trials if not looks_single(trial)]


def looks_single(trial: Trial) -> bool:
    """Whether one mistake hides the other, or they undo each other."""
    return len(trial.named) < 2 and set(trial.named) <= set(trial.made)


def named(exercise: Exercise, function: Callable) -> tuple[str | None, ...]:
    """What the checker calls it: nothing if it passes, (None,) if it has no name for it."""
    result = check_answer(exercise, function)
    if result.passed:
        return ()
    names = result.mistake, result.second_mistake
    return names if result.second_mistake else names[:1]


def markdown(exercises: Iterable[Exercise]) -> str:
    """The table for the contributors' page: mistake made against mistake named."""
    lines = [
        "| exercise | mistakes, with variants | named rightly | pairs | named rightly | taken for |",
        "| --- | --: | --: | --: | --: | --- |",
    ]
    all_singles, all_pairs = [], []
    for exercise in exercises:
        singles, pairs = single_trials(exercise), pair_trials(exercise)
        wrong = "; ".join(describe(trial) for trial in singles + pairs if not trial.is_right)
        lines.append(row(f"`{exercise.id}`", singles, pairs, wrong))
        all_singles += singles
        all_pairs += pairs
    return "\n".join([*lines, row("**all**", all_singles, all_pairs, "")])


def row(label: str, singles: list[Trial], pairs: list[Trial], wrong: str) -> str:
    cells = [label, str(len(singles)), share(singles), str(len(pairs)), share(pairs), wrong]
    return f"| {' | '.join(cells)} |"


def share(trials: list[Trial]) -> str:
    right = sum(trial.is_right for trial in trials)
    return f"{100 * right / len(trials):.0f} %" if trials else ""


def describe(trial: Trial) -> str:
    return f"{' + '.join(trial.made)} → {' + '.join(map(str, trial.named))}"


def matrix(exercise: Exercise) -> str:
    """One exercise in full: a row for each mistake made, a column for each name given."""
    trials = single_trials(exercise)
    names = [mistake.name for mistake in exercise.mistakes]
    others = dict.fromkeys(str(t.named[0]) for t in trials if t.named[0] not in names)
    columns = [*names, *others]
    lines = [f"| made | {' | '.join(columns)} |", f"| --- |{' --: |' * len(columns)}"]
    for name in names:
        counts = [
            sum(t.made == (name,) and str(t.named[0]) == column for t in trials)
            for column in columns
        ]
        lines.append(f"| {name} | {' | '.join(str(count or '') for count in counts)} |")
    return "\n".join(lines)
