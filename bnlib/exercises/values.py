"""What an answer may return, made plain, and when two such values are the same.

A plain value is None, a bool, number, string or NumPy array, or a list, tuple or dict of these.
Everything after `plain` can compare and show without running code that the answer brought along.
What is of no such kind, such as a function or a model, becomes its kind's name, a Foreign.
"""

from __future__ import annotations

import inspect
import math
from collections import deque
from dataclasses import dataclass
from numbers import Number
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

NUMERIC = "biufc"  # dtype kinds
LARGEST_ARRAY = 2**24  # bytes; the exercises' own arrays are a thousand times smaller
LARGEST_TREE = 100_000  # items of nested lists


class TooLarge(Exception):
    """The value is larger than any exercise asks for; looking at it could exhaust the memory."""


@dataclass(frozen=True)
class Foreign:
    """A value of a kind that no exercise asks for: all that is kept of it is the kind's name."""

    kind: str


def plain(value: Any) -> Any:
    """A copy of `value` in Python's and NumPy's own types.

    Tensors and other objects that convert to an array become arrays.
    Raises TooLarge, and whatever an object's own methods raise.
    """
    return _Copier().copy(value)


def name_kind(value: Any) -> str:
    """The type's name, with the dtype of an array that holds no numbers."""
    if isinstance(value, np.ndarray) and value.dtype.kind not in NUMERIC:
        return f"{type(value).__name__} ({value.dtype})"
    return type(value).__name__


class _Copier:
    """Counts while it copies, so that a list that holds itself comes to an end."""

    def __init__(self) -> None:
        self.count = 0

    def copy(self, value: Any, depth: int = 0) -> Any:
        self.count += 1
        if self.count > LARGEST_TREE or depth > 20:
            raise TooLarge
        if value is None or type(value) in (bool, float, complex):
            return value
        if type(value) is int:
            if value.bit_length() > 64:
                raise TooLarge
            return value
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, dict):
            items = dict.items(value)
            return {self.copy_key(key): self.copy(item, depth + 1) for key, item in items}
        if isinstance(value, tuple):
            return tuple(self.copy(item, depth + 1) for item in tuple.__iter__(value))
        if isinstance(value, list):
            return [self.copy(item, depth + 1) for item in list.__iter__(value)]
        return self.copy_array(value, depth)

    def copy_key(self, key: Any) -> Any:
        key = key.item() if isinstance(key, np.generic) else self.copy(key)
        return Foreign(name_kind(key)) if isinstance(key, np.ndarray) else key

    def copy_array(self, value: Any, depth: int) -> Any:
        array = np.asarray(value.detach().cpu() if is_tensor(value) else value)
        if array.nbytes > LARGEST_ARRAY:
            raise TooLarge
        if array.dtype.kind in NUMERIC:
            return np.array(array, subok=False)
        if array.dtype.kind == "U":
            return array.tolist()
        if array.dtype == object and (array.ndim or isinstance(value, np.ndarray)):
            items = [self.copy(item, depth + 1) for item in array.ravel().tolist()]
            if not any(isinstance(item, Foreign) for item in items):
                return self.copy(array.tolist(), depth + 1)
        return Foreign(name_kind(value))


def is_tensor(value: Any) -> bool:
    """Of whatever library."""
    return hasattr(value, "detach") and hasattr(value, "cpu")


def same(first: Any, second: Any, rtol: float | None = None) -> bool:
    """Whether two plain values are the same, up to the rounding of a careful formula.

    rtol  relative to the largest number in each array of `second`; None: square root of its eps
    Lists, tuples and arrays with the same items are the same, and so are True and 1.
    """
    if isinstance(second, dict):
        return (
            isinstance(first, dict)
            and first.keys() == second.keys()
            and all(same(first[key], second[key], rtol) for key in second)
        )
    if isinstance(second, list | tuple):
        return (
            is_sequence(first)
            and len(first) == len(second)
            and all(same(a, b, rtol) for a, b in zip(first, second, strict=True))
        )
    if second is None or isinstance(second, str | Foreign):
        return type(first) is type(second) and first == second
    a, b = as_array(first), as_array(second)
    return a is not None and b is not None and a.shape == b.shape and close(a, b, rtol)


