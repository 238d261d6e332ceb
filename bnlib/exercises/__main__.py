"""The exercises in a terminal: python -m bnlib.exercises list | check | progress | confusion

Exit status: 0 if all is well, 1 if an answer is wrong, 2 if there was nothing to check.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path

from . import catalog, check, confusion, find, messages, progress, set_language
from .exercise import Exercise
from .language import LANGUAGES
from .record import load
from .result import one_line
from .running import name_error


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    set_language(options.language)
    try:
        return options.run(options)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m bnlib.exercises", description=__doc__)
    languages = [*LANGUAGES, "both"]
    top.add_argument("--language", choices=languages, default="both", help="of the answers")
    commands = top.add_subparsers(required=True, metavar="command")

    listing = commands.add_parser("list", help="all exercises, with a mark for the solved ones")
    listing.set_defaults(run=run_list)

    checking = commands.add_parser("check", help="check a file's answers")
    checking.add_argument("what", nargs="+", metavar="[ID] FILE", help="a Python file of answers")
    checking.set_defaults(run=run_check)

    showing = commands.add_parser("progress", help="how many are solved, by chapter")
    showing.set_defaults(run=run_progress)

    tabulating = commands.add_parser("confusion", help="mistakes made against mistakes named")
    tabulating.add_argument("id", nargs="?", help="one exercise, in full")
    tabulating.set_defaults(run=run_confusion)
    return top


def run_list(options: argparse.Namespace) -> int:
    solved = load()[0].solved
    width = max(len(exercise.id) for exercise in catalog())
    for exercise in catalog():
        mark = "✓" if exercise.id in solved else "·"
        place = f"{exercise.chapter}.{exercise.number}"
        difficulty = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
        title = one_line(exercise.title)
        print(f"{mark} {place:>4} {exercise.id:<{width}} {difficulty} {title}")
    return 0


def run_progress(options: argparse.Namespace) -> int:
    print(progress())
    return 0


def run_confusion(options: argparse.Namespace) -> int:
    table = confusion.matrix(find(options.id)) if options.id else confusion.markdown(catalog())
    print(table)
    return 0


# --- check


def run_check(options: argparse.Namespace) -> int:
    *ids, file = options.what
    if len(ids) > 1:
        raise ValueError(f"check takes a file, or an id and a file; got {' '.join(options.what)}")
    names = read_file(Path(file))
    answers = find_answers(names, find(ids[0]) if ids else None)
    if not answers:
        raise ValueError(f"{file} defines no function that an exercise asks for")
    results = []
    for exercise, answer in answers:
        results.append(check(exercise.id, answer))
        print(f"── {exercise.id}\n{results[-1]}\n")
    return 0 if all(result.passed for result in results) else 1


def read_file(file: Path) -> dict[str, object]:
    """What the file defines, once it has run. Raises ValueError naming the line that fails.

    `check`, with which a stub ends, does nothing in the file: the check comes afterwards.
    """
    names: dict[str, object] = {
        "__name__": file.stem,
        "__file__": str(file),
        "check": lambda id, answer: None,
    }
    try:
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)
    except SyntaxError as error:
        said = messages.SYNTAX_ERROR.format(line=error.lineno, error=error.msg)
        raise ValueError(f"{file}: {one_line(said)}") from None
    except (Exception, SystemExit) as error:
        frames = traceback.walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == str(file)]
        said = messages.RAISED.format(line=lines[-1] if lines else "?", error=name_error(error))
        raise ValueError(f"{file}: {one_line(said)}") from error
    return names


def find_answers(
    names: dict[str, object], exercise: Exercise | None
) -> list[tuple[Exercise, object]]:
    """The exercises whose function the file defines, each with that function.

    Raises ValueError if a name belongs to several exercises and none was chosen.
    """
    chosen = catalog() if exercise is None else [exercise]
    found = [(e, names[e.solution.__name__]) for e in chosen if e.solution.__name__ in names]
    asked = [e.solution.__name__ for e, _ in found]
    for e, _ in found:
        if asked.count(e.solution.__name__) > 1:
            raise ValueError(
                f"{e.solution.__name__} belongs to several exercises: name the one you mean, "
                f"as in: check {e.id} FILE"
            )
    return found


if __name__ == "__main__":
    sys.exit(main())
