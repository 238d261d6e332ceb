"""bnlib.explore: what a page without Python gets must be enough to move the sliders."""

import io
import json
import subprocess
import sys

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
import pytest
from ipywidgets.embed import dependency_state

from bnlib.explore import MAX_BYTES, Choice, explore
from bnlib.figures import rasterize

SCALE = Choice([3, 5, 7], {"ko": "특성의 크기", "en": "feature scale"}, start=1, symbol="s")
SIZE = (330, 247)  # of a frame of `draw`: 2 by 1.5 inches
RATE = Choice([0.25, 0.5], "rate <η>", unit="%", format="{:.2f}")


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    plt.close("all")
    yield
    assert plt.get_fignums() == []


def draw(scale=2, rate=0.75):
    """A figure that any change of the arguments changes."""
    figure, axes = plt.subplots(figsize=(2, 1.5))
    axes.bar([0, 1], [scale, 10 * rate])
    axes.set_ylim(0, 10)
    return figure


def frame_of(**values) -> bytes:
    """The frame for these values, from an explorable in which it is the first of two."""
    (name, value), *_ = values.items()
    others = {key: other for key, other in values.items() if key != name}
    widget = explore(lambda **v: draw(**v, **others), **{name: [value, value + 1]})
    return bytes(widget.children[0].children[0].value)


class Page:
    """The widgets as a static page has them: their stored state, and links obeyed as in Link.js."""

    def __init__(self, widget):
        stored = json.loads(json.dumps(dependency_state(widget, drop_defaults=False)))
        self.models = {key: model["state"] for key, model in stored.items()}
        self.values = {
            key: model["buffers"][0]["data"] for key, model in stored.items() if "buffers" in model
        }
        self.root = widget.model_id

    def of_kind(self, model_name) -> list[str]:
        return [key for key, state in self.models.items() if state["_model_name"] == model_name]

    def children(self, key) -> list[str]:
        return [child.removeprefix("IPY_MODEL_") for child in self.models[key]["children"]]

    def move(self, slider, index):
        self.models[slider]["index"] = index
        for link in self.of_kind("LinkModel"):
            (source, name), (target, target_name) = (
                (model.removeprefix("IPY_MODEL_"), trait)
                for model, trait in (self.models[link]["source"], self.models[link]["target"])
            )
            if source == slider:
                self.models[target][target_name] = self.models[source][name]

    def shown(self) -> str:
        """The picture in view, in base64."""
        key = self.children(self.root)[0]
        while self.models[key]["_model_name"] == "StackModel":
            key = self.children(key)[self.models[key]["selected_index"]]
        return self.values[key]


def test_every_frame_travels_once_with_the_page():
    page = Page(explore(draw, scale=SCALE, rate=RATE))
    assert len(page.of_kind("ImageModel")) == 6
    assert len(set(page.values.values())) == 6
    # One link for the outer stack, and one for each of the three inner stacks.
    assert len(page.of_kind("LinkModel")) == 4


def test_stored_links_alone_move_the_picture_to_the_values_that_the_sliders_name():
    page = Page(explore(draw, scale=SCALE, rate=RATE))
    scale, rate = page.of_kind("SelectionSliderModel")
    for i, j in [(0, 0), (2, 1), (2, 0), (1, 1), (0, 1)]:
        page.move(scale, i)
        page.move(rate, j)
        alone = Page(explore(lambda pick: draw(*pick), pick=_two_picks(i, j)))
        assert page.shown() == alone.shown()


def _two_picks(i, j):
    """A choice whose first value is the pair to draw; the second only makes it a choice."""
    return Choice([(SCALE.values[i], RATE.values[j]), (9, 0.9)], format="{}")


def test_starting_sliders_and_starting_frame_agree():
    widget = explore(draw, scale=SCALE, rate=RATE)
    figure, *controls = widget.children
    assert [control.children[1].index for control in controls] == [1, 0]
    assert figure.selected_index == 1
    assert [inner.selected_index for inner in figure.children] == [0, 0, 0]
    assert Page(widget).shown() == Page(explore(draw, scale=[5, 6], rate=[0.25, 0.5])).shown()


