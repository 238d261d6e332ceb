"""Reading: a comfortable line, motion only where it is wanted, and a sheet of paper."""

import io

import PIL.Image
import pytest


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


@pytest.mark.parametrize(
    ("language", "left", "top"), [("ko", "왼쪽: 95 %", "위쪽: 95 %"), ("en", "Left: ", "Top: ")]
)
def test_a_phone_has_panels_under_one_another_and_captions_say_so(open_page, language, left, top):
    shapes = {}
    for size in ("wide", "phone"):
        page = open_page(f"{language}/chapters/06_training.html", size)
        figure = page.locator("#fig-training-rates")
        image = figure.locator("img")
        image.scroll_into_view_if_needed()
        image.evaluate("i => i.decode()")
        shapes[size] = image.evaluate("i => i.naturalWidth / i.naturalHeight")
        caption = figure.locator("figcaption").inner_text().replace("\u00a0", " ")
        assert (left in caption, top in caption) == ((True, False), (False, True))[size == "phone"]
    assert shapes["wide"] > 1.5 > 1 > shapes["phone"]


def test_no_line_starts_with_a_particle(open_page):
    """Browsers break Korean behind a parenthesis, a per cent sign or a formula."""
    page = open_page("ko/chapters/07_inference.html", "phone")
    page.wait_for_function("document.querySelectorAll('mjx-container').length > 20")
    page.wait_for_timeout(500)
    apart = page.evaluate(
        r"""() => {
          const found = [], range = document.createRange();
          const top = (node, at) => {
            range.setStart(node, at);
            range.setEnd(node, at + 1);
            return range.getBoundingClientRect().top;
          };
          const walker = document.createTreeWalker(
            document.querySelector("article"), NodeFilter.SHOW_TEXT,
            n => n.parentElement.closest("pre, mjx-container, .cm-editor, script, style")
              || !n.parentElement.getClientRects().length ? 2 : 1);
          for (let n = walker.nextNode(); n; n = walker.nextNode()) {
            for (const m of n.data.matchAll(/[)\]%]\u2060?(?=[가-힣])/g)) {
              const next = m.index + m[0].length;
              if (top(n, next) > top(n, m.index) + 8) found.push(n.data.slice(next - 9, next + 9));
            }
            const formula = n.previousSibling?.matches?.(".math") && n.previousSibling;
            if (formula && /^[가-힣]/.test(n.data) && formula.textContent.length < 30
                && top(n, 0) > formula.getBoundingClientRect().bottom - 2) {
              found.push(n.data.slice(0, 9));
            }
          }
          return found;
        }"""
    )
    assert apart == []


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


def test_figures_keep_their_colours_in_the_dark_and_ink_turns_light(open_page):
    page = open_page("en/chapters/01_standardization.html", theme="dark")
    page.wait_for_load_state("networkidle")
    shown = PIL.Image.open(io.BytesIO(page.locator("article img").first.screenshot()))
    pixels = [color for count, color in shown.convert("RGB").getcolors(2**20) if count > 30]

    def has(*wanted):
        return any(max(map(abs, map(int.__sub__, color, wanted))) < 20 for color in pixels)

    assert has(0xE6, 0x9F, 0x00), "the orange line is as orange as in the light theme"
    assert has(0x4A, 0xCA, 0xFF), "the blue one is blue, and lighter"
    assert has(0xF8, 0xF8, 0xF8), "letters are light"
