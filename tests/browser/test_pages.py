"""Every page, as a reader meets it: both languages, both themes, wide and phone."""

import json

import pytest
from playwright.sync_api import expect

from .conftest import PAGES, ROOT, SIZES

LANGUAGES = ("ko", "en")
WITH_SLIDERS = [
    name for name in PAGES if "explore(" in (ROOT / "chapters" / f"{name}.ipynb").read_text("utf-8")
]
WITH_QUIZ = [
    name for name in PAGES if "-quiz)=" in (ROOT / "chapters" / f"{name}.ipynb").read_text("utf-8")
]


def scroll_through(page):
    """Bring every part of the page near the screen, so that what loads late loads."""
    page.wait_for_load_state("networkidle")
    height = page.evaluate("document.documentElement.scrollHeight")
    for y in range(0, height, 700):
        page.evaluate(f"window.scrollTo(0, {y})")
        page.wait_for_timeout(40)
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_page_is_sound(open_page, name, language, theme, size):
    page = open_page(f"{language}/chapters/{name}.html", size, theme)
    scroll_through(page)
    assert page.complaints.found == []
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator("html").get_attribute("data-theme") == theme
    sideways = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert sideways <= 0, f"the page is {sideways} px wider than the screen"
    assert page.locator("mjx-merror").count() == 0
    for image in page.locator("article img").all():
        assert image.get_attribute("alt"), "an image without alternative text"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_page_speaks_one_language(open_page, name, language):
    page = open_page(f"{language}/chapters/{name}.html")
    page.wait_for_load_state("networkidle")
    other = "en" if language == "ko" else "ko"
    assert page.locator(f".explorable [lang={other}]").count() == 0
    buttons = page.locator("header button, header a, .bd-sidebar-primary button")
    labels = " ".join(
        filter(None, [b.get_attribute("aria-label") or b.inner_text() for b in buttons.all()])
    )
    if language == "ko":
        assert "Search" not in labels and "Toggle" not in labels, labels
    else:
        assert not any("가" <= letter <= "힣" for letter in labels.replace("한국어", "")), labels


@pytest.mark.parametrize("name", PAGES)
def test_language_links_land_on_the_same_section(open_page, name):
    page = open_page(f"ko/chapters/{name}.html")
    ids = "[...document.querySelectorAll('main section[id]')].map(s => s.id)"
    sections = page.evaluate(ids)
    target = sections[-1]
    page.goto(f"{page.url}#{target}")
    page.locator(".language-switch a").click()
    page.wait_for_url(f"**/en/chapters/{name}.html#{target}")
    assert page.evaluate(ids) == sections
    expect(page.locator(f"section#{target}")).to_be_in_viewport()
    links = page.locator("link[rel=alternate]")
    assert [link.get_attribute("hreflang") for link in links.all()] == ["ko", "en", "x-default"]


def test_language_switch_keeps_the_place_without_a_hash(open_page):
    page = open_page("en/chapters/01_standardization.html")
    page.wait_for_load_state("networkidle")  # what loads late moves the text
    section = page.locator("main section section[id]").nth(2)
    section.evaluate(
        "s => scrollTo({top: s.getBoundingClientRect().top + scrollY - 80, behavior: 'instant'})"
    )
    box = page.locator(".language-switch a").bounding_box()  # click() would scroll the page
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**/ko/**")
    assert page.url.endswith("#" + section.get_attribute("id"))


@pytest.mark.parametrize(
    ("preferred", "expected"), [("ko-KR", "ko"), ("en-GB", "en"), ("fr-FR", "en")]
)
def test_front_page_follows_the_browser(open_page, preferred, expected):
    page = open_page("", locale=preferred)
    page.wait_for_url(f"**/{expected}/chapters/00_welcome.html")


def test_front_page_remembers_the_last_choice(open_page, site):
    page = open_page("", locale="ko-KR")
    page.wait_for_url("**/ko/chapters/**")
    page.locator(".language-switch a").click()
    page.wait_for_url("**/en/chapters/**")
    page.goto(f"{site}/")
    page.wait_for_url("**/en/chapters/**")


def test_front_page_works_without_javascript(open_page):
    page = open_page("", java_script_enabled=False)
    links = page.locator("a[hreflang]")
    assert [link.get_attribute("hreflang") for link in links.all()] == ["ko", "en"]
    links.first.click()
    page.wait_for_url("**/ko/chapters/00_welcome.html")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", WITH_SLIDERS)
def test_every_slider_changes_the_picture(open_page, name, size):
    """By keyboard, and each has a name and says its value in words."""
    page = open_page(f"en/chapters/{name}.html", size)
    for explorable in page.locator(".explorable").all():
        sliders = explorable.get_by_role("slider")
        assert sliders.count() >= 1
        for slider, value in zip(
            sliders.all(), explorable.locator(".explorable-value").all(), strict=True
        ):
            assert slider.evaluate("s => s.labels[0].innerText.trim()")
            slider.scroll_into_view_if_needed()
            before, picture = value.inner_text(), shown_picture(explorable)
            slider.focus()
            for key in ("ArrowRight", "ArrowLeft"):  # one of the two if it stands at an end
                page.keyboard.press(key)
                if value.inner_text() != before:
                    break
            assert value.inner_text() != before, "the keyboard does not move the slider"
            assert slider.get_attribute("aria-valuetext") == value.inner_text()
            assert shown_picture(explorable) != picture, "the slider does not change the picture"
    assert page.complaints.found == []


def shown_picture(explorable):
    """The picture's address, once it is there."""
    picture = explorable.locator("img")
    picture.evaluate("i => i.decode()")
    return picture.get_attribute("src")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_download_is_a_notebook_in_the_readers_language(open_page, site, name, language):
    page = open_page(f"{language}/chapters/{name}.html")
    address = page.locator("a.btn-download-source-button").get_attribute("href")
    notebook = json.loads(page.request.get(f"{site}/{language}/chapters/{address}").text())
    tags = [tag for cell in notebook["cells"] for tag in cell["metadata"].get("tags", [])]
    assert language in tags and not {"ko", "en"} - {language} & set(tags)
    stored = json.loads((ROOT / "chapters" / f"{name}.ipynb").read_text("utf-8"))
    code = [cell["source"] for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert [c["source"] for c in notebook["cells"] if c["cell_type"] == "code"] == code


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", WITH_QUIZ)
def test_quiz_explains_every_choice(open_page, name, language):
    """By keyboard alone: each choice opens to its explanation and shows a sign, right or wrong."""
    page = open_page(f"{language}/chapters/{name}.html")
    choices = page.locator("section[id$=-quiz] details.choice")
    assert choices.count() >= 15
    assert page.locator("section[id$=-quiz] details.choice.right").count() == 5
    for choice in choices.all():
        choice.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(choice).to_have_attribute("open", "")
        expect(choice.locator("p").first).to_be_visible()
        sign = choice.locator("summary").evaluate("s => getComputedStyle(s, '::before').content")
        assert ("✓" in sign) == ("right" in choice.get_attribute("class")), sign
