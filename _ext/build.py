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
import json
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
from serving import HTML
from sphinx.cmd import build as sphinx_build
from words import WORDS

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "_build"
WHEELS = ROOT / "_static" / "wheels"
LANGUAGES = ("ko", "en")
TEMPLATES = ROOT / "_ext" / "templates"
WELCOME = "chapters/00_welcome.html"
# What Sphinx and the theme put into the site, and none of our pages asks for: their own search,
# icons drawn by a script, translations of what they say, maps for who develops them.
UNASKED = (
    *(".buildinfo", "objects.inv", "*macros.html", "*.map", "fontawesome.js*", "sphinx-thebe.*"),
    *("searchindex.js", "searchtools.js", "translations.js", "locales", "copybutton_funcs.js"),
    "screenshot.png",  # the README's
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


def kept(language: str, builder: str) -> Path:
    """Pages read for one builder are not those of another: html's have links to the glossary."""
    return BUILD / "sphinx" / (language if builder == "html" else f"{language}-{builder}")


def run_sphinx(language: str, builder: str) -> None:
    folder = kept(language, builder)
    options = ["-D", f"language={language}", "-D", f"bilingual_lang={language}"]
    # Of a link that does not answer `ask_links` tells more shortly than Sphinx.
    strict = ["-Q"] if builder == "linkcheck" else ["-W", "--keep-going", "-q"]
    arguments = [
        *("-b", builder, *strict, *options),
        *("-d", str(folder / "doctrees"), str(ROOT), str(folder / builder)),
    ]
    gc.disable()  # a short-lived process: looking for cycles took a sixth of its time
    raise SystemExit(sphinx_build.main(arguments))


def ask_links() -> None:
    """Ask every other site that the book links to, and list the links that do not answer."""
    results = [kept(language, "linkcheck") / "linkcheck" / "output.json" for language in LANGUAGES]
    for result in results:
        result.unlink(missing_ok=True)
    failed = None
    try:
        build_languages("linkcheck")
    except SystemExit as message:  # as it is when a link does not answer
        failed = message
    texts = [result.read_text("utf-8") for result in results if result.exists()]
    links = [json.loads(line) for line in "".join(texts).splitlines()]
    silent = {link["uri"]: link for link in links if link["status"] in ("broken", "timeout")}
    for address, link in sorted(silent.items()):
        reason = link["info"].rpartition("Caused by ")[2]
        print(f"{address}\n    in {link['filename']}: {reason}")
    if silent:
        raise SystemExit(f"{len(silent)} links did not answer")
    if failed:
        raise failed


def gather() -> None:
    shutil.rmtree(HTML, ignore_errors=True)
    for language in LANGUAGES:
        others = [f"share-{other}.png" for other in LANGUAGES if other != language]
        ignore = shutil.ignore_patterns(*UNASKED, *others)
        shutil.copytree(BUILD / "sphinx" / language / "html", HTML / language, ignore=ignore)
        page = (TEMPLATES / "go-to-welcome.html").read_text("utf-8")
        page = page.format(lang=language, title=WORDS[language]["title"], welcome=WELCOME)
        (HTML / language / "index.html").write_text(page, "utf-8")
    shutil.copy(TEMPLATES / "choose-language.html", HTML / "index.html")
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
        ask_links()
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
