"""What a check answers, as text and as HTML."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import messages
from .language import Text, shown_languages
from .showing import Shown


@dataclass(frozen=True)
class Result:
    """The answer to an answer.

    passed          True if the answer does what the solution does on every input
    mistake         the name of the mistake that was recognised, or None
    text            what to tell the reader, in both languages; `message`, in the chosen one
    example         the smallest input that shows it, what came and what was expected
    second_mistake  the other one, if two were made at once
    note            something about the check itself, such as that progress could not be kept
    """

    passed: bool
    mistake: str | None
    text: Text
    example: tuple[tuple[Text, Shown], ...] = field(default=(), repr=False)
    second_mistake: str | None = None
    note: Text | None = None

    @property
    def message(self) -> str:
        return str(self.text)

    @property
    def state(self) -> str:
        if self.passed:
            return "passed"
        return "untried" if self.mistake == "not_attempted" else "wrong"

    def __repr__(self) -> str:
        lines = [one_line(messages.VERDICTS[self.state]), self.message]
        for label, shown in self.example:
            gap = "\n" if "\n" in shown.text else " "
            lines.append(f"{one_line(label)}:{gap}{shown.text}")
        if self.note:
            lines.append(str(self.note))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        verdict = messages.VERDICTS[self.state].html()
        figures = [
            f"<figure><figcaption>{label.html()}</figcaption><pre>{shown.html}</pre></figure>"
            for label, shown in self.example
        ]
        labels = [label for label, _ in self.example]
        if messages.YOURS in labels:  # it and the expected one stay side by side
            yours = labels.index(messages.YOURS)
            compared = "".join(figures[yours : yours + 2])
            figures[yours : yours + 2] = [f'<div class="check-compared">{compared}</div>']
        note = f'<div class="check-note">{self.note.html()}</div>' if self.note else ""
        return (
            f'<div class="check check-{self.state}">'
            f'<strong class="check-verdict">{verdict}</strong>'
            f'<div class="check-message">{self.text.html()}</div>'
            f'<div class="check-example">{"".join(figures)}</div>{note}</div>'
        )


def one_line(text: Text) -> str:
    return " · ".join(dict.fromkeys(getattr(text, language) for language in shown_languages()))
