"""Every exercise of the bank: right answers pass, each mistake is named, no message tells too much.

How the checker works is in test_exercise_engine.py; answers that break it, in
test_hostile_answers.py.
"""

import ast
import importlib.util
import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bnlib import exercises
from bnlib.exercises import catalog, check, confusion, example, isolation, set_language
from bnlib.exercises.checker import check_answer
from bnlib.exercises.running import agree, run
from bnlib.exercises.values import plain

ALL = catalog()
BANK = Path(inspect.getfile(exercises)).parent / "bank"
RIGHT_ANSWERS, WRONG_ANSWERS = (
    Path(__file__).parent / f"{kind}_answers" for kind in ("right", "wrong")
)
SEEDS = range(20)

each = pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)


@pytest.fixture
def here(monkeypatch):
    """In this process, which saves the time of a fork: the bank's own functions do no harm."""
    monkeypatch.setattr(isolation, "can_fork", lambda: False)


@pytest.fixture
def quick(here, monkeypatch):
    """Also without looking for a smaller example."""
    monkeypatch.setattr(example, "SECONDS", 0)


@pytest.fixture(autouse=True)
def no_progress_kept(monkeypatch):
    monkeypatch.setenv("BNLIB_PROGRESS", "")
    set_language("both")


def test_one_file_an_exercise():
    files = {path.stem for path in BANK.glob("*.py")} - {"__init__"}
    assert files == {e.id.replace("-", "_") for e in ALL}


def test_exercises_are_numbered_within_their_chapter():
    for chapter in {e.chapter for e in ALL}:
        own = [e for e in ALL if e.chapter == chapter]
        assert [e.number for e in own] == list(range(1, len(own) + 1))
        assert own[-1].difficulty == 3


# --- right answers


@each
def test_solution_passes(exercise):
    result = check(exercise.id, exercise.solution)
    assert result.passed and result.mistake is None, repr(result)
    for seed in SEEDS:
        for case in exercise.arguments(seed):
            outcome = run(exercise.solution, case, exercise.use)
            assert outcome.problem is None and not outcome.changed_input


def answers(folder, exercise):
    """The public functions and classes of <folder>/<id>.py."""
    path = folder / f"{exercise.id.replace('-', '_')}.py"
    if not path.exists():
        return []
    found = vars(load(path)).items()
    return [value for name, value in found if callable(value) and not name.startswith("_")]


def load(path):
    specification = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


RIGHT, WRONG = (
    [(e, answer) for e in ALL for answer in answers(folder, e)]
    for folder in (RIGHT_ANSWERS, WRONG_ANSWERS)
)


@each
def test_there_are_three_other_right_answers(exercise):
    assert len(answers(RIGHT_ANSWERS, exercise)) >= 3


@pytest.mark.parametrize(
    ("exercise", "answer"), RIGHT, ids=[f"{e.id}-{answer.__name__}" for e, answer in RIGHT]
)
def test_other_right_answers_pass(exercise, answer, here):
    result = check(exercise.id, answer)
    assert result.passed and result.mistake is None, repr(result)
    for seed in SEEDS:
        for case in exercise.arguments(seed):
            outcome = run(answer, case, exercise.use, is_trusted=True)
            expected = run(exercise.solution, case, exercise.use, is_trusted=True)
            assert agree(outcome, expected, exercise.tolerance), (seed, outcome, expected)


@pytest.mark.parametrize(
    ("exercise", "answer"), WRONG, ids=[f"{e.id}-{answer.__name__}" for e, answer in WRONG]
)
def test_wrong_answers_without_a_name_are_refused(exercise, answer, quick):
    """Each was right on all inputs that an exercise once tried."""
    result = check(exercise.id, answer)
    assert not result.passed and result.text.en and result.text.ko, repr(result)


@each
def test_stub_is_the_solution_without_its_bodies(exercise, here):
    assert ("raise NotImplementedError" in exercise.stub) == (exercise.start is None)
    namespace = {"np": np, "check": lambda id, answer: None}
    exec(compile(exercise.stub, "<stub>", "exec"), namespace)
    stub = namespace[exercise.solution.__name__]
    assert inspect.signature(stub) == inspect.signature(exercise.solution)
    assert stub.__doc__ and inspect.getdoc(stub) == inspect.getdoc(exercise.solution)
    result = check(exercise.id, stub)
    if exercise.start:  # the stub is code with a bug, and the bug has a name
        assert (result.passed, result.mistake) == (False, exercise.start.__name__)
    else:
        assert (result.passed, result.mistake, result.state) == (False, "not_attempted", "untried")


# --- mistakes


@each
def test_every_mistake_is_named(exercise, here):
    assert len({mistake.name for mistake in exercise.mistakes}) == len(exercise.mistakes) >= 4
    for mistake in exercise.mistakes:
        for function in mistake.functions:
            result = check(exercise.id, function)
            assert (result.passed, result.mistake) == (False, mistake.name), repr(result)
            assert result.second_mistake is None
            assert mistake.message.ko in result.text.ko and mistake.message.en in result.text.en
            assert result.example


@pytest.mark.parametrize("exercise", [e for e in ALL if e.combined], ids=lambda e: e.id)
def test_pairs_of_mistakes_are_named(exercise, quick):
    known = {mistake.name: mistake for mistake in exercise.mistakes}
    assert set(exercise.switches) <= set(known) and len(exercise.switches) >= 2
    assert check(exercise.id, exercise.combined).passed
    for name in exercise.switches:
        made = lambda *case, name=name: exercise.combined(*case, **{name: True})  # noqa: E731
        assert check(exercise.id, made).mistake == name
    trials = confusion.pair_trials(exercise)
    assert trials and all(trial.is_right for trial in trials), trials


# --- answers of every other kind

ODD = {
    "integers": lambda a: a.astype(int),
    "complex": lambda a: 1j * a,
    "infinite": lambda a: a + np.inf,
    "empty": lambda a: a.ravel()[:0],
    "one axis more": lambda a: a[None],
    "flipped": np.flip,
    "texts": lambda a: a.astype(str),
    "truths": lambda a: a > np.mean(a),
    "objects": lambda a: object(),
}


@each
def test_odd_values_are_refused_with_a_message(exercise, quick):
    """The facts about wrong values are looked for in whatever arrays the exercises return."""
    for change in ODD.values():

        def use(answer, *case, change=change):
            value = exercise.use(exercise.solution, *case)
            return value if answer is exercise.solution else changed(plain(value), change)

        result = check_answer(replace(exercise, use=use), lambda: None)
        assert result.text.en and repr(result) and result._repr_html_()


def changed(value, change):
    """A plain value with `change` applied to each number and array in it."""
    if isinstance(value, dict):
        return {key: changed(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(changed(item, change) for item in value)
    return value if value is None or isinstance(value, str) else change(np.asarray(value))


# --- texts


@each
def test_messages_exist_in_both_languages_and_keep_the_solution(exercise):
    texts = [m.message for m in exercise.mistakes] + exercise.hints + [exercise.title]
    assert len(exercise.hints) >= 2
    for text in texts:
        assert any("가" <= letter <= "힣" for letter in text.ko)
        assert not any("가" <= letter <= "힣" for letter in text.en)
        assert not any(line in text.ko or line in text.en for line in solution_lines(exercise))


def solution_lines(exercise):
    """The statements of the solution that say how it is done."""
    tree = ast.parse(exercise.solution_source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    statements = [line for function in functions for line in function.body]
    lines = {ast.unparse(line) for line in statements if not is_docstring(line)}
    return {line for line in lines if len(line) > len("return self")}


def is_docstring(line):
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
