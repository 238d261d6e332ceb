"""Which exercises a reader has solved, kept in a file of their own.

The file holds {"version": 1, "solved": [ids], "code": {id: text}}, as the page's export does.
It is written whole to a temporary name and then renamed, so that it is never half written; a file
that cannot be read is set aside under another name, never overwritten.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from . import messages
from .exercise import Exercise
from .language import Text
from .result import one_line

VERSION = 1
BAR = 20  # characters


@dataclass(frozen=True)
class Record:
    """What the file holds: the ids of solved exercises, and code that came from the page."""

    solved: frozenset[str] = frozenset()
    code: dict[str, str] = field(default_factory=dict)

    def merge(self, other: Record) -> Record:
        """Solved in either; where both have code for an exercise, this one's stays."""
        return Record(self.solved | other.solved, other.code | self.code)

    def to_json(self) -> str:
        content = {"version": VERSION, "solved": sorted(self.solved), "code": self.code}
        return json.dumps(content, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Raises ValueError, naming what is wrong, for anything but the format above."""
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("version") != VERSION:
            raise ValueError(f'progress must be an object with "version": {VERSION}')
        solved, code = content.get("solved", []), content.get("code", {})
        if not is_texts(solved, list):
            raise ValueError('"solved" must be a list of exercise ids')
        if not is_texts(code, dict) or not is_texts([*code.values()], list):
            raise ValueError('"code" must be an object from exercise ids to code')
        return cls(frozenset(solved), code)


def is_texts(value: object, kind: type) -> bool:
    return isinstance(value, kind) and all(isinstance(item, str) for item in value)


# --- the file


def path() -> Path | None:
    """The file, or None where progress is kept elsewhere: in the page, or as the reader chose.

    The environment variable BNLIB_PROGRESS names another file; set to nothing, none is used.
    """
    chosen = os.environ.get("BNLIB_PROGRESS")
    if sys.platform == "emscripten" or chosen == "":
        return None
    return Path(chosen).expanduser() if chosen else data_folder() / "bnlib" / "progress.json"


def data_folder() -> Path:
    """Where this system keeps a user's data."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    chosen = os.environ.get("XDG_DATA_HOME", "")
    return Path(chosen) if os.path.isabs(chosen) else home / ".local" / "share"


def load() -> tuple[Record, Text | None]:
    """The record, and what there is to say if the file was damaged. Raises OSError."""
    file = path()
    if file is None or not file.exists():
        return Record(), None
    try:
        return Record.from_json(file.read_text(encoding="utf-8")), None
    except ValueError:  # also what decoding and json raise
        aside = set_aside(file)
        return Record(), messages.PROGRESS_DAMAGED.format(file=aside)


def set_aside(file: Path) -> Path:
    """Rename a damaged file to the first free name."""
    number = 1
    while (aside := file.with_name(f"{file.stem}.damaged-{number}{file.suffix}")).exists():
        number += 1
    file.rename(aside)
    return aside


def save(record: Record, file: Path) -> None:
    """Write `record` under another name, then give it this one. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as temporary:
            temporary.write(record.to_json())
            temporary.flush()
            os.fsync(temporary.fileno())
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise


def record_pass(id: str) -> Text | None:
    """Add a solved exercise. Returns what to tell if the file is damaged or cannot be written."""
    file = path()
    if file is None:
        return None
    try:
        record, note = load()
        if id not in record.solved:
            save(record.merge(Record(frozenset([id]))), file)
        return note
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        return messages.PROGRESS_NOT_KEPT.format(error=f"{type(error).__name__}: {error}")


def export_progress(file: str | os.PathLike) -> None:
    """Write the progress to `file`, which the page or another machine can import."""
    save(load()[0], Path(file))


def import_progress(file: str | os.PathLike) -> None:
    """Add what `file`, exported here or by the page, holds to the progress kept here.

    Raises ValueError if the file is no exported progress; what is kept here stays as it was.
    """
    try:
        imported = Record.from_json(Path(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"file must hold exported progress; {file}: {error}") from None
    kept = path()
    if kept is None:
        raise ValueError("file cannot be imported: BNLIB_PROGRESS says that none is kept")
    record, note = load()
    if note:
        warnings.warn(one_line(note), stacklevel=2)
    save(record.merge(imported), kept)


# --- drawing


@dataclass(frozen=True)
class Progress:
    """How far a reader has come: draws a bar for the book and one for each chapter.

    chapters  for each chapter number its exercises, and whether each is solved
    """

    chapters: dict[int, list[tuple[Exercise, bool]]]
    note: Text | None = None

    @classmethod
    def of(cls, exercises: Iterable[Exercise]) -> Progress:
        try:
            record, note = load()
        except (OSError, RuntimeError) as error:
            record, note = Record(), messages.PROGRESS_NOT_READ.format(error=error)
        chapters: dict[int, list[tuple[Exercise, bool]]] = {}
        for exercise in exercises:
            solved = exercise.id in record.solved
            chapters.setdefault(exercise.chapter, []).append((exercise, solved))
        return cls(chapters, note)

    @property
    def solved(self) -> int:
        return sum(solved for chapter in self.chapters.values() for _, solved in chapter)

    @property
    def total(self) -> int:
        return sum(map(len, self.chapters.values()))

    def rows(self) -> list[tuple[Text, int, int]]:
        """Label, solved and total: the whole book first, then the chapters."""
        rows = [(messages.WHOLE_BOOK, self.solved, self.total)]
        for number, chapter in self.chapters.items():
            label = messages.CHAPTER.format(number=number)
            rows.append((label, sum(solved for _, solved in chapter), len(chapter)))
        return rows

    def __repr__(self) -> str:
        lines = [
            f"{bar(solved, total)} {solved:>2}/{total:<2} {one_line(label)}"
            for label, solved, total in self.rows()
        ]
        return "\n".join([*lines, str(self.note)] if self.note else lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{label.html()}</th>'
            f'<td><progress value="{solved}" max="{total}" '
            f'aria-label="{escape(one_line(label))}"></progress></td>'
            f"<td>{solved}/{total}</td></tr>"
            for label, solved, total in self.rows()
        )
        note = f'<div class="check-note">{self.note.html()}</div>' if self.note else ""
        return f'<table class="exercise-progress">{rows}</table>{note}'


def bar(solved: int, total: int) -> str:
    """Full only when everything is solved, empty only when nothing is."""
    full = BAR * solved // total if total else 0
    full = max(full, 1) if solved else 0
    return "█" * full + "░" * (BAR - full)
