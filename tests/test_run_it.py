"""What the book's addresses bring: Colab, Jupyter, edit and report buttons, and whole links."""

import ast
import base64
import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "_ext"))
from narrow_pictures import KIND  # noqa: E402

REPOSITORY = "https://github.com/example/example-book"
PUBLISHED = "https://example.github.io/example-book"
CHAPTER, APPENDIX = "chapters/01_sample", "chapters/91_notation"


ENGLISH = """\
(ch-a)=
# Title

(sec-a)=
## Part

$$
y = x
$$ (eq-a)

{eq}`eq-a` is drawn in {numref}`fig-a`, see {ref}`here <sec-a>` and {ref}`sec-a`, after
{cite}`Ioffe2015,LeCun1998`."""


def sample_notebook() -> dict:
    prose = {"cell_type": "markdown", "metadata": {}}
    code = {"cell_type": "code", "execution_count": 1}
    picture = (ROOT / "_static" / "share-en.png").read_bytes()
    data = dict.fromkeys(("image/png", f"{KIND}png"), base64.b64encode(picture).decode())
    size = {key: {"width": 60, "height": 40} for key in data}
    output = {"output_type": "display_data", "data": data, "metadata": size}
    words = {"caption": "{side}`Left`: a line.", "alt": "A line"}
    figure = {"label": "fig-a", "ko": words, "en": words}
    drawn = {"tags": ["hide-input"], "figure": figure}
    cells = [
        {**prose, "id": "ko", "metadata": {"tags": ["ko"]}, "source": "(ch-a)=\n# 제목"},
        {**prose, "id": "en", "metadata": {"tags": ["en"]}, "source": ENGLISH},
        {**code, "id": "code", "source": "import bnlib", "outputs": [output], "metadata": drawn},
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture(scope="module", params=["", REPOSITORY], ids=["no address", "address"])
def book(request, tmp_path_factory):
    """A book of two pages with our own settings, and the repository that they were built with."""
    source = tmp_path_factory.mktemp("book")
    (source / "chapters").mkdir()
    for name in ("_ext", "_static", "references.bib", "bnlib", "CITATION.cff"):
        (source / name).symlink_to(ROOT / name)
    settings = (ROOT / "_config.yml").read_text("utf-8")
    assert settings.count('url: ""\n  branch') == 1, "the test puts the address there"
    settings = settings.replace('url: ""\n  branch', f'url: "{request.param}"\n  branch')
    assert settings.count('baseurl: ""') == 1
    if request.param:
        settings = settings.replace('baseurl: ""', f'baseurl: "{PUBLISHED}"')
    (source / "_config.yml").write_text(settings, "utf-8")
    toc = {"format": "jb-book", "root": CHAPTER, "chapters": [{"file": APPENDIX}]}
    (source / "_toc.yml").write_text(json.dumps(toc))
    (source / f"{CHAPTER}.ipynb").write_text(json.dumps(sample_notebook()), "utf-8")
    shutil.copy(ROOT / f"{APPENDIX}.ipynb", source / "chapters")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / '_ext'}{os.pathsep}{ROOT}"}
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    sphinx = [sys.executable, "-m", "sphinx", "-b", "html", "-Q", "-D", "bilingual_lang=en"]
    for command in ([jupyter_book, "config", "sphinx", "."], [*sphinx, ".", "html"]):
        subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
    return request.param, source / "html"


def links(page: Path) -> dict[str, str]:
    """The header's buttons: what each says, and where it leads."""
    found = re.findall(
        r'<a href="(https://[^"]+)"[^>]*dropdown-item"[^>]*>(.*?)</a>',
        page.read_text("utf-8"),
        re.S,
    )
    return {" ".join(re.sub("<[^>]+>", " ", text).split()): unescape(url) for url, text in found}


def test_buttons(book):
    address, html = book
    expected = {
        "Jupyter (Binder)": "https://mybinder.org/v2/gh/example/example-book/main"
        f"?urlpath=lab/tree/{CHAPTER}.ipynb",
        "Colab": "https://colab.research.google.com/github/example/example-book/blob/gh-pages"
        f"/en/_sources/{CHAPTER}.ipynb",
        "Suggest an edit": f"{REPOSITORY}/edit/main/{CHAPTER}.ipynb",
        "Report a problem": f"{REPOSITORY}/issues/new",
    }
    found = {text: url.split("?title=")[0] for text, url in links(html / f"{CHAPTER}.html").items()}
    assert found == (expected if address else {})


def test_an_appendix_has_nothing_to_run(book):
    address, html = book
    found = set(links(html / f"{APPENDIX}.html"))
    assert found == ({"Suggest an edit", "Report a problem"} if address else set())


def test_what_colab_opens_fetches_bnlib_and_the_recorded_runs_first(book):
    address, html = book
    notebook = json.loads((html / "_sources" / f"{CHAPTER}.ipynb").read_text("utf-8"))
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code[-1] == "import bnlib"
    assert len(code) == (2 if address else 1)
    if address:
        assert f"!git clone --quiet --depth 1 --branch main {REPOSITORY} " in code[0]
        ast.parse(TransformerManager().transform_cell(code[0]))
        assert notebook["cells"][0]["source"] == code[0]


def test_a_downloaded_notebook_says_what_the_page_says(book):
    """Jupyter and Colab know no MyST: numbers and words stand in the text, captions under it."""
    address, html = book
    notebook = json.loads((html / "_sources" / f"{CHAPTER}.ipynb").read_text("utf-8"))
    prose = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    page = f"{PUBLISHED}/en/{CHAPTER}.html"
    figure, here, part = "Figure 1", "here", "Part"
    if address:
        figure, here, part = (
            f"[{words}]({page}#{id})"
            for words, id in ((figure, "fig-a"), (here, "sec-a"), (part, "sec-a"))
        )
    assert prose == [
        "# Title\n\n## Part\n\n$$\ny = x \\tag{1}\n$$\n\n"
        f"(1) is drawn in {figure}, see {here} and {part}, after\n"
        "[[Ioffe and Szegedy, 2015](https://arxiv.org/abs/1502.03167); "
        "[LeCun et al., 1998](https://doi.org/10.1007/3-540-49430-8_2)].",
        f"**{figure}** Left: a line.",
    ]
    (drawn,) = [cell for cell in notebook["cells"] if cell["id"] == "code"]
    assert drawn["metadata"]["jupyter"] == {"source_hidden": True}
    assert set(drawn["outputs"][0]["data"]) == {"image/png"}


def test_an_appendix_is_not_offered_as_a_notebook(book):
    _, html = book
    assert 'ipynb"' in (html / f"{CHAPTER}.html").read_text("utf-8")
    assert ".ipynb<" not in (html / f"{APPENDIX}.html").read_text("utf-8")
    assert not (html / "_sources" / f"{APPENDIX}.ipynb").exists()


def test_a_page_has_one_whole_address(book):
    """Its own, with the language: search engines drop a page that names another as the true one."""
    address, html = book
    for page in (CHAPTER, APPENDIX, "search"):
        head = (html / f"{page}.html").read_text("utf-8").split("</head>")[0]
        patterns = ('rel="canonical" href="(.*?)"', 'property="og:url" content="(.*?)"')
        found = [re.findall(pattern, head) for pattern in patterns]
        assert found == ([[f"{PUBLISHED}/en/{page}.html"]] * 2 if address else [[], []])
