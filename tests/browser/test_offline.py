"""The zip of the site with the network cut: from a server, and straight from disk."""

import zipfile

import offline
import pytest
from playwright.sync_api import expect
from serving import QuietHandler, served

from .conftest import Complaints, skip_or_fail
from .test_exercises import EXERCISES, card, run, write

CHAPTER = "chapters/01_standardization.html"


@pytest.fixture(scope="module")
def unpacked(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("offline")
    with pytest.MonkeyPatch.context() as patch:  # another worker may make the zip at the same time
        patch.setattr(offline, "SITE", folder / "made" / offline.SITE.name)
        patch.setattr(offline, "ZIP", folder / "offline.zip")
        try:
            offline.main()
        except SystemExit as missing:
            skip_or_fail(f"the CDN's files are not to be had on this machine: {missing}")
        zipfile.ZipFile(offline.ZIP).extractall(folder)
    return folder / offline.SITE.name


@pytest.fixture
def open_offline(browser):
    """open_offline(address) -> a page whose every request beyond this machine is refused."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    asked = []

    def refuse(route):
        asked.append(route.request.url)
        route.abort()

    context.route(lambda url: not url.startswith(("http://127.0.0.1", "file:", "data:")), refuse)

    def open_offline(address):
        page = context.new_page()
        page.asked, page.complaints = asked, Complaints()
        page.complaints.watch(page)
        page.goto(address)
        return page

    yield open_offline
    context.close()


def move_slider(page):
    explorable = page.locator(".explorable").first
    explorable.scroll_into_view_if_needed()
    picture, slider = explorable.locator("img"), explorable.locator("input").first
    before = picture.get_attribute("src")
    slider.focus()
    for key in ("ArrowRight", "ArrowLeft"):  # one of the two if it stands at an end
        page.keyboard.press(key)
        if picture.get_attribute("src") != before:
            break
    assert picture.get_attribute("src") != before
    assert picture.evaluate("async i => { await i.decode(); return i.naturalWidth }") > 100


def see_equations(page):
    expect(page.locator("mjx-container[display=true]").first).to_be_visible()
    assert page.locator("mjx-merror").count() == 0
    page.evaluate("document.fonts.ready")
    loaded = "[...document.fonts].filter(f => f.family.startsWith('MJX') && f.status == 'loaded')"
    assert page.evaluate(f"{loaded}.length") > 0


def search(page, word):
    page.goto(page.url.rsplit("/chapters/", 1)[0] + f"/search.html?q={word}")
    expect(page.locator("main a[href*='chapters/']").first).to_be_visible()


class PlainHandler(QuietHandler):
    extensions_map = {".html": "text/html", ".js": "text/javascript"}  # noqa: RUF012


@pytest.mark.parametrize("language", ["ko", "en"])
def test_from_a_server(unpacked, open_offline, language):
    with served(unpacked, PlainHandler) as site:  # no server knows less
        page = open_offline(f"{site}/{language}/{CHAPTER}")
        see_equations(page)
        move_slider(page)
        exercise = EXERCISES[0]
        write(page, exercise, f"{exercise.solution_source}\n\n{exercise.check_line}")
        assert run(page, exercise, seconds=180)["state"] == "passed"
        search(page, "standardization")
        assert (page.asked, page.complaints.found) == ([], [])


@pytest.mark.parametrize("language", ["ko", "en"])
def test_straight_from_disk(unpacked, open_offline, language):
    page = open_offline((unpacked / language / CHAPTER).as_uri())
    see_equations(page)
    move_slider(page)
    needs = card(page, EXERCISES[0]).locator(".exercise-answer")
    expect(needs).to_contain_text("python3 -m http.server")
    expect(card(page, EXERCISES[0]).locator("pre").first).to_contain_text("def ")
    expect(page.locator(".progress-text")).not_to_be_empty()
    page.locator(".language-switch a").click()
    page.wait_for_url("**/chapters/01_standardization.html*")
    assert (page.asked, page.complaints.found) == ([], [])
    search(page, "standardization")
    assert page.asked == []


def test_the_front_page_opens_from_disk(unpacked, open_offline):
    page = open_offline((unpacked / "index.html").as_uri())
    page.wait_for_url("**/chapters/00_welcome.html")
    assert page.asked == []
