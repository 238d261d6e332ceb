"""Every link inside the built site leads somewhere: the file is there, and so is the anchor."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from .conftest import HTML, PAGES

LINKS = {"href", "src", "poster", "data"}
SCRIPTS = {".html", ".js", ".mjs", ".css", ".map"}


class Page(HTMLParser):
    """A page's ids and the addresses in its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.addresses: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.ids.add(value)
            elif name in LINKS and value:
                self.addresses.add(value)
            elif name == "data-frames" and value:  # what an explorable's sliders choose from
                self.addresses |= {f"../_images/{frame}" for frame in value.split()}
            elif name == "srcset" and value:
                self.addresses |= {part.split()[0] for part in value.split(",")}


def broken_links(site: Path) -> tuple[list[str], int]:
    """What does not resolve, and how many links were looked at."""
    pages = {
        path.relative_to(site).as_posix(): Page(path.read_text("utf-8"))
        for path in site.rglob("*.html")
        if path.name != "404.html"  # its links hold for the published address
    }
    broken, looked_at = [], 0
    for name, page in pages.items():
        for address in page.addresses:
            link = urlsplit(urljoin(f"http://site/{name}", address))
            if link.netloc != "site":
                continue
            looked_at += 1
            path = unquote(link.path).lstrip("/")
            target = path + "index.html" if path.endswith("/") or not path else path
            if not (site / target).is_file():
                broken.append(f"{name}: {address}: no such file")
            elif link.fragment and unquote(link.fragment) not in pages[target].ids:
                broken.append(f"{name}: {address}: no such place")
    return broken, looked_at


def test_every_link_inside_the_site_leads_somewhere(site):
    broken, looked_at = broken_links(HTML)
    assert broken == []
    assert looked_at > 100 * len(PAGES)


def test_every_script_and_style_is_asked_for(site):
    """By a page, or by another script: what none asks for is not published."""
    texts = {path: path.read_text("utf-8") for path in HTML.rglob("*") if path.suffix in SCRIPTS}
    everything = "\n".join(text for path, text in texts.items() if path.suffix != ".map")
    asked = set(re.findall(r"""[/"'`}]([\w.-]+)(?=["'`?])""", everything))
    files = {path.name for path in texts if path.suffix != ".html"}
    assert files - asked == set()


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        ('<a href="other.html#there">', None),
        ('<a href="other.html#elsewhere">', "no such place"),
        ('<a href="#here">', "no such place"),
        ('<img src="missing.png">', "no such file"),
        ('<img srcset="missing.png 2x">', "no such file"),
        ('<a href="https://example.com/missing">', None),
    ],
)
def test_a_broken_link_is_found(tmp_path, link, complaint):
    (tmp_path / "page.html").write_text(link)
    (tmp_path / "other.html").write_text('<p id="there">')
    broken, _ = broken_links(tmp_path)
    assert [one.rsplit(": ")[-1] for one in broken] == ([complaint] if complaint else [])
