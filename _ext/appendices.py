"""Lists at the end of the book, made from the notebooks and files that they are about."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml
from bilingual import is_appendix, notebooks, stored_notebook
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from bnlib import exercises

ROOT = Path(__file__).parents[1]
INDEX = ROOT / "chapters" / "index.tsv"
OTHERS = "α, 1"  # the heading of terms that begin with no Latin letter and no Hangul
FIRST_SENTENCE = re.compile(r".+?[.?](?=\s|$)|.+", re.S)
LABEL = re.compile(r"^\(((?:ch|sec)-[\w-]+)\)=$", re.M)
MISCONCEPTION = re.compile(r'<div class="box misconception">\s*\*\*[^*:]+: *(.+?)\*\*', re.S)
TABLE = re.compile(r"(?:^\|.*\n?)+", re.M)


class Chapter(NamedTuple):
    docname: str
    cells: list[dict]  # in one language


class FromFiles(SphinxDirective):
    """MyST text made from files; the page is read again when one of them changes."""

    def run(self) -> list[nodes.Node]:
        container = nodes.container(classes=["book-index"])
        self.state.nested_parse(StringList(self.text().splitlines(), ""), 0, container)
        return container.children if len(container) == 1 else [container]

    @property
    def language(self) -> str:
        return self.config.bilingual_lang

    def read(self, path: Path) -> str:
        self.env.note_dependency(str(path))
        return path.read_text("utf-8")

    def notebook(self, path: Path) -> dict:
        self.env.note_dependency(str(path))
        return stored_notebook(path)

    def chapters(self) -> Iterator[Chapter]:
        """The book's chapters in order, without its appendices."""
        for docname, path in notebooks(self.env):
            if is_appendix(docname):
                continue
            other = "en" if self.language == "ko" else "ko"
            cells = [
                {**cell, "source": "".join(cell["source"])}
                for cell in self.notebook(path)["cells"]
                if other not in cell["metadata"].get("tags", [])
            ]
            yield Chapter(docname, cells)

    def by_chapter(self, lines_of) -> str:
        """One list a chapter, under its title; a chapter with nothing to list is left out."""
        parts = []
        for chapter in self.chapters():
            lines = "\n".join(f"- {line}" for line in lines_of(chapter))
            if lines:
                parts.append(f"**{{doc}}`/{chapter.docname}`**\n\n{lines}\n")
        return "\n".join(parts)


class FigureIndex(FromFiles):
    def text(self) -> str:
        return self.by_chapter(self.lines_of)

    def lines_of(self, chapter: Chapter) -> Iterator[str]:
        for cell in chapter.cells:
            figure = cell["metadata"].get("figure")
            if figure:
                caption = FIRST_SENTENCE.match(figure[self.language]["caption"])[0]
                yield f"{{numref}}`{figure['label']}` {caption}"


class ExerciseIndex(FromFiles):
    def text(self) -> str:
        return self.by_chapter(self.lines_of)

    def lines_of(self, chapter: Chapter) -> Iterator[str]:
        for cell in chapter.cells:
            if "exercise" in cell["metadata"].get("tags", []):
                exercise = exercises.find(cell["metadata"]["exercise"])
                title = getattr(exercise.title, self.language)
                dots = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
                name = f"{exercise.chapter}.{exercise.number} {title}"
                yield f"{{ref}}`{name} <ex-{exercise.id}>` {dots}"


class MisconceptionIndex(FromFiles):
    def text(self) -> str:
        return self.by_chapter(self.lines_of)

    def lines_of(self, chapter: Chapter) -> Iterator[str]:
        label = ""  # of the section that the box stands in
        for cell in chapter.cells:
            if cell["cell_type"] == "markdown":
                label = (LABEL.findall(cell["source"]) or [label])[-1]
                for belief in MISCONCEPTION.findall(cell["source"]):
                    # In its box it follows a colon; here it is a line of its own.
                    belief = re.sub("^[a-z]", lambda letter: letter[0].upper(), belief)
                    yield f"[{belief}](#{label})"  # not a role: a belief may hold code


