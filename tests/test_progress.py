"""Progress is kept, survives damage, and is shown; the exercises work in a terminal."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bnlib import exercises
from bnlib.exercises import (
    catalog,
    check,
    export_progress,
    find,
    import_progress,
    progress,
    record,
    set_language,
)
from bnlib.exercises.__main__ import main
from bnlib.exercises.confusion import markdown, matrix

SOLUTION = find("standardize").solution
SOURCE = find("standardize").solution_source
WRONG = "def standardize(x):\n    return x - x.mean(axis=0)\n"
SPLIT = find("standardize-test-split").solution_source


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """The progress file of this test alone."""
    path = tmp_path / "data" / "progress.json"
    monkeypatch.setenv("BNLIB_PROGRESS", str(path))
    set_language("en")
    yield path
    set_language("both")


def content(path):
    return json.loads(path.read_text(encoding="utf-8"))


# --- keeping


def test_a_pass_is_kept_and_a_failure_is_not(file):
    check("standardize", lambda x: x)
    assert not file.exists()
    assert check("standardize", SOLUTION).note is None
    assert content(file) == {"version": 1, "solved": ["standardize"], "code": {}}
    kept = file.stat().st_mtime_ns
    check("standardize", SOLUTION)
    assert file.stat().st_mtime_ns == kept
    assert [path.name for path in file.parent.iterdir()] == ["progress.json"]


def test_what_another_version_or_the_page_knows_is_kept(file):
    file.parent.mkdir()
    file.write_text('{"version": 1, "solved": ["of-the-future"], "code": {"standardize": "x"}}')
    check("standardize", SOLUTION)
    assert content(file)["solved"] == ["of-the-future", "standardize"]
    assert content(file)["code"] == {"standardize": "x"}


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        '{"version": 2}',
        '{"version": 1, "solved": [1]}',
        '{"version": 1, "code": []}',
    ],
)
def test_a_damaged_file_is_set_aside_with_a_message(file, damage):
    file.parent.mkdir()
    for number in (1, 2):
        file.write_text(damage)
        result = check("standardize", SOLUTION)
        aside = file.with_name(f"progress.damaged-{number}.json")
        assert result.passed and str(aside) in repr(result) and str(aside) in result._repr_html_()
        assert aside.read_text() == damage
        assert content(file)["solved"] == ["standardize"]


def test_bytes_that_are_no_text_are_damage(file):
    file.parent.mkdir()
    file.write_bytes(b"\xff\xfe\x00")
    assert "damaged-1" in repr(progress())
    assert file.with_name("progress.damaged-1.json").read_bytes() == b"\xff\xfe\x00"


def test_a_write_that_fails_leaves_the_old_file(file, monkeypatch):
    check("standardize", SOLUTION)

    def full_disk(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full_disk)
    result = check("standardize-test-split", find("standardize-test-split").solution)
    assert result.passed and "disk full" in str(result.note) and "disk full" in repr(result)
    assert content(file)["solved"] == ["standardize"]
    assert [path.name for path in file.parent.iterdir()] == ["progress.json"]


def test_a_folder_that_cannot_be_made_gives_a_note(file, monkeypatch):
    file.parent.write_text("a file where the folder should be")
    result = check("standardize", SOLUTION)
    assert result.passed and "could not be written" in str(result.note)
    monkeypatch.setenv("BNLIB_PROGRESS", str(file.parent.parent))
    assert "could not be opened" in repr(progress())


def test_nothing_is_written_where_none_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setenv("BNLIB_PROGRESS", "")
    assert record.path() is None
    assert check("standardize", SOLUTION).note is None
    monkeypatch.setenv("BNLIB_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert record.path() is None


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.local/share"),
        ("linux", {"XDG_DATA_HOME": "/elsewhere"}, "/elsewhere"),
        ("linux", {"XDG_DATA_HOME": "not/absolute"}, "home/.local/share"),
        ("darwin", {}, "home/Library/Application Support"),
        ("win32", {"APPDATA": "/roaming"}, "/roaming"),
        ("win32", {}, "home/AppData/Roaming"),
    ],
)
def test_place_of_the_file(platform, variables, expected, tmp_path, monkeypatch):
    for name in ("BNLIB_PROGRESS", "XDG_DATA_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert record.path() == tmp_path / expected / "bnlib" / "progress.json"


# --- export and import


def test_export_and_import_merge(file, tmp_path):
    check("standardize", SOLUTION)
    exported = tmp_path / "exported.json"
    export_progress(exported)
    assert content(exported)["solved"] == ["standardize"]
    from_the_page = {
        "version": 1,
        "solved": ["constant-feature"],
        "code": {"standardize": "code of the page", "bn-forward": "y = …"},
    }
    page = tmp_path / "page.json"
    page.write_text(json.dumps(from_the_page), encoding="utf-8")
    import_progress(page)
    import_progress(page)
    merged = from_the_page | {"solved": ["constant-feature", "standardize"]}
    assert content(file) == merged
    page.write_text('{"version": 1, "solved": [], "code": {"standardize": "another try"}}')
    import_progress(page)
    assert content(file) == merged


def test_a_bad_import_changes_nothing(file, tmp_path):
    check("standardize", SOLUTION)
    before = file.read_bytes()
    bad = tmp_path / "bad.json"
    bad.write_text('{"solved": []}')
    with pytest.raises(ValueError, match=r"bad\.json: progress must be an object"):
        import_progress(bad)
    with pytest.raises(FileNotFoundError):
        import_progress(tmp_path / "none.json")
    assert file.read_bytes() == before


# --- drawing


def test_progress_draws_the_book_and_its_chapters():
    empty = repr(progress())
    assert f"░ {'0/':>3}" in empty and "█" not in empty
    check("standardize", SOLUTION)
    now = progress()
    assert (now.solved, now.total) == (1, len(catalog()))
    first = [e for e in catalog() if e.chapter == 1]
    lines = repr(now).splitlines()
    assert len(lines) == 1 + len({e.chapter for e in catalog()})
    assert re.search(rf"█+░+ +1/{len(catalog())} +whole book", lines[0])
    assert re.search(rf"█+░+ +1/{len(first)} +chapter 1$", lines[1])
    html = now._repr_html_()
    assert f'<progress value="1" max="{len(catalog())}" aria-label="whole book">' in html
    assert html.count("<progress") == len(lines)
    set_language("ko")
    assert "전체" in repr(now) and "1장" in now._repr_html_() and "chapter" not in repr(now)


def test_a_bar_is_full_only_when_all_is_solved():
    assert record.bar(99, 100).count("█") == record.BAR - 1
    assert record.bar(1, 100).count("█") == 1
    assert record.bar(100, 100) == "█" * record.BAR
    assert record.bar(0, 5) == record.bar(0, 0) == "░" * record.BAR


# --- the terminal


def test_list_marks_what_is_solved(capsys):
    check("standardize", SOLUTION)
    assert main(["--language", "en", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(catalog())
    assert re.match(r"✓ +1\.1 standardize +●○○ Standardize every column$", lines[0])
    assert lines[1].startswith("·")


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        (SOURCE, 0, "✓ Passed"),
        (f"{SOURCE}\n\n\n{SPLIT}", 0, "standardize-test-split"),
        (WRONG, 1, "The mean is 0 now"),
        (f"{WRONG}\n\n{SPLIT}", 1, "✓ Passed"),
        ("x = 1", 2, "defines no function"),
        ("def standardize(x:", 2, "Line 1 cannot be read"),
        ("1 / 0", 2, "ZeroDivisionError"),
    ],
)
def test_check_a_file(code, status, says, tmp_path, capsys):
    answers = tmp_path / "answers.py"
    answers.write_text(f"import numpy as np\n{code}" if status < 2 else code)
    assert main(["--language", "en", "check", str(answers)]) == status
    said = capsys.readouterr()
    assert says in (said.err if status == 2 else said.out)


def test_check_one_exercise_of_a_file(tmp_path, capsys, file):
    answers = tmp_path / "answers.py"
    answers.write_text(f"{SOURCE}\n\n{SPLIT.replace('x_train.std', 'x_test.std')}")
    assert main(["check", "standardize", str(answers)]) == 0
    assert "standardize-test-split" not in capsys.readouterr().out
    assert content(file)["solved"] == ["standardize"]
    assert main(["check", "standardise", str(answers)]) == 2
    assert main(["check", "a", "b", str(answers)]) == 2
    assert main(["check", str(tmp_path / "none.py")]) == 2


def test_a_name_of_several_exercises_needs_an_id(tmp_path, capsys, monkeypatch):
    twin = exercises.Exercise(**{**vars(find("standardize")), "id": "twin"})
    monkeypatch.setattr("bnlib.exercises.__main__.catalog", lambda: [find("standardize"), twin])
    answers = tmp_path / "answers.py"
    answers.write_text(SOURCE)
    assert main(["check", str(answers)]) == 2
    assert "name the one you mean" in capsys.readouterr().err


def test_unknown_commands_are_refused():
    with pytest.raises(SystemExit) as refused:
        main(["chekc"])
    assert refused.value.code == 2


def test_it_runs_as_a_module(file):
    command = [sys.executable, "-m", "bnlib.exercises", "--language", "en", "progress"]
    said = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    assert f"0/{len(catalog())}" in said.stdout and "whole book" in said.stdout


# --- the confusion table


def test_confusion_table():
    table = markdown([find("standardize")]).splitlines()
    assert table[2] == "| `standardize` | 18 | 100 % | 9 | 100 % |  |"
    assert table[3] == "| **all** | 18 | 100 % | 9 | 100 % |  |"
    rows = matrix(find("standardize")).splitlines()[2:]
    assert [row.count(" 1 ") for row in rows] == [1] * 8 + [0]  # the last has ten variants


def test_confusion_table_tells_what_is_taken_for_what():
    exercise = exercises.Exercise(**{**vars(find("standardize")), "mistakes": []})
    title = {"ko": "가", "en": "a"}
    exercise.mistake(**title)(lambda x: x + 1)
    first = exercise.mistakes[0]
    exercise.combined = None
    exercise.mistakes.append(exercises.Mistake("twin", first.functions, first.message))
    assert markdown([exercise]).splitlines()[2].endswith("| 50 % | 0 |  | twin → <lambda> |")
