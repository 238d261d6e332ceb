"""The exercises as a reader solves them: in the page, right and wrong."""

import ast
import inspect
import json

import pytest
from playwright.sync_api import Page, expect

from bnlib.exercises import Exercise, catalog

from .conftest import PAGES

LANGUAGES = ("ko", "en")
PAGE = "chapters/01_standardization.html"
EXERCISES = [exercise for exercise in catalog() if exercise.chapter == 1]
CHAPTERS = {
    int(name[:2]): name for name in PAGES if any(e.chapter == int(name[:2]) for e in catalog())
}
FIRST = EXERCISES[0]


def card(page: Page, exercise: Exercise):
    return page.locator(f'.exercise[data-exercise="{exercise.id}"]')


def editor(page: Page, exercise: Exercise):
    """The editor's text; it is fetched when its card comes near the screen."""
    card(page, exercise).scroll_into_view_if_needed()
    return card(page, exercise).locator(".cm-content")


def write(page: Page, exercise: Exercise, code: str) -> None:
    """Replace the editor's text as a reader would: go there, select all, type."""
    editor(page, exercise).focus()
    page.keyboard.press("Control+A")
    if code:
        page.keyboard.insert_text(code)
    else:
        page.keyboard.press("Delete")


def run(page: Page, exercise: Exercise, seconds: float = 120) -> dict[str, str]:
    """Press Run, by key, and wait for the answer.

    The page still moves while the editors near the screen open: on a busy machine a click with the
    mouse can begin on the button and end beside it.
    """
    this = card(page, exercise)
    this.evaluate("card => delete card.dataset.milliseconds")
    this.locator(".exercise-run").press("Enter")
    finished = f'.exercise[data-exercise="{exercise.id}"][data-milliseconds]'
    page.wait_for_selector(finished, timeout=seconds * 1000)
    return dict(this.evaluate("card => ({...card.dataset})"))


def answer(page: Page, exercise: Exercise) -> str:
    return card(page, exercise).locator(".exercise-answer").inner_text()


def wrong_cell(exercise: Exercise, function) -> str:
    """A cell whose answer is one of the exercise's mistakes, with all that it calls."""
    module = inspect.getmodule(exercise.solution)
    options = getattr(function, "keywords", {})  # of a mistake that comes in several variants
    function = getattr(function, "func", function)
    definitions, todo = {}, [function.__name__]
    while todo:
        name = todo.pop()
        if name in definitions or not hasattr(module, name):
            continue
        definitions[name] = definition_of(vars(module)[name], name, module)
        names = [node.id for node in ast.walk(ast.parse(definitions[name])) if hasattr(node, "id")]
        todo += names
    sources = [definitions[name] for name in vars(module) if definitions.get(name)]
    name = function.__name__
    called = f"lambda *given: {name}(*given, **{options})" if options else name
    return "\n\n".join([*sources, f'check("{exercise.id}", {called})\n'])


def definition_of(value, name: str, module) -> str:
    """The source of a name of the exercise's file, a function without what registers it."""
    if inspect.ismodule(value):
        return f"import {value.__name__} as {name}"
    if getattr(value, "__module__", None) == module.__name__ and value is not module.exercise:
        definition = ast.parse(inspect.getsource(value)).body[0]
        definition.decorator_list = [
            decorator
            for decorator in definition.decorator_list
            if not ast.unparse(decorator).startswith("exercise.")
        ]
        return ast.unparse(definition)
    if inspect.isroutine(value) or inspect.isclass(value):
        return f"from {value.__module__} import {name}"
    return f"{name} = {value!r}" if name.isupper() else ""


@pytest.mark.parametrize("chapter", CHAPTERS, ids=str)
def test_stub_solution_and_mistakes(open_page, chapter):
    """A fifth of the mistakes; that all are named, tests/test_exercises.py shows without a page."""
    language = LANGUAGES[chapter % 2]
    page = open_page(f"{language}/chapters/{CHAPTERS[chapter]}.html")
    for exercise in (e for e in catalog() if e.chapter == chapter):
        stub = run(page, exercise)
        if exercise.start is None:
            assert (stub["state"], stub["mistake"]) == ("untried", "not_attempted")
        for mistake in exercise.mistakes[::5]:
            write(page, exercise, wrong_cell(exercise, mistake.functions[-1]))
            said = run(page, exercise)
            assert (said["state"], said["mistake"]) == ("wrong", mistake.name), exercise.id
            assert getattr(mistake.message, language) in answer(page, exercise)
        write(page, exercise, f"{exercise.solution_source}\n\n{exercise.check_line}")
        assert run(page, exercise)["state"] == "passed", exercise.id
        expect(
            page.locator(f'.bd-sidebar-secondary .is-solved[href="#ex-{exercise.id}"]')
        ).to_have_count(1)
    assert page.complaints.found == []


