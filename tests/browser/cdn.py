"""Serve the public CDN's files from the same packages, so that pages keep their real addresses.

`/npm/PKG@VERSION/FILE` is answered from the npm package itself, fetched once by `npm pack` into
`_build/cdn`; `/pyodide/…` from `../shared/pyodide`. A file that neither holds is a failed request,
and so a failed test. Where there is neither npm nor the mirror, the real CDN answers.
"""

from __future__ import annotations

import mimetypes
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from playwright.sync_api import Route

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "_build" / "cdn"
PYODIDE = ROOT.parent / "shared" / "pyodide"
CDN = "https://cdn.jsdelivr.net/"
NPM_FILE = re.compile(r"npm/((?:@[\w.-]+/)?[\w.-]+@[\w.-]+)/(.+)")


def answer(route: Route) -> None:
    path = route.request.url.removeprefix(CDN).split("?")[0]
    file = local_file(path)
    if file is None:
        route.continue_()
    elif file.is_file():
        kind = (
            "text/javascript" if file.suffix in {".js", ".mjs"} else mimetypes.guess_type(file)[0]
        )
        headers = {
            "content-type": kind or "application/octet-stream",
            "access-control-allow-origin": "*",
        }
        route.fulfill(body=file.read_bytes(), headers=headers)
    else:
        route.fulfill(status=404, body=f"not in the mirror: {path}")


def local_file(path: str) -> Path | None:
    """Where the mirror keeps a CDN path; None if there is no mirror for it on this machine."""
    if path.startswith("pyodide/"):
        return PYODIDE / path.removeprefix("pyodide/") if PYODIDE.is_dir() else None
    package, file = NPM_FILE.fullmatch(path).groups()
    folder = PACKAGES / package.replace("/", "+")
    if not folder.is_dir():
        if shutil.which("npm") is None:
            return None
        fetch(package, folder)
    return folder / "package" / file


def fetch(package: str, folder: Path) -> None:
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    command = ["npm", "pack", "--silent", "--pack-destination", str(unfinished), package]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with tarfile.open(next(unfinished.glob("*.tgz"))) as archive:
        archive.extractall(unfinished, filter="data")
    unfinished.rename(folder)
