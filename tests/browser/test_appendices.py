"""The lists at the end of the book hold what the chapters hold, and terms explain themselves."""

import json
import re

import glossary
import pytest
from appendices import alphabetical, index_terms
from playwright.sync_api import expect

from .conftest import HTML, ROOT

CHAPTERS = [p for p in sorted((ROOT / "chapters").glob("*.ipynb")) if not p.name.startswith("9")]
LANGUAGES = ("ko", "en")


def cells(language: str):
    other = {"ko", "en"} - {language}
    for path in CHAPTERS:
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if not other & set(cell["metadata"].get("tags", [])):
                yield cell


@pytest.mark.parametrize("language", LANGUAGES)
def test_lists_are_complete(site, language):
    text = (HTML / language / "chapters" / "93_lists.html").read_text("utf-8")
    article = text[text.index("<article") : text.index("</article>")]
    terms, lists = article.split('id="sec-lists-misconceptions"')
    terms = terms[terms.index("<li>") :]
    targets = re.findall(r'href="[^"#]+\.html#([\w-]+)"', lists)
    exercises = [c["metadata"]["exercise"] for c in cells(language) if "exercise" in c["metadata"]]
    figures = [
        c["metadata"]["figure"]["label"] for c in cells(language) if "figure" in c["metadata"]
    ]
    boxes = sum("".join(c["source"]).count('class="box misconception"') for c in cells(language))
    assert [t for t in targets if t.startswith("ex-")] == [f"ex-{name}" for name in exercises]
    assert [t for t in targets if t.startswith("fig-")] == figures
    # One link for each box, to its section; the titles of the chapters lead to no place.
    assert boxes and sum(t.startswith(("sec-", "ch-")) for t in targets) == boxes
    listed = [term for of_section in index_terms(language).values() for term in of_section]
    assert len(re.findall(r'href="[^"]+\.html(?:#[\w-]+)?"', terms)) == len(listed)
    names = [name.replace("’", "'") for name in re.findall(r"<li><p>([^:<]+): <", terms)]
    assert set(names) == set(listed)
    assert names == sorted(set(names), key=alphabetical)


def test_index_lists_the_same_in_both_languages():
    ko, en = index_terms("ko"), index_terms("en")
    assert {section: len(terms) for section, terms in ko.items()} == {
        section: len(terms) for section, terms in en.items()
    }
    rows = (ROOT / "chapters" / "index.tsv").read_text("utf-8").splitlines()
    assert len(rows) - 1 == len(ko), "a section has one line"
    assert all(term.strip() for terms in [*ko.values(), *en.values()] for term in terms)


def test_every_term_has_a_definition_in_both_languages():
    names = [row.split("\t")[0] for file in glossary.FILES for row in file.open(encoding="utf-8")]
    half = len(names) // 2
    assert names[1:half] == names[half + 1 :], "the two files list the same terms in one order"
    for term in glossary.terms():
        ko, en = term.definition["ko"], term.definition["en"]
        assert re.search("[가-힣]", ko) and not re.search("[가-힣]", en), term.en
        assert ko.endswith((".", "다.")) and en.endswith("."), term.en
        assert len(ko) <= 80 and len(en) <= 150, f"{term.en}: a definition is one glance"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_term_is_explained_where_it_first_stands(open_page, language):
    page = open_page(f"{language}/chapters/04_forward.html")
    links = page.locator("a.term")
    addresses = links.evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert len(addresses) == len(set(addresses)) > 10
    term = links.nth(2)
    shown = "a => getComputedStyle(a, '::after').content"
    assert term.evaluate(shown) == "none"
    term.scroll_into_view_if_needed()
    term.hover()
    assert term.get_attribute("data-definition") in term.evaluate(shown)
    page.keyboard.press("Escape")
    assert term.evaluate(shown) == "none"
    page.mouse.move(0, 0)
    links.nth(1).focus()
    assert links.nth(1).get_attribute("data-definition") in links.nth(1).evaluate(shown)
    address = term.get_attribute("href").split("#")[1]
    term.click()
    page.wait_for_url(f"**/90_glossary.html#{address}")
    expect(page.locator(f"#{address}")).to_be_in_viewport()


def test_a_finger_sees_the_definition_before_it_follows_the_term(open_page):
    page = open_page("en/chapters/04_forward.html", size="phone", is_mobile=True)
    term, other = page.locator("a.term").nth(2), page.locator("a.term").nth(1)
    shown = "a => getComputedStyle(a, '::after').content"
    term.tap()
    assert term.get_attribute("data-definition") in term.evaluate(shown)
    other.tap()
    assert other.get_attribute("data-definition") in other.evaluate(shown)
    assert term.evaluate(shown) == "none"
    other.tap()
    page.wait_for_url("**/90_glossary.html#*")
