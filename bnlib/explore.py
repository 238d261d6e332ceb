"""Sliders on a page without Python: every frame is drawn ahead, then chosen on the client.

`ipywidgets.interact` asks Python for each new picture, so it is dead on a static page. Here the
pictures travel with the page: nested `Stack`s of `Image`s, one level a slider, joined by `jslink`.
"""

import html
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bnlib.figures import rasterize

MAX_CHOICES = 3
MAX_FRAMES = 60
MAX_BYTES = 400_000  # of the frames together; a notebook carries a third more, in base64
DPI = 110  # on the page
SHARPNESS = 1.5  # less than a figure's 2: there are many frames, and all are loaded
LANGUAGES = ("ko", "en")


@dataclass(frozen=True)
class Choice:
    """One slider of `explore`: the values it steps through and how it names them.

    values  two or more; the drawing function receives them as they are
    label   the slider's name, a string or {"ko": ..., "en": ...}; its keyword if left out
    unit    written after each value
    format  how a value is written (`str.format`); a value that is a string is its own text
    start   index of the value shown first
    symbol  written before the label, such as "η"
    """

    values: Iterable
    label: str | Mapping[str, str] | None = None
    unit: str = ""
    format: str = "{:g}"
    start: int = 0
    symbol: str = ""

    def __post_init__(self):
        object.__setattr__(self, "values", tuple(self.values))

    def texts(self) -> list[str]:
        """What the slider shows for each value."""
        unit = f"\N{NO-BREAK SPACE}{self.unit}" if self.unit else ""
        return [
            (value if isinstance(value, str) else self.format.format(value)) + unit
            for value in self.values
        ]


class Explorable(ipywidgets.VBox):
    """What `explore` returns: the figure, and one control a choice under it."""

    def __init__(self, figure: ipywidgets.Widget, controls: list, choices: dict[str, Choice]):
        super().__init__([figure, *controls])
        self._counts = {name: len(choice.values) for name, choice in choices.items()}
        self.add_class("explorable")

    def __repr__(self) -> str:
        """Short and the same in every run, because it is stored in the notebook."""
        counts = (f"{name}={count} values" for name, count in self._counts.items())
        return f"explore(draw, {', '.join(counts)})"


def explore(draw: Callable[..., Figure | None], **choices: Choice | Iterable) -> Explorable:
    """Draw a figure for every combination of choices; show one, with a slider for each choice.

        explore(draw, rate=[0.1, 0.5], scale=Choice([1, 10], {"ko": "크기", "en": "scale"}))

    draw     called as draw(rate=0.1, scale=1); returns a Figure, or None to mean pyplot's current
    choices  one to three `Choice`s, or plain lists of values, in the order of the sliders
    Raises ValueError for a choice that cannot be a slider, more than 60 frames, or frames of more
    than 400 kB together; TypeError for choices that are no list, a label that is no text, or a draw
    that yields no figure.
    """
    checked = {name: _checked(name, choice) for name, choice in choices.items()}
    if not 1 <= len(checked) <= MAX_CHOICES:
        raise ValueError(f"choices: expected 1 to {MAX_CHOICES}, got {len(checked)}")
    frame_count = prod(len(choice.values) for choice in checked.values())
    if frame_count > MAX_FRAMES:
        raise ValueError(f"choices: expected at most {MAX_FRAMES} frames, got {frame_count}")

    frames = _draw_frames(draw, checked)
    sliders = [_slider(choice) for choice in checked.values()]
    figure = _nest(iter(frames), sliders).add_class("explorable-figure")
    controls = [
        _control(choice, slider) for choice, slider in zip(checked.values(), sliders, strict=True)
    ]
    return Explorable(figure, controls, checked)


