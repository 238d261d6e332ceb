"""The public CDN's files without the CDN: for the tests, the offline site and the printed book.

`npm/PACKAGE@VERSION/FILE` comes from the npm package itself, fetched once by `npm pack` into
`_build/cdn`; `pyodide/…` from `../shared/pyodide`. Where a machine has neither, there is no file.
"""

from __future__ import annotations

import mimetypes
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Route

ROOT = Path(__file__).parents[1]
PACKAGES = ROOT / "_build" / "cdn"
PYODIDE = ROOT.parent / "shared" / "pyodide"
CDN = "https://cdn.jsdelivr.net/"
# All that a page may load from the CDN. Exact versions, so that a file never changes.
PINNED = (
    "npm/mathjax@3.2.2/es5/",
    "npm/@pyscript/core@0.6.60/dist/",
    "pyodide/v0.27.7/full/",
)
NPM_FILE = re.compile(r"npm/((?:@[\w.-]+/)?[\w.-]+@[\w.-]+)/(.+)")


def local_file(path: str) -> Path | None:
    """Where this machine keeps a CDN path; None if it cannot have it."""
    if path.startswith("pyodide/"):
        return PYODIDE / path.removeprefix("pyodide/") if PYODIDE.is_dir() else None
    package, file = NPM_FILE.fullmatch(path).groups()
    folder = package_folder(package)
    return folder and folder / file


def package_folder(package: str) -> Path | None:
    """The unpacked npm package, such as mathjax@3.2.2; None without npm."""
    folder = PACKAGES / package.replace("/", "+")
    if not folder.is_dir():
        if shutil.which("npm") is None:
            return None
        fetch(package, folder)
    return folder / "package"


def fetch(package: str, folder: Path) -> None:
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PACKAGES) as unfinished:
        command = ["npm", "pack", "--silent", "--pack-destination", unfinished, package]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        unpacked = Path(unfinished, "unpacked")
        with tarfile.open(next(Path(unfinished).glob("*.tgz"))) as archive:
            archive.extractall(unpacked, filter="data")
        try:
            unpacked.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise


def answer(route: Route) -> None:
    """For a browser that playwright drives: pages keep their public addresses.

    A file that the packages do not hold is a failed request. Where there is neither npm nor the
    copy of Pyodide, the real CDN answers.
    """
    path = route.request.url.removeprefix(CDN).split("?")[0]
    file = local_file(path)
    if file is None:
        route.continue_()
    elif file.is_file():
        is_script = file.suffix in {".js", ".mjs"}
        kind = "text/javascript" if is_script else mimetypes.guess_type(file)[0]
        headers = {
            "content-type": kind or "application/octet-stream",
            "access-control-allow-origin": "*",
        }
        route.fulfill(body=file.read_bytes(), headers=headers)
    else:
        route.fulfill(status=404, body=f"not in the mirror: {path}")
