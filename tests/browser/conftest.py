"""Chromium on the built book. In CI a missing browser or an unbuilt book fails, never skips."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "_ext"))
import cdn  # noqa: E402
from chromium import CHROMIUM, launch  # noqa: E402
from serving import HTML, served  # noqa: E402

# Of a list that is given twice Chromium takes the last: this one holds what Playwright turns off,
# and then the address bar's suggestions, two more pages behind each page that is opened.
TURNED_OFF = (
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,"
    "HttpsFirstBalancedModeAutoEnable,LensOverlay,MediaRouter,PaintHolding,"
    "ThirdPartyStoragePartitioning,AvoidCorsURLLoaderRestartOnRedirect,OptimizationHints,"
    "NetworkTimeServiceQuerying,AimEnabled,PreconnectToSearch,"
    "WebUIOmniboxPopup,WebUIOmniboxAimPopup"
)
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={TURNED_OFF}",
]
PAGES = sorted(p.stem for p in (ROOT / "chapters").glob("*.ipynb"))
expect.set_options(timeout=30_000)  # not the usual 5 s: the machine may be busy
# Narrow is the smallest phone, and a wide window enlarged to 400 %.
SIZES = {"wide": (1280, 800), "tablet": (1024, 768), "phone": (390, 844), "narrow": (320, 640)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def skip_or_fail(reason: str) -> None:
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The address of the built book."""
    if not (HTML / "index.html").exists():
        skip_or_fail("the book is not built: run `make book SERVE=0`")
    with served() as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        skip_or_fail("no Chromium found on this machine")
    with sync_playwright() as playwright:
        browser = launch(playwright, *FLAGS, *cdn.served_here())
        yield browser
        browser.close()


@dataclass
class Complaints:
    """What a page did wrong so far: console errors, uncaught exceptions, failed requests."""

    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", lambda m: m.type == "error" and self.found.append(f"console: {m.text}"))
        page.on("pageerror", lambda error: self.found.append(f"exception: {error}"))
        page.on("requestfailed", lambda r: self.found.append(f"failed: {r.url} {r.failure}"))
        page.on(
            "response",
            lambda r: r.status >= 400 and self.found.append(f"{r.status}: {r.url}"),
        )


@pytest.fixture
def open_page(browser: Browser, site: str) -> Iterator[Callable[..., Page]]:
    """open_page("ko/chapters/00_welcome.html", size="phone", theme="dark") -> Page

    Each test gets a browser context of its own; `page.complaints` lists what went wrong.
    """
    contexts = []

    def open_page(path: str, size: str = "wide", theme: str = "light", **options) -> Page:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            has_touch=size == "phone",
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.complaints = Complaints()
        page.complaints.watch(page)
        page.goto(f"{site}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
