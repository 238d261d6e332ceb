"""The printed book, by two of its pages: nothing of the screen, all that paper needs."""

import paper
import pytest

from .test_exercises import EXERCISES

CHAPTER, APPENDIX = "chapters/01_standardization", "chapters/90_glossary"


@pytest.fixture(scope="module")
def printed(browser, site):
    context = browser.new_context(bypass_csp=True)
    context.set_default_timeout(180_000)
    context.route("**/exercises.mjs*", lambda route: route.abort())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "pages_in_order", lambda: [CHAPTER, APPENDIX])
        writer = paper.print_book(context.new_page(), site, "en")
    context.close()
    return writer


def test_exercises_are_paper_exercises(printed):
    text = "\n".join(page.extract_text() for page in printed.pages)
    assert "Exercise 1.1" in text and "raise NotImplementedError" in text
    for exercise in EXERCISES:  # stub and solution share this line: once is the stub alone
        first_line = exercise.stub.split('"""')[1].splitlines()[0]
        assert text.count(first_line) == 1, f"{exercise.id}: a solution is printed"
    for button in ("Show solution", "Reset", "Show code", "On this page"):
        assert button not in text
    assert "Answers: 1. " in text


def test_pages_are_numbered_and_listed(printed):
    for number, page in enumerate(printed.pages[1:], start=2):
        assert page.extract_text().rstrip().endswith(str(number)) or str(number) in (
            page.extract_text().split()
        )
    titles = [item for item in printed.outline if not isinstance(item, list)]
    starts = [printed.get_destination_page_number(item) + 1 for item in titles]
    assert len(starts) == 2 and starts[0] == 3 < starts[1]
    contents = printed.pages[1].extract_text()
    assert all(str(start) in contents for start in starts)


def test_links_lead_to_pages_of_the_book(printed, site):
    links = [link.get_object() for page in printed.pages for link in page.get("/Annots", [])]
    reached = {
        printed.pages.index(link["/Dest"][0].get_object()) for link in links if "/Dest" in link
    }
    texts = [page.extract_text() for page in printed.pages]
    glossary = next(i for i, text in enumerate(texts[2:], start=2) if text.startswith("Glossary"))
    assert any(2 < page < glossary for page in reached), "to a figure or formula of the chapter"
    assert any(page > glossary for page in reached), "to a term, where it stands in the glossary"
    assert not any(site in str(link.get("/A", {}).get("/URI", "")) for link in links)
