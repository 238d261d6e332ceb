"""How the book's figures look, and the pictures they become: sharp, small, alike in every run."""

import io

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
import PIL.ImageChops
from IPython import get_ipython
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bnlib._narrow import narrowed

SHARPNESS = 2  # pixels of a picture to one of the page: the screens of phones and laptops show them
CSS_DPI = 96  # a page's pixels are this small by definition
NARROW = "application/vnd.bnlib.narrow+"  # and png or jpeg: the kind of a picture for phones
OF_A_PHOTOGRAPH = 20_000  # colours or more; a drawing has some thousands, from the edges of lines


def use_book_style() -> None:
    """Draw as the book does; in a notebook, show figures as sharp and small pictures."""
    # The notebook's backend brings a format of its own when it loads, so it has to be first.
    plt.switch_backend(plt.get_backend())
    plt.style.use("bnlib.book")
    if shell := get_ipython():
        shell.display_formatter.formatters["image/png"].pop(Figure, None)
        shell.display_formatter.mimebundle_formatter.for_type(Figure, _picture)


def rasterize(figure: Figure, dpi: float, crop: bool) -> PIL.Image.Image:
    """The figure in 256 colours, or in all of them where one would see the difference.

    With `crop`, what is empty around the drawing is cut off.
    """
    image = _cropped(figure, dpi) if crop else _whole(figure, dpi)
    fewer = image.quantize(method=PIL.Image.Quantize.FASTOCTREE)
    difference = PIL.ImageChops.difference(_on_white(image), _on_white(fewer))
    changed = np.asarray(difference).max(axis=-1) >= 12  # of 255
    return image if changed.mean() > 0.015 else fewer


def _cropped(figure: Figure, dpi: float) -> PIL.Image.Image:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi, transparent=True, bbox_inches="tight")
    return PIL.Image.open(drawn)


def _whole(figure: Figure, dpi: float) -> PIL.Image.Image:
    """As `savefig` draws it, which draws twice: first to learn how much room the words need."""
    for background in (figure, *figure.axes):
        background.patch.set(facecolor="none", edgecolor="none")
    dpi_before = figure.dpi
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_dpi(dpi_before)
    return PIL.Image.fromarray(np.array(canvas.buffer_rgba()))


def _on_white(image: PIL.Image.Image) -> PIL.Image.Image:
    white = PIL.Image.new("RGBA", image.size, "white")
    return PIL.Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _picture(figure: Figure, include=None, exclude=None) -> tuple[dict, dict] | None:
    """What a notebook stores of a figure, and the sizes to show: a picture, and one for phones.

    No frontend knows the second one's kind, so that a notebook shows the first; the book has both.
    """
    if not figure.axes:
        return None
    data, sizes = {}, {}
    for prefix, drawn in (("image/", figure), (NARROW, narrowed(figure))):
        if drawn:
            kind, packed, size = _packed(rasterize(drawn, SHARPNESS * drawn.dpi, crop=True))
            data[prefix + kind], sizes[prefix + kind] = packed, size
    return data, sizes


def _packed(image: PIL.Image.Image) -> tuple[str, bytes, dict]:
    """As a PNG, a photograph as a JPEG: which of them, its bytes, and the size to show."""
    packed, density = io.BytesIO(), (SHARPNESS * CSS_DPI, SHARPNESS * CSS_DPI)
    if image.getcolors(OF_A_PHOTOGRAPH) is None:
        kind = "jpeg"
        _on_white(image).save(packed, kind, quality=90, dpi=density)
    else:
        kind = "png"  # Pillow adds no version and no date
        image.save(packed, kind, optimize=True, dpi=density)
    width, height = (round(pixels / SHARPNESS) for pixels in image.size)
    return kind, packed.getvalue(), {"width": width, "height": height}