def test_three_choices_nest_three_deep():
    def draw_three(scale, rate, title):
        figure = draw(scale, rate)
        figure.suptitle(title)
        return figure

    page = Page(explore(draw_three, scale=SCALE, rate=RATE, title=["pca", "zca"]))
    assert len(page.of_kind("ImageModel")) == 12
    assert len(page.of_kind("LinkModel")) == 1 + 3 + 6
    before = page.shown()
    page.move(page.of_kind("SelectionSliderModel")[2], 1)
    assert page.shown() != before


def test_slider_options_are_the_real_values_with_their_unit():
    widget = explore(draw, scale=SCALE, rate=RATE)
    scale, rate = (control.children[1] for control in widget.children[1:])
    assert scale.options == ("3", "5", "7")
    assert rate.options == ("0.25\N{NO-BREAK SPACE}%", "0.50\N{NO-BREAK SPACE}%")
    assert scale.readout and scale.continuous_update


def test_labels_carry_symbol_and_both_languages_and_are_escaped():
    widget = explore(draw, scale=SCALE, rate=RATE)
    scale, rate = (control.children[0].value for control in widget.children[1:])
    assert scale == (
        '<span class="explorable-symbol">s</span> <span lang="ko">특성의 크기</span>'
        '<span class="lang-separator"> · </span><span lang="en">feature scale</span>'
    )
    assert rate == "rate &lt;η&gt;"


def test_a_plain_list_is_named_by_its_keyword():
    assert explore(draw, scale=np.array([3, 4])).children[1].children[0].value == "scale"


def test_repr_is_short_and_stable():
    widget = explore(draw, scale=SCALE, rate=RATE)
    assert repr(widget) == "explore(draw, scale=3 values, rate=2 values)"
    assert widget._repr_mimebundle_()["text/plain"] == repr(widget)


def test_frames_are_small_sharp_and_transparent_with_nothing_that_changes_between_runs():
    frame = frame_of(scale=4)
    assert frame == frame_of(scale=4)
    image = PIL.Image.open(io.BytesIO(frame))
    assert image.format == "WEBP"
    assert image.size == SIZE
    assert image.convert("RGBA").getpixel((0, 0))[3] == 0
    assert len(image.convert("RGBA").getcolors(256)) > 2  # no more than 256, as drawn
    assert not {"exif", "xmp", "icc_profile"} & set(image.info)


def test_frames_keep_one_size_when_the_style_crops():
    with plt.rc_context({"savefig.bbox": "tight"}):
        assert PIL.Image.open(io.BytesIO(frame_of(scale=4))).size == SIZE


def test_a_frame_is_what_savefig_draws_and_leaves_the_resolution_alone():
    def titled():
        figure, axes = plt.subplots(figsize=(3, 2), facecolor="yellow", layout="constrained")
        axes.plot([0, 1], [0, 9], "o-")
        axes.set(facecolor="pink", xlabel="a label", title="a title that needs room\nin two lines")
        return figure

    saved, figure = io.BytesIO(), titled()
    box = figure.bbox_inches
    figure.savefig(saved, format="png", dpi=150, transparent=True, bbox_inches=box)
    expected = PIL.Image.open(saved).quantize(method=PIL.Image.Quantize.FASTOCTREE)
    figure = titled()
    drawn = rasterize(figure, dpi=150, crop=False)
    assert drawn.convert("RGBA").tobytes() == expected.convert("RGBA").tobytes()
    assert figure.dpi == plt.rcParams["figure.dpi"]
    plt.close("all")


def test_frames_shrink_on_a_phone_and_keep_their_place_while_loading():
    image = explore(draw, scale=SCALE).children[0].children[0]
    assert (image.width, image.height) == ("220", "165")
    assert (image.layout.max_width, image.layout.height) == ("100%", "auto")


def test_boxes_have_the_classes_that_the_style_sheet_needs():
    widget = explore(draw, scale=SCALE)
    figure, control = widget.children
    assert "explorable" in widget._dom_classes
    assert "explorable-figure" in figure._dom_classes
    assert "explorable-control" in control._dom_classes
    assert "explorable-label" in control.children[0]._dom_classes


