"""Small arrays and other plain values as text, with the places that differ marked in HTML."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from .values import NUMERIC, as_array, close_places, same

MOST_CELLS = 60  # larger arrays are shown in part, by NumPy
MOST_ITEMS = 4  # of a list or dict whose items need lines of their own
MOST_CHARACTERS = 300


@dataclass(frozen=True)
class Shown:
    """A value as text; `html` is the same, with <mark> around what differs."""

    text: str
    html: str


def show(value: Any, digits: int = 4, other: Any = None, rtol: float | None = None) -> Shown:
    """`value`, with the numbers marked that differ from `other` if it has the same shape."""
    if isinstance(value, dict):
        others = other if isinstance(other, dict) else {}
        items = list(value.items())[: MOST_ITEMS + 1]
        return stack(
            [(f"{key!r}: ", show(item, digits, others.get(key), rtol)) for key, item in items]
        )
    if isinstance(value, list | tuple):
        return show_sequence(value, digits, other, rtol)
    if isinstance(value, np.ndarray | np.generic | float | complex):
        return show_array(np.asarray(value), digits, other, rtol)
    if isinstance(value, np.random.Generator) or callable(value):
        return unmarked(getattr(value, "__name__", type(value).__name__))
    return unmarked(repr(value)[:MOST_CHARACTERS])


def unmarked(text: str) -> Shown:
    return Shown(text, escape(text))


def mark(shown: Shown) -> Shown:
    """Leading blanks stay outside, so that columns stay aligned."""
    number = shown.html.lstrip()
    return Shown(shown.text, f"{' ' * (len(shown.html) - len(number))}<mark>{number}</mark>")


# --- lists, tuples and dicts


def show_sequence(value: list | tuple, digits: int, other: Any, rtol: float | None) -> Shown:
    """On one line if all items are single numbers, words and the like."""
    array = as_array(value) if isinstance(other, np.ndarray) else None
    if array is not None and array.ndim:
        return show_array(array, digits, other, rtol)
    rest = ", …" if len(value) > MOST_CELLS else ""
    value = value[:MOST_CELLS]
    has_partner = isinstance(other, list | tuple) and len(other) >= len(value)
    others = other[: len(value)] if has_partner else [None] * len(value)
    items = [show(item, digits, beside, rtol) for item, beside in zip(value, others, strict=True)]
    if any(np.ndim(as_array(item)) or isinstance(item, list | tuple | dict) for item in value):
        return stack([("", item) for item in items])
    wrong = [has_partner and not same(*pair, rtol) for pair in zip(value, others, strict=True)]
    items = mark_some(items, wrong)
    left, right = "[]" if isinstance(value, list) else "()"
    return Shown(
        left + ", ".join(item.text for item in items) + rest + right,
        left + ", ".join(item.html for item in items) + rest + right,
    )


def mark_some(items: list[Shown], wrong: list[bool]) -> list[Shown]:
    """Mark the wrong ones, unless all are: then a mark would say nothing."""
    if all(wrong):
        return items
    return [mark(item) if is_wrong else item for item, is_wrong in zip(items, wrong, strict=True)]


def stack(items: list[tuple[str, Shown]]) -> Shown:
    """One below the other, each after its label."""
    texts = [label + indent(item.text, len(label)) for label, item in items[:MOST_ITEMS]]
    htmls = [escape(label) + indent(item.html, len(label)) for label, item in items[:MOST_ITEMS]]
    rest = ["…"] if len(items) > MOST_ITEMS else []
    return Shown(",\n".join(texts + rest), ",\n".join(htmls + rest))


def indent(text: str, columns: int) -> str:
    return text.replace("\n", "\n" + " " * columns)


# --- arrays


def show_array(array: np.ndarray, digits: int, other: Any, rtol: float | None) -> Shown:
    if array.ndim > 2 or array.size > MOST_CELLS or array.size == 0:
        text = np.array2string(array, precision=digits, suppress_small=True, threshold=MOST_CELLS)
        return unmarked(f"{text}\nshape {array.shape}")
    cells = [write_number(value, digits) for value in array.flat]
    width = max(map(len, cells)) if array.ndim else 0
    items = mark_some(
        [unmarked(cell.rjust(width)) for cell in cells], wrong_places(array, other, rtol)
    )
    return Shown(
        brackets([item.text for item in items], array.shape),
        brackets([item.html for item in items], array.shape),
    )


def wrong_places(array: np.ndarray, other: Any, rtol: float | None) -> list[bool]:
    """Which values differ, in the order of `flat`; none if there is nothing to compare with."""
    beside = None if other is None else as_array(other)
    if beside is None or beside.shape != array.shape or array.dtype.kind not in NUMERIC:
        return [False] * array.size
    return [not is_close for is_close in close_places(array, beside, rtol).flat]


def brackets(cells: list[str], shape: tuple[int, ...]) -> str:
    if not shape:
        return cells[0]
    columns = shape[-1]
    rows = [" ".join(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    body = "]\n [".join(rows)
    return f"[{body}]" if len(shape) == 1 else f"[[{body}]]"


def write_number(value: Any, digits: int) -> str:
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return str(value)
    if isinstance(value, complex | np.complexfloating):
        return f"{complex(value):.{digits}g}"
    if not np.isfinite(value) or value == 0:
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e6:
        return np.format_float_positional(value, precision=digits, trim="-")
    return np.format_float_scientific(value, precision=digits, trim="-", exp_digits=1)
