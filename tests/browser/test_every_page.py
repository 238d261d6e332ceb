"""Every page, as a reader meets it: both languages, wide and narrow, light and dark.

Opening a page takes seconds, so each is opened once in each language, and all checks look at it,
wide and as narrow as the smallest phone. A check returns what is wrong. What a slider or a quiz
does is the same in both languages: there the languages take turns, as they do for axe's rules.
"""

import json
import re

import cdn
import nbformat
import pytest
from bilingual import is_appendix

from .conftest import HTML, PAGES, ROOT, SIZES, skip_or_fail

LANGUAGES = ("ko", "en")
AXE = "npm/axe-core@4.14.1/axe.min.js"  # a tool of the tests: no page loads it
SOURCES = {name: (ROOT / "chapters" / f"{name}.ipynb").read_text("utf-8") for name in PAGES}
WITH_SLIDERS = {name for name, source in SOURCES.items() if "explore(" in source}
WITH_QUIZ = {name for name, source in SOURCES.items() if "-quiz)=" in source}
LOOKED_AT = [*PAGES, "search"]
# Roles, labels, numbered equations, directives: what Jupyter shows as it is written.
MYST = re.compile(r"\{\w+\}`|^\([\w-]+\)=|\$\$ *\([\w-]+\)|^(```|:::)\{", re.M)
SHOWN = "e => e.checkVisibility() && !e.closest('dialog')"


def scroll_through(page):
    """Bring every part of the page near the screen, so that what loads late loads."""
    page.wait_for_load_state("networkidle")
    page.evaluate(
        """async () => {
          for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {
            scrollTo({ top: y, behavior: "instant" });
            await new Promise(done => setTimeout(done, 30));
          }
        }"""
    )
    page.wait_for_load_state("networkidle")


class StoppedDrawing(Exception):
    """The page answers, but Chromium draws it no more: not even a screenshot comes back."""


def draw(page):
    """Until frames have been drawn: what the page does about new sizes, it does with a frame."""
    drawn = page.evaluate(
        """() => new Promise(done => {
          const draw = next => requestAnimationFrame(() => requestAnimationFrame(next));
          setTimeout(() => draw(() => done(true)), 400);
          setTimeout(() => done(false), 15000);
        })"""
    )
    if not drawn:
        raise StoppedDrawing


def resize(page, size):
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    draw(page)


def wider_than_the_screen(page):
    sideways = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [f"{sideways} px"] if sideways > 0 else []


def code_wider_than_its_box(page):
    """Lines of a hundred characters are there to be read, not scrolled."""
    return page.evaluate(
        """() => [...document.querySelectorAll(".cell_input pre, .cell_output pre")]
          .filter(e => e.clientWidth && e.scrollWidth > e.clientWidth)
          .map(e => `${e.scrollWidth - e.clientWidth} px: ${e.textContent.slice(0, 60)}`)"""
    )


def broken_formulas(page):
    """What MathJax could not read, and what never reached it: Markdown is not read inside HTML."""
    return page.evaluate(
        r"""() => {
          const broken = [...document.querySelectorAll("mjx-merror")].map(e => e.outerHTML);
          const texts = document.createTreeWalker(document.body, 4);
          const code = "pre, code, script, mjx-container";
          while (texts.nextNode()) {
            const { data, parentElement } = texts.currentNode;
            if (/\$[^$]+\$/.test(data) && !parentElement.closest(code))
              broken.push(data);
          }
          return broken;
        }"""
    )


def marked_words_that_look_plain(page):
    """Half of a page's elements are words of code: only those that a theme colours need be one."""
    return page.evaluate(
        """() => {
          const look = e => { const s = getComputedStyle(e);
            return [s.color, s.fontWeight, s.fontStyle].join(); };
          const words = [...document.querySelectorAll("article .highlight pre > span[class]")];
          return [...new Set(words.filter(w => look(w) === look(w.parentElement))
            .map(w => `${w.className}: ${w.textContent}`))];
        }"""
    )


def cut_formulas(page):
    """Nothing shows that a formula scrolls, and what is left of it may read as another one."""
    return page.evaluate(
        """() => [...document.querySelectorAll("mjx-container[display=true]")]
          .filter(e => e.scrollWidth > e.clientWidth + 1)
          .map(e => `${e.scrollWidth - e.clientWidth} px: ${e.closest("[id]")?.id}`)"""
    )


