"""How the book's figures look, and the pictures they become: sharp, small, alike in every run."""

import io

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
from IPython import get_ipython
from matplotlib.figure import Figure

SHARPNESS = 2  # pixels of a picture to one of the page: the screens of phones and laptops show them
CSS_DPI = 96  # a page's pixels are this small by definition
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
    drawn = io.BytesIO()
    box = "tight" if crop else figure.bbox_inches
    figure.savefig(drawn, format="png", dpi=dpi, transparent=True, bbox_inches=box)
    image = PIL.Image.open(drawn)
    fewer = image.quantize(method=PIL.Image.Quantize.FASTOCTREE)
    changed = np.abs(_on_white(image) - _on_white(fewer)).max(axis=-1) > 12  # of 255
    return image if changed.mean() > 0.015 else fewer


def _on_white(image: PIL.Image.Image) -> np.ndarray:
    *colours, alpha = np.asarray(image.convert("RGBA"), dtype=np.float32).transpose(2, 0, 1)
    return np.stack(colours, axis=-1) * (alpha / 255)[..., None] + (255 - alpha)[..., None]


def _picture(figure: Figure, include=None, exclude=None) -> tuple[dict, dict] | None:
    """What a notebook stores of a figure: a PNG, of photographs a JPEG, and the size to show."""
    if not figure.axes:
        return None
    image = rasterize(figure, SHARPNESS * figure.dpi, crop=True)
    packed, density = io.BytesIO(), (SHARPNESS * CSS_DPI, SHARPNESS * CSS_DPI)
    if image.getcolors(OF_A_PHOTOGRAPH) is None:
        kind = "image/jpeg"
        PIL.Image.fromarray(_on_white(image).astype(np.uint8)).save(
            packed, "jpeg", quality=90, dpi=density
        )
    else:
        kind = "image/png"  # Pillow adds no version and no date
        image.save(packed, "png", optimize=True, dpi=density)
    width, height = (round(pixels / SHARPNESS) for pixels in image.size)
    return {kind: packed.getvalue()}, {kind: {"width": width, "height": height}}
