"""Reading: what axe-core finds, what a keyboard reaches, what fits a phone and a sheet of paper."""

import cdn
import pytest

from .conftest import PAGES, skip_or_fail
from .test_pages import scroll_through

AXE = "npm/axe-core@4.14.1/axe.min.js"  # a tool of the tests: no page loads it
LOOKED_AT = [*(f"chapters/{name}" for name in PAGES), "search"]
# Each page once in each theme; the languages take turns, so that both meet both themes.
SEEN_AS = [
    (page, theme, ("ko", "en")[(i + j) % 2])
    for i, page in enumerate(LOOKED_AT)
    for j, theme in enumerate(["light", "dark"])
]


@pytest.mark.parametrize(("path", "theme", "language"), SEEN_AS)
def test_axe_finds_nothing_serious(open_page, path, theme, language):
    axe = cdn.local_file(AXE)
    if axe is None:
        skip_or_fail("npm is needed to fetch axe-core")
    page = open_page(f"{language}/{path}.html", theme=theme)
    scroll_through(page)
    # As after a reader has opened every box, folded cell and quiz choice.
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    page.wait_for_timeout(500)  # what opened is measured, and may become a stop of the Tab key
    page.evaluate(axe.read_text("utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    serious = [
        (rule["id"], node["html"][:120], node["failureSummary"])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
    assert serious == []


@pytest.mark.parametrize("name", PAGES)
def test_keyboard_reaches_everything_that_can_be_worked(open_page, name):
    """Every slider, editor, button, quiz choice and box is a stop of the Tab key."""
    page = open_page(f"ko/chapters/{name}.html")
    scroll_through(page)
    unreachable = page.evaluate(
        """() => [...document.querySelectorAll(
            "article input, article button, article summary, article .cm-content, article pre")]
          .filter(e => e.checkVisibility() && !e.closest("dialog"))
          .filter(e => e.tagName !== "PRE" || e.scrollWidth > e.clientWidth)
          .filter(e => !e.matches("summary, .cm-content") && (e.tabIndex < 0 || e.disabled))
          .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert unreachable == []


@pytest.mark.parametrize("name", PAGES)
def test_wide_things_scroll_inside_a_phones_page(open_page, name):
    """Formulas, tables, code and figures end where the screen does, or scroll by themselves."""
    page = open_page(f"{('ko', 'en')[PAGES.index(name) % 2]}/chapters/{name}.html", "phone")
    scroll_through(page)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    too_wide = page.evaluate(
        """() => {
          const scrolls = e => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX);
          const inside = e => { for (; e.tagName !== "ARTICLE"; e = e.parentElement)
            if (scrolls(e)) return true; return false; };
          return [...document.querySelectorAll("article *")]
            .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1)
            .filter(e => !inside(e.parentElement) && !scrolls(e))
            .map(e => e.outerHTML.slice(0, 120));
        }"""
    )
    assert too_wide == []


@pytest.mark.parametrize("size", ["wide", "phone"])
def test_a_line_of_korean_is_comfortable(open_page, size):
    """At most 45 Hangul a line, and no word is broken in two."""
    page = open_page("ko/chapters/04_forward.html", size)
    style = page.locator("article section > p").first.evaluate(
        """p => { const s = getComputedStyle(p);
          return [p.clientWidth / parseFloat(s.fontSize), parseFloat(s.lineHeight) /
                  parseFloat(s.fontSize), s.wordBreak]; }"""
    )
    width, line_height, word_break = style
    assert width <= 45 and 1.65 <= line_height <= 1.85 and word_break == "keep-all"


def test_motion_is_reduced_where_the_reader_asks(open_page):
    page = open_page("en/chapters/04_forward.html", reduced_motion="reduce")
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].filter(e => {
          const s = getComputedStyle(e);
          return [s.animationDuration, s.transitionDuration].some(d =>
            d.split(", ").some(one => parseFloat(one) > 0.001)) || s.scrollBehavior === "smooth";
        }).length"""
    )
    assert moving == 0


def test_paper_is_white_and_holds_no_controls(open_page):
    page = open_page("en/chapters/01_standardization.html", theme="dark")
    page.wait_for_load_state("networkidle")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("html").get_attribute("data-theme") == "light"
    for gone in (".language-switch", ".exercise-run >> nth=0", ".explorable input >> nth=0"):
        assert not page.locator(gone).is_visible(), gone
    assert page.locator(".explorable img").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("html").get_attribute("data-theme") == "dark"