@pytest.mark.parametrize("how", ["new figure", "current figure"])
def test_draw_may_return_nothing_and_use_pyplot(how):
    def draw_with_pyplot(scale):
        if how == "new figure":
            draw(scale)
        else:
            plt.gcf().set_size_inches(2, 1.5)
            plt.bar([0, 1], [scale, 7.5])
            plt.ylim(0, 10)

    image = explore(draw_with_pyplot, scale=[4, 5]).children[0].children[0]
    assert bytes(image.value) == frame_of(scale=4)


def test_figures_are_closed_and_the_callers_figure_is_left_alone():
    mine, axes = plt.subplots()
    try:
        explore(draw, scale=SCALE)
        explore(lambda scale: plt.plot([scale])[0].figure, scale=SCALE)
        assert plt.get_fignums() == [mine.number]
        assert not axes.lines
    finally:
        plt.close(mine)


def test_figures_are_closed_when_draw_fails():
    def fail(scale):
        draw(scale)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        explore(fail, scale=SCALE)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "choices: expected 1 to 3, got 0"),
        ({name: [1, 2] for name in "abcd"}, "choices: expected 1 to 3, got 4"),
        ({"scale": []}, "scale: expected at least two values, got 0"),
        ({"scale": [3]}, "scale: expected at least two values, got 1"),
        ({"scale": Choice([3, 4], start=2)}, "scale: expected start between 0 and 1, got 2"),
        ({"scale": Choice([3, 4], start=-1)}, "scale: expected start between 0 and 1, got -1"),
        ({"scale": [1.0, 1.0000001]}, "scale: expected values that format differently"),
        ({"scale": Choice([3, 4], {"ko": "크기"})}, "scale: expected a label in"),
        ({"scale": [None, 3]}, r"scale: expected values that '\{:g\}' can write, got \(None, 3\)"),
        ({"scale": Choice([3, 4], format="{:q}")}, "scale: expected values that"),
        ({"scale": Choice([3, 4], format="{x}")}, "scale: expected values that"),
        ({"scale": range(1, 11), "rate": range(7)}, "choices: expected at most 60 frames, got 70"),
    ],
)
def test_choices_that_cannot_be_sliders_are_refused_before_anything_is_drawn(choices, message):
    with pytest.raises(ValueError, match=message):
        explore(lambda **values: pytest.fail("drawn"), **choices)


def test_a_choice_that_is_no_list_is_refused():
    with pytest.raises(TypeError, match="scale: expected a Choice or a list of values, got int"):
        explore(draw, scale=3)
    with pytest.raises(TypeError, match="scale: expected a label that is text, got int"):
        explore(draw, scale=Choice([3, 4], label=5))


def test_sixty_frames_are_allowed():
    widget = explore(lambda i, j: plt.figure(figsize=(0.2, 0.2)), i=range(10), j=range(6))
    assert sum(len(stack.children) for stack in widget.children[0].children) == 60


def test_frames_heavier_than_the_limit_are_refused():
    noise = np.random.default_rng(0).random((400, 500))

    def draw_noise(scale):
        figure = plt.figure(figsize=(6, 4))
        figure.add_axes((0, 0, 1, 1)).imshow(noise * scale, vmin=0, vmax=3)
        return figure

    with pytest.raises(ValueError, match=rf"at most {MAX_BYTES // 1000} kB together, got \d+"):
        explore(draw_noise, scale=[2, 3])


@pytest.mark.parametrize("answer", [None, 3, (plt.Figure(), None)])
def test_draw_must_yield_a_figure(answer):
    kind = type(answer).__name__
    with pytest.raises(TypeError, match=f"draw: expected a matplotlib Figure.*got {kind}"):
        explore(lambda scale: answer, scale=SCALE)


def test_importing_bnlib_imports_neither_widgets_nor_matplotlib():
    script = (
        "import sys, bnlib; sys.exit(bool({'ipywidgets', 'matplotlib', 'PIL'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_widgets_have_names_that_the_page_can_load():
    """A page loads widget classes by name, and knows only those of ipywidgets itself."""
    models = Page(explore(draw, scale=SCALE)).models.values()
    known = {cls._model_name.default_value for cls in _ipywidgets_classes()}
    assert {state["_model_name"] for state in models} <= known


def _ipywidgets_classes():
    classes = [ipywidgets.Widget]
    while classes:
        cls = classes.pop()
        classes += cls.__subclasses__()
        if cls.__module__.startswith("ipywidgets."):
            yield cls
