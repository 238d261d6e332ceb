"""What the book's search looks through: the words of every section, one file a language.

Sphinx's own index splits Korean at spaces, so that a word and the same word with a particle are
strangers, and it does not rank by how often a word stands on a page. `_static/search.js` reads
this file and does both. A section is also found by the terms that the book's index lists for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from appendices import INDEX, index_terms
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from tidy_page import WORD_JOINER

UNREAD = (
    nodes.math,
    nodes.math_block,
    nodes.literal_block,
    nodes.raw,
    nodes.comment,
    nodes.title,
    addnodes.pending_xref,
)
BLOCKS = (nodes.paragraph, nodes.title, nodes.caption, nodes.entry, nodes.term)


def text_of(node: nodes.Node) -> Iterator[str]:
    """The words of one section: not its formulas and code, nor the sections inside it."""
    if isinstance(node, nodes.Text):
        yield node.astext().replace(WORD_JOINER, "")
    elif not isinstance(node, (nodes.section, *UNREAD)):
        for child in node.children:
            yield from text_of(child)
        if isinstance(node, BLOCKS):
            yield " "


def one_line(text: str) -> str:
    """With its no-break spaces: they hold a number and its unit together, in results too."""
    return re.sub("[ \n\t]+", " ", text).strip()


def collect_sections(app: Sphinx, doctree: nodes.document) -> None:
    """[id, title, words, terms of the index] of each section. The first is the page itself."""
    sections = []
    terms = index_terms(app.config.bilingual_lang)
    app.env.note_dependency(str(INDEX))
    for section in doctree.findall(nodes.section):
        words = "".join(word for child in section.children for word in text_of(child))
        title = section.next_node(nodes.title)
        label = section["ids"][0]
        listed = "; ".join(terms.get(label, []))
        sections.append([label, one_line(title.astext()), one_line(words), listed])
    app.env.metadata[app.env.docname]["search_sections"] = sections


def write_sections(app: Sphinx, error: Exception | None) -> None:
    if error or app.builder.format != "html":
        return
    pages = []
    for docname in sorted(app.env.found_docs):
        number = app.env.toc_secnumbers.get(docname, {}).get("", ())
        pages.append(
            {
                "address": app.builder.get_target_uri(docname),
                "number": ".".join(map(str, number)),
                "sections": app.env.metadata[docname].get("search_sections", []),
            }
        )
    # A script and not JSON: a page opened straight from disk may not fetch.
    text = f"bookText = {json.dumps(pages, ensure_ascii=False)};\n"
    Path(app.outdir, "search-text.js").write_text(text, "utf-8")


def add_script(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    app.add_js_file("search.js", loading_method="defer")


def setup(app: Sphinx) -> dict:
    app.connect("doctree-read", collect_sections, priority=900)  # after sections have their ids
    app.connect("html-page-context", add_script)
    app.connect("build-finished", write_sections)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