def numbers_that_may_break(page):
    """A line may not end between a number and its unit, nor inside 1e-7."""
    return page.evaluate(
        r"""() => {
          const found = [];
          const texts = document.createTreeWalker(document.body, 4);
          while (texts.nextNode()) {
            const { data, parentElement } = texts.currentNode;
            const code = parentElement.closest("code, pre, script, svg, .exercise");
            if (/\d %|\de-\d/.test(data) && !code) found.push(data);
          }
          return found;
        }"""
    )


def doubled_parentheses(page):
    """An equation's number brings its own."""
    words = page.locator("article").inner_text()
    return re.findall("[(][(][0-9.]+[)]\u2060?[)]", words)


def pictures_without_words(page):
    return page.evaluate(
        "[...document.querySelectorAll('article img')].filter(i => !i.alt).map(i => i.outerHTML)"
    )


def blurred_pictures(page):
    """Most screens have two pixels for one of the page. Sliders have many pictures, and fewer."""
    return page.evaluate(
        """[...document.querySelectorAll("article img")]
          .filter(i => i.naturalWidth < (i.closest(".explorable") ? 1.45 : 1.95) * i.clientWidth)
          .map(i => `${i.outerHTML.slice(0, 120)} ${i.naturalWidth} in ${i.clientWidth}`)"""
    )


def stretched_pictures(page):
    """A picture that is made narrower becomes lower, too."""
    return page.evaluate(
        """[...document.querySelectorAll("article img")].filter(i => {
          const { paddingLeft, paddingTop } = getComputedStyle(i);
          const width = i.clientWidth - 2 * parseFloat(paddingLeft);
          const height = i.clientHeight - 2 * parseFloat(paddingTop);
          const stretch = width / height / (i.naturalWidth / i.naturalHeight);
          return i.complete && Math.abs(stretch - 1) > 0.03;
        }).map(i => i.outerHTML.slice(0, 200))"""
    )


def small_words(page):
    """A phone has a figure's narrow picture, whose letters of 18 pixels become 10 or more here."""
    return page.evaluate(
        """[...document.querySelectorAll("article picture img")]
          .filter(i => i.clientWidth < 0.55 * i.naturalWidth / 2)
          .map(i => `${i.currentSrc} ${i.naturalWidth} in ${i.clientWidth}`)"""
    )


def words_of_the_other_language(page, language):
    """In the sliders, and on the buttons around the text."""
    other = "en" if language == "ko" else "ko"
    found = page.locator(f".explorable [lang={other}]").evaluate_all("all => all.map(e => e.id)")
    labels = page.evaluate(
        """[...document.querySelectorAll("header button, header a, .bd-sidebar-primary button")]
          .map(b => b.getAttribute("aria-label") || b.innerText)"""
    )
    for label in labels:
        if language == "ko":
            wrong = "Search" in label or "Toggle" in label
        else:
            wrong = any("가" <= letter <= "힣" for letter in label.replace("한국어", ""))
        found += [label] if wrong else []
    return found


def unreachable_by_keyboard(page):
    """Every slider, editor, button, quiz choice and box is a stop of the Tab key."""
    return page.evaluate(
        f"""() => [...document.querySelectorAll(
            "article input, article button, article summary, article .cm-content, article pre")]
          .filter({SHOWN})
          .filter(e => e.tagName !== "PRE" || e.scrollWidth > e.clientWidth)
          .filter(e => !e.matches("summary, .cm-content") && (e.tabIndex < 0 || e.disabled))
          .map(e => e.outerHTML.slice(0, 120))"""
    )


