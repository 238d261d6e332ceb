"""Every exercise: its solution passes, other right answers pass, each mistake is named."""

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bnlib import exercises
from bnlib.exercises import Result, catalog, check, hint, language, set_language
from bnlib.exercises.checker import agree, check_answer, run
from bnlib.exercises.page import run_cell

ALL = catalog()
MISTAKES = [(e, m, f) for e in ALL for m in e.mistakes for f in m.functions]


@pytest.fixture(autouse=True)
def both_languages():
    yield
    set_language("both")


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_solution_passes_on_many_seeds(exercise):
    result = check(exercise.id, exercise.solution)
    assert result.passed and result.mistake is None
    for seed in range(20):
        for case in exercise.arguments(seed):
            outcome = run(exercise.solution, case)
            assert outcome.error is None and not outcome.changed_input


# --- right answers written otherwise


def loop(x):
    columns = []
    for column in x.T:
        mean = sum(column) / len(column)
        variance = sum((value - mean) ** 2 for value in column) / len(column)
        columns.append([(value - mean) / variance**0.5 for value in column])
    return np.array(columns).T


def einsum(x):
    centred = x - np.einsum("nd->d", x) / len(x)
    return centred / np.sqrt(np.einsum("nd,nd->d", centred, centred) / len(x))


def through_the_transpose(x):
    rows = x.T.copy()
    rows -= rows.mean(axis=1, keepdims=True)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T * np.sqrt(len(x))


def as_lists(x):
    return loop(x).tolist()


def split_by_helper(x_train, x_test):
    def apply(x):
        return (x - x_train.mean(0, keepdims=True)) / np.sqrt(x_train.var(0, keepdims=True))

    return apply(x_train), apply(x_test)


def split_by_columns(x_train, x_test):
    mean, std = np.apply_along_axis(lambda c: (c.mean(), c.std()), 0, x_train)
    return [(x_train - mean) / std, (x_test - mean) / std]


def split_together(x_train, x_test):
    both = (np.vstack([x_train, x_test]) - x_train.mean(0)) / x_train.std(0)
    return both[: len(x_train)], both[len(x_train) :]


def safely_by_range(x):
    z = np.zeros_like(x)
    moving = np.ptp(x, axis=0) > 0
    z[:, moving] = (x[:, moving] - x[:, moving].mean(0)) / x[:, moving].std(0)
    return z


def safely_by_unique(x):
    columns = [c * 0 if len(set(c)) == 1 else (c - c.mean()) / c.std() for c in x.T]
    return np.column_stack(columns)


def safely_by_first_row(x):
    shifted = x - x[0]
    std = shifted.std(axis=0)
    return (shifted - shifted.mean(axis=0)) / np.where(std == 0, 1, std)


def step_by_singular_value(x):
    return 2 * len(x) / np.linalg.norm(x, ord=2) ** 2


def step_by_general_eigenvalues(x):
    return 2 / np.linalg.eigvals(x.T @ x / len(x)).real.max()


def step_by_power_iteration(x):
    v = np.ones(x.shape[1])
    for _ in range(3_000):
        v = x.T @ (x @ v.astype(float))
        v /= np.linalg.norm(v)
    return 2 / (np.sum((x @ v) ** 2) / len(x))


RIGHT = {
    "standardize": [loop, einsum, through_the_transpose, as_lists],
    "standardize-test-split": [split_by_helper, split_by_columns, split_together],
    "constant-feature": [safely_by_range, safely_by_unique, safely_by_first_row],
    "max-stable-step": [
        step_by_singular_value,
        step_by_general_eigenvalues,
        step_by_power_iteration,
    ],
}


def test_every_exercise_has_three_other_right_answers():
    assert {e.id for e in ALL} == set(RIGHT) and all(len(group) >= 3 for group in RIGHT.values())


@pytest.mark.parametrize(
    ("id", "answer"), [(id, f) for id, group in RIGHT.items() for f in group], ids=lambda v: str(v)
)
def test_other_right_answers_pass(id, answer):
    result = check(id, answer)
    assert result.passed, repr(result)
    exercise = exercises.find(id)
    for seed in range(20):
        for case in exercise.arguments(seed):
            assert agree(run(answer, case), run(exercise.solution, case))


# --- mistakes


@pytest.mark.parametrize(
    ("exercise", "mistake", "function"), MISTAKES, ids=[f"{e.id}-{m.name}" for e, m, _ in MISTAKES]
)
def test_every_mistake_is_named(exercise, mistake, function):
    result = check(exercise.id, function)
    assert not result.passed
    assert result.mistake == mistake.name
    assert mistake.message.ko in result.message and mistake.message.en in result.message


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_messages_exist_in_both_languages_and_keep_the_solution(exercise):
    body = ast.parse(exercise.solution_source).body[0].body[1:]
    lines = {ast.unparse(statement) for statement in body}
    texts = [m.message for m in exercise.mistakes] + exercise.hints + [exercise.title]
    assert len(exercise.mistakes) >= 4 and len(exercise.hints) >= 2
    for text in texts:
        assert any("가" <= letter <= "힣" for letter in text.ko)
        assert not any("가" <= letter <= "힣" for letter in text.en)
        assert not any(line in text.ko or line in text.en for line in lines)


