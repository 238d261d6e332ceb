"""What the book's addresses bring: Colab, Jupyter, edit and report buttons, and whole links."""

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://github.com/example/example-book"
PUBLISHED = "https://example.github.io/example-book"
CHAPTER, APPENDIX = "chapters/01_sample", "chapters/91_notation"


def sample_notebook() -> dict:
    prose = {"cell_type": "markdown", "metadata": {}}
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1}
    cells = [
        {**prose, "id": "ko", "metadata": {"tags": ["ko"]}, "source": "(ch-a)=\n# 제목"},
        {**prose, "id": "en", "metadata": {"tags": ["en"]}, "source": "(ch-a)=\n# Title"},
        {**code, "id": "code", "source": "import bnlib"},
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


def test_what_colab_opens_installs_bnlib_first(book):
    address, html = book
    notebook = json.loads((html / "_sources" / f"{CHAPTER}.ipynb").read_text("utf-8"))
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code[-1] == "import bnlib"
    assert len(code) == (2 if address else 1)
    if address:
        assert f'%pip install --quiet "bnlib @ git+{REPOSITORY}@main"' in code[0]
        assert notebook["cells"][0]["source"] == code[0]


def test_a_page_has_one_whole_address(book):
    """Its own, with the language: search engines drop a page that names another as the true one."""
    address, html = book
    for page in (CHAPTER, APPENDIX, "search"):
        head = (html / f"{page}.html").read_text("utf-8").split("</head>")[0]
        patterns = ('rel="canonical" href="(.*?)"', 'property="og:url" content="(.*?)"')
        found = [re.findall(pattern, head) for pattern in patterns]
        assert found == ([[f"{PUBLISHED}/en/{page}.html"]] * 2 if address else [[], []])
