"""Search as readers type: Korean with its particles or English in Hangul, English with endings."""

import csv
import re

import pytest
from playwright.sync_api import expect

from .conftest import ROOT

LANGUAGES = ("ko", "en")
QUERIES = list(csv.DictReader((ROOT / "tests" / "search_queries.tsv").open(), delimiter="\t"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_right_page_is_first(open_page, capsys, language):
    page = open_page(f"{language}/search.html")
    rows = [row for row in QUERIES if row["language"] == language]
    found = page.evaluate(
        "queries => Promise.all(queries.map(async q => (await bookSearch(q, ''))[0]?.address))",
        [row["query"] for row in rows],
    )
    wrong = {
        row["query"]: (row["page"], address)
        for row, address in zip(rows, found, strict=True)
        if not any(page in (address or "") for page in row["page"].split("|"))
    }
    with capsys.disabled():
        print(
            f"\n  {language}: the right page is first for {len(rows) - len(wrong)} of {len(rows)}"
        )
    assert len(rows) == {"ko": 66, "en": 60}[language]
    assert len(wrong) <= 6, wrong
    assert page.complaints.found == []


def test_a_word_in_hangul_finds_what_the_books_own_word_finds(open_page):
    page = open_page("ko/search.html")
    for said, ours in [
        ("러닝 레이트를", "학습률을"),
        ("레이어노멀라이제이션", "층정규화"),
        ("그래디언트가", "기울기가"),
        ("감마와 베타는", "γ와 β는"),
    ]:
        found = page.evaluate(
            "queries => Promise.all(queries.map(async q =>"
            " (await bookSearch(q, '')).slice(0, 5).map(result => result.address)))",
            [said, ours],
        )
        assert len(found[0]) == 5 and found[0] == found[1], said


@pytest.mark.parametrize("size", ["wide", "phone"])
@pytest.mark.parametrize(
    ("language", "query", "word"), [("ko", "화이트닝을", "화이트닝"), ("en", "whitened", "hiten")]
)
def test_search_as_you_type_from_any_page(open_page, language, query, word, size):
    page = open_page(f"{language}/chapters/92_conventions.html", size)
    fetched = []
    page.on("request", lambda request: fetched.append(request.url))
    page.wait_for_load_state("networkidle")
    assert not any("search-text" in url for url in fetched), "the text waits for a search"
    if size == "wide":
        page.keyboard.press("Control+k")
    else:
        page.locator(".search-button").first.click()
    page.keyboard.type(query)
    first = page.locator("#pst-search-dialog li").first
    expect(first.locator("mark").first).to_contain_text(re.compile(word))
    title = first.locator("a").inner_text()
    assert bool(re.search("[가-힣]", title)) == (language == "ko")
    expect(page.locator("#pst-search-dialog [role=status]")).to_contain_text(re.compile(r"\d"))
    first.locator("a").click()
    page.wait_for_url(f"**/{language}/chapters/02_whitening.html**")
    assert page.complaints.found == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_search_page_answers_its_address(open_page, language):
    """What Enter in the field leads to; the other language's page keeps the query."""
    page = open_page(f"{language}/chapters/92_conventions.html")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("Control+k")
    page.keyboard.type("Cholesky")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=Cholesky")
    first = page.locator("article li a").first
    expect(first).to_have_attribute("href", re.compile("02_whitening"))
    other = "en" if language == "ko" else "ko"
    page.locator(".language-switch a").click()
    page.wait_for_url(f"**/{other}/search.html?q=Cholesky")
    expect(first).to_have_attribute("href", re.compile("02_whitening"))


def test_nothing_found_is_said(open_page):
    page = open_page("en/search.html?q=zxqwv")
    expect(page.locator("article [role=status]")).to_contain_text("Nothing found")