def test_smallest_input_is_shown():
    result = check("standardize", lambda x: x)
    assert "[ 1. 10.]" in repr(result)
    assert "<pre>[[ 1. 10.]" in result._repr_html_()


# --- answers that go wrong


def endless(x):
    while True:
        pass


def endless_and_stubborn(x):
    while True:
        try:
            x = x + 0
        except Exception:
            continue


def spoils_its_input(x):
    x -= x.mean(axis=0)
    x /= x.std(axis=0)
    return x


def recursive(x):
    return recursive(x)


@pytest.mark.parametrize(
    ("answer", "mistake", "says"),
    [
        (lambda x: 1 / 0, "raised", "ZeroDivisionError"),
        (recursive, "raised", "RecursionError"),
        (lambda x: sys.exit(3), "raised", "SystemExit"),
        (lambda: None, "call_failed", "input"),
        (lambda x: None, "returned_none", "None"),
        (lambda x: x[:-1], "wrong_shape", "(2, 2)"),
        (lambda x: "text", "wrong_type", "str"),
        (lambda x: object(), "wrong_type", "object"),
        (lambda x: [[1.0], [2.0, 3.0]], "wrong_type", "list"),
        (lambda x: loop(x).astype(int), "wrong_dtype", "int64"),
        (lambda x: loop(x).astype(np.float16), "wrong_dtype", "float16"),
        (lambda x: x * np.nan, "not_finite", "nan"),
        (lambda x: x + 1, None, "the values differ"),
        (spoils_its_input, "changed_input", "input"),
        (endless, "timed_out", "never ends"),
        (endless_and_stubborn, "timed_out", "never ends"),
        (3, "not_callable", "int"),
    ],
)
def test_wrong_answers_get_a_clear_message(answer, mistake, says):
    result = check_answer(exercises.find("standardize"), answer, seconds=1.0)
    assert (result.passed, result.mistake) == (False, mistake)
    assert says in result.message


def test_stub_says_not_attempted():
    for exercise in ALL:
        namespace = {"check": check}
        exec(compile(exercise.stub, "<stub>", "exec"), namespace)
        result = check(exercise.id, namespace[exercise.solution.__name__])
        assert (result.passed, result.mistake, result.state) == (False, "not_attempted", "untried")


def test_what_the_answer_prints_is_bounded_and_shown():
    def talkative(x):
        print("shape", x.shape, "." * 100_000)
        return x

    shown = repr(check("standardize", talkative))
    assert "shape (3, 2)" in shown and len(shown) < 3000


def test_the_answer_cannot_spoil_later_checks():
    check("standardize", spoils_its_input)
    assert check("standardize", loop).passed


def test_an_unknown_id_lists_the_known():
    with pytest.raises(ValueError, match="standardize, standardize-test-split"):
        check("standardise", loop)
    with pytest.raises(ValueError, match="between 1 and 2"):
        hint("standardize", 3)
    assert "axis" in hint("standardize", 2).en


# --- languages


def test_language_of_the_answer():
    set_language("ko")
    assert "Passed" not in check("standardize", loop).message
    set_language("en")
    assert check("standardize", loop).message.startswith("Passed")
    set_language("both")
    assert "통과" in check("standardize", loop).message
    with pytest.raises(ValueError, match="'fr'"):
        set_language("fr")
    assert language.shown_languages() == ("ko", "en")


def test_result_escapes_what_the_reader_wrote():
    result = check("standardize", lambda x: "<script>alert(1)</script>")
    assert "<script>" not in result._repr_html_()
    assert isinstance(result, Result)


# --- the page's cell runner


def test_run_cell_answers_like_a_notebook():
    exercise = ALL[0]
    solved = run_cell(f"{exercise.solution_source}\n\n{exercise.check_line}", "en")
    assert (solved["state"], solved["mistake"], solved["printed"]) == ("passed", None, "")
    assert "Passed" in solved["html"] and "통과" not in solved["html"]
    assert json.dumps(solved)
    said = run_cell("def standardize(x):\n  retrun x", "ko")
    assert said["mistake"] == "syntax_error" and "2번째 줄" in said["html"]
    assert run_cell("print('<b>')\n1/0", "en")["printed"] == "&lt;b&gt;\n"
    assert len(run_cell("print('x' * 10**7)", "en")["printed"]) == 10_000
    assert run_cell("", "en")["mistake"] == "nothing_checked"


def test_only_numpy_is_needed():
    """The page's Python has NumPy and no torch, matplotlib or ipywidgets."""
    code = (
        "import sys, bnlib, bnlib.exercises.page\n"
        "bnlib.exercises.catalog()\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {"torch", "matplotlib", "ipywidgets", "scipy", "sklearn", "PIL"} & set(loaded)


def test_one_file_an_exercise():
    folder = Path(inspect.getfile(exercises)).parent / "bank"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == {e.id.replace("-", "_") for e in ALL}
