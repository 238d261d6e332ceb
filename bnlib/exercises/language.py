"""Texts in two languages, and which of them a reader sees."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

LANGUAGES = ("ko", "en")
_chosen = "both"


@dataclass(frozen=True)
class Text:
    """One text, written once in each language."""

    ko: str
    en: str

    def __str__(self) -> str:
        return "\n".join(getattr(self, language) for language in shown_languages())

    def format(self, **values: object) -> Text:
        """With the values filled in; a value that is a Text gives each language its own."""
        filled = []
        for language in LANGUAGES:
            own = {k: getattr(v, language) if isinstance(v, Text) else v for k, v in values.items()}
            filled.append(getattr(self, language).format(**own))
        return Text(*filled)

    def html(self) -> str:
        """Each shown language in a block of its own, so that a page can hide the other one."""
        return "".join(
            f'<div lang="{language}">{escape(getattr(self, language))}</div>'
            for language in shown_languages()
        )


def join(texts: list[Text]) -> Text:
    return Text(" ".join(t.ko for t in texts), " ".join(t.en for t in texts))


def set_language(language: str) -> None:
    """Choose the language of every later answer: "ko", "en" or "both" (the default)."""
    global _chosen
    if language not in (*LANGUAGES, "both"):
        raise ValueError(f'language must be "ko", "en" or "both", got {language!r}')
    _chosen = language


def shown_languages() -> tuple[str, ...]:
    return LANGUAGES if _chosen == "both" else (_chosen,)
