"""The stored outputs are the book: running a chapter again must give the same file."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import pytest

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))

sys.path.insert(0, str(ROOT / "_ext"))
import execute  # noqa: E402
from bilingual import localize  # noqa: E402

from bnlib import exercises  # noqa: E402
from bnlib._narrow import WIDTH  # noqa: E402
from bnlib.figures import NARROW, SHARPNESS  # noqa: E402


def code_cells(path: Path) -> list[dict]:
    return [c for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]


@pytest.mark.notebooks
def test_executing_again_gives_the_same_bytes():
    """The first page; `make test` has nbval compare all chapters, pictures and frames included."""
    assert execute.execute(CHAPTERS[0]) == CHAPTERS[0].read_text("utf-8")


def test_a_changed_output_is_noticed(tmp_path):
    path = tmp_path / "chapter.ipynb"
    notebook = json.loads(CHAPTERS[0].read_text("utf-8"))
    notebook["cells"] = [c for c in notebook["cells"] if c["cell_type"] == "markdown"]
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1}
    stored = [{"name": "stdout", "output_type": "stream", "text": ["3\n"]}]
    notebook["cells"].append({**cell, "source": "print(1 + 1)", "outputs": stored})
    path.write_text(json.dumps(notebook), "utf-8")
    assert '"2\\n"' in execute.execute(path)


def test_only_what_changed_is_executed_again(tmp_path, monkeypatch, capsys):
    path = tmp_path / "01_chapter.ipynb"
    shutil.copy(CHAPTERS[0], path)
    monkeypatch.setattr(execute, "CHAPTERS", tmp_path)
    monkeypatch.setattr(execute, "KNOWN", tmp_path / "executed.json")
    monkeypatch.setattr(sys, "argv", ["execute.py"])
    executed = []
    monkeypatch.setattr(execute, "execute", lambda p: executed.append(p) or p.read_text("utf-8"))
    execute.main()
    execute.main()
    assert executed == [path]
    text = path.read_text("utf-8")
    path.write_text(text.replace("mean slope", "average slope"), "utf-8")
    execute.main()
    assert executed == [path, path]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_stored_form(path):
    text = path.read_text("utf-8")
    assert not re.search(r"/(?:home|root|tmp|Users)/", text), "a path of somebody's machine"
    notebook = json.loads(text)
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info", "widgets"}
    for number, cell in enumerate(code_cells(path), start=1):
        assert cell["execution_count"] == number, "not executed from top to bottom"
        assert not any(output["output_type"] == "error" for output in cell["outputs"])
        assert not any(output.get("name") == "stderr" for output in cell["outputs"])


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_cells_hold_one_idea(path):
    """At most 12 lines of code, unless the code only draws or sets up and is folded away."""
    for cell in code_cells(path):
        if not {"hide-input", "exercise", "setup"} & set(cell["metadata"].get("tags", [])):
            lines = [line for line in "".join(cell["source"]).splitlines() if line.strip()]
            assert len(lines) <= 12, f"{cell['id']}: {len(lines)} lines"


def pictures(cell: dict) -> Iterator[tuple[str, PIL.Image.Image, dict]]:
    """The kind, the picture and the size to show it in."""
    for output in cell["outputs"]:
        for kind, data in output.get("data", {}).items():
            if kind.startswith(("image/", NARROW)):
                picture = PIL.Image.open(io.BytesIO(base64.b64decode(data)))
                yield kind, picture, output["metadata"][kind]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_figures_are_sharp_and_of_the_right_kind(path):
    """Two pixels for each that notebook and page show, and a density that says so elsewhere."""
    kinds = set()
    for cell in code_cells(path):
        for kind, picture, shown in pictures(cell):
            assert abs(picture.width - 2 * shown["width"]) <= 1, cell["id"]
            assert abs(picture.height - 2 * shown["height"]) <= 1, cell["id"]
            assert round(picture.info["dpi"][0]) == 2 * 96
            kinds.add((kind, picture.mode))
            if kind.endswith("jpeg"):
                assert "photograph" in cell["metadata"]["tags"], cell["id"]  # the dark theme asks
    assert ("image/png", "P") in kinds or not kinds
    assert (("image/jpeg", "RGB") in kinds) == ("layer_instance" in path.stem)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_figures_have_a_narrow_picture_for_phones_and_nothing_sticks_out_of_it(path):
    """Graphs of `bnlib.flow` have none: their boxes are as broad as their numbers need."""
    broadest = SHARPNESS * (120 * WIDTH + 20)  # at the book's 120 dots an inch, and a margin
    for cell in code_cells(path):
        drawn = {kind: picture for kind, picture, _ in pictures(cell)}
        narrow = [kind for kind in drawn if kind.startswith(NARROW)]
        assert len(narrow) == (len(drawn) > 0 and "flow.draw" not in "".join(cell["source"]))
        assert all(drawn[kind].width < broadest for kind in narrow), cell["id"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_explorables_stay_light(path):
    """At most 60 frames and 400 kB each, counted from what the page carries."""
    notebook = json.loads(path.read_text("utf-8"))
    widgets = notebook["metadata"].get("widgets", {})
    state = widgets.get(execute.WIDGET_STATE, {}).get("state", {})
    frames = [
        buffer["data"]
        for model in state.values()
        if model["model_name"] == "ImageModel"
        for buffer in model["buffers"]
    ]
    explorables = sum("explore(" in "".join(c["source"]) for c in code_cells(path))
    assert len(frames) <= 60 * explorables
    assert sum(map(len, frames)) * 3 / 4 <= 400_000 * explorables


@pytest.mark.parametrize("path", CHAPTERS[1:], ids=lambda p: p.stem)
def test_exercise_cells_are_the_generated_stubs(path):
    chapter = int(path.stem[:2])
    expected = [e for e in exercises.catalog() if e.chapter == chapter]
    cells = json.loads(path.read_text("utf-8"))["cells"]
    found = [i for i, c in enumerate(cells) if "exercise" in c["metadata"].get("tags", [])]
    assert [cells[i]["metadata"]["exercise"] for i in found] == [e.id for e in expected]
    for i, exercise in zip(found, expected, strict=True):
        assert "".join(cells[i]["source"]) == exercise.stub
        for cell, language, word in (
            (cells[i - 2], "ko", "연습"),
            (cells[i - 1], "en", "Exercise"),
        ):
            title = getattr(exercise.title, language)
            dots = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
            heading = f"### {word} {chapter}.{exercise.number} · {title} {dots}"
            assert "".join(cell["source"]).splitlines()[:2] == [f"(ex-{exercise.id})=", heading]


def test_localize_drops_the_other_language_and_keeps_the_code():
    notebook = json.loads(CHAPTERS[0].read_text("utf-8"))
    for language, other in (("ko", "en"), ("en", "ko")):
        cells = localize(notebook, language)["cells"]
        tags = {tag for cell in cells for tag in cell["metadata"].get("tags", [])}
        assert language in tags and other not in tags
        assert sum(c["cell_type"] == "code" for c in cells) == len(code_cells(CHAPTERS[0]))
        captions = [c["metadata"]["mystnb"]["figure"] for c in cells if "mystnb" in c["metadata"]]
        assert captions and all(caption["name"].startswith("fig-") for caption in captions)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_no_formula_has_its_backslashes_doubled(path):
    """In a line of text, MathJax reads `\\\\gamma` as a new line and five letters."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            doubled = re.findall(r"\$[^$\n]*\\\\[a-z]+[^$\n]*\$", "".join(cell["source"]))
            assert doubled == [], cell["id"]


