"""The machine's Chromium: for the tests, the printed book and the share pictures."""

import shutil

# Not chromium-headless-shell: it is a little faster, but now and then says of a page that has
# loaded all it asked for that something is still under way.
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
