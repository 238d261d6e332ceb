"""Turn an explorable's stored widget into a picture and plain sliders, one language's words.

`bnlib.explore` leaves ipywidgets in the notebook: stacks of pictures, and a slider for each level
of stacks. A page needs none of that library: its frames become files of their own, fetched when
the reader comes near, and `_static/explorables.js` chooses among them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from html import escape
from pathlib import Path

from bilingual import notebooks, stored_notebook
from sphinx.application import Sphinx

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"


def replace_widgets(app: Sphinx, docname: str, source: list[str]) -> None:
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    widgets = stored_widgets(notebook)
    images = "../" * docname.count("/") + "_images/"
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if VIEW in output.get("data", {}):
                tree = widgets[output["data"][VIEW]["model_id"]]
                alt = cell["metadata"]["mystnb"]["image"]["alt"]
                text = html(cell["id"], widgets, tree, images, alt, app.config.bilingual_lang)
                output["data"] = {"text/html": text}
    notebook["metadata"].pop("widgets", None)
    source[0] = json.dumps(notebook, ensure_ascii=False)


def stored_widgets(notebook: dict) -> dict[str, dict]:
    return notebook["metadata"].get("widgets", {}).get(STATE, {}).get("state", {})


def children(widgets: dict, widget: dict) -> list[dict]:
    return [widgets[name.removeprefix("IPY_MODEL_")] for name in widget["state"]["children"]]


def pictures(widgets: dict, stack: dict) -> Iterator[dict]:
    """Every frame in order; the last slider varies fastest."""
    if stack["model_name"] == "ImageModel":
        yield stack
    else:
        for child in children(widgets, stack):
            yield from pictures(widgets, child)


def content(picture: dict) -> bytes:
    return base64.b64decode(picture["buffers"][0]["data"])


def file_name(picture: dict) -> str:
    return f"{hashlib.sha256(content(picture)).hexdigest()[:16]}.webp"


def html(id: str, widgets: dict, tree: dict, images: str, alt: str, language: str) -> str:
    stack, *rows = children(widgets, tree)
    controls = [children(widgets, row) for row in rows]
    frames = list(pictures(widgets, stack))
    start = 0
    for _, slider in controls:
        start = start * len(slider["state"]["_options_labels"]) + slider["state"]["index"]
    first = frames[start]
    names = " ".join(file_name(frame) for frame in frames)
    return (
        f'<div class="explorable" data-frames="{names}">'
        f'<img src="{images}{file_name(first)}" alt="{escape(alt)}" decoding="sync"'
        f' width="{first["state"]["width"]}" height="{first["state"]["height"]}">'
        + "".join(
            control_html(f"{id}-{number}", label["state"], slider["state"], language)
            for number, (label, slider) in enumerate(controls, start=1)
        )
        + "</div>"
    )


def control_html(id: str, label: dict, slider: dict, language: str) -> str:
    """A label, a slider that explorables.js brings to life, and the chosen value in words."""
    other_language = (
        rf'<span lang="(?!{language})[^>]*>[^<]*</span>|<span class="lang-sep.*?</span>'
    )
    values, index = slider["_options_labels"], slider["index"]
    return (
        f'<div class="explorable-control"><label for="{id}">'
        f"{re.sub(other_language, '', label['value'])}</label>"
        f'<input type="range" id="{id}" max="{len(values) - 1}" value="{index}"'
        f' aria-valuetext="{escape(values[index])}" autocomplete="off" disabled'
        f' data-values="{escape(json.dumps(values, ensure_ascii=False))}">'
        f'<span class="explorable-value" aria-hidden="true">{escape(values[index])}</span></div>'
    )


def add_script(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    if 'class="explorable"' in context.get("body", ""):
        app.add_js_file("explorables.js", loading_method="defer")


def write_pictures(app: Sphinx, error: Exception | None) -> None:
    if not error:
        write_images(app, frames)


def frames(notebook: dict) -> Iterator[tuple[str, bytes]]:
    for widget in stored_widgets(notebook).values():
        if widget["model_name"] == "ImageModel":
            yield file_name(widget), content(widget)


def write_images(app: Sphinx, pictures_of: Callable[[dict], Iterable[tuple[str, bytes]]]) -> None:
    """The files of pictures that pages show and MyST-NB does not write, named and filled."""
    if app.builder.format != "html":
        return
    folder = Path(app.outdir, "_images")
    folder.mkdir(exist_ok=True)
    for _, path in notebooks(app.env):
        for name, picture in pictures_of(stored_notebook(path)):
            (folder / name).write_bytes(picture)


def setup(app: Sphinx) -> dict:
    app.connect("source-read", replace_widgets, priority=150)  # after the language is chosen
    app.connect("html-page-context", add_script)
    app.connect("build-finished", write_pictures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
