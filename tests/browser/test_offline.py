"""The zip of the site with the network cut: from a server, and straight from disk."""

import functools
import http.server
import threading
import zipfile
from urllib.error import URLError

import offline
import pytest
from playwright.sync_api import expect

from .conftest import Complaints, QuietHandler, skip_or_fail
from .test_exercises import EXERCISES, card, run, write

CHAPTER = "chapters/01_standardization.html"


@pytest.fixture(scope="module")
def unpacked(site, tmp_path_factory):
    try:
        offline.main()
    except (SystemExit, URLError) as missing:
        skip_or_fail(f"the CDN's files are not to be had on this machine: {missing}")
    folder = tmp_path_factory.mktemp("offline")
    zipfile.ZipFile(offline.ZIP).extractall(folder)
    return folder / "batch-normalization"


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


@pytest.mark.parametrize("language", ["ko", "en"])
def test_from_a_server(unpacked, open_offline, language):
    handler = functools.partial(QuietHandler, directory=unpacked)
    handler.extensions_map = {
        ".html": "text/html",
        ".js": "text/javascript",
    }  # no server knows less
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = open_offline(f"http://127.0.0.1:{server.server_port}/{language}/{CHAPTER}")
    see_equations(page)
    move_slider(page)
    exercise = EXERCISES[0]
    write(page, exercise, f"{exercise.solution_source}\n\n{exercise.check_line}")
    assert run(page, exercise, seconds=180)["state"] == "passed"
    search(page, "standardization")
    assert (page.asked, page.complaints.found) == ([], [])
    server.shutdown()


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