def test_git_shows_readable_differences():
    """What `git diff` sees of a notebook is its text, without pictures or widget state."""
    command = ["git", "check-attr", "diff", "chapters/00_welcome.ipynb"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert answer.strip().endswith("diff: notebook")
    command = [sys.executable, "_ext/notebook_text.py", "chapters/00_welcome.ipynb"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "# 배치 정규화를 재다" in text and "def sigmoid(z):" in text
    assert "mean slope at scale 30" in text, "printed outputs are worth reading in a diff"
    assert len(text) < 20_000 and "iVBOR" not in text


def test_every_outcome_in_reading_the_papers_has_a_cell_that_asserts():
    """A row of its tables leads to a section, or a figure in one, whose code checks numbers."""
    section_of, asserting = {}, set()  # a label of a section or figure -> the section's label
    for path in CHAPTERS:
        section = path.stem
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            source = "".join(cell["source"])
            if heading := re.match(r"\((sec-[\w-]+)\)=", source):
                section = section_of[heading[1]] = heading[1]
            if "figure" in cell["metadata"]:
                section_of[cell["metadata"]["figure"]["label"]] = section
            if cell["cell_type"] == "code" and "assert " in source:
                asserting.add(section)
    appendix = json.loads((ROOT / "chapters/95_reading_the_papers.ipynb").read_text("utf-8"))
    rows = [
        line
        for cell in appendix["cells"]
        if "en" in cell["metadata"].get("tags", [])
        for line in "".join(cell["source"]).splitlines()
        if re.search(r"\| (reproduced|in part|not reproduced) \|", line)
    ]
    assert len(rows) > 30
    for row in rows:
        labels = re.findall(r"\{(?:num)?ref\}`([\w-]+)`", row)
        assert any(section_of[label] in asserting for label in labels), row
