"""The machine's Chromium: for the tests, the printed book, the share pictures, measurements."""

from __future__ import annotations

import shutil

from playwright.sync_api import Browser, Playwright

# Not chromium-headless-shell: it is a little faster, but now and then says of a page that has
# loaded all it asked for that something is still under way.
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Playwright, *flags: str) -> Browser:
    if CHROMIUM is None:  # Playwright would advise to install a browser of its own
        raise SystemExit(f"Needed: one of {', '.join(NAMES)}")
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])
