"""How the book's figures look, and the pictures they become: sharp, small, alike in every run."""

import io

import matplotlib.pyplot as plt
import PIL.Image
from IPython import get_ipython
from matplotlib.figure import Figure

SHARPNESS = 2  # pixels of a picture to one of the page: the screens of phones and laptops show them
CSS_DPI = 96  # a page's pixels are this small by definition


def use_book_style() -> None:
    """Draw as the book does; in a notebook, show figures as sharp and small PNGs."""
    # The notebook's backend brings a format of its own when it loads, so it has to be first.
    plt.switch_backend(plt.get_backend())
    plt.style.use("bnlib.book")
    if shell := get_ipython():
        shell.display_formatter.formatters["image/png"].for_type(Figure, _png)


def rasterize(figure: Figure, dpi: float, crop: bool) -> PIL.Image.Image:
    """The figure in at most 256 colours, each with its transparency: all that lines and areas need.

    With `crop`, what is empty around the drawing is cut off.
    """
    drawn = io.BytesIO()
    box = "tight" if crop else figure.bbox_inches
    figure.savefig(drawn, format="png", dpi=dpi, transparent=True, bbox_inches=box)
    return PIL.Image.open(drawn).quantize(method=PIL.Image.Quantize.FASTOCTREE)


def _png(figure: Figure) -> tuple[bytes, dict[str, int]] | None:
    """What a notebook stores of a figure: a PNG that tells its density, and the size to show."""
    if not figure.axes:
        return None
    image = rasterize(figure, SHARPNESS * figure.dpi, crop=True)
    packed = io.BytesIO()
    image.save(packed, "png", optimize=True, dpi=(SHARPNESS * CSS_DPI, SHARPNESS * CSS_DPI))
    width, height = (round(pixels / SHARPNESS) for pixels in image.size)
    return packed.getvalue(), {"width": width, "height": height}
