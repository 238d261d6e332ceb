"""What a page says of itself elsewhere: its description, and its card where a link is shared."""

from __future__ import annotations

from html import escape

from markupsafe import Markup
from sphinx.application import Sphinx
from words import WORDS

LOCALES = {"ko": "ko_KR", "en": "en_GB"}
LONGEST = 200  # characters; search engines and chats cut off what is longer


def describe(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    language = app.config.bilingual_lang
    words = WORDS[language]
    # A chapter's title holds its number in a span; only the search page has none.
    title = Markup(context.get("title") or words["search"]).striptags()
    paragraph = app.env.metadata.get(pagename, {}).get("first_paragraph")
    context["metatags"] = context.get("metatags", "") + tags(
        title,
        shortened(paragraph or f"{title}: {words['description']}"),
        language,
        words,
        app.config.html_baseurl,
        context["pageurl"],
    )


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"


def tags(title: str, text: str, language: str, words: dict, base: str, page: str) -> str:
    """OpenGraph wants whole addresses, so the picture waits for the published one."""
    properties = {
        "og:type": "article",
        "og:site_name": words["title"],
        "og:title": title,
        "og:description": text,
        "og:locale": LOCALES[language],
    }
    if base:
        properties |= {
            "og:url": page,
            "og:image": f"{base.rstrip('/')}/{language}/_static/share-{language}.png",
            "og:image:width": "1200",
            "og:image:height": "630",
            "og:image:alt": words["title"],
        }
    meta = f'<meta name="description" content="{escape(text)}">\n'
    meta += f'<meta name="twitter:card" content="{"summary_large_image" if base else "summary"}">\n'
    return meta + "".join(
        f'<meta property="{name}" content="{escape(value)}">\n'
        for name, value in properties.items()
    )


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", describe)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
