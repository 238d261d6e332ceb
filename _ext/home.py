"""The chapter map on the home page: titles, first sentences and reading times of the chapters.

All of it is read from the chapters, so that it cannot drift. The home page holds an empty
`<nav class="chapter-map">`; the page's script adds the reader's progress. What only this page looks
like is in `_static/home.css`.
"""

from __future__ import annotations

import re
from html import escape

from docutils import nodes
from search_text import text_of
from sphinx.application import Sphinx
from sphinx.util import logging
from words import WORDS

PLACE = '<nav class="chapter-map"></nav>'
READING_TIME = re.compile(r"(?:읽는 시간 약|Reading time about) (\d+)")
SPACES = re.compile(r"[ \n]+")  # what may be one space; a space where no line ends is not
SENTENCE = re.compile(r".+?[.?](?=\s|$)")
logger = logging.getLogger(__name__)


def note_chapter(app: Sphinx, doctree: nodes.document) -> None:
    """Keep a page's first paragraph, and how long it takes to read."""
    metadata = app.env.metadata[app.env.docname]
    texts = (
        "".join(text_of(p))
        for p in doctree.findall(nodes.paragraph)
        if not isinstance(p.parent, nodes.system_message)
    )
    paragraphs = [SPACES.sub(" ", text).strip() for text in texts]
    metadata["first_paragraph"] = next(filter(None, paragraphs), "")
    times = [int(m[1]) for m in map(READING_TIME.search, paragraphs) if m]
    metadata["minutes"] = times[0] if times else 0
    if app.env.docname == app.config.root_doc:  # one screen: its two columns need the room
        metadata["html_theme.sidebar_secondary.remove"] = True


def write_home_again(app: Sphinx, env) -> list[str]:
    return [env.config.root_doc]


def fill_map(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    if PLACE in context.get("body", ""):
        context["body"] = context["body"].replace(PLACE, chapter_map(app))
    else:  # Jupyter Book links every style sheet to every page
        sheets = context["css_files"]
        context["css_files"] = [sheet for sheet in sheets if "home.css" not in str(sheet.filename)]


def chapter_map(app: Sphinx) -> str:
    words = WORDS[app.config.bilingual_lang]
    parts, minutes = "", 0
    for part in app.config.external_site_map.root.subtrees:
        chapters = [str(item) for item in part.items]
        minutes += sum(app.env.metadata[docname]["minutes"] for docname in chapters)
        entries = "".join(entry(app, docname, words) for docname in chapters)
        parts += f"<h3>{escape(part.caption)}</h3><ul>{entries}</ul>"
    total = words["hours"].format(round(minutes / 60))
    return f'<nav class="chapter-map" aria-label="{words["chapters"]}"><p>{total}</p>{parts}</nav>'


def entry(app: Sphinx, docname: str, words: dict) -> str:
    env = app.env
    href = app.builder.get_relative_uri(env.config.root_doc, docname)
    number = ".".join(map(str, env.toc_secnumbers.get(docname, {}).get("", ())))
    title = f"{number}. {env.titles[docname].astext()}" if number else env.titles[docname].astext()
    link = f'<a class="reference internal" href="{href}">{escape(title)}</a>'
    if not number:
        return f"<li>{link}</li>"
    metadata = env.metadata[docname]
    if not metadata["minutes"]:
        logger.warning("no line 'Reading time about N minutes'", location=docname)
    time = words["minutes"].format(metadata["minutes"])
    summary = opening(metadata["first_paragraph"])
    return f"<li>{link} <span>{time}</span><p>{escape(summary)}</p></li>"


def opening(paragraph: str) -> str:
    """As many sentences as say something: "Training went well." alone does not."""
    summary = ""
    for sentence in SENTENCE.findall(paragraph):
        summary += sentence
        if len(summary) >= 40:
            break
    return summary or paragraph


def setup(app: Sphinx) -> dict:
    app.connect("doctree-read", note_chapter)
    app.connect("env-updated", write_home_again)
    app.connect("html-page-context", fill_map)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