def _checked(name: str, choice: Choice | Iterable) -> Choice:
    """The choice with its values in a tuple and a label, or an error saying what is wrong."""
    if not isinstance(choice, Choice):
        if not isinstance(choice, Iterable):
            kind = type(choice).__name__
            raise TypeError(f"{name}: expected a Choice or a list of values, got {kind}")
        choice = Choice(choice)
    if choice.label is None:
        choice = replace(choice, label=name)
    if not isinstance(choice.label, str | Mapping):
        kind = type(choice.label).__name__
        raise TypeError(f"{name}: expected a label that is text, got {kind}")
    if len(choice.values) < 2:
        raise ValueError(f"{name}: expected at least two values, got {len(choice.values)}")
    if choice.start not in range(len(choice.values)):
        raise ValueError(
            f"{name}: expected start between 0 and {len(choice.values) - 1}, got {choice.start!r}"
        )
    try:
        texts = choice.texts()
    except (ValueError, TypeError, LookupError) as error:
        how = f"expected values that {choice.format!r} can write, got {choice.values}"
        raise ValueError(f"{name}: {how}: {error}") from error
    if len(set(texts)) < len(texts):
        raise ValueError(f"{name}: expected values that format differently, got {texts}")
    if isinstance(choice.label, Mapping) and set(choice.label) != set(LANGUAGES):
        raise ValueError(f"{name}: expected a label in {LANGUAGES}, got {tuple(choice.label)}")
    return choice


def _draw_frames(draw: Callable, choices: Mapping[str, Choice]) -> list[ipywidgets.Image]:
    """One image for each combination; the last choice varies fastest."""
    layout = ipywidgets.Layout(max_width="100%", height="auto")
    frames = []
    for values in product(*(choice.values for choice in choices.values())):
        frame = _frame(draw, dict(zip(choices, values, strict=True)))
        frames.append(ipywidgets.Image(**frame, layout=layout))
    total = sum(len(frame.value) for frame in frames)
    if total > MAX_BYTES:
        raise ValueError(
            f"draw: expected frames of at most {MAX_BYTES / 1000:g} kB together, "
            f"got {total / 1000:.0f} kB in {len(frames)} frames"
        )
    return frames


def _frame(draw: Callable, values: dict) -> dict:
    """One frame, the same in every run. WebP without loss takes two thirds of what PNG takes.

    The size lets the browser keep the place while it decodes, so the page does not jump.
    """
    figures_before = set(plt.get_fignums())
    blank = plt.figure()  # for a draw that uses pyplot, so that it finds nobody else's figure
    try:
        figure = draw(**values)
        if figure is None and (plt.gcf() is not blank or blank.axes):
            figure = plt.gcf()
        if not isinstance(figure, Figure):
            raise TypeError(
                f"draw: expected a matplotlib Figure, or None after drawing, got "
                f"{type(figure).__name__} for {values}"
            )
        # The whole figure even if the style crops: frames of different sizes would jump.
        image = rasterize(figure, SHARPNESS * DPI, crop=False)
        plt.close(figure)
    finally:
        for number in set(plt.get_fignums()) - figures_before:
            plt.close(number)

    packed = io.BytesIO()
    image.convert("RGBA").save(packed, "webp", lossless=True, method=2)
    width, height = (round(pixels / SHARPNESS) for pixels in image.size)
    return {"value": packed.getvalue(), "format": "webp", "width": width, "height": height}


def _slider(choice: Choice) -> ipywidgets.SelectionSlider:
    layout = ipywidgets.Layout(width="auto", flex="1 1 14em")
    return ipywidgets.SelectionSlider(options=choice.texts(), index=choice.start, layout=layout)


def _nest(frames: Iterator[ipywidgets.Image], sliders: list) -> ipywidgets.Widget:
    """Stacks as deep as there are sliders; each is linked on the client to the slider it obeys."""
    if not sliders:
        return next(frames)
    slider, *inner_sliders = sliders
    children = [_nest(frames, inner_sliders) for _ in slider.options]
    stack = ipywidgets.Stack(children, selected_index=slider.index)
    ipywidgets.jslink((slider, "index"), (stack, "selected_index"))
    return stack


def _control(choice: Choice, slider: ipywidgets.SelectionSlider) -> ipywidgets.HBox:
    label = ipywidgets.HTML(_label_html(choice), layout=ipywidgets.Layout(min_width="9em"))
    label.add_class("explorable-label")
    layout = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
    return ipywidgets.HBox([label, slider], layout=layout).add_class("explorable-control")


def _label_html(choice: Choice) -> str:
    """Symbol and name. A page in one language hides the other; Jupyter shows both."""
    name = choice.label
    if isinstance(name, Mapping):
        name = '<span class="lang-separator"> · </span>'.join(
            f'<span lang="{language}">{html.escape(name[language])}</span>'
            for language in LANGUAGES
        )
    else:
        name = html.escape(name)
    if not choice.symbol:
        return name
    return f'<span class="explorable-symbol">{html.escape(choice.symbol)}</span> {name}'
