"""Two languages: the same places in both, a switch that keeps the place, a wise front page."""

import re

import pytest
from playwright.sync_api import expect

from .conftest import HTML, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_sections_have_the_same_address_in_both_languages(site, name):
    korean, english = (
        re.findall(r'<section[^>]* id="([^"]+)"', text[text.index("<main") :])
        for text in (
            (HTML / language / "chapters" / f"{name}.html").read_text("utf-8")
            for language in ("ko", "en")
        )
    )
    assert korean == english and korean


def test_language_links_land_on_the_same_section(open_page):
    page = open_page("ko/chapters/04_forward.html")
    target = page.locator("main section[id]").last.get_attribute("id")
    page.goto(f"{page.url}#{target}")
    page.locator(".language-switch a").click()
    page.wait_for_url(f"**/en/chapters/04_forward.html#{target}")
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


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_language_alone_leads_to_its_first_page(open_page, language):
    text = (HTML / language / "index.html").read_text("utf-8")
    assert f'<html lang="{language}">' in text and 'name="viewport"' in text
    assert bool(re.search("<title>.*[가-힣].*</title>", text)) == (language == "ko")
    page = open_page(f"{language}/#sec-contents")
    page.wait_for_url(f"**/{language}/chapters/00_welcome.html#sec-contents")
    page = open_page(f"{language}/", java_script_enabled=False)
    page.wait_for_url(f"**/{language}/chapters/00_welcome.html")


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
