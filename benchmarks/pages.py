"""How heavy each page is and how it appears: bytes, largest contentful paint, layout shift.

    make book SERVE=0 && python benchmarks/pages.py

Writes benchmarks/results/pages.json: for each page and language, in a fresh Chromium context on a
1280 x 800 screen, without throttling and without compression:

own_kB    the page, its pictures and slider frames, after scrolling to its end
total_kB  own and what pages share: styles, scripts, fonts, MathJax, CodeMirror
lcp_ms    when the largest part of the first screen was painted
cls       how much the text jumped (good is below 0.1), scrolling included
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bnlib._provenance import provenance

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "_ext")]
import cdn  # noqa: E402
from browser.conftest import FLAGS, PAGES  # noqa: E402
from chromium import launch  # noqa: E402
from serving import served  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "pages.json"
OWN = re.compile(r"/(chapters|_images)/[^?]+")
OBSERVE = """
window.seen = { lcp: 0, cls: 0 };
new PerformanceObserver(list => { for (const e of list.getEntries()) seen.lcp = e.startTime; })
    .observe({ type: "largest-contentful-paint", buffered: true });
new PerformanceObserver(list => {
    for (const e of list.getEntries()) if (!e.hadRecentInput) seen.cls += e.value;
}).observe({ type: "layout-shift", buffered: true });
"""
SCROLL = """async () => {
    for (let y = 0; y < document.documentElement.scrollHeight; y += 600) {
        scrollTo({ top: y, behavior: "instant" });
        await new Promise(resolve => setTimeout(resolve, 60));
    }
}"""


def measure(browser: Browser, address: str) -> dict:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(240_000)
    page.add_init_script(OBSERVE)
    responses = []
    page.on("response", lambda response: responses.append(response))
    page.goto(address)
    page.wait_for_load_state("networkidle")
    lcp = page.evaluate("seen.lcp")
    page.evaluate(SCROLL)
    page.wait_for_load_state("networkidle")
    sizes = {response.url: len(response.body()) for response in responses if response.ok}
    row = {
        "own_kB": round(sum(n for url, n in sizes.items() if OWN.search(url)) / 1000),
        "total_kB": round(sum(sizes.values()) / 1000),
        "lcp_ms": round(lcp),
        "cls": round(page.evaluate("seen.cls"), 3),
    }
    context.close()
    return row


def main() -> None:
    rows = []
    print(f"{'page':<24}{'own kB':>8}{'total kB':>10}{'LCP ms':>8}{'CLS':>7}")
    with served() as site, sync_playwright() as playwright:
        browser = launch(playwright, *FLAGS, *cdn.served_here())
        for name in PAGES:
            for language in ("ko", "en"):
                path = f"{language}/chapters/{name}.html"
                row = measure(browser, f"{site}/{path}")
                rows.append({"page": name, "language": language, **row})
                print(
                    f"{language} {name:<21}{row['own_kB']:>8}{row['total_kB']:>10}"
                    f"{row['lcp_ms']:>8}{row['cls']:>7}",
                    flush=True,
                )
        version = browser.version
        browser.close()
    report = provenance() | {
        "browser": f"Chromium {version}",
        "load_average": round(os.getloadavg()[0], 1),
        "pages": rows,
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
