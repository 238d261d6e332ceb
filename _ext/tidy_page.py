"""Small repairs to what the theme and its helpers put on a page."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx


def machinery() -> str:
    """What every page depends on besides its notebook, so that a change rebuilds them all."""
    root = Path(__file__).parent
    folders = (root, root.parent / "bnlib" / "exercises")
    files = [path for folder in folders for path in sorted(folder.rglob("*.[ph][yt]*"))]
    texts = [path.read_bytes() for path in files if path.suffix in {".py", ".html"}]
    return hashlib.sha256(b"".join(texts)).hexdigest()


def label_sections(app: Sphinx, doctree: nodes.document) -> None:
    """Make a section's explicit label its id: headings differ between languages, labels do not."""
    for section in doctree.findall(nodes.section):
        labels = {id for name, id in doctree.nameids.items() if doctree.nametypes.get(name)}
        section["ids"].sort(key=lambda id: id not in labels)


def add_scripts(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    app.add_js_file("book.mjs", type="module")


def drop_scripts(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Jupyter Book always loads sphinx-thebe, which declares one constant twice on a page, and
    Sphinx a catalog for Korean, whose plurals its script compiles: our pages' policy forbids that.
    """
    context["script_files"] = [
        script
        for script in context["script_files"]
        if not re.search(
            "thebe|translations.js",
            f"{getattr(script, 'filename', script)} "
            f"{getattr(script, 'attributes', {}).get('body', '')}",
            re.I,
        )
    ]


def setup(app: Sphinx) -> dict:
    app.add_config_value("machinery", machinery(), "env")
    app.connect("doctree-read", label_sections, priority=100)  # before the contents are collected
    app.connect("html-page-context", add_scripts)
    app.connect("html-page-context", drop_scripts, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
