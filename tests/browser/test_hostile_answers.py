"""The answers that break or cheat, in the page: see tests/hostile_answers.py.

Those that never end are in test_exercises.py: each costs the page a new Python.
"""

from hostile_answers import HOSTILE

from .test_exercises import FIRST, PAGE, answer, run, write

IN_THE_PAGE = {"too_deep": ("crashed", "starts afresh")}  # WebAssembly's stack is smaller
SOLVED = f"{FIRST.solution_source}\n\n{FIRST.check_line}"


def test_hostile_answers_get_their_message(open_page):
    page = open_page(f"en/{PAGE}")
    told = {}
    for name, cell, *expected in HOSTILE:
        mistake, says = IN_THE_PAGE.get(name, expected)
        write(page, FIRST, cell)
        said = run(page, FIRST)["mistake"] or None
        if said != mistake or says not in answer(page, FIRST):
            told[name] = (said, answer(page, FIRST)[:200])
        write(page, FIRST, SOLVED)
        assert run(page, FIRST)["state"] == "passed", f"after {name} nothing works any more"
    assert told == {}
