"""A figure once more, for a phone: narrower, its panels under one another.

A picture as wide as a laptop's column shrinks on a phone to half of its size, and its words with
it. Drawn anew at the width that is there, they keep theirs; what stood side by side has no room to.
"""

import pickle
import re
from itertools import chain, pairwise

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.text import Text

WIDTH = 4.2  # inches; 11 points of it are 13 of a phone's pixels, where they were 8 to 10
STACKED_HEIGHT = 0.85  # of what a panel had beside others: it is wider now
LINE_HEIGHT = 1.3 / 72  # inches for a point of the letters' size
MARGIN = 6  # pixels between a title and where it has to end
WORD = re.compile(r"(?:\$[^$]*\$|\S)+")  # a formula is not broken

Panels = dict[tuple[int, int], list[Axes]]  # row and column in the grid: axes and their twins


def narrowed(figure: Figure) -> Figure | None:
    """A copy of the figure as a phone should show it.

    None if it is no wider, if its axes were put where they are by hand, or if it cannot be copied
    or laid out anew: a reader's figure may be anything, and is to be seen without this one.
    """
    if figure.get_figwidth() <= WIDTH or not _panels(figure):
        return None
    try:
        return _laid_out_anew(pickle.loads(pickle.dumps(figure)))
    except Exception:  # of Matplotlib, or of whatever was hung on the figure
        return None


def _laid_out_anew(figure: Figure) -> Figure:
    plt.close(figure)  # pyplot takes in what it unpickles
    height, panels = figure.get_figheight(), _panels(figure)
    if not any(axes.get_aspect() == "auto" and axes.axison for axes in chain(*panels.values())):
        # Pictures keep their shape and their places; what they leave of the height is cut off.
        figure.set_layout_engine("compressed")
    elif _have_columns(panels):
        height *= _stack(figure, panels) * STACKED_HEIGHT
    figure.set_size_inches(WIDTH, height)
    for title, right_end in _titles(figure).items():
        height += _break_lines(title, right_end) * title.get_fontsize() * LINE_HEIGHT
    figure.set_size_inches(WIDTH, height)
    return figure


def _panels(figure: Figure) -> Panels:
    """The figure's panels in reading order."""
    panels: Panels = {}
    for axes in figure.axes:
        if place := axes.get_subplotspec():  # a colour bar has none
            panels.setdefault((place.rowspan.start, place.colspan.start), []).append(axes)
    return dict(sorted(panels.items()))


def _have_columns(panels: Panels) -> bool:
    """Whether the panels stand in one grid, beside one another."""
    grids = {axes.get_subplotspec().get_gridspec() for axes in chain(*panels.values())}
    return len(grids) == 1 and grids.pop().ncols > 1


def _stack(figure: Figure, panels: Panels) -> float:
    """Put each panel under the one before; how many times as high they are together."""
    titled_below = any(axes.get_title("left") for (row, _), (axes, *_) in panels.items() if row)
    if not titled_below:  # a title of the first row speaks for its column, which stays together
        panels = dict(sorted(panels.items(), key=lambda panel: panel[0][::-1]))
    places = [axes.get_subplotspec() for axes, *_ in panels.values()]
    ratios = places[0].get_gridspec().get_height_ratios()
    heights = [sum(ratios[row] for row in place.rowspan) for place in places]
    _label_each(panels)
    grid = GridSpec(len(panels), 1, figure=figure, height_ratios=heights)
    for number, twins in enumerate(panels.values()):
        for axes in twins:
            axes.set_subplotspec(grid[number, 0])
    return sum(heights) / sum(ratios)


def _label_each(panels: Panels) -> None:
    """What the first panel of a row and the last of a column said for the others, each says."""
    lasts = {column: axes for (_, column), (axes, *_) in panels.items()}
    for (row, column), (axes, *_) in panels.items():
        first, last = panels.get((row, 0), [axes])[0], lasts[column]
        if first.get_subplotspec().rowspan == axes.get_subplotspec().rowspan:
            axes.set_ylabel(axes.get_ylabel() or first.get_ylabel())
        if axes.get_shared_y_axes().joined(axes, first):
            axes.tick_params(labelleft=True)
        if axes.get_shared_x_axes().joined(axes, last):
            axes.set_xlabel(axes.get_xlabel() or last.get_xlabel())
            axes.tick_params(labelbottom=True)
    for (axes, *_), (below, *_) in pairwise(panels.values()):
        if axes.get_shared_x_axes().joined(axes, below):
            axes.tick_params(labelbottom=False)
            axes.set_xlabel("")


def _titles(figure: Figure) -> dict[Text, float]:
    """Each title, and where it has to end on the right: before the next one, or with the figure."""
    titles = [
        (axes, title)
        for axes in chain(*_panels(figure).values())
        for title in (axes.title, axes._left_title, axes._right_title)
        if title.get_text()
    ]
    for _, title in titles:
        title.set_visible(False)  # or a long one pushes its neighbours away
    figure.draw_without_rendering()
    ends = {figure._suptitle: figure.bbox.width} if figure._suptitle else {}
    for axes, title in titles:
        row, start = axes.get_subplotspec().rowspan.start, axes.get_position().x0
        beside = (
            other.get_position().x0
            for other, _ in titles
            if other.get_subplotspec().rowspan.start == row and other.get_position().x0 > start
        )
        ends[title] = min(beside, default=1) * figure.bbox.width
    for _, title in titles:
        title.set_visible(True)
    return ends


def _break_lines(title: Text, right_end: float) -> int:
    """Break the title into as few lines as fit, alike in length; how many were added."""
    words, added = WORD.findall(title.get_text()), 0
    while title.get_window_extent().x1 > right_end - MARGIN and added < len(words) - 1:
        added += 1
        title.set_text(_in_lines(words, added + 1))
    return added


def _in_lines(words: list[str], count: int) -> str:
    """The words in so many lines, the longest of which is as short as can be."""
    for length in range(len(" ".join(words)) + 1):
        lines = [""]
        for word in words:
            if len(lines[-1]) + len(word) < length or not lines[-1]:
                lines[-1] += f" {word}"
            else:
                lines.append(f" {word}")
        if len(lines) <= count:
            break
    return "\n".join(line.strip() for line in lines)
