"""The machine's Chromium: for the tests, the printed book and the share pictures."""

import shutil

# The first has no windows to draw, which saves an eighth of the tests' time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
