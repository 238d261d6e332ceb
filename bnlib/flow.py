"""Batch norm as a graph of nine small steps, drawn with the numbers that flow through it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from numpy.typing import ArrayLike, NDArray

from bnlib.reference import require_eps

# ----------------------------------------------------------------------------- values and gradients


@dataclass
class Node:
    """One intermediate: what it is computed from, its value, and the gradient that reached it.

    parts  the terms whose sum is the gradient. Of x: along its paths "direct", "mean" and
           "variance"; of every other node: by the name of the node that uses it. Of y: none.
    """

    name: str
    symbol: str  # mathtext, without the dollar signs
    inputs: tuple[str, ...]
    value: NDArray
    gradient: NDArray | None = None  # shaped like value; None if no dy was given
    parts: dict[str, NDArray] = field(default_factory=dict)


def _steps(samples: int, eps: float) -> list[tuple]:
    """Name, symbol, inputs, formula, and the gradients of the inputs from d, that of the output."""
    root = r"\sqrt{\sigma^2+\varepsilon}"
    return [
        ("mean", r"\mu", "x", lambda x: x.mean(axis=0), lambda d, x: (d / samples,)),
        ("centred", r"x-\mu", "x mean", np.subtract, lambda d, x, m: (d, -d)),
        ("squared", r"(x-\mu)^2", "centred", np.square, lambda d, c: (d * 2 * c,)),
        ("var", r"\sigma^2", "squared", lambda q: q.mean(axis=0), lambda d, q: (d / samples,)),
        ("std", root, "var", lambda v: np.sqrt(v + eps), lambda d, v: (d / 2 / np.sqrt(v + eps),)),
        ("inv_std", f"1/{root}", "std", lambda s: 1 / s, lambda d, s: (-d / s**2,)),
        ("x_hat", r"\hat{x}", "centred inv_std", np.multiply, lambda d, c, i: (d * i, d * c)),
        ("scaled", r"\gamma\hat{x}", "gamma x_hat", np.multiply, lambda d, g, h: (d * h, d * g)),
        ("y", r"\gamma\hat{x}+\beta", "scaled beta", np.add, lambda d, s, b: (d, d)),
    ]


def batch_norm_values(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    eps: float = 1e-5,
    dy: ArrayLike | None = None,
) -> dict[str, Node]:
    """Compute every intermediate of batch norm and, if dy is given, the gradient at each.

        y = gamma * (x - mean) / sqrt(var + eps) + beta

    x      (N, C), or (N,) for one feature; computed in float64
    gamma  (C,), or a number for one feature; beta likewise
    dy     shaped like x, the gradient of the loss with respect to y
    Returns the nodes by name, each after all that it is computed from:
    x gamma beta mean centred squared var std inv_std x_hat scaled y.
    Raises ValueError if x is neither (N, C) nor (N,), another array does not fit its shape, or eps
    is no number >= 0.
    Source: Ioffe & Szegedy 2015, Algorithm 1 and the chain rule of section 3.
    """
    x = np.array(x, dtype=np.float64)
    if x.ndim not in (1, 2) or x.size == 0:
        raise ValueError(f"x: expected values in shape (N, C) or (N,), got shape {x.shape}")
    nodes = {"x": Node("x", "x", (), x)}
    for name, parameter in (("gamma", gamma), ("beta", beta)):
        nodes[name] = Node(name, rf"\{name}", (), _array(name, parameter, x.shape[1:]))

    require_eps(eps)
    steps = _steps(len(x), eps)
    for name, symbol, inputs, forward, _ in steps:
        value = np.asarray(forward(*(nodes[i].value for i in inputs.split())))
        nodes[name] = Node(name, symbol, tuple(inputs.split()), value)
    if dy is not None:
        nodes["y"].gradient = _array("dy", dy, x.shape)
        for name, *_, backward in reversed(steps):
            _send_back(nodes[name], [nodes[i] for i in nodes[name].inputs], backward)
        x_parts, centred_parts = nodes["x"].parts, nodes["centred"].parts
        paths = centred_parts["x_hat"], x_parts["mean"], centred_parts["squared"]
        nodes["x"].parts = dict(zip(("direct", "mean", "variance"), paths, strict=True))
    return nodes


def _array(name: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray:
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    return array


def _send_back(node: Node, inputs: list[Node], backward) -> None:
    """One step of the chain rule: add to each input what this node, which used it, sends it."""
    gradients = backward(node.gradient, *(source.value for source in inputs))
    for source, gradient in zip(inputs, gradients, strict=True):
        if gradient.ndim > source.value.ndim:  # every sample used the one value: add them up
            gradient = gradient.sum(axis=0)
        source.parts[node.name] = np.broadcast_to(gradient, source.value.shape).copy()
        source.gradient = sum(source.parts.values())


# -------------------------------------------------------------------------------------- the drawing

INK, MUTED, GRADIENT, HIGHLIGHT = "#222222", "#555555", "#C25400", "#0072B2"
WIDTH, BOX, LABEL, LINE, PAD, GAP = 5.7, 2.66, 0.66, 0.2, 0.08, 0.27  # in inches
SLOTS = 4  # numbers in a line, and lines of a matrix
GRID = [  # left and right column, from the top
    ("x", "mean"),
    ("centred", "squared"),
    (None, "var"),
    (None, "std"),
    ("x_hat", "inv_std"),
    ("scaled", "gamma"),
    ("y", "beta"),
]


def draw(
    values: Mapping[str, Node],
    gradients: Iterable[str] = (),
    highlight: str | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the graph: a box a node, with its name, formula, shape and first numbers.

    values     what `batch_norm_values` returned
    gradients  names of the nodes that show their gradient too, in another colour, below its parts
               if there are several; the arrows that bring it point backwards and are dashed
    highlight  the name of one node to mark
    The layout depends on values alone, so figures that differ in the rest can follow each other.
    Raises ValueError for a name that is no node, or for a gradient that was not computed.
    """
    gradients = set(gradients)
    unknown = (gradients | {highlight} - {None}) - set(values)
    if unknown:
        raise ValueError(f"expected names among {', '.join(values)}, got {sorted(unknown)}")
    if gradients and values["y"].gradient is None:
        raise ValueError("gradients: there are none, batch_norm_values was given no dy")

    heights = [max(_height(values[name]) for name in row if name) for row in GRID]
    top = 0.06 if title is None else 0.4
    total = top + sum(heights) + GAP * (len(GRID) - 1) + 0.06
    figure = plt.figure(figsize=(WIDTH, total), layout="none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(total, 0))  # in inches, downwards
    axes.set_axis_off()
    if title is not None:
        axes.text(0.06, 0.28, title, fontsize=12)

    boxes = {}
    for row, height in zip(GRID, heights, strict=True):
        for left, name in zip((0.04, WIDTH - BOX - 0.04), row, strict=True):
            if name:
                boxes[name] = (left, top, left + BOX, top + _height(values[name]))
                _box(axes, values[name], boxes[name], name in gradients, name == highlight)
        top += height + GAP
    for node in values.values():
        for source in node.inputs:
            _arrow(axes, boxes[source], boxes[node.name], backwards=source in gradients)
    return figure


def _rows(node: Node) -> list[tuple[str, NDArray]]:
    """The labelled gradients that a box has room for: the parts if there are several, the sum."""
    if node.gradient is None:
        return []
    parts = list(node.parts.items()) if len(node.parts) > 1 else []
    return [*parts, ("gradient", node.gradient)]


def _height(node: Node) -> float:
    lines = sum(len(_lines(numbers)) for _, numbers in [("", node.value), *_rows(node)])
    return LINE * (1 + lines) + 2 * PAD


def _box(axes: Axes, node: Node, bounds: tuple, with_gradient: bool, marked: bool) -> None:
    left, top, right, bottom = bounds
    look = (
        {"ec": HIGHLIGHT, "fc": "#0072B224", "lw": 2.2} if marked else {"ec": MUTED, "fc": "none"}
    )
    style = f"round,pad=0,rounding_size={PAD}"
    outline = FancyBboxPatch(
        (left, top), right - left, bottom - top, style, ls="-" if node.inputs else "--", **look
    )
    axes.add_patch(outline)
    baseline = top + PAD + 0.7 * LINE
    axes.text(left + PAD, baseline, node.name, fontsize=10.5, weight="bold", color=INK)
    axes.text(right - PAD, baseline, f"${node.symbol}$", fontsize=10.5, color=INK, ha="right")
    rows = [(str(node.value.shape), node.value, MUTED, INK)]
    if with_gradient:
        rows += [(*row, GRADIENT, GRADIENT) for row in _rows(node)]
    for label, numbers, label_color, color in rows:
        axes.text(left + PAD, baseline + LINE, label, fontsize=9, color=label_color)
        for line in _lines(numbers):
            baseline += LINE
            for column, number in enumerate(reversed(line)):
                slot = (BOX - LABEL - PAD) / SLOTS
                x = right - PAD - slot * column
                axes.text(x, baseline, number, fontsize=9.5, color=color, ha="right")


def _arrow(axes: Axes, source: tuple, target: tuple, backwards: bool) -> None:
    """From box to box: across if they stand side by side, down if below, else around the corner."""
    (left, top, right, bottom), (to_left, to_top, to_right, _) = source, target
    middle = (left + right) / 2
    if top == to_top:
        y = top + PAD + LINE
        points = [(right, y), (to_left, y)] if left < to_left else [(left, y), (to_right, y)]
    elif left == to_left:
        points = [(middle, bottom), (middle, to_top)]
    else:
        x, to_x, turn = left + 0.3, to_right - 0.3, to_top - 0.6 * GAP
        points = [(x, bottom), (x, turn), (to_x, turn), (to_x, to_top)]
    look = {"color": MUTED, "lw": 1.2}
    if backwards:
        points, look = points[::-1], {"color": GRADIENT, "lw": 1.6, "ls": (0, (3, 1.5))}
    head = {"arrowstyle": "-|>", "mutation_scale": 11, "joinstyle": "miter"}
    axes.add_patch(FancyArrowPatch(path=Path(points), **head, **look))


def _lines(value: NDArray) -> list[list[str]]:
    """The first numbers as text: a line a sample, or one line if there is one feature."""
    table = np.atleast_2d(value)
    rows = [[_number(number, value) for number in row[:SLOTS]] for row in table[:SLOTS]]
    if table.shape[1] > SLOTS:
        rows = [[*row[:-1], "…"] for row in rows]
    if table.shape[0] > SLOTS:
        rows[-1] = ["⋮" for _ in rows[-1]]
    return rows


def _number(number: float, among: NDArray) -> str:
    """At most six characters; whole numbers without a point, rounding errors as 0."""
    largest = np.abs(among).max()
    if abs(number) <= 1e-12 * largest:
        number = 0.0
    if np.array_equal(among, among.round()) and largest < 1e4:
        text = f"{number:.0f}"
    elif 1e-3 <= largest < 1e4:
        digits = 2 - math.floor(math.log10(largest))
        text = f"{number:.{min(max(digits, 0), 2)}f}"
        if digits > 3:  # below 0.1: without the 0 before the point, so that it fits
            text = f"{number:.3f}".replace("0.", ".", 1)
    else:
        text = f"{number:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return text.replace("-", "\N{MINUS SIGN}")
