"""The pictures that figures become, and how they are drawn anew for a phone."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest

from bnlib._narrow import WIDTH, narrowed
from bnlib.figures import NARROW, _picture


@pytest.fixture(autouse=True)
def book_style():
    with plt.style.context("bnlib.book"):
        yield
    plt.close("all")


def bounds(figure):
    """Left, bottom, right and top of each panel with its words, in pixels."""
    figure.draw_without_rendering()
    return [axes.get_tightbbox().extents for axes in figure.axes]


def curves(rows, columns, **options):
    figure, panels = plt.subplots(rows, columns, figsize=(6, 3 * rows), squeeze=False, **options)
    for number, panel in enumerate(panels.flat):
        panel.plot([0, 1, 2], [number, 3, 1])
    return figure, panels


def test_panels_stand_under_one_another_and_none_sticks_out():
    figure, panels = curves(1, 3)
    panels[0, 0].set_ylabel("loss")
    narrow = narrowed(figure)
    boxes = bounds(narrow)
    assert narrow.get_figwidth() == WIDTH
    assert all(above[1] > below[3] for above, below in itertools.pairwise(boxes))
    assert min(box[0] for box in boxes) >= 0 and max(box[2] for box in boxes) <= narrow.bbox.width
    assert [axes.get_ylabel() for axes in narrow.axes] == ["loss"] * 3


def test_each_panel_says_what_a_neighbour_said_for_it():
    figure, panels = curves(2, 2, sharex=True, sharey=True)
    for column, name in enumerate(("sgd", "adam")):
        panels[0, column].set_title(name)
        panels[1, column].set_xlabel("step")
    for row, name in enumerate(("loss", "error")):
        panels[row, 0].set_ylabel(name)
    narrow = narrowed(figure)
    bounds(narrow)
    down = sorted(narrow.axes, key=lambda axes: -axes.get_position().y0)
    # A title of the first row is its column's: the column stays together.
    assert [axes.get_title("left") for axes in down] == ["sgd", "", "adam", ""]
    assert [axes.get_ylabel() for axes in down] == ["loss", "error", "loss", "error"]
    assert [axes.get_xlabel() for axes in down] == ["", "", "", "step"]
    for axes in down:
        assert [t.get_visible() for t in axes.get_yticklabels()] == [True] * len(axes.get_yticks())


def test_a_label_is_not_taken_from_a_panel_that_stands_beside_several():
    figure = plt.figure(figsize=(6, 3))
    panels = figure.subplot_mosaic("ab;ac")
    panels["a"].set_ylabel("accuracy")
    assert [axes.get_ylabel() for axes in narrowed(figure).axes] == ["accuracy", "", ""]


def test_twins_stay_together():
    figure, panels = curves(1, 2)
    panels[0, 0].twinx().plot([5, 6])
    narrow = narrowed(figure)
    bounds(narrow)
    first, second, twin = (axes.get_position() for axes in narrow.axes)
    assert first.bounds == twin.bounds
    assert first.y0 > second.y1 and first.x0 < 0.3 and first.x1 > 0.7


def test_a_long_title_breaks_in_lines_alike_and_a_formula_does_not():
    figure, panels = curves(1, 1)
    formula = r"$\sigma = \sqrt{m_2 - m_1^2 + \varepsilon}$"
    panels[0, 0].set_title(f"Whatever the batch, {formula} is what one divides by")
    narrow = narrowed(figure)
    lines = narrow.axes[0].get_title("left").split("\n")
    assert len(lines) == 2 and any(formula in line for line in lines)
    assert bounds(narrow)[0][2] <= narrow.bbox.width
    assert narrow.get_figheight() > figure.get_figheight()


def test_pictures_keep_their_places_and_shape():
    figure, panels = plt.subplots(2, 3, figsize=(6, 4))
    for panel in panels.flat:
        panel.imshow(np.eye(4))
        panel.set(xticks=[], yticks=[])
    panels[0, 0].set_title("a title that has to end before its neighbour")
    panels[0, 1].set_title("the neighbour")
    narrow = narrowed(figure)
    left = [round(axes.get_position().x0, 3) for axes in narrow.axes]
    assert left[:3] == left[3:] and left[0] < left[1] < left[2]
    narrow.draw_without_rendering()
    title, beside = (axes._left_title.get_window_extent() for axes in narrow.axes[:2])
    assert title.x1 < beside.x0


def test_the_figure_itself_stays_as_it_is():
    figure, panels = curves(1, 2)
    panels[0, 0].set_title("quite a long title for a panel that is half as broad as that")
    before = bounds(figure)
    narrow = narrowed(figure)
    assert plt.get_fignums() == [figure.number]
    assert figure.get_figwidth() == 6 and narrow.get_figwidth() == WIDTH
    assert np.allclose(bounds(figure), before, atol=1)
    assert figure.axes[0].get_title("left").count("\n") == 0


class Unreadable:
    """Is written, and fails when it is read again."""

    def __reduce__(self):
        return int, ("no number",)


def with_something_hung_on_it():
    figure, _ = curves(1, 1)
    figure.note = Unreadable()
    return figure


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plt.subplots(figsize=(3, 2))[0],
        lambda: plt.figure(figsize=(6, 3)).add_axes((0, 0, 1, 1)).figure,
        lambda: curves(1, 1)[1][0, 0].xaxis.set_major_formatter(lambda x, at: f"{x}") or plt.gcf(),
        with_something_hung_on_it,
    ],
    ids=["narrow already", "placed by hand", "cannot be copied", "copy fails"],
)
def test_some_figures_have_no_narrow_picture(draw):
    data, sizes = _picture(draw())
    assert set(data) == set(sizes) == {"image/png"}


def test_panels_in_several_grids_are_made_narrower_where_they_stand():
    figure = plt.figure(figsize=(6, 3))
    for half in figure.subfigures(1, 2):
        half.subplots().plot([1, 2])
    assert narrowed(figure).get_figwidth() == WIDTH


def test_a_notebook_stores_both_pictures_with_the_size_to_show():
    data, sizes = _picture(curves(1, 2)[0])
    assert set(data) == set(sizes) == {"image/png", f"{NARROW}png"}
    assert sizes[f"{NARROW}png"]["width"] < sizes["image/png"]["width"]
    assert _picture(plt.figure()) is None
