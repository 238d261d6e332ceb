"""What a web server and a search engine ask a site for: 404 page, robots.txt, sitemap."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from words import LANGUAGE_NAMES

TEMPLATES = Path(__file__).parent / "templates"


def write(html: Path, base: str) -> None:
    """The files at the site's root. A map needs the published address: without, none."""
    base = base and base.rstrip("/") + "/"
    # A missing page may have been asked for at any depth, so the links back cannot be relative.
    root = urlsplit(base).path or "/"
    page = (TEMPLATES / "not-found.html").read_text("utf-8")
    (html / "404.html").write_text(page.replace("{root}", root), "utf-8")
    if base:
        (html / "sitemap.xml").write_text(sitemap(html, base), "utf-8")
        # Read where the book has a host of its own. What search engines should not show says so
        # itself, wherever it stands: see .ci/publish.
        robots = f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n"
        (html / "robots.txt").write_text(robots, "utf-8")


def sitemap(html: Path, base: str) -> str:
    pages = sorted(p.relative_to(html / "en") for p in (html / "en" / "chapters").glob("*.html"))
    urls = []
    for page in pages:
        addresses = {code: escape(f"{base}{code}/{page.as_posix()}") for code in LANGUAGE_NAMES}
        alternates = "".join(
            f'<xhtml:link rel="alternate" hreflang="{code}" href="{address}"/>'
            for code, address in addresses.items()
        )
        urls += [f"<url><loc>{a}</loc>{alternates}</url>" for a in addresses.values()]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
        'xmlns:xhtml="http://www.w3.org/1999/xhtml">\n' + "\n".join(urls) + "\n</urlset>\n"
    )