def close(a: np.ndarray, b: np.ndarray, rtol: float | None) -> bool:
    if rtol == 0:
        return np.array_equal(a, b, equal_nan=True)
    return bool(np.all(close_places(a, b, rtol)))


def close_places(a: np.ndarray, b: np.ndarray, rtol: float | None) -> np.ndarray:
    """Where two numeric arrays of one shape are the same."""
    rtol = tolerance(b.dtype) if rtol is None else rtol
    size = np.abs(b.astype(float) if b.dtype.kind in "bui" else b)
    largest = np.max(size, initial=0.0, where=np.isfinite(size))
    atol = rtol * float(largest or 1.0)  # where all should be 0, rounding is measured against 1
    return np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)


def tolerance(dtype: np.dtype) -> float:
    """Two correct formulas round differently: some hundred units in the last place, n times over."""
    return float(np.sqrt(np.finfo(dtype if dtype.kind in "fc" else float).eps))


def same_shape(first: Any, second: Any) -> bool:
    if isinstance(second, dict):
        return (
            isinstance(first, dict)
            and first.keys() == second.keys()
            and all(same_shape(first[key], second[key]) for key in second)
        )
    if isinstance(second, list | tuple):
        return (
            is_sequence(first)
            and len(first) == len(second)
            and all(same_shape(a, b) for a, b in zip(first, second, strict=True))
        )
    if second is None or isinstance(second, str | Foreign):
        return type(first) is type(second)
    a, b = as_array(first), as_array(second)
    return a is not None and b is not None and a.shape == b.shape


def has_shape(value: Any) -> bool:
    """Whether there is an array in a plain value."""
    return most_axes(value) > 0


def most_axes(value: Any) -> int:
    """Of the arrays in a plain value."""
    if isinstance(value, dict):
        return max(map(most_axes, value.values()), default=0)
    if isinstance(value, list | tuple):
        return max(map(most_axes, value), default=0)
    return value.ndim if isinstance(value, np.ndarray) else 0


def count_numbers(state: Any) -> int:
    """How many numbers an object holds: in its attributes, in those of its class, in the variables
    around its methods, and in what these hold."""
    members = [
        member
        for cls in type(state).__mro__[:-1]
        for name, member in vars(cls).items()
        if not name.startswith("__")
    ]
    around = [inspect.getclosurevars(f) for f in members if isinstance(f, FunctionType)]
    return _count([state, members, [(names.nonlocals, names.globals) for names in around]], {})


def _count(value: Any, seen: dict[int, Any]) -> int:
    """The numbers in `value`, without what was seen: kept, so that no id is given out again."""
    if isinstance(value, Number):
        return 1
    if id(value) in seen or isinstance(value, ModuleType | type):
        return 0
    seen[id(value)] = value
    if is_tensor(value) or (isinstance(value, np.ndarray) and value.dtype != object):
        return math.prod(value.shape)
    if isinstance(value, dict):
        inside = dict.values(value)
    elif isinstance(value, list | tuple | set | deque | np.ndarray):
        inside = value
    else:
        inside = [object.__getstate__(value)]  # attributes, __slots__ among them
    return sum(_count(item, seen) for item in list(inside))


def is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)


def as_array(value: Any) -> np.ndarray | None:
    """A plain value as a numeric array, or None if it is not one."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):  # a ragged list
        return None
    return array if array.dtype.kind in NUMERIC else None


def is_finite(value: Any) -> bool:
    """Whether a plain value holds no nan and no inf."""
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_finite, value))
    array = None if value is None else as_array(value)
    return array is None or bool(np.isfinite(array).all())