def cut_off(page):
    """Formulas, tables, code and figures end where the screen does, or scroll by themselves."""
    return page.evaluate(
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


def folds_in_a_row(page):
    """One "Show code" says as much as four."""
    return page.evaluate(
        """() => {
          const allFolded = cell =>
            cell.children.length === 1 && cell.firstElementChild.matches("details.hide");
          return [...document.querySelectorAll("div.cell + div.cell")]
            .filter(cell => allFolded(cell) && allFolded(cell.previousElementSibling))
            .map(cell => cell.textContent.slice(0, 120));
        }"""
    )


def clipped(page):
    """Where a box ends that what is in it does not: on the left nobody can scroll to it."""
    return page.evaluate(
        """() => {
          const overflow = box => getComputedStyle(box).overflowX;
          return [...document.querySelectorAll("article :is(pre, table, img, p, li, dl)")]
            .filter(e => e.checkVisibility()).flatMap(e => {
              let box = e.parentElement;
              while (box.tagName !== "ARTICLE" && overflow(box) === "visible")
                box = box.parentElement;
              const [inner, outer] = [e.getBoundingClientRect(), box.getBoundingClientRect()];
              const left = outer.left - inner.left - box.scrollLeft;
              const right = overflow(box) === "hidden" ? inner.right - outer.right : 0;
              return Math.max(left, right) > 1
                ? [`${left} and ${right} px, ${box.className}: ${e.outerHTML.slice(0, 120)}`] : [];
            });
        }"""
    )


def serious_for_axe(page, only=None):
    # Half of axe's time goes to code and formulas, whose pieces are all alike: it gets twenty
    # formulas, one word of each colour and the first letters of the plain words of each block.
    page.evaluate(
        """() => {
          for (const [alike, enough] of [["mjx-container", 20], ["button.copybtn", 3]])
            for (const more of [...document.querySelectorAll(alike)].slice(enough))
              more.remove();
          const seen = new Set();
          for (const word of document.querySelectorAll("pre span[class]"))
            if (seen.has(word.className) || !word.checkVisibility())
              word.replaceWith(...word.childNodes);
            else seen.add(word.className);
          for (const pre of document.querySelectorAll("pre")) {
            pre.normalize();
            for (const words of pre.childNodes)
              if (words.nodeType === Node.TEXT_NODE) words.data = words.data.slice(0, 20);
          }
        }"""
    )
    # Through the shades of what scrolls axe sees no colour, and says nothing.
    page.add_style_tag(content="article * { background-image: none !important }")
    page.evaluate(cdn.local_file(AXE).read_text("utf-8"))
    options = {"resultTypes": ["violations"]} | ({"runOnly": only} if only else {})
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        (rule["id"], node["html"][:120], node["failureSummary"])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def sliders_that_fail(page):
    """By keyboard; each has a name, says its value in words and changes the picture."""
    failures = []
    for explorable in page.locator(".explorable").all():
        values = explorable.locator(".explorable-value").all()
        for slider, value in zip(explorable.get_by_role("slider").all(), values, strict=False):
            name = slider.evaluate("s => s.labels[0].innerText.trim()")
            slider.scroll_into_view_if_needed()
            before, picture = value.inner_text(), shown_picture(explorable)
            slider.focus()
            for key in ("ArrowRight", "ArrowLeft"):  # one of the two if it stands at an end
                page.keyboard.press(key)
                if value.inner_text() != before:
                    break
            found = {
                "has no name": not name,
                "is not moved by the keyboard": value.inner_text() == before,
                "says another value": slider.get_attribute("aria-valuetext") != value.inner_text(),
                "does not change the picture": shown_picture(explorable) == picture,
            }
            failures += [f"{name} {what}" for what, wrong in found.items() if wrong]
    return failures


def shown_picture(explorable):
    """The picture's address, once it is there."""
    picture = explorable.locator("img")
    picture.evaluate("i => i.decode()")
    return picture.get_attribute("src")


def choices_that_fail(page):
    """By keyboard alone each opens to its explanation, and shows a sign, right or wrong."""
    failures = []
    for choice in page.locator("section[id$=-quiz] details.choice").all():
        choice.locator("summary").focus()
        page.keyboard.press("Enter")
        open, explained, sign, right = choice.evaluate(
            """c => [c.open, c.querySelector("p").checkVisibility(),
              getComputedStyle(c.querySelector("summary"), "::before").content,
              c.classList.contains("right")]"""
        )
        if not (open and explained and ("✓" in sign) == right):
            failures.append(choice.inner_text())
    return failures


def missing_parts(page, name):
    """What the chapter's source has, and the page not."""
    sliders = page.locator(".explorable").get_by_role("slider").count()
    choices = page.locator("section[id$=-quiz] details.choice").count()
    right = page.locator("section[id$=-quiz] details.choice.right").count()
    pictures = page.locator("article picture > source + img").count()
    narrow = len(re.findall('"application/vnd.bnlib.narrow[^"]*": "', SOURCES.get(name, "")))
    missing = []
    if pictures != narrow:
        missing.append(f"{narrow - pictures} pictures for phones")
    if name in WITH_SLIDERS and sliders < max(1, page.locator(".explorable").count()):
        missing.append(f"{sliders} sliders")
    if name in WITH_QUIZ and (choices < 15 or right != 5):
        missing.append(f"{choices} choices, {right} of them right")
    return missing


def wrong_on(page, name, language, by_hand):
    """What is wrong on the page: as it opens, and with all of it opened, narrow and wide.

    With `by_hand` its sliders and quiz are tried, and it is seen on a tablet; else all of axe's
    rules.
    """
    scroll_through(page)
    draw(page)
    wrong = {
        "formulas": broken_formulas(page),
        "numbers": numbers_that_may_break(page),
        "parentheses": doubled_parentheses(page),
        "pictures": pictures_without_words(page),
        "blurred": blurred_pictures(page),
        "folds": folds_in_a_row(page),
        "words": words_of_the_other_language(page, language),
        "code words": marked_words_that_look_plain(page),
        "keyboard": unreachable_by_keyboard(page),
        "width": wider_than_the_screen(page),
        "parts": missing_parts(page, name),
        "sliders": sliders_that_fail(page) if by_hand else [],
        "quiz": choices_that_fail(page) if by_hand else [],
    }
    # As after a reader has opened every box, folded cell and quiz choice; what opens is measured,
    # and may become a stop of the Tab key.
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    resize(page, "narrow")  # all that loads late has loaded
    wrong |= {
        "narrow, width": wider_than_the_screen(page),
        "narrow, cut off": cut_off(page),
        "narrow, clipped": clipped(page),
        "narrow, stretched": stretched_pictures(page),
        "narrow, small": small_words(page),
        "narrow, formulas": cut_formulas(page),
        "narrow, keyboard": unreachable_by_keyboard(page),
    }
    for size in ("tablet", "wide") if by_hand else ("wide",):
        resize(page, size)
        wrong |= {
            f"{size}, all open": wider_than_the_screen(page),
            f"{size}, clipped": clipped(page),
            # The first page's slider has half a page where it is wide.
            f"{size}, code": code_wider_than_its_box(page) if name != "00_welcome" else [],
        }
    # What a theme can spoil is contrast; all else is looked at in one of them.
    wrong["axe"] = serious_for_axe(page, only=["color-contrast"] if by_hand else None)
    wrong["complaints"] = page.complaints.found
    return wrong


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", LOOKED_AT)
def test_page_is_sound(open_page, name, language):
    if cdn.local_file(AXE) is None:
        skip_or_fail("npm is needed to fetch axe-core")
    path = name if name == "search" else f"chapters/{name}"
    # Where Korean is light English is dark, so that each page is seen in both.
    turn = (LOOKED_AT.index(name) + LANGUAGES.index(language)) % 2
    theme = ("light", "dark")[turn]
    for _ in range(3):
        page = open_page(f"{language}/{path}.html", "wide", theme)
        assert page.locator("html").get_attribute("lang") == language
        assert page.locator("html").get_attribute("data-theme") == theme
        try:
            wrong = wrong_on(page, name, language, by_hand=turn == 1)
            break
        except StoppedDrawing:  # once in some hundred pages; another load of the page draws
            continue
    else:
        pytest.fail("Chromium stopped drawing the page three times")
    assert not any(wrong.values()), {what: found for what, found in wrong.items() if found}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_download_is_a_plain_notebook_in_the_readers_language(site, name, language):
    folder = HTML / language / "chapters"
    page = (folder / f"{name}.html").read_text("utf-8")
    if is_appendix(name):  # lists, nothing to run
        assert ".ipynb<" not in page
        return
    link = page[: page.index("btn-download-source-button")].rindex("<a ")
    address = page[link:].split('href="', 1)[1].split('"', 1)[0]
    notebook = nbformat.read(folder / address, as_version=4)
    nbformat.validate(notebook)
    tags = {tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])}
    assert language in tags and not {"ko", "en"} - {language} & tags
    code = [c["source"] for c in json.loads(SOURCES[name])["cells"] if c["cell_type"] == "code"]
    assert [c.source for c in notebook.cells if c.cell_type == "code"] == ["".join(c) for c in code]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert MYST.search(cell.source) is None, cell.id
