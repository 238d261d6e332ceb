"""How long a check takes in the page: each exercise's solution, in Chromium, in Pyodide.

    make book SERVE=0 && python benchmarks/exercises_in_page.py

Writes benchmarks/results/exercises_in_page.json: the median of five starts of Python in
milliseconds, and its ratio to Pyodide with NumPy alone, started in turn; and for each exercise the
median of five checks, from pressing Run's message to the answer, and its ratio to the same check in
this Python in the same run.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from bnlib._provenance import provenance
from bnlib.exercises import catalog
from bnlib.exercises.page import run_cell

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "_ext")]
import cdn  # noqa: E402
from browser.conftest import FLAGS  # noqa: E402
from chromium import launch  # noqa: E402
from serving import served  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "exercises_in_page.json"
ROUNDS = 5

START = """wheel => new Promise((resolve, reject) => {
    const address = new URL("../_static/exercise-worker.mjs", location.href);
    window.worker = new Worker(address, { type: "module" });
    window.worker.onmessage = ({ data }) => {
        if (data.ready) resolve(); if (data.failure) reject(data.failure);
    };
    window.worker.postMessage({ wheel: new URL(wheel, location.href).href });
})"""
ALONE = """() => new Promise((resolve, reject) => {
    const code = `import { loadPyodide } from
        "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/pyodide.mjs";
        const pyodide = await loadPyodide({ packages: ["numpy"] });
        pyodide.runPython("import numpy");
        postMessage("ready");`;
    const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const worker = new Worker(address, { type: "module" });
    worker.onmessage = () => { worker.terminate(); resolve(); };
    worker.onerror = reject;
})"""
RUN = """code => new Promise((resolve, reject) => {
    const start = performance.now();
    window.worker.onmessage = ({ data }) =>
        data.result
            ? resolve([performance.now() - start, data.result.state])
            : reject(data.failure);
    window.worker.postMessage({ code, language: "en" });
})"""


def here(code: str) -> float:
    start = time.perf_counter()
    assert run_cell(code, "en")["state"] == "passed"
    return 1000 * (time.perf_counter() - start)


def start(browser: Browser, address: str, script: str) -> tuple[float, Page]:
    """Start Python on a page that has loaded nothing of it; milliseconds, and the page."""
    page = browser.new_page(bypass_csp=True)  # our policy would refuse the worker of ALONE
    page.goto(address, wait_until="networkidle")
    wheel = page.locator("meta[name=bnlib-wheel]").get_attribute("content")
    begun = time.perf_counter()
    page.evaluate(script, wheel)
    return 1000 * (time.perf_counter() - begun), page


def measure() -> tuple[dict, list[dict]]:
    rows = []
    with served() as site, sync_playwright() as playwright:
        browser = launch(playwright, *FLAGS, *cdn.served_here())
        address = f"{site}/en/chapters/01_standardization.html"
        ours, alone = [], []
        for _ in range(ROUNDS):
            for script, times in ((ALONE, alone), (START, ours)):
                milliseconds, page = start(browser, address, script)
                times.append(milliseconds)
                page.close()
        first = statistics.median(ours)
        over_alone = statistics.median(a / b for a, b in zip(ours, alone, strict=True))
        print(f"start {first:.0f} ms, {over_alone:.2f} x Pyodide with NumPy alone")
        _, page = start(browser, address, START)
        for exercise in catalog():
            code = f"{exercise.solution_source}\n\n{exercise.check_line}"
            in_page, native = [], []
            for _ in range(ROUNDS):
                milliseconds, state = page.evaluate(RUN, code)
                assert state == "passed", (exercise.id, state)
                in_page.append(milliseconds)
                native.append(here(code))
            median = statistics.median(in_page)
            ratio = median / statistics.median(native)
            rows.append({"id": exercise.id, "ms": round(median, 1), "over_native": round(ratio, 1)})
            print(f"{exercise.id:<28} {median:>7.0f} ms   {ratio:>5.1f} x native")
        facts = {
            "browser": f"Chromium {browser.version}",
            "start_ms": round(first),
            "start_over_pyodide_alone": round(over_alone, 2),
        }
        browser.close()
    return facts, rows


def main() -> None:
    facts, rows = measure()
    report = {**provenance(), "pyodide": "0.27.7", **facts, "rounds": ROUNDS, "exercises": rows}
    RESULT.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(f"slowest {max(row['ms'] for row in rows):.0f} ms of {len(rows)} exercises")


if __name__ == "__main__":
    main()
