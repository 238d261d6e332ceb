"""Draw the picture that stands beside a shared link, in both languages, with Chromium.

python _ext/share_picture.py     writes _static/share-ko.png and _static/share-en.png

The bars are the home page's: outputs of a sigmoid without and with standardization.
"""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import numpy as np
from chromium import launch
from playwright.sync_api import sync_playwright
from words import WORDS

from bnlib.reference import standardize

STATIC = Path(__file__).parent.parent / "_static"
SIZE = {"width": 1200, "height": 630}
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; height: 630px; box-sizing: border-box; padding: 64px 72px; background: #fff;
  font-family: "Noto Sans KR", "Noto Sans CJK KR", sans-serif; color: #1d2733; display: grid;
  grid-template-rows: auto 1fr; border-bottom: 14px solid #0072B2; word-break: keep-all; }}
header {{ display: flex; gap: 28px; align-items: center; }}
header img {{ width: 84px; }} h1 {{ font-size: 64px; margin: 0; letter-spacing: -0.01em; }}
p {{ font-size: 30px; margin: 10px 0 0; color: #4a5563; }}
figure {{ display: flex; gap: 40px; align-items: end; margin: 0; }}
svg {{ flex: 1; height: 300px; }} b {{ font-size: 72px; color: #4a5563; padding-bottom: 90px; }}
</style><header><img src="data:image/svg+xml;base64,{mark}"><div><h1>{title}</h1>
<p>{text}</p></div></header><figure>{before}<b>→</b>{after}</figure>"""


def bars(values: np.ndarray, color: str) -> str:
    shares = np.histogram(values, np.linspace(0, 1, 11))[0] / values.size
    heights = 290 * shares / 0.6
    rectangles = "".join(
        f'<rect x="{46 * i}" y="{300 - h:.1f}" width="40" height="{h:.1f}" fill="{color}"/>'
        for i, h in enumerate(heights)
    )
    return f'<svg viewBox="0 0 460 300" preserveAspectRatio="none">{rectangles}</svg>'


def main() -> None:
    z = 8 * np.random.default_rng(0).normal(size=(4000, 1)) + 4
    before, after = (1 / (1 + np.exp(-x)) for x in (z, standardize(z)))
    mark = b64encode((STATIC / "favicon.svg").read_bytes()).decode()
    drawn = {"mark": mark, "before": bars(before, "#E69F00"), "after": bars(after, "#0072B2")}
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport=SIZE)
        for language, words in WORDS.items():
            html = PAGE.format(title=words["title"], text=words["description"], **drawn)
            page.set_content(html)
            page.screenshot(path=STATIC / f"share-{language}.png")
        browser.close()


if __name__ == "__main__":
    main()
