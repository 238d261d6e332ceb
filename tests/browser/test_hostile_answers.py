"""The answers that break, cheat or never end, in the page: see tests/hostile_answers.py."""

from hostile_answers import ENDLESS, HOSTILE, NATIVE

from .test_exercises import FIRST, PAGE, answer, card, run, write

IN_THE_PAGE = {"too_deep": ("crashed", "starts afresh")}  # WebAssembly's stack is smaller
# What the clock of the page has to end, whatever Python is doing: catching, printing, in C, deep,
# without memory. Each costs the page a new Python, some seconds.
ENDED = {
    "loops_and_catches",
    "prints_for_ever",
    "never_returns_to_python",
    "recurses_without_limit",
    "takes_the_memory",
}
SOLVED = f"{FIRST.solution_source}\n\n{FIRST.check_line}"


def test_hostile_answers_get_their_message(open_page):
    page = open_page(f"en/{PAGE}")
    told = {}
    for number, (name, cell, *expected) in enumerate(HOSTILE, start=1):
        mistake, says = IN_THE_PAGE.get(name, expected)
        write(page, FIRST, cell)
        said = run(page, FIRST)["mistake"] or None
        if said != mistake or says not in answer(page, FIRST):
            told[name] = (said, answer(page, FIRST)[:200])
        if number % 5 and number < len(HOSTILE):
            continue
        write(page, FIRST, SOLVED)
        assert run(page, FIRST)["state"] == "passed", f"by {name} or the four before it"
    assert told == {}


LATE = f"""import js, time
from pyodide.ffi import create_once_callable

def late():
    time.sleep(4)
    raise ValueError("late")

js.setTimeout(create_once_callable(late), 0)
{SOLVED}"""


def test_an_error_of_the_last_run_does_not_freeze_the_next(open_page):
    """What an answer leaves behind fails while Python has the next one: a crash, and told."""
    page = open_page(f"en/{PAGE}")
    write(page, FIRST, LATE)
    assert run(page, FIRST)["state"] == "passed"
    said = run(page, FIRST, seconds=60)
    assert (said["state"], said["mistake"]) == ("wrong", "crashed")
    assert "starts afresh" in answer(page, FIRST)
    write(page, FIRST, SOLVED)
    assert run(page, FIRST)["state"] == "passed"


def test_what_never_ends_is_ended(open_page):
    page = open_page(f"en/{PAGE}")
    write(page, FIRST, SOLVED)
    assert run(page, FIRST)["state"] == "passed"  # Python is loaded
    card(page, FIRST).evaluate("card => { card.dataset.seconds = 1 }")
    told = {}
    for name, cell, *_ in [hostile for hostile in ENDLESS + NATIVE if hostile[0] in ENDED]:
        write(page, FIRST, cell)
        said = run(page, FIRST, seconds=120)
        if said["state"] != "wrong" or not answer(page, FIRST).strip():
            told[name] = (said, answer(page, FIRST)[:200])
        assert (
            cell.strip().splitlines()[-1] in card(page, FIRST).locator(".cm-content").inner_text()
        )
    assert told == {}
    card(page, FIRST).evaluate("card => { delete card.dataset.seconds }")
    write(page, FIRST, SOLVED)
    assert run(page, FIRST)["state"] == "passed"
