"""The notebook that the download button gives and Colab opens: one language, plain Markdown.

Jupyter knows no roles, labels or captions. So a reference becomes the words or the number that the
page has for it, a caption stands below its figure, and code that only draws is folded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from bilingual import is_appendix, localize, notebooks, stored_notebook
from docutils.nodes import make_id
from narrow_pictures import KIND as FOR_PHONES
from pybtex.database import Entry
from pybtex.richtext import Text
from sphinx.application import Sphinx

FETCH = """\
from importlib.util import find_spec
from pathlib import Path

if not (find_spec("bnlib") and Path("../experiments/results").is_dir()):
    if not Path("batch-normalization").is_dir():
        !git clone --quiet --depth 1 --branch {branch} {url} batch-normalization
    %pip install --quiet ./batch-normalization
    %cd -q batch-normalization/chapters"""
LABEL = re.compile(r"^\([\w-]+\)=\n", re.M)
EQUATION = re.compile(r"\$\$(.+?)\s*\$\$ *\(([\w-]+)\)", re.S)
ROLE = re.compile(r"\{(\w+)\}`(?:([^`<]+?) *<([^`>]+)>|([^`]+))`")
READ_AT = {"doi": "https://doi.org/", "eprint": "https://arxiv.org/abs/", "url": ""}


class Plain:
    """MyST as plain Markdown, with the words, numbers and addresses of the built book."""

    def __init__(self, app: Sphinx) -> None:
        self.env, self.config = app.env, app.config
        self.roles = {
            "ref": self.section,
            "numref": self.figure,
            "eq": self.equation,
            "cite": self.citation,
            "side": lambda words, side: side,
        }

    def __call__(self, text: str) -> str:
        text = EQUATION.sub(self.with_number, LABEL.sub("", text))
        return ROLE.sub(lambda role: self.roles[role[1]](role[2], role[3] or role[4]), text)

    def section(self, words: str | None, label: str) -> str:
        std = self.env.domaindata["std"]
        docname, id = std["anonlabels"][label]
        return self.link(words or std["labels"][label][2], docname, id)

    def figure(self, words: str | None, label: str) -> str:
        docname, id = self.env.domaindata["std"]["anonlabels"][label]
        name = self.config.numfig_format["figure"] % self.number(docname, "figure", id)
        return self.link(name, docname, id)

    def equation(self, words: str | None, label: str) -> str:
        docname, _ = self.env.domaindata["math"]["objects"][label]
        return f"({self.number(docname, 'displaymath', make_id(f'equation-{label}'))})"

    def with_number(self, equation: re.Match) -> str:
        number = self.equation(None, equation[2]).strip("()")
        return f"$${equation[1]} \\tag{{{number}}}\n$$"

    def citation(self, words: str | None, keys: str) -> str:
        entries = self.env.domaindata["cite"]["bibdata"].data.entries
        return f"[{'; '.join(cited(entries[key]) for key in keys.split(','))}]"

    def number(self, docname: str, kind: str, id: str) -> str:
        return ".".join(map(str, self.env.toc_fignumbers[docname][kind][id]))

    def link(self, words: str, docname: str, id: str) -> str:
        """To the page, if it is known where the book is published."""
        base = self.config.html_baseurl.rstrip("/")
        address = f"{base}/{self.config.bilingual_lang}/{docname}.html#{id}"
        return f"[{words}]({address})" if base else words


def cited(entry: Entry) -> str:
    """Who and when, as in the book, and where to read it."""
    first, *others = [
        str(Text.from_latex(" ".join([*person.prelast_names, *person.last_names])))
        for person in entry.persons["author"]
    ]
    names = f"{first} and {others[0]}" if len(others) == 1 else first + " et al." * bool(others)
    words = f"{names}, {entry.fields['year']}"
    for field, site in READ_AT.items():
        if field in entry.fields:
            return f"[{words}]({site}{entry.fields[field]})"
    return words


def plain_cells(cells: list[dict], plain: Plain) -> Iterator[dict]:
    for cell in cells:
        metadata = {k: v for k, v in cell["metadata"].items() if k not in ("figure", "mystnb")}
        if cell["cell_type"] == "markdown":
            yield cell | {"source": plain("".join(cell["source"]))}
            continue
        if {"hide-input", "hide-cell"} & set(metadata.get("tags", [])):
            metadata["jupyter"] = {"source_hidden": True}
        outputs = [without_narrow_picture(output) for output in cell["outputs"]]
        yield cell | {"metadata": metadata, "outputs": outputs}
        if "figure" in cell["metadata"]:
            rendered = cell["metadata"]["mystnb"]["figure"]
            words = f"**{{numref}}`{rendered['name']}`** {rendered['caption']}"
            id = f"{cell['id']}-caption"
            yield {"id": id, "cell_type": "markdown", "metadata": {}, "source": plain(words)}


def without_narrow_picture(output: dict) -> dict:
    shown = dict(output)
    for part in {"data", "metadata"} & set(output):
        shown[part] = {k: v for k, v in output[part].items() if not k.startswith(FOR_PHONES)}
    return shown


def fetching(options: dict) -> dict:
    """A first cell that gets bnlib and the recorded runs where they are missing, as in Colab."""
    source = FETCH.format(url=options["repository_url"], branch=options["repository_branch"])
    cell = {"id": "fetch-book", "cell_type": "code", "metadata": {}, "source": source}
    return cell | {"execution_count": None, "outputs": []}


def write_notebooks(app: Sphinx, error: Exception | None) -> None:
    if error or app.builder.format != "html":
        return
    plain, options = Plain(app), app.config.html_theme_options
    for docname, path in notebooks(app.env):
        target = Path(app.outdir, "_sources", docname + path.suffix)
        if is_appendix(docname):
            target.unlink(missing_ok=True)
        elif target.exists():
            notebook = localize(stored_notebook(path), app.config.bilingual_lang)
            cells = list(plain_cells(notebook["cells"], plain))
            if options.get("repository_url"):  # once it has an address
                cells.insert(0, fetching(options))
            notebook = {**notebook, "cells": cells}
            target.write_text(json.dumps(notebook, ensure_ascii=False, indent=1), "utf-8")


def offer_what_runs(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """An appendix is made of lists: as a notebook it would be empty."""
    for group in context.get("header_buttons", []) if is_appendix(pagename) else []:
        if group["label"] == "download-buttons":
            group["buttons"] = [b for b in group["buttons"] if b["text"] != ".ipynb"]


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", offer_what_runs, priority=900)  # after the theme made them
    app.connect("build-finished", write_notebooks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
