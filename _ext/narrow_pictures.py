"""On a phone, a figure's narrow picture: `bnlib.figures` stores one beside each of a notebook.

MyST-NB writes the wide picture to a file named after its content, by which the narrow one is found.
Panels that stand side by side in the one stand under one another in the other. So a caption says
{side}`left` of a panel, and a phone shows "top".
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bilingual import stored_notebook
from docutils import nodes
from explorables import write_images
from sphinx.application import Sphinx
from words import STACKED

KIND = "application/vnd.bnlib.narrow+"  # NARROW of bnlib/figures.py, which building cannot import
# From here on the wide one's words are larger than the narrow one's were on a phone.
WINDOW = "(max-width: 480px)"
IMAGE = re.compile(r'<img [^>]*src="([^"]*/)([0-9a-f]{64})\.\w+"[^>]*>')


class Narrow(NamedTuple):
    file_name: str
    content: bytes
    width: int
    height: int


def narrow_pictures(notebook: dict) -> Iterator[tuple[str, Narrow]]:
    """The hash of each wide picture of a notebook, and the narrow one that belongs to it."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            wide = next((kind for kind in data if kind.startswith("image/")), None)
            narrow = next((kind for kind in data if kind.startswith(KIND)), None)
            if wide and narrow:
                content, size = base64.b64decode(data[narrow]), output["metadata"][narrow]
                name = f"{hashlib.sha256(content).hexdigest()}.{narrow.removeprefix(KIND)}"
                of_wide = hashlib.sha256(base64.b64decode(data[wide])).hexdigest()
                yield of_wide, Narrow(name, content, size["width"], size["height"])


def offer(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    path = Path(app.env.doc2path(pagename)) if doctree else Path()
    if path.suffix != ".ipynb":
        return
    pictures = dict(narrow_pictures(stored_notebook(path)))

    def choose(match: re.Match) -> str:
        narrow = pictures.get(match[2])
        if narrow is None:
            return match[0]
        return (
            f'<picture><source media="{WINDOW}" srcset="{match[1]}{narrow.file_name}" '
            f'width="{narrow.width}" height="{narrow.height}">{match[0]}</picture>'
        )

    context["body"] = IMAGE.sub(choose, context["body"])


def write(app: Sphinx, error: Exception | None) -> None:
    if not error:
        write_images(app, lambda notebook: (narrow[:2] for _, narrow in narrow_pictures(notebook)))


def side(name: str, rawtext: str, text: str, lineno: int, inliner, options=None, content=None):
    """The role: both words, of which the style sheet shows one. Search and lists have the first."""
    if text not in STACKED:
        known = ", ".join(STACKED)
        return [], [inliner.reporter.error(f"side: expected one of {known}; got {text!r}")]
    beside = nodes.inline("", text, classes=["if-beside"])
    stacked = f'<span class="if-stacked">{STACKED[text]}</span>'
    return [beside, nodes.raw("", stacked, format="html")], []


def setup(app: Sphinx) -> dict:
    app.add_role("side", side)
    app.connect("html-page-context", offer, priority=600)  # after tidy_page has settled images
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
