"""The home page: what it is, a slider and an exercise to try, and the map of the chapters."""

import json
import re
from html import unescape

import pytest

from .conftest import HTML, ROOT
from .test_exercises import FIRST, answer, run, write

LANGUAGES = ("ko", "en")
HOME = "chapters/00_welcome.html"


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_screen_holds_the_slider_and_the_exercise(open_page, language):
    page = open_page(f"{language}/{HOME}")
    page.wait_for_load_state("networkidle")
    for what in ("h1", ".explorable img", ".explorable input >> nth=-1", ".exercise-run"):
        box = page.locator(f"article {what}").bounding_box()
        assert box["y"] + box["height"] <= 800, f"{what} is below the first screen"


def test_the_exercise_names_its_mistake_and_can_be_solved(open_page):
    page = open_page(f"ko/{HOME}")
    said = run(page, FIRST)
    assert (said["state"], said["mistake"]) == ("wrong", "wrong_axis")
    assert "축이 바뀌었습니다" in answer(page, FIRST)
    write(page, FIRST, f"{FIRST.solution_source}\n\n{FIRST.check_line}")
    assert run(page, FIRST)["state"] == "passed"
    chapter = page.locator('.chapter-map a[href^="01_"]')
    assert re.fullmatch(r"1/\d", chapter.get_attribute("data-progress"))
    assert page.complaints.found == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_map_tells_each_chapters_reading_time(open_page, language):
    page = open_page(f"{language}/{HOME}")
    entries = page.locator(".chapter-map li:has(p)")
    chapters = sorted((ROOT / "chapters").glob("[01]*.ipynb"))[1:]
    assert entries.count() == len(chapters)
    pattern = {"ko": r"읽는 시간 약 (\d+)분", "en": r"Reading time about (\d+) minutes"}[language]
    for chapter, entry in zip(chapters, entries.all(), strict=True):
        assert entry.locator("a").get_attribute("href") == f"{chapter.stem}.html"
        cells = json.loads(chapter.read_text("utf-8"))["cells"]
        minutes = re.search(pattern, "\n".join("".join(cell["source"]) for cell in cells))[1]
        assert re.findall(r"\d+", entry.locator("span").inner_text()) == [minutes]
        assert len(entry.locator("p").inner_text()) >= 40


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_page_has_a_head_of_its_own(site, language):
    """Where a page is shared, its head says in its language what it is."""
    assert (HTML / language / "_static" / f"share-{language}.png").is_file()
    described = {}
    for path in [HTML / language / "search.html", *(HTML / language / "chapters").glob("*.html")]:
        head = path.read_text("utf-8").split("</head>")[0]
        assert head.count('name="viewport"') == 1, path
        book = re.search('property="og:site_name" content="(.*?)"', head)[1]
        title = unescape(re.search("<title>(.*?)</title>", head)[1])
        assert title.count(book) == 1, title
        shared = unescape(re.search('property="og:title" content="(.*?)"', head)[1])
        assert not re.search("[<>&]", shared), shared
        assert title in (shared, f"{shared} — {book}")
        description = unescape(re.search('name="description" content="(.*?)"', head)[1])
        assert unescape(re.search('"og:description" content="(.*?)"', head)[1]) == description
        assert 20 < len(description) <= 202, path
        assert bool(re.search("[가-힣]", description)) == (language == "ko"), path
        described[path.stem] = description
    assert len(set(described.values())) == len(described)
    assert not any("implicit target" in text for text in described.values())