def test_python_is_fetched_on_the_first_run_only(open_page):
    page = open_page(f"ko/{PAGE}")
    fetched = []
    page.on("request", lambda request: fetched.append(request.url))
    expect(editor(page, FIRST)).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert not [url for url in fetched if "pyodide" in url or url.endswith(".whl")]
    write(page, FIRST, f"{FIRST.solution_source}\n\n{FIRST.check_line}")
    card(page, FIRST).locator(".exercise-run").click()
    expect(card(page, FIRST).locator(".exercise-answer")).to_contain_text("파이썬을 불러오는")
    page.wait_for_selector(".exercise[data-milliseconds]", timeout=120_000)
    assert [url for url in fetched if url.endswith(".whl")]
    fetched.clear()
    assert run(page, FIRST)["state"] == "passed"
    assert fetched == []


def test_code_survives_reload_and_the_other_language(open_page):
    page = open_page(f"en/{PAGE}")
    write(page, FIRST, "# half an answer")
    page.reload()
    expect(editor(page, FIRST)).to_contain_text("# half an answer")
    page.locator(".language-switch a").click()
    page.wait_for_url("**/ko/**")
    expect(editor(page, FIRST)).to_contain_text("# half an answer")
    page.on("dialog", lambda dialog: dialog.accept())
    card(page, FIRST).locator(".exercise-reset").press("Enter")
    expect(editor(page, FIRST)).to_contain_text("raise NotImplementedError")


ENDLESS = "def standardize(x):\n    while True:\n        pass\n\n" + FIRST.check_line


def test_endless_loop_is_stopped_by_the_reader_or_the_clock_and_the_code_kept(open_page):
    page = open_page(f"ko/{PAGE}")
    write(page, FIRST, ENDLESS)
    button, said = (card(page, FIRST).locator(f".exercise-{part}") for part in ("run", "answer"))
    button.press("Enter")
    expect(said).to_have_text("실행하는 중입니다.", timeout=120_000)
    expect(button).to_have_text("중지")
    button.click()
    expect(said).to_contain_text("실행을 멈췄습니다.")
    assert run(page, FIRST)["mistake"] == "timed_out"
    assert "끝나지 않는 반복" in answer(page, FIRST)
    expect(editor(page, FIRST)).to_contain_text("while True")
    second = EXERCISES[1]
    write(page, second, f"{second.solution_source}\n\n{second.check_line}")
    assert run(page, second)["state"] == "passed"


def test_no_network_is_said_and_a_later_run_works(open_page):
    page = open_page(f"en/{PAGE}")
    expect(editor(page, FIRST)).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.context.route("**/pyodide/**", lambda route: route.abort())
    said = run(page, FIRST)
    assert said["mistake"] == "not_loaded"
    assert "Check the network" in answer(page, FIRST)
    page.context.unroute("**/pyodide/**")
    assert run(page, FIRST)["mistake"] == "not_attempted"


def test_keyboard_alone(open_page):
    page = open_page(f"en/{PAGE}")
    editor(page, FIRST).focus()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(f"{FIRST.solution_source}\n\n{FIRST.check_line}")
    page.keyboard.press("Control+Enter")
    expect(card(page, FIRST).locator(".exercise-run")).to_have_text("Stop")
    expect(card(page, FIRST).locator(".exercise-answer")).to_contain_text("Passed", timeout=120_000)
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(card(page, FIRST).locator(".exercise-run")).to_be_focused()


def test_hints_come_one_by_one_and_the_solution_on_demand(open_page):
    page = open_page(f"en/{PAGE}", "phone")
    this = card(page, FIRST)
    tall = "answer => { answer.style.cssText = 'display: block !important; height: 60rem'; }"
    this.locator(".exercise-answer").evaluate(tall)  # hints open below it
    for shown, hint in enumerate(FIRST.hints, start=1):
        this.locator(".exercise-buttons .exercise-hint").press("Enter")
        expect(this.locator(".exercise-hints li:visible")).to_have_count(shown)
        expect(this.locator(".exercise-hints")).to_contain_text(hint.en)
        expect(this.locator(".exercise-hints li:visible").last).to_be_in_viewport()
    solution = this.locator("details.exercise-solution pre")
    expect(solution).not_to_be_visible()
    this.locator(".exercise-buttons .exercise-solution").press("Enter")
    expect(solution).to_have_text(FIRST.solution_source)