class TermIndex(FromFiles):
    """The terms of chapters/index.tsv in alphabetical order, each with its sections."""

    def text(self) -> str:
        self.env.note_dependency(str(INDEX))
        sections_of: dict[str, list[str]] = {}
        for section, terms in index_terms(self.language).items():
            for term in terms:
                sections_of.setdefault(term, []).append(section)
        parts, last = [], ""
        for term in sorted(sections_of, key=alphabetical):
            letter = initial(term)
            if letter != last:
                parts.append(f"\n**{letter}**\n")
            places = ", ".join(f"{{ref}}`{section}`" for section in sections_of[term])
            parts.append(f"- {term}: {places}")
            last = letter
        return "\n".join(parts)


def index_terms(language: str) -> dict[str, list[str]]:
    """Section label -> the terms it is listed under in the book's index."""
    with INDEX.open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["section"]: row[language].split("; ") for row in rows}


def alphabetical(term: str) -> tuple[bool, str]:
    """Latin letters, then Hangul, then Greek letters, other signs and digits."""
    return (initial(term) == OTHERS, term.casefold())


def initial(term: str) -> str:
    """The letter a term is listed under; of a Hangul syllable its first consonant."""
    first = term[0].upper()
    if "가" <= first <= "힣":
        return "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"[(ord(first) - ord("가")) // 588]
    return first if "A" <= first <= "Z" else OTHERS


class TableFrom(FromFiles):
    """The table of a chapter's cell, as it stands there: {table-from} 07_inference conventions"""

    required_arguments = 2

    def text(self) -> str:
        notebook, cell_id = self.arguments
        cells = self.notebook(ROOT / "chapters" / f"{notebook}.ipynb")["cells"]
        cell = next(cell for cell in cells if cell["id"] == f"{cell_id}-{self.language}")
        return TABLE.search("".join(cell["source"]))[0]


class Citation(FromFiles):
    """How to cite the book: CITATION.cff as BibTeX."""

    def text(self) -> str:
        cff = yaml.safe_load(self.read(ROOT / "CITATION.cff"))
        fields = {
            "title": cff["title"],
            "author": " and ".join(author_name(author) for author in cff["authors"]),
            "version": cff["version"],
            "year": self.config.copyright,
            "url": self.config.html_baseurl,
        }
        lines = ",\n".join(f"  {name:<7} = {{{value}}}" for name, value in fields.items() if value)
        return f"```bibtex\n@software{{bnlib,\n{lines}\n}}\n```"


class Downloads(FromFiles):
    """The printed book and the offline site: where they are, or what makes them."""

    def text(self) -> str:
        base = self.config.html_baseurl.rstrip("/")
        pdf, offline = f"{self.language}.pdf", "offline.zip"
        if base:
            return f"- [{pdf}]({base}/{pdf})\n- [{offline}]({base}/{offline})"
        return f"- {pdf}: `make pdf`\n- {offline}: `make zip`"


def author_name(author: dict) -> str:
    return author.get("name") or f"{author['family-names']}, {author['given-names']}"


class FileText(FromFiles):
    """A file of the repository as it is: {file-text} LICENSE"""

    required_arguments = 1

    def text(self) -> str:
        text = self.read(ROOT / self.arguments[0])
        if self.arguments[0].endswith(".md"):  # its headings become bold lines, so that they nest
            return re.sub(r"^#+ +(.+)$", r"**\1**", text.split("\n", 1)[1], flags=re.M)
        return f"```text\n{text}```"


def setup(app: Sphinx) -> dict:
    for name, directive in {
        "figure-index": FigureIndex,
        "exercise-index": ExerciseIndex,
        "misconception-index": MisconceptionIndex,
        "term-index": TermIndex,
        "table-from": TableFrom,
        "citation": Citation,
        "downloads": Downloads,
        "file-text": FileText,
    }.items():
        app.add_directive(name, directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
