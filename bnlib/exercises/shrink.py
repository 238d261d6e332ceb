"""Find a smaller input that shows the same mistake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np


def shrink(case: tuple, still_shows: Callable[[tuple], bool], seconds: float) -> tuple:
    """`case` with rows, columns and digits left out, as far as `still_shows` and time allow.

    Seconds of the processor, so that a busy machine shows the same example.
    """
    end = time.process_time() + seconds
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for candidate in smaller(case):
            if time.process_time() > end:
                return case
            if still_shows(candidate):
                case, is_smaller = candidate, True
                break
    return case


def smaller(case: tuple) -> Iterator[tuple]:
    """Inputs like `case`, each a step smaller.

    Axes of the same length are cut together: the samples of x are those of y.
    """
    arrays = [argument for argument in case if isinstance(argument, np.ndarray)]
    lengths = sorted({n for array in arrays for n in array.shape if n > 1}, reverse=True)
    for length in lengths:
        if length > 3:
            yield from rectangular(case, keep(case, length, range(length // 2)))
        for left_out in reversed(range(length)):
            yield from rectangular(case, keep(case, length, others(length, left_out)))
    for decimals in (0, 1, 2):
        rounded = tuple(round_off(argument, decimals) for argument in case)
        if any(a is not b for a, b in zip(rounded, case, strict=True)):
            yield rounded


def others(length: int, left_out: int) -> list[int]:
    return [i for i in range(length) if i != left_out]


def rectangular(case: tuple, candidate: tuple) -> Iterator[tuple]:
    """The candidate, unless an array became square: rows and columns could then be mistaken."""
    pairs = [
        (before.shape, after.shape)
        for before, after in zip(case, candidate, strict=True)
        if isinstance(before, np.ndarray)
    ]
    if not any(is_square(after) and not is_square(before) for before, after in pairs):
        yield candidate


def is_square(shape: tuple[int, ...]) -> bool:
    """Whether two axes have the same length, other than 1."""
    lengths = [n for n in shape if n > 1]
    return len(set(lengths)) < len(lengths)


def keep(case: tuple, length: int, indices: range | list[int]) -> tuple:
    def cut(argument: object) -> object:
        if isinstance(argument, np.ndarray):
            for axis in range(argument.ndim):
                if argument.shape[axis] == length:
                    argument = argument.take(indices, axis)
        return argument

    return tuple(cut(argument) for argument in case)


def round_off(argument: object, decimals: int) -> object:
    """The argument itself if it has no more decimals."""
    if not isinstance(argument, np.ndarray) or argument.dtype.kind != "f":
        return argument
    rounded = np.round(argument, decimals) + 0  # no -0
    return argument if np.array_equal(rounded, argument, equal_nan=True) else rounded
