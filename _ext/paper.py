"""The book on paper: one PDF a language, printed by Chromium from the built site.

Each page is printed by itself and joined: a title page with contents, page numbers, an outline,
and links that lead to pages of the PDF. Sliders stand at the frame that the chapter chose, an
exercise is its statement and stub, and a quiz has its answers at its end.

python _ext/paper.py      after `make book`; writes _build/paper/ko.pdf and en.pdf
"""

from __future__ import annotations

import io
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import yaml
from build import BUILD, LANGUAGES, ROOT
from cdn import served_here
from chromium import launch
from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import Link
from pypdf.generic import Fit
from serving import served
from words import WORDS

TEMPLATES = Path(__file__).parent / "templates"
PAPER = BUILD / "paper"
MARGIN = {"top": "18mm", "bottom": "20mm", "left": "18mm", "right": "18mm"}
LINE = 16  # points above a link's target that come into view with it


def pages_in_order() -> list[str]:
    """The built pages as the table of contents has them: chapters/01_standardization, …"""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *files]


class Part(NamedTuple):
    """One page of the site on sheets of paper."""

    reader: PdfReader
    headings: list[tuple[int, str, str]]  # level, place, words


def print_page(page: Page, address: str) -> Part:
    page.goto(address)
    page.add_style_tag(content=(TEMPLATES / "paper.css").read_text("utf-8"))
    headings = page.evaluate((TEMPLATES / "paper.js").read_text("utf-8"))
    page.wait_for_load_state("networkidle")
    return Part(as_pdf(page), headings)


def as_pdf(page: Page, **options) -> PdfReader:
    options = {"margin": MARGIN, "scale": 0.8} | options
    return PdfReader(io.BytesIO(page.pdf(format="A4", print_background=True, **options)))


def join(front: PdfReader, parts: dict[str, Part], site: str) -> PdfWriter:
    """All parts in one file, links to the site's pages turned into links to pages of the file."""
    writer = PdfWriter()
    writer.append(front, import_outline=False)
    starts, places = {}, {}
    for address, part in parts.items():
        starts[address] = len(writer.pages)
        writer.append(part.reader, import_outline=False)
        for name, place in part.reader.named_destinations.items():
            number = starts[address] + part.reader.get_destination_page_number(place)
            places[address, name.lstrip("/")] = (number, place.top)
    for address, part in parts.items():
        chapter = None
        for level, name, words in part.headings:
            number, top = places.get((address, name), (starts[address], None))
            item = writer.add_outline_item(
                title=words, page_number=number, parent=chapter, fit=view(top)
            )
            chapter = item if level == 1 else chapter
        for number, page in enumerate(part.reader.pages, start=starts[address]):
            relink(writer, number, page, address, site, starts, places)
    return writer


def view(top: float | None) -> Fit:
    return Fit.fit() if top is None else Fit.xyz(top=top + LINE)


def relink(writer, number: int, page, address: str, site: str, starts: dict, places: dict) -> None:
    """Give a page of the joined file its links: inside the book, and to other sites."""
    links = []
    for annotation in page.get("/Annots", []):
        annotation = annotation.get_object()
        action = annotation.get("/A", {})
        uri, name = action.get("/URI"), annotation.get("/Dest", action.get("/D"))
        if uri and uri.startswith(site):
            parts = urlsplit(uri)
            target, name = f"{site}{parts.path}", parts.fragment
        elif uri:
            links.append(Link(rect=annotation["/Rect"], url=uri))
            continue
        else:
            target = address
        start = starts.get(target)
        if start is not None:
            index, top = places.get((target, str(name).lstrip("/")), (start, None))
            links.append(Link(rect=annotation["/Rect"], target_page_index=index, fit=view(top)))
    writer.pages[number].pop("/Annots", None)
    for link in links:
        writer.add_annotation(number, link)


def front_matter(page: Page, language: str, titles: list[tuple[str, int | None]]) -> PdfReader:
    words = WORDS[language]
    rows = "".join(
        f'<li><span>{escape(title)}</span><span class="number">{number or ""}</span></li>'
        for title, number in titles
    )
    version = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"]
    base = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["html"]["baseurl"]
    page.set_content(
        (TEMPLATES / "front-matter.html")
        .read_text("utf-8")
        .format(
            lang=language,
            title=words["title"],
            version=f"bnlib {version}",
            address=base,
            licence=words["licence"],
            contents=words["contents_of_book"],
            rows=rows,
        )
    )
    return as_pdf(page)


def number_pages(page: Page, writer: PdfWriter, title: str) -> None:
    """Print the numbers on sheets of their own, and lay them over the pages."""
    count = len(writer.pages)
    sheets = "".join(
        f"<div><span>{title}</span><span>{n}</span></div>" for n in range(2, count + 1)
    )
    style = (TEMPLATES / "page-numbers.css").read_text("utf-8")
    page.set_content(f"<style>{style}</style>{sheets}")
    numbers = as_pdf(page, margin=dict.fromkeys(MARGIN, "0"), scale=1)
    for sheet, numbered in zip(writer.pages[1:], numbers.pages, strict=True):
        sheet.merge_page(numbered)
        sheet.compress_content_streams()


def print_book(page: Page, site: str, language: str) -> PdfWriter:
    parts, titles = {}, []
    for name in pages_in_order():
        address = f"{site}/{language}/{name}.html"
        parts[address] = print_page(page, address)
        titles.append(parts[address].headings[0][2])
    front = front_matter(page, language, [(title, None) for title in titles])
    numbers, number = [], len(front.pages) + 1
    for part in parts.values():
        numbers.append(number)
        number += len(part.reader.pages)
    front = front_matter(page, language, list(zip(titles, numbers, strict=True)))
    writer = join(front, parts, site)
    number_pages(page, writer, WORDS[language]["title"])
    writer.add_metadata({"/Title": WORDS[language]["title"], "/Author": "The bnlib contributors"})
    writer.compress_identical_objects()
    return writer


def main() -> None:
    PAPER.mkdir(parents=True, exist_ok=True)
    with served() as site, sync_playwright() as playwright:
        browser = launch(playwright, "--disable-gpu", *served_here())
        for language in LANGUAGES:
            context = browser.new_context(color_scheme="light", bypass_csp=True)
            context.set_default_timeout(300_000)
            context.route("**/exercises.mjs*", lambda route: route.abort())  # the stub stays a text
            file = PAPER / f"{language}.pdf"
            writer = print_book(context.new_page(), site, language)
            unfinished = file.with_suffix(".unfinished")
            writer.write(unfinished)
            unfinished.replace(file)  # a run that breaks off leaves the last whole book
            context.close()
            size = file.stat().st_size / 1e6
            print(f"{file.relative_to(ROOT)}: {len(writer.pages)} pages, {size:.1f} MB")
        browser.close()


if __name__ == "__main__":
    main()