def test_a_broken_line_goes_on_right_of_its_first_letter(open_page):
    """At the margin the rest of a line would look like a new statement."""
    page = open_page(f"en/{PAGE}", "phone")
    write(page, FIRST, f"if True:\n    total = {' + '.join(['number'] * 20)}\n    more = 1")
    rows = """line => {
      const range = document.createRange();
      range.selectNodeContents(line);
      const starts = {};
      for (const { left, bottom } of range.getClientRects())
        starts[Math.round(bottom)] = Math.min(left, starts[Math.round(bottom)] ?? Infinity);
      return Object.values(starts);
    }"""
    lines = editor(page, FIRST).locator(".cm-line")
    (margin,), (long, rest, *_), (short,) = (lines.nth(n).evaluate(rows) for n in range(3))
    letter = 0.6 * lines.first.evaluate("line => parseFloat(getComputedStyle(line).fontSize)")
    assert long == short == margin  # where the four spaces begin
    assert rest - margin == pytest.approx(6 * letter, rel=0.1)


def test_statement_and_solution_without_javascript(open_page):
    page = open_page(f"en/{PAGE}", java_script_enabled=False)
    this = card(page, FIRST)
    expect(this.locator(".exercise-editor pre")).to_have_text(FIRST.stub)
    this.locator("details.exercise-solution summary").click()
    expect(this.locator("details.exercise-solution pre")).to_be_visible()


def test_works_where_local_storage_is_refused(open_page):
    page = open_page(f"en/{PAGE}")
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('refused') }})"
    )
    page.reload()
    write(page, FIRST, f"{FIRST.solution_source}\n\n{FIRST.check_line}")
    assert run(page, FIRST)["state"] == "passed"


# --- progress


def progress_text(page: Page) -> str:
    return page.locator(".bd-sidebar-primary .progress-text").inner_text()


def test_progress_is_drawn_exported_and_imported(open_page, tmp_path):
    page = open_page(f"en/{PAGE}")
    total = len(catalog())
    assert progress_text(page) == f"0 of {total} solved."
    solution = f"{FIRST.solution_source}\n\n{FIRST.check_line}"
    write(page, FIRST, solution)
    assert run(page, FIRST)["state"] == "passed"
    assert progress_text(page) == f"1 of {total} solved."
    chapter = page.locator(".bd-sidebar-primary a[data-progress]").first
    assert chapter.get_attribute("data-progress") == f"1/{len(EXERCISES)}"
    with page.expect_download() as download:
        page.locator(".progress-save").click()
    file = tmp_path / "progress.json"
    download.value.save_as(file)
    assert json.loads(file.read_text("utf-8")) == {
        "version": 1,
        "solved": [FIRST.id],
        "code": {FIRST.id: solution},
    }

    elsewhere = open_page(f"ko/{PAGE}")
    assert progress_text(elsewhere) == f"{total}개 가운데 0개를 풀었습니다."
    elsewhere.locator(".progress-box input").set_input_files(file)
    expect(elsewhere.locator(".progress-note")).to_contain_text("새로 풀린 연습 1개")
    assert progress_text(elsewhere) == f"{total}개 가운데 1개를 풀었습니다."
    elsewhere.reload()
    expect(editor(elsewhere, FIRST)).to_contain_text("return")


def test_a_file_that_is_no_progress_changes_nothing(open_page, tmp_path):
    page = open_page(f"en/{PAGE}")
    write(page, FIRST, "# mine")
    file = tmp_path / "progress.json"
    newer, partial = '{"version": 2, "solved": [], "code": {}}', '{"version": 1, "solved": [3]}'
    for content in ("", "{", "[]", "null", newer, partial):
        page.locator(".progress-note").evaluate("note => { note.textContent = '' }")
        file.write_text(content, "utf-8")
        page.locator(".progress-box input").set_input_files(file)
        expect(page.locator(".progress-note")).to_contain_text("nothing has changed")
    page.reload()
    expect(editor(page, FIRST)).to_contain_text("# mine")


def test_import_keeps_the_code_written_here(open_page, tmp_path):
    page = open_page(f"en/{PAGE}")
    write(page, FIRST, "# mine")
    file = tmp_path / "progress.json"
    data = {"version": 1, "solved": [], "code": {FIRST.id: "# theirs"}}
    file.write_text(json.dumps(data), "utf-8")
    page.locator(".progress-box input").set_input_files(file)
    expect(page.locator(".progress-note")).to_contain_text("was kept for 1")
    expect(editor(page, FIRST)).to_contain_text("# mine")
