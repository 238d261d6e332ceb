"""One notebook, two languages: keep one language's cells, captions and words.

A Markdown cell tagged `ko` or `en` belongs to that language; a code cell belongs to both. A code
cell's `figure` metadata holds a label and, for each language, a caption and an alternative text.
The language is the Sphinx option `bilingual_lang`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.locale import translators
from words import LANGUAGE_NAMES, THEME_KO, WORDS


def is_appendix(docname: str) -> bool:
    """Pages numbered from 90 up follow the chapters: lists and tables, nothing to run."""
    return Path(docname).name.startswith("9")


@cache
def stored_notebook(path: Path) -> dict:
    """A notebook as it is stored. One build asks for it many times, and must not change it."""
    return json.loads(path.read_text("utf-8"))


def notebooks(env: BuildEnvironment) -> Iterator[tuple[str, Path]]:
    """Each page that is a notebook, in order, and where it is stored."""
    for docname in sorted(env.found_docs):
        path = Path(env.doc2path(docname))
        if path.suffix == ".ipynb":
            yield docname, path


def localize(notebook: dict, language: str) -> dict:
    """The notebook as a reader of one language should get it."""
    others = set(LANGUAGE_NAMES) - {language}
    cells = [
        localize_figure(cell, language)
        for cell in notebook["cells"]
        if not others & set(cell["metadata"].get("tags", []))
    ]
    return {**notebook, "cells": cells}


def check_translation(notebook: dict, docname: str) -> None:
    """Every piece of prose stands in each language, Korean first, or the book is not built."""
    awaited = None
    for cell in notebook["cells"]:
        here = f"{docname}, cell {cell['id']!r}"
        tags = [tag for tag in cell["metadata"].get("tags", []) if tag in LANGUAGE_NAMES]
        if awaited and tags != ["en"]:
            raise ExtensionError(f"{awaited} has no English partner right after it")
        if cell["cell_type"] == "markdown" and tags not in (["ko"], ["en"]):
            raise ExtensionError(f"{here} must be tagged 'ko' or 'en', is tagged {tags}")
        if tags == ["en"] and not awaited:
            raise ExtensionError(f"{here} has no Korean partner right before it")
        awaited = here if tags == ["ko"] else None
        figure = cell["metadata"].get("figure", {})
        for code in LANGUAGE_NAMES if figure else ():
            if not all(figure.get(code, {}).get(kind) for kind in ("caption", "alt")):
                raise ExtensionError(f"{here} has a figure without caption or alt text in {code!r}")
    if awaited:
        raise ExtensionError(f"{awaited} has no English partner right after it")


def localize_figure(cell: dict, language: str) -> dict:
    """Put the caption and alternative text where MyST-NB looks for them."""
    figure = cell["metadata"].get("figure")
    if figure is None:
        return cell
    words = figure[language]
    rendered = {
        "figure": {"name": figure["label"], "caption": words["caption"]},
        "image": {"alt": words["alt"]},
    }
    return {**cell, "metadata": {**cell["metadata"], "mystnb": rendered}}


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    if app.env.doc2path(docname).endswith(".ipynb"):
        notebook = json.loads(source[0])
        check_translation(notebook, docname)
        notebook = localize(notebook, app.config.bilingual_lang)
        source[0] = json.dumps(notebook, ensure_ascii=False)


def configure(app: Sphinx, config: Config) -> None:
    language = config.bilingual_lang
    if language not in WORDS:
        raise ValueError(f"bilingual_lang must be one of {sorted(WORDS)}, got {language!r}")
    words = WORDS[language]
    config.html_title = words["title"]
    config.html_theme_options["toc_title"] = words["contents"]
    config.numfig_format = {
        "figure": words["figure"],
        "table": words["table"],
        "code-block": words["code"],
        "section": words["section"],
    }
    config.togglebutton_hint = words["show_code"]
    config.togglebutton_hint_hide = words["hide_code"]
    config.nb_code_prompt_show = words["show_code"]
    config.nb_code_prompt_hide = words["hide_code"]
    for item in config.external_site_map.values():
        for toctree in item.subtrees:
            if toctree.caption and " / " in toctree.caption:
                parts = dict(zip(WORDS, toctree.caption.split(" / "), strict=True))
                toctree.caption = parts[language]


def translate_theme(app: Sphinx) -> None:
    if app.config.bilingual_lang == "ko":
        for (_, catalog), translator in translators.items():
            if catalog in ("booktheme", "sphinx", "pydata"):
                getattr(translator, "_catalog", {}).update(THEME_KO)


def add_language_links(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Links to the same page in each language, for readers and for search engines."""
    up = "../" * (pagename.count("/") + 1)
    base = app.config.html_baseurl.rstrip("/") + "/" if app.config.html_baseurl else up
    language = app.config.bilingual_lang
    context["words"] = WORDS[language]
    context["languages"] = [
        {
            "code": code,
            "name": name,
            "href": f"{up}{code}/{pagename}.html",
            "is_current": code == language,
        }
        for code, name in LANGUAGE_NAMES.items()
    ]
    links = [(code, f"{base}{code}/{pagename}.html") for code in LANGUAGE_NAMES]
    if app.config.html_baseurl:  # the canonical address; Sphinx knows of no folder for a language
        context["pageurl"] = dict(links)[language]
    links.append(("x-default", base))
    context["metatags"] = context.get("metatags", "") + "".join(
        f'<link rel="alternate" hreflang="{code}" href="{href}">\n' for code, href in links
    )


def setup(app: Sphinx) -> dict:
    app.add_config_value("bilingual_lang", "ko", "env")
    app.connect("config-inited", configure, priority=900)  # after the table of contents is read
    app.connect("builder-inited", translate_theme)
    app.connect("source-read", read_source, priority=100)
    app.connect("html-page-context", add_language_links, priority=100)  # before the theme's parts
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
