"""A content-security policy for each built page: what a page may load and run, and from where.

The page's own inline scripts are named by their hashes; anything else inline does not run. The
script that a tag loads from the CDN, MathJax, carries an integrity hash (in _config.yml). What
scripts load cannot: CodeMirror's and Pyodide's modules, MathJax's fonts. Their exact versions are
pinned.
"""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from pathlib import Path

from cdn import CDN, PINNED

MATHJAX, _, PYODIDE = PINNED

INLINE_SCRIPT = re.compile(r"<script\b((?:(?!\ssrc=)[^>])*)>(.*?)</script>", re.S)
IS_DATA = re.compile(r'\stype="(?!module|text/javascript|importmap)')
HANDLER = re.compile(r'<[a-z][^<>]*?\son[a-z]+="([^"]*)"')
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>\n?')
CHARSET = re.compile(r"<meta charset=[^>]*>\n?", re.I)


def protect(html: Path) -> None:
    for page in html.rglob("*.html"):
        text = page.read_text("utf-8")
        page.write_text(with_policy(text), "utf-8")


def with_policy(page: str) -> str:
    """The page with its policy, which must stand before the first script."""
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy(page)}">\n'
    return CHARSET.sub(lambda m: m[0].rstrip() + "\n" + tag, POLICY.sub("", page), count=1)


def policy(page: str) -> str:
    cdn = " ".join(f"{CDN}{folder}" for folder in PINNED)
    hashes = " ".join(f"'{hash_of(script)}'" for script in sorted(inline_scripts(page)))
    handlers = sorted({unescape(handler) for handler in HANDLER.findall(page)})
    if handlers:  # the theme's print button has one
        hashes += " 'unsafe-hashes' " + " ".join(f"'{hash_of(handler)}'" for handler in handlers)
    rules = {
        "default-src": "'self'",
        "script-src": f"'self' {hashes} {cdn} 'wasm-unsafe-eval'",
        # What a worker's module imports counts as a worker.
        "worker-src": f"'self' {CDN}{PYODIDE}",
        "connect-src": f"'self' {CDN}{MATHJAX} {CDN}{PYODIDE}",
        "font-src": f"'self' data: {CDN}{MATHJAX}",
        "img-src": "'self' data: blob:",
        # MathJax and CodeMirror write their styles into the page.
        "style-src": "'self' 'unsafe-inline'",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
    }
    return "; ".join(f"{name} {' '.join(sources.split())}" for name, sources in rules.items())


def inline_scripts(page: str) -> set[str]:
    return {
        body for attributes, body in INLINE_SCRIPT.findall(page) if not IS_DATA.search(attributes)
    }


def hash_of(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
