"""Turn a code cell tagged `exercise` into a card: editor, buttons, hints, solution, answer.

The card works in steps: without JavaScript the stub, hints and solution can be read; exercises.mjs
adds the editor, and Python itself is fetched when a reader first presses Run.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from words import WORDS

from bnlib import exercises


def replace_cells(app: Sphinx, docname: str, source: list[str]) -> None:
    """Make each exercise cell a Markdown cell that holds the directive below."""
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        if "exercise" in cell["metadata"].get("tags", []):
            code = "".join(cell["source"])
            cell["cell_type"] = "markdown"
            cell["source"] = f"````{{exercise-editor}} {cell['metadata']['exercise']}\n{code}\n````"
            cell.pop("outputs")
            cell.pop("execution_count")
    source[0] = json.dumps(notebook, ensure_ascii=False)


class ExerciseEditor(Directive):
    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        environment = self.state.document.settings.env
        language = environment.config.bilingual_lang
        words = WORDS[language]
        exercise = exercises.find(self.arguments[0])
        environment.metadata[environment.docname].setdefault("exercises", []).append(exercise.id)
        hints = "".join(f"<li>{escape(getattr(hint, language))}</li>" for hint in exercise.hints)
        buttons = "".join(
            f'<button type="button" class="exercise-{name}">{words[name]}</button>'
            for name in ("run", "reset", "hint", "solution")
        )
        return [
            html(
                f'<div class="exercise" data-exercise="{exercise.id}">'
                f'<div class="exercise-editor" data-label="{words["editor"]}">'
            ),
            python("\n".join(self.content)),
            html(
                f'</div><div class="exercise-buttons" hidden>{buttons}</div>'
                f'<div class="exercise-answer" role="status" aria-label="{words["answer"]}"></div>'
                f'<details class="exercise-hints"><summary>{words["hint"]}</summary>'
                f"<ol>{hints}</ol></details>"
                f'<details class="exercise-solution"><summary>{words["solution"]}</summary>'
            ),
            python(exercise.solution_source),
            html("</details></div>"),
        ]


def html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def python(code: str) -> nodes.literal_block:
    return nodes.literal_block(code, code, language="python")


def frame_cards(app: Sphinx, doctree: nodes.document) -> None:
    """Mark each section that holds an editor, so that statement and editor make one card."""
    for node in doctree.findall(nodes.raw):
        if node.astext().startswith('<div class="exercise" '):
            section = node.parent
            while not isinstance(section, nodes.section | nodes.document):
                section = section.parent
            section["classes"].append("exercise-card")


def belongs(id: str, page: str) -> bool:
    """Whether the exercise is one of this chapter's. The home page borrows one to try."""
    return Path(page).name.startswith(f"{exercises.find(id).chapter:02d}_")


def add_scripts(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Only a page with an exercise loads the editor, and it is told where bnlib's wheel is."""
    metadata = app.env.metadata
    pages = {n: d["exercises"] for n, d in sorted(metadata.items()) if d.get("exercises")}
    chapters = {n: own for n, ids in pages.items() if (own := [i for i in ids if belongs(i, n)])}
    context["metatags"] = context.get("metatags", "") + (
        f'<script type="application/json" id="bnlib-exercises">{json.dumps(chapters)}</script>\n'
    )
    if pagename not in pages:
        return
    wheels = sorted(Path(app.srcdir, "_static", "wheels").glob("bnlib-*.whl"))
    if len(wheels) != 1:
        raise ValueError(f"_static/wheels must hold one bnlib wheel, found {len(wheels)}")
    app.add_js_file("exercises.mjs", type="module")
    wheel = context["pathto"](f"_static/wheels/{wheels[0].name}", 1)
    context["metatags"] += f'<meta name="bnlib-wheel" content="{wheel}">\n'


def setup(app: Sphinx) -> dict:
    app.add_directive("exercise-editor", ExerciseEditor)
    app.connect("source-read", replace_cells, priority=200)  # after the language is chosen
    app.connect("doctree-read", frame_cards)
    app.connect("html-page-context", add_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
