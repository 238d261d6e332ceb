"""Build the book: bnlib's wheel for the page, both languages, and the page that picks one.

python _ext/build.py           build into _build/html, print the address and serve it
python _ext/build.py --no-serve
python _ext/build.py --links   ask every other site that the book links to
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import http.server
import multiprocessing
import shutil
import subprocess
import sys
import time
from pathlib import Path

# jsonschema would compile a grammar of web addresses for seconds; nothing here checks any by it.
sys.modules["rfc3987_syntax"] = None
# ruff: noqa: E402
import myst_nb.sphinx_ext  # noqa: F401  imported here once and not by each language's process
import security
import site_files
import yaml
from jupyter_book.cli import main as jupyter_book
from sphinx.cmd import build as sphinx_build

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "_build"
HTML = BUILD / "html"
WHEELS = ROOT / "_static" / "wheels"
LANGUAGES = ("ko", "en")
WELCOME = "chapters/00_welcome.html"
GO_TO_WELCOME = (
    f'<!doctype html><meta charset="utf-8"><title>Batch Normalization, Measured</title>'
    f'<meta http-equiv="refresh" content="0; url={WELCOME}"><a href="{WELCOME}">{WELCOME}</a>'
)


def build_wheel() -> None:
    """Put the package where the page's Python can fetch it, if it has changed."""
    # With its folders, whose time changes when a file is taken away.
    sources = [ROOT / "pyproject.toml", ROOT / "bnlib", *(ROOT / "bnlib").rglob("*")]
    sources = [p for p in sources if "__pycache__" not in p.parts]
    built = [wheel.stat().st_mtime for wheel in WHEELS.glob("*.whl")]
    if built and min(built) > max(p.stat().st_mtime for p in sources):
        return
    shutil.rmtree(WHEELS, ignore_errors=True)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", WHEELS, "."]
    subprocess.run(command, cwd=ROOT, check=True)


def build_languages(builder: str = "html") -> None:
    """Both languages at once, one process each. Each has a folder of its own for what it keeps."""
    with contextlib.redirect_stdout(None), contextlib.chdir(ROOT):
        jupyter_book.main(["config", "sphinx", "."], standalone_mode=False)
    # What Sphinx needs takes seconds to import: where the system can fork, only once.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
    processes = {
        language: context.Process(target=run_sphinx, args=(language, builder))
        for language in LANGUAGES
    }
    for process in processes.values():
        process.start()
    for process in processes.values():
        process.join()
    failed = [language for language, process in processes.items() if process.exitcode != 0]
    if failed:
        raise SystemExit(f"The build failed for: {', '.join(failed)}")


def run_sphinx(language: str, builder: str) -> None:
    # Pages read for one builder are not those of another: html's have links to the glossary.
    kept = BUILD / "sphinx" / (language if builder == "html" else f"{language}-{builder}")
    options = ["-D", f"language={language}", "-D", f"bilingual_lang={language}"]
    arguments = [
        *("-b", builder, "-W", "--keep-going", "-q"),
        *options,
        *("-d", str(kept / "doctrees"), str(ROOT), str(kept / builder)),
    ]
    gc.disable()  # a short-lived process: looking for cycles took a sixth of its time
    raise SystemExit(sphinx_build.main(arguments))


def gather() -> None:
    shutil.rmtree(HTML, ignore_errors=True)
    for language in LANGUAGES:
        ignore = shutil.ignore_patterns(".buildinfo", "objects.inv", "*macros.html")
        shutil.copytree(BUILD / "sphinx" / language / "html", HTML / language, ignore=ignore)
        (HTML / language / "index.html").write_text(GO_TO_WELCOME, "utf-8")
    shutil.copy(ROOT / "_ext" / "templates" / "choose-language.html", HTML / "index.html")
    shutil.copy(ROOT / "_static" / "favicon.svg", HTML)
    base = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["html"]["baseurl"]
    site_files.write(HTML, base)
    security.protect(HTML)
    (HTML / ".nojekyll").touch()  # GitHub Pages would otherwise hide _static


def serve() -> None:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=HTML)
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 8000), handler)
    except OSError:  # the port is taken: any other will do
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    print(f"The book is at http://localhost:{server.server_port}/ (Ctrl-C stops)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-serve", action="store_true", help="build only")
    parser.add_argument("--links", action="store_true", help="only ask other sites for our links")
    arguments = parser.parse_args()
    if arguments.links:
        build_languages("linkcheck")
        return
    start = time.monotonic()
    build_wheel()
    build_languages()
    gather()
    print(f"Built {' and '.join(LANGUAGES)} in {time.monotonic() - start:.0f} s: _build/html/")
    if not arguments.no_serve:
        serve()


if __name__ == "__main__":
    main()
