"""Build the book: bnlib's wheel for the page, both languages, and the page that picks one.

python _ext/build.py           build into _build/html, print the address and serve it
python _ext/build.py --no-serve
python _ext/build.py --links   ask every other site that the book links to
"""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import security
import site_files
import yaml

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
    """Put the package where the page's Python can fetch it."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", WHEELS, "."]
    subprocess.run(command, cwd=ROOT, check=True)


def build_languages(builder: str = "html") -> None:
    """Both languages at once, one process each. Each has a folder of its own for what it keeps."""
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    quiet = {"stdout": subprocess.DEVNULL}
    subprocess.run([jupyter_book, "config", "sphinx", "."], cwd=ROOT, check=True, **quiet)
    # conf.py does not say where the local extensions are; `jupyter-book build` would add the path.
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "_ext")}
    processes = {
        language: subprocess.Popen(sphinx(language, builder), cwd=ROOT, env=environment)
        for language in LANGUAGES
    }
    failed = [language for language, process in processes.items() if process.wait() != 0]
    if failed:
        raise SystemExit(f"The build failed for: {', '.join(failed)}")


def sphinx(language: str, builder: str) -> list[str]:
    # Pages read for one builder are not those of another: html's have links to the glossary.
    kept = BUILD / "sphinx" / (language if builder == "html" else f"{language}-{builder}")
    options = ["-D", f"language={language}", "-D", f"bilingual_lang={language}"]
    return [
        *(sys.executable, "-m", "sphinx", "-b", builder, "-W", "--keep-going", "-q"),
        *options,
        *("-d", str(kept / "doctrees"), str(ROOT), str(kept / builder)),
    ]


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
