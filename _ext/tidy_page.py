"""Small repairs to what the theme and its helpers put on a page."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

IMAGE = re.compile(r"<img ([^>]*?) ?/?>")
# Names, punctuation and spaces of code: both themes colour them as they do the box they are in.
PLAIN_WORD = re.compile(r'<span class="(?:n|nn|nx|p|pm|w)">([^<]*)</span>')
VIEWPORT = re.compile(r'<meta name="viewport"[^>]*>\n?')
BEFORE_UNIT = re.compile(r"(?<=\d) (?=%|(?:ms|kB|MB|GB)\b)")
BEFORE_DOTS = re.compile(r" (?=[●○]{3}$)")  # how hard an exercise is, after its title
IN_EXPONENT = re.compile(r"(?<=\de-)(?=\d)")  # 1e-7
BEFORE_PARTICLE = re.compile(r"(?<=[)\]%”’])(?=[가-힣])")
ENDING = re.compile(r"[가-힣,.;:!?)][^\s(]{0,5}")
SHORT_FORMULA = 40  # characters of LaTeX: with what follows it still fits on a phone
NO_BREAK_SPACE, WORD_JOINER = "\u00a0", "\u2060"


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


class KeepTogether(SphinxTransform):
    """No line ends between a number and its unit, inside 1e-7, or between a reference, a
    parenthesis or a short formula and the particle or the full stop after it, where browsers break
    Korean.
    """

    default_priority = 840  # before Sphinx notes the titles that references show
    as_written = nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw

    def apply(self) -> None:
        for text in list(self.document.findall(nodes.Text)):
            if isinstance(text.parent, self.as_written):
                continue
            kept = BEFORE_DOTS.sub(NO_BREAK_SPACE, BEFORE_UNIT.sub(NO_BREAK_SPACE, text))
            kept = BEFORE_PARTICLE.sub(WORD_JOINER, IN_EXPONENT.sub(WORD_JOINER, kept))
            place = text.parent.index(text)
            before = text.parent[place - 1] if place else nodes.Text("")
            ending = ENDING.match(kept)
            if ending and isinstance(before, nodes.math) and len(before.astext()) < SHORT_FORMULA:
                # A word joiner does not hold a formula, which is a box of its own.
                kept = kept[ending.end() :]
                whole = nodes.inline("", "", classes=["keep-together"])
                text.parent[place - 1] = whole
                whole += [before, nodes.Text(ending[0])]
            elif ending and (  # a reference may become "[Ioffe and Szegedy, 2015]"
                isinstance(before, addnodes.pending_xref) or before.astext().endswith((")", "]"))
            ):
                kept = WORD_JOINER + kept
            if kept != text:
                text.parent.replace(text, nodes.Text(kept))


class OneParenthesis(SphinxTransform):
    """A number of an equation brings its parentheses: in ours it would stand as ((5.25))."""

    default_priority = 835  # before words are joined to them

    def apply(self) -> None:
        for reference in list(self.document.findall(addnodes.pending_xref)):
            around = reference.parent
            place = around.index(reference)
            if reference.get("reftype") != "eq" or not 0 < place < len(around) - 1:
                continue
            before, after = around[place - 1], around[place + 1]
            texts = isinstance(before, nodes.Text) and isinstance(after, nodes.Text)
            if texts and before.endswith("(") and after.startswith(")"):
                around.replace(before, nodes.Text(before[:-1]))
                around.replace(after, nodes.Text(after[1:]))


class FoldTogether(SphinxPostTransform):
    """Folded cells in a row are one fold, so that a reader meets one "Show code" and not four."""

    default_priority = 190  # before MyST-NB folds, at 199

    def run(self, **kwargs: object) -> None:
        for cell in list(self.document.findall(nodes.container)):
            after = cell.next_node(descend=False, siblings=True)
            if prints_nothing(cell) and hide_mode(after) == "input":
                after[0].insert(0, cell[0].children)
            elif all_is_folded(cell) and all_is_folded(after):
                after.insert(0, cell.children)
                after["hide_mode"] = "all"
            else:
                continue
            cell.parent.remove(cell)


def all_is_folded(node: nodes.Node | None) -> bool:
    return prints_nothing(node) or hide_mode(node) == "all"


def prints_nothing(node: nodes.Node | None) -> bool:
    return hide_mode(node) in ("input", "all") and len(node) == 1


def hide_mode(node: nodes.Node | None) -> str | None:
    """What MyST-NB folds of a notebook's cell: "input", or "all" of it."""
    return node.get("hide_mode") if isinstance(node, nodes.container) else None


def drop_listed_scripts(app: Sphinx, config: Config) -> None:
    """Jupyter Book lists every script in _static for every page; each is added where it works."""
    config.html_js_files = []


def add_scripts(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    app.add_js_file("book.mjs", type="module")


def settle_images(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Keep pictures' places, so that the text does not jump, and let all but the first wait.

    MyST-NB fixes the size that the notebook tells, which would stretch it on a narrow screen:
    as attributes the same numbers keep its place, and the style sheet lets it shrink.
    """
    seen = 0

    def settle(match: re.Match) -> str:
        nonlocal seen
        seen += 1
        size = r'style="width: (\d+)px; height: (\d+)px;"'
        attributes = re.sub(size, r'width="\1" height="\2"', match[1])
        return f"<img {attributes}" + (' loading="lazy">' if seen > 1 else ">")

    context["body"] = IMAGE.sub(settle, context.get("body", ""))


def unwrap_plain_words(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """A third of a long chapter's elements, and of its bytes, say no more than their text."""
    context["body"] = PLAIN_WORD.sub(r"\1", context.get("body", ""))


def mend_roles(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """What a screen reader is told: a folded cell says "show code", where MyST-NB would have it
    announced otherwise, in English; references are the items of a list, as ARIA has it since 1.1.
    """
    body = context.get("body", "").replace(' aria-label="Toggle hidden content"', "")
    context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def keep_one_viewport(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """The theme has one of its own; docutils adds another."""
    context["metatags"] = VIEWPORT.sub("", context.get("metatags") or "")


def drop_scripts(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Jupyter Book always loads sphinx-thebe, which declares one constant twice on a page, and
    Sphinx a catalog for Korean, whose plurals its script compiles: our pages' policy forbids that.
    """
    sheets = context["css_files"]
    context["css_files"] = [sheet for sheet in sheets if "thebe" not in str(sheet.filename)]
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
    app.add_transform(KeepTogether)
    app.add_transform(OneParenthesis)
    app.add_post_transform(FoldTogether)
    app.connect("config-inited", drop_listed_scripts)
    app.connect("doctree-read", label_sections, priority=100)  # before the contents are collected
    app.connect("html-page-context", add_scripts)
    app.connect("html-page-context", settle_images)
    app.connect("html-page-context", unwrap_plain_words)
    app.connect("html-page-context", mend_roles)
    app.connect("html-page-context", keep_one_viewport)
    app.connect("html-page-context", drop_scripts, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
