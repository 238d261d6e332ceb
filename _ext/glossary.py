"""The terms of chapters/glossary.tsv: their list, and a definition where a page first uses one.

Each term has one definition a language in chapters/definitions.tsv. The first use on a page becomes
a link to its place in the glossary, and shows the definition while it is pointed at or focused.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bilingual import is_appendix
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

CHAPTERS = Path(__file__).parents[1] / "chapters"
FILES = (CHAPTERS / "glossary.tsv", CHAPTERS / "definitions.tsv")
PAGE = "chapters/90_glossary"
# A definition inside these would stand in the way: headings, other links, code, formulas, tables.
LEFT_ALONE = (
    *(nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math),
    *(nodes.math_block, nodes.raw, nodes.caption, nodes.legend, nodes.table, nodes.strong),
    nodes.Invisible,
)


class Term(NamedTuple):
    ko: str
    en: str
    short: str  # its abbreviation, or nothing
    definition: dict[str, str]

    @property
    def id(self) -> str:
        return "term-" + nodes.make_id(self.en)

    def pattern(self, language: str) -> str:
        if language == "ko":  # 분산은 begins with the term; 공분산 is another word
            return rf"(?<![가-힣]){re.escape(self.ko)}"
        return rf"\b{re.escape(self.en.removeprefix('to '))}(?:e?s)?\b"


@cache
def terms() -> list[Term]:
    names, definitions = (
        list(csv.DictReader(file.open(encoding="utf-8"), delimiter="\t", quoting=csv.QUOTE_NONE))
        for file in FILES
    )
    return [
        Term(
            name["ko"],
            name["en"].split(" (")[0],
            name["note"] if re.fullmatch("[A-Z]{2,4}", name["note"]) else "",
            {language: definition[language] for language in ("ko", "en")},
        )
        for name, definition in zip(names, definitions, strict=True)
    ]


def sorting_key(name: str) -> str:
    return name.lower().removeprefix("to ")


class term_use(nodes.inline):
    """The first use of a term on a page. It stays a text that the search finds."""


def visit_term_use(translator: HTML5Translator, node: term_use) -> None:
    attributes = {"href": node["href"], "data-definition": node["definition"]}
    translator.body.append(translator.starttag(node, "a", "", CLASS="term", **attributes))


def depart_term_use(translator: HTML5Translator, node: term_use) -> None:
    translator.body.append("</a>")


def define_first_uses(app: Sphinx, doctree: nodes.document) -> None:
    docname = app.env.docname
    if app.builder.format != "html" or is_appendix(docname) or PAGE not in app.env.found_docs:
        return
    language = app.config.bilingual_lang
    page = app.builder.get_relative_uri(docname, PAGE)
    remaining = {term.pattern(language): term for term in terms()}
    longest_first = sorted(remaining, key=len, reverse=True)
    any_term = re.compile("|".join(f"({pattern})" for pattern in longest_first), re.I)
    for text in [node for node in doctree.findall(nodes.Text) if may_define(node)]:
        pieces, end = [], 0
        for match in any_term.finditer(text):
            term = remaining.pop(longest_first[match.lastindex - 1], None)
            if term:
                definition = term.definition[language].replace("`", "")
                pieces.append(nodes.Text(text[end : match.start()]))
                pieces.append(
                    term_use("", match[0], href=f"{page}#{term.id}", definition=definition)
                )
                end = match.end()
        if pieces:
            text.parent.replace(text, [*pieces, nodes.Text(text[end:])])


def may_define(text: nodes.Text) -> bool:
    node, in_prose = text.parent, False
    while node is not None:
        if isinstance(node, LEFT_ALONE) or "cell_output" in node.get("classes", []):
            return False
        in_prose = in_prose or isinstance(node, nodes.paragraph)
        node = node.parent
    return in_prose


class GlossaryTerms(SphinxDirective):
    """All terms with their definitions, sorted by the page's language."""

    def run(self) -> list[nodes.Node]:
        language = self.config.bilingual_lang
        for file in FILES:
            self.env.note_dependency(str(file))
        entries = nodes.definition_list(classes=["glossary-terms"])
        other = "en" if language == "ko" else "ko"
        for term in sorted(terms(), key=lambda t: sorting_key(getattr(t, language))):
            partner = ", ".join(filter(None, [getattr(term, other), term.short]))
            name = nodes.term("", f"{getattr(term, language)} ({partner})", ids=[term.id])
            definition = nodes.definition()
            self.state.nested_parse(StringList([term.definition[language]], ""), 0, definition)
            entries += nodes.definition_list_item("", name, definition)
        return [entries]


def add_script(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    if doctree is not None and any(doctree.findall(term_use)):
        app.add_js_file("terms.mjs", type="module")


def setup(app: Sphinx) -> dict:
    app.add_directive("glossary-terms", GlossaryTerms)
    app.add_node(term_use, html=(visit_term_use, depart_term_use))
    app.connect("doctree-read", define_first_uses)
    app.connect("html-page-context", add_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
