"""What the pages may load and run, and that they work under it."""

import base64
import hashlib
import re

import cdn
import pytest
from playwright.sync_api import expect
from security import with_policy

from .conftest import HTML
from .test_exercises import EXERCISES, run, write

ELSEWHERE = re.compile(r'<(?:script|link rel="stylesheet")[^>]*(?:src|href)="(https?:[^"]+)"[^>]*>')
REPORT = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", event =>
      violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


def test_scripts_from_elsewhere_carry_the_hash_of_their_package(site):
    found = set()
    for page in HTML.rglob("*.html"):
        for match in ELSEWHERE.finditer(page.read_text("utf-8")):
            integrity = re.search(r'integrity="(sha384-[^"]+)"', match[0])
            assert integrity and 'crossorigin="anonymous"' in match[0], f"{page}: {match[0]}"
            found.add((match[1].split("?")[0], integrity[1]))
    assert found
    for address, integrity in found:
        file = cdn.local_file(address.removeprefix(cdn.CDN))
        if file is None:
            pytest.skip("no npm on this machine")
        digest = base64.b64encode(hashlib.sha384(file.read_bytes()).digest()).decode()
        assert integrity == f"sha384-{digest}", address


def test_modules_load_only_pinned_versions(site):
    """A module that another one imports carries no hash, so its exact version is all there is."""
    addresses = {
        address
        for file in (HTML / "ko" / "_static").glob("*.mjs")
        for address in re.findall(rf"{re.escape(cdn.CDN)}[^\"'`]+", file.read_text("utf-8"))
    }
    assert addresses
    for address in addresses:
        assert address.removeprefix(cdn.CDN).startswith(cdn.PINNED), address


def test_pages_work_under_their_policy(open_page, site):
    """A slider, an exercise, the search and the theme switch: nothing is refused."""
    page = open_page("ko/chapters/01_standardization.html")
    page.add_init_script(REPORT)
    page.reload()
    page.wait_for_load_state("networkidle")
    assert "default-src 'self'" in page.content().split("<script", 1)[0]
    slider = page.locator(".explorable input").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    exercise = EXERCISES[0]
    write(page, exercise, f"{exercise.solution_source}\n\n{exercise.check_line}")
    assert run(page, exercise, seconds=180)["state"] == "passed"
    page.locator("button.theme-switch-button:visible").first.click()
    assert page.evaluate("violations") == []
    page.goto(f"{site}/en/search.html?q=variance")
    expect(page.locator("main a[href*='chapters/']").first).to_be_visible()
    assert page.evaluate("violations") == []


def test_a_strange_script_does_not_run(open_page):
    page = open_page("en/chapters/00_welcome.html")
    page.evaluate("""() => {
        document.body.append(Object.assign(document.createElement("script"),
            { textContent: "window.ran = 'inline'" }));
        document.body.append(Object.assign(document.createElement("script"),
            { src: "https://cdn.jsdelivr.net/npm/left-pad@1.3.0/index.js" }));
        document.body.insertAdjacentHTML("beforeend",
            "<img src=x onerror=\\"window.ran = 'handler'\\">");
    }""")
    missing = {"inline script", "inline event handler", "left-pad"}
    for _ in range(50):  # the picture's handler is due when its request has failed
        page.wait_for_timeout(100)
        refused = [c for c in page.complaints.found if "Content Security Policy" in c]
        missing = {kind for kind in missing if not any(kind in c for c in refused)}
        if not missing:
            break
    assert missing == set()
    assert page.evaluate("window.ran") is None


def test_a_policy_names_the_inline_scripts_and_replaces_an_older_one():
    data = '<script type="application/json">{}</script>'
    page = f'<head><meta charset="utf-8"/><script>one()</script>{data}'
    first = with_policy(page)
    digest = base64.b64encode(hashlib.sha256(b"one()").digest()).decode()
    assert first.count("'sha256-") == 1 and f"'sha256-{digest}'" in first
    second = with_policy(first.replace("one()", "two()"))
    assert second.count("Content-Security-Policy") == 1 and digest not in second
