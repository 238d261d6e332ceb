"""How the checker works: comparing, recognising, shrinking, explaining, drawing."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from bnlib import exercises
from bnlib.exercises import Exercise, Text, check, guard, hint, isolation, language, set_language
from bnlib.exercises.__main__ import main as command_line
from bnlib.exercises.checker import check_answer
from bnlib.exercises.page import run_cell
from bnlib.exercises.shrink import shrink
from bnlib.exercises.values import TooLarge, plain, same

STANDARDIZE = exercises.find("standardize")
SPLIT = exercises.find("standardize-test-split")
STEP = exercises.find("max-stable-step")
standardize = STANDARDIZE.solution


@pytest.fixture(autouse=True)
def apart(monkeypatch):
    monkeypatch.setenv("BNLIB_PROGRESS", "")
    yield
    set_language("both")


def exercise_of(solution, *cases, **fields):
    """An exercise made up for a test; each case is a tuple of arguments."""
    title = Text("제목", "title")
    return Exercise("made-up", 0, 1, 1, title, solution, lambda rng: cases, [title] * 2, **fields)


def english(result):
    return result.text.en


# --- which values are the same


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.float64(0.1) * 3, 0.3),
        (np.float32(0.1), np.array(0.1, np.float32)),
        ([1.0, 2.0], np.array([1, 2])),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), ([1.0, 2.0], [3.0, 4.0])),
        ([np.ones(2), 3], (np.ones(2), 3)),
        ({"b": 2, "a": [1.0]}, {"a": (1.0,), "b": 2.0}),
        (np.bool_(True), True),
        (1, True),
        (np.array(["x", "y"]), ["x", "y"]),
        (np.str_("x"), "x"),
        (None, None),
        (np.array([np.nan, np.inf]), [np.nan, np.inf]),
        (1 + 2j, np.complex64(1 + 2j)),
        (1e-17, 0.0),
        (1e6 + 1e-3, np.array(1e6)),
    ],
)
def test_same_values(first, second):
    assert same(plain(first), plain(second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (0.1, 0.1 + 1e-6),
        (1e-6, 0.0),
        ([1.0, 2.0], np.array([[1.0, 2.0]])),
        ((1.0, 2.0), (1.0, 2.0, 3.0)),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1}, {"b": 1}),
        ("x", "y"),
        ("1", 1),
        (1, "1"),
        (None, 0),
        (0, None),
        ([1, [2]], np.array([1, 2])),
        (np.array([np.nan]), [0.0]),
        (True, False),
    ],
)
def test_different_values(first, second):
    assert not same(plain(first), plain(second))


def test_tolerance_follows_the_expected_dtype_unless_the_exercise_sets_it():
    off = np.array([1.0, 2.0]) * (1 + 1e-5)
    assert same(off, np.array([1, 2], np.float32))
    assert not same(off, np.array([1.0, 2.0]))
    loose = exercise_of(lambda x: x * 2, (np.array([1.0, 3.0]),), tolerance=1e-2)
    assert check_answer(loose, lambda x: x * 2.001).passed
    assert not check_answer(loose, lambda x: x * 2.1).passed


def test_tensors_are_arrays():
    torch = pytest.importorskip("torch")
    result = check("standardize", lambda x: torch.tensor(standardize(x), requires_grad=True))
    assert result.passed, repr(result)


def test_a_value_that_holds_itself_is_too_large():
    endless = {}
    endless["self"] = endless
    with pytest.raises(TooLarge):
        plain(endless)


# --- exercises of other kinds: classes, random generators, functions, errors


class Mean:
    """The mean of all batches so far.

    decimals  digits of the result
    """

    def __init__(self, decimals=3):
        self.decimals, self.batches = decimals, []

    def update(self, x):
        """Take in a batch of shape (N,)."""
        self.batches.append(self._copy(x))

    @property
    def value(self):
        """The mean, a number."""
        return round(float(np.mean(np.concatenate(self.batches))), self.decimals)

    def _copy(self, x):
        return x.copy()


def use_mean(answer, first, second):
    mean = answer(decimals=2)
    mean.update(first)
    mean.update(second)
    return mean.value


MEAN = exercise_of(Mean, (np.array([1.0, 2.0, 6.0]), np.array([5.0])), use=use_mean)


@MEAN.mistake(ko="묶음의 평균을 다시 평균했습니다.", en="Means of batches are averaged.")
class MeanOfMeans(Mean):
    @property
    def value(self):
        return round(float(np.mean([x.mean() for x in self.batches])), self.decimals)


def test_a_class_is_used_as_the_exercise_says():
    assert check_answer(MEAN, Mean).passed
    assert check_answer(MEAN, MeanOfMeans).mistake == "MeanOfMeans"
    assert "AttributeError" in english(check_answer(MEAN, lambda decimals: None))
    assert [str(label.en) for label, _ in check_answer(MEAN, MeanOfMeans).example] == [
        "input first",
        "input second",
        "yours",
        "expected",
    ]


def test_what_grows_with_the_data_is_refused_where_it_may_not():
    class Doubles(list):
        """Holds every number twice, in places that a glance at the attributes does not show."""

    class Inner:
        numbers = ()

    class Keeps:
        def __init__(self, num_features):
            self.inner, self.state = Inner(), {"seen": []}
            self.inner.numbers = Doubles()
            self.inner.itself = self

        def update(self, x):
            self.inner.numbers.append(x.tolist())
            self.state["seen"].append(np.array(x, dtype=float))

        def statistics(self):
            x = np.array(self.state["seen"])
            return x.mean(axis=0), x.var(axis=0)

    result = check("welford", Keeps)
    assert (result.passed, result.mistake) == (False, "keeps_all")
    # the largest input has 5 samples of 3 features; each is there twice
    assert "held 24 numbers, and 30 after" in english(result), repr(result)
    assert "24개였다가" in result.text.ko and "30개로" in result.text.ko


class InAClass:
    samples = []  # noqa: RUF012 (what is to be caught)

    def __init__(self, num_features):
        self.samples.clear()

    def update(self, x):
        self.samples.append(np.array(x, dtype=float))

    def statistics(self):
        return np.mean(self.samples, axis=0), np.var(self.samples, axis=0)


class InSlots(InAClass):
    __slots__ = ("samples",)

    def __init__(self, num_features):
        self.samples = []


def test_what_grows_is_found_wherever_it_is_kept():
    torch = pytest.importorskip("torch")
    around = []

    class InATensor(InAClass):
        def __init__(self, num_features):
            self.samples = torch.empty(0, num_features, dtype=torch.float64)

        def update(self, x):
            self.samples = torch.cat([self.samples, torch.tensor(x, dtype=torch.float64)[None]])

        def statistics(self):
            return self.samples.mean(0), self.samples.var(0, unbiased=False)

    class AroundItsMethods(InAClass):
        def __init__(self, num_features):
            around.clear()

        def update(self, x):
            around.append(np.array(x, dtype=float))

        def statistics(self):
            return np.mean(around, axis=0), np.var(around, axis=0)

    for keeps in (InAClass, InSlots, InATensor, AroundItsMethods):
        result = check("welford", keeps)
        assert result.mistake == "keeps_all", (keeps, repr(result))
        assert "12 numbers, and 15 after" in english(result)


def test_a_warning_is_a_mistake_where_the_statement_rules_it_out():
    def overflows(z):
        s = 1 / (1 + np.exp(-z))
        return np.cumprod((s * (1 - s))[::-1], axis=0)[::-1]

    result = check("saturation", overflows)
    line = overflows.__code__.co_firstlineno + 1
    assert result.mistake == "warned", repr(result)
    assert f"line {line} causes a warning. RuntimeWarning: overflow" in english(result)


def test_a_class_stub_keeps_signatures_and_docstrings():
    assert MEAN.stub == (
        'class Mean:\n    """The mean of all batches so far.\n\n'
        '    decimals  digits of the result\n    """\n\n'
        "    def __init__(self, decimals=3):\n        raise NotImplementedError\n\n"
        '    def update(self, x):\n        """Take in a batch of shape (N,)."""\n'
        "        raise NotImplementedError\n\n"
        '    @property\n    def value(self):\n        """The mean, a number."""\n'
        '        raise NotImplementedError\n\n\ncheck("made-up", Mean)'
    )


def test_every_answer_sees_the_same_draws_and_may_use_functions():
    rng = np.random.default_rng(7)
    noisy = exercise_of(lambda x, f, rng: f(x) + rng.normal(size=3), (np.ones(3), np.exp, rng))
    for _ in range(2):
        assert check_answer(noisy, lambda x, f, rng: rng.normal(size=3) + f(x)).passed
    before = rng.bit_generator.state
    assert not check_answer(noisy, lambda x, f, rng: f(x)).passed
    assert rng.bit_generator.state == before


def test_the_shape_is_praised_only_where_there_is_one():
    assert english(check("standardize", STANDARDIZE.mistakes[1].functions[0])).startswith(
        "The shape is right."
    )
    assert "shape" not in english(check("max-stable-step", STEP.mistakes[0].functions[0]))


def test_an_error_can_be_the_right_answer():
    def halves(x, groups):
        if len(x) % groups:
            raise ValueError
        return x.reshape(groups, -1)

    exercise = exercise_of(halves, (np.arange(6.0), 4), (np.arange(6.0), 2))
    assert check_answer(exercise, halves).passed
    assert check_answer(exercise, lambda x, groups: x.reshape(groups, -1)).passed
    lenient = check_answer(exercise, lambda x, groups: np.resize(x, (groups, len(x) // groups)))
    assert lenient.mistake == "no_error" and "should raise an error (ValueError)" in english(
        lenient
    )


def test_another_error_than_the_right_one_is_told():
    def checked(x):
        if x < 0:
            raise ValueError("x")
        return x

    def asserted(x):
        assert x >= 0
        return x

    exercise = exercise_of(checked, (1.0,), (-1.0,))
    said = english(check_answer(exercise, asserted))
    assert "should raise ValueError" in said and "another error. AssertionError" in said


def test_an_answer_that_has_begun_is_not_untried():
    class Half:
        def __init__(self, num_features):
            self.count = 0

        def update(self, x):
            self.count += 1

        def statistics(self):
            raise NotImplementedError

    result = check("welford", Half)
    assert (result.mistake, result.state) == ("unfinished", "wrong"), repr(result)
    assert "still says raise NotImplementedError" in english(result)


def test_the_message_of_an_error_can_be_shown():
    def surrogate(x):
        raise ValueError("\ud800")

    repr(check("standardize", surrogate)).encode("utf-8")


# --- pairs of mistakes


def test_two_mistakes_at_once():
    def both(x):
        return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True, ddof=1)

    result = check("standardize", both)
    assert (result.mistake, result.second_mistake) == ("wrong_axis", "ddof_1")
    assert "And there is one more" in english(result) and "하나 더" in result.text.ko


# --- the smallest input


def test_the_smallest_input_is_shown():
    def wrong_in_the_last_column(x):
        z = standardize(x)
        z[:, -1] = 0
        return z

    large = exercise_of(standardize, (np.random.default_rng(0).normal(3, 2, (40, 7)),))
    result = check_answer(large, wrong_in_the_last_column)
    shown = dict((label.en, value.text) for label, value in result.example)
    assert shown["input x"].count("\n") <= 2, shown
    assert check("standardize", lambda x: x).example[0][1].text == "[[1]\n [2]]"


def test_a_smaller_input_shows_the_same_mistake_alone():
    """(3, 2) cannot get smaller: with one column the wrong axis divides by 0, with two rows the
    input is square."""
    wrong_axis = STANDARDIZE.mistakes[0].functions[0]
    assert check("standardize", wrong_axis).example[0][1].text == "[[ 1 10]\n [ 2 30]\n [ 6 20]]"


def test_shrinking_cuts_what_belongs_together_and_stops_in_time():
    x, y = np.arange(12.0).reshape(6, 2) + 0.123, np.arange(6.0)
    small = shrink((x, y, "name"), lambda case: case[0].shape[0] == len(case[1]) >= 2, 5.0)
    assert small[0].shape == (2, 1) and small[1].shape == (2,) and small[2] == "name"
    assert np.all(small[0] == np.round(small[0]))
    assert shrink((x,), lambda case: True, -1.0)[0] is x


def test_an_exercise_can_refuse_smaller_inputs():
    def at_least_four(x):
        return x.mean()

    x = np.arange(8.0)
    free = exercise_of(at_least_four, (x,))
    bound = exercise_of(at_least_four, (x,), accepts=lambda x: len(x) >= 4)
    wrong = lambda x: x.mean() + 1  # noqa: E731
    assert check_answer(free, wrong).example[0][1].text == "[0]"
    assert check_answer(bound, wrong).example[0][1].text == "[0 1 2 3]"


# --- facts about unknown wrong answers


def shuffled_rows(x):
    return standardize(x)[::-1]


def one_place_wrong(x):
    z = standardize(x)
    z[-1, 0] += 1
    return z


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda x: 1.25 * standardize(x), "1.25 times the expected"),
        (lambda x: -standardize(x), "The sign is flipped"),
        (lambda x: standardize(x) + 2, "2 above the expected"),
        (lambda x: standardize(x) - 0.5, "0.5 below the expected"),
        (lambda x: standardize(x).T, "right, but transposed"),
        (lambda x: standardize(x).ravel(), "only the shape differs"),
        (lambda x: standardize(x)[None], "only the shape differs"),
        (shuffled_rows, "the rows are in another order"),
        (lambda x: standardize(x)[:, ::-1], "the columns are in another order"),
        (one_place_wrong, "Only one value differs, at"),
        (lambda x: standardize(x) * np.arange(1, x.shape[1] + 1), "Right only in column 0"),
        (
            lambda x: standardize(x) * np.arange(2, x.shape[1] + 2),
            "Each column is a fixed multiple",
        ),
        (lambda x: standardize(x) ** 2, "the square of"),
        (lambda x: np.exp(standardize(x)), "the exponential of"),
        (lambda x: np.zeros_like(x), "All values are the same, 0"),
        (lambda x: x, "What came back equals the input"),
        (lambda x: standardize(x) ** 3, "mean "),
        (
            lambda x: np.where(x == x.max(), np.nan, standardize(x)),
            "1 of 2 values is nan or inf, the first at [1, 0]",
        ),
        (lambda x: 2 * standardize(x) if len(x) == 40 else standardize(x), "right on 6 of 7"),
    ],
)
def test_facts_about_arrays(answer, says):
    result = check("standardize", answer)
    assert says in english(result), repr(result)
    assert result.mistake in (None, "wrong_shape", "not_finite")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda x: 3 * STEP.solution(x), "Every value is 3 times"),
        (lambda x: -STEP.solution(x), "The sign is flipped"),
        (lambda x: 1 / STEP.solution(x), "one over the expected"),
        (lambda x: STEP.solution(x) + 1, "1 above"),
    ],
)
def test_facts_about_numbers_take_all_inputs(answer, says):
    assert says in english(check("max-stable-step", answer))


def test_facts_about_one_of_several_values():
    def second_off(x_train, x_test):
        z_train, z_test = SPLIT.solution(x_train, x_test)
        return z_train, z_test * 3

    said = english(check("standardize-test-split", second_off))
    assert "before it is right. Look at the second value." in said


def test_facts_about_slices_along_an_axis():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))

    def spoils_channels(x):
        return x * np.array([1.0, 1.5, -3.0])[:, None] + np.array([0.0, 1.0, 0.5])[:, None]

    result = check_answer(exercise_of(lambda x: x + 0.0, (x,)), spoils_channels)
    assert "Right only in slice 0 along axis 1, counting from 0." in english(result)
    assert "1번 축의 조각 0만 맞습니다" in result.text.ko


def test_truth_values_and_texts():
    flags = exercise_of(lambda x: x > 2, (np.array([1.0, 2.0, 3.0]),))
    assert "True and False are swapped" in english(check_answer(flags, lambda x: x <= 2))
    words = exercise_of(lambda x: {"a": "covariate", "b": "internal"}, (1,))
    result = check_answer(words, lambda x: {"a": "covariate", "b": "neither"})
    assert "Look at 'b'" in english(result) and "'neither'" in repr(result)


def test_no_relation_is_seen_in_too_few_numbers():
    two = exercise_of(lambda x: x * 2, (np.array([1.0, 5.0]),))
    assert "times" not in english(check_answer(two, lambda x: x * 2 + 1))
    one = exercise_of(lambda x: x > 2, (1.0,), (3.0,))
    assert "swapped" not in english(check_answer(one, lambda x: x <= 2))


def test_what_is_missing_in_a_pair_or_a_dict():
    pair = exercise_of(lambda x: (x, x + 1), (1.0,))
    said = english(check_answer(pair, lambda x: (x, None)))
    assert "This value is None" in said and "return missing" not in said
    table = exercise_of(lambda x: {"a": x, "b": x}, (1.0,))
    said = english(check_answer(table, lambda x: {"a": x}))
    assert "keys 'a'; 'a', 'b' are expected" in said


def test_as_many_digits_as_it_takes():
    x = np.arange(1.0, 9.0)
    exercise = exercise_of(lambda x: x, (x,))
    said = english(check_answer(exercise, lambda x: x * (1 + 1e-6)))
    assert "1.000001 times" in said


def test_truths_in_the_place_of_numbers():
    result = check("standardize", lambda x: x > x.mean(axis=0))
    assert not result.passed and "precision" not in english(result)


def test_the_kind_is_told_of_the_value_that_has_it():
    class Nothing:
        running_mean = None

        def __init__(self, num_features, momentum=0.1):
            self.running_var = np.ones(num_features)

        def update(self, x, training):
            pass

    said = english(check("running-stats", Nothing))
    assert "Look at 'running_mean'." in said and "This value is None." in said
    forgetful = type("Forgetful", (InAClass,), {"statistics": lambda self: None})
    assert "Is a return missing?" in english(check("welford", forgetful))
    words = exercise_of(lambda x: [x, x], (1.0,))
    said = english(check_answer(words, lambda x: [x, print]))
    assert "This value is builtin_function_or_method; float is expected." in said
    assert "Your function returned builtin_function" in english(
        check_answer(words, lambda x: print)
    )


@pytest.mark.parametrize(
    ("id", "answer", "says"),
    [
        ("identity-params", lambda x, eps: np.sqrt(x.var(axis=0) + eps), "a tuple of 2"),
        ("population-stats", lambda batches: np.mean(batches[0], axis=0), "a tuple of 2"),
        ("bn-backward", lambda dy, x, gamma, eps: dy * gamma, "a tuple of 3"),
    ],
)
def test_one_array_instead_of_several_values(id, answer, says):
    result = check(id, answer)
    said = f"Your function returned ndarray; {says} is expected."
    assert result.mistake == "wrong_type" and said in english(result), repr(result)
    assert "필요한 것은 값" in result.text.ko


def test_the_place_of_a_value_inside_a_sequence_is_told_once():
    nested = exercise_of(lambda x: [(x, x), (x, x)], (1.0,))
    said = english(check_answer(nested, lambda x: [(x, x), (x, x + 1)]))
    assert said.startswith("Look at [1]. What comes before it is right. Look at the second value.")


def test_a_fact_is_told_only_if_it_is_no_coincidence():
    def one_row(z):
        decay = np.exp(-np.abs(z))
        return np.prod(decay / (1 + decay) ** 2, axis=0)

    result = check("saturation", one_row)
    assert result.mistake == "wrong_shape" and "order are right" not in english(result)

    def takes_the_variance_twice(x, eps):
        x_hat = (x - x.mean()) / np.sqrt(x.var() + eps)
        inner = np.eye(len(x)) - 1 / len(x) - 2 * np.outer(x_hat, x_hat) / len(x)
        return inner / np.sqrt(x.var() + eps)

    # Of two samples all such matrices are a factor apart.
    solution, two, three = exercises.find("sum-is-zero").solution, [1.0, 4.0], [1.0, 2.0, 6.0]
    small, large = (
        exercise_of(solution, *((np.array(x), 0.5) for x in xs)) for xs in ([two], [two, three])
    )
    assert " times" in english(check_answer(small, takes_the_variance_twice))
    assert " times" not in english(check_answer(large, takes_the_variance_twice))


@pytest.mark.parametrize(
    ("solution", "answer", "says", "says_ko"),
    [
        (lambda x: x[0], lambda x: x[0] * np.nan, "The value is nan.", "값이 nan입니다."),
        (lambda x: x[0], str, "returned str; float is expected", "필요한 것은 float입니다"),
        (
            lambda x: "a",
            lambda x: "b",
            "different one: 'b' where 'a' is expected",
            "기대한 것은 'a'",
        ),
        (
            lambda x: x[:, None] * np.array([1.0, 2.0]),
            lambda x: x[:, None] * [[1.0, 2.0]] * (np.arange(4) < 2)[:, None],
            "Right only in rows 0 and 1, counting from 0.",
            "행 0, 1만 맞습니다",
        ),
        (
            lambda x: x,
            lambda x: np.where(x == 2, 2.5, x),
            "Only one value differs, at [1]: 2.5 instead of 2.",
            "기대한 값은 2인데 결과는 2.5입니다.",
        ),
        (
            lambda x: x + 1,
            lambda x: np.where(x < 3, np.nan, x + 1),
            "2 of 4 values are nan or inf, the first at [0].",
            "값 4개 가운데 2개가 nan이나 inf입니다. 처음은 [0]입니다.",
        ),
    ],
)
def test_how_facts_are_put(solution, answer, says, says_ko):
    exercise = exercise_of(
        solution, (np.array([1.0, 2.0, 3.0, 5.0]),), accepts=lambda x: len(x) > 3
    )
    result = check_answer(exercise, answer)
    assert says in english(result) and says_ko in result.text.ko, repr(result)


def test_facts_about_numbers_are_told_once_and_truths_by_name():
    said = english(check("max-stable-step", lambda x: -STEP.solution(x)))
    assert said.count("The sign is flipped.") == 1
    never = check("same-or-different", lambda first, second, shape, num_groups: False)
    assert "All values are the same, False." in english(never)


@pytest.mark.parametrize("id", ["welford", "chan-merge", "sync-stats"])
def test_plain_sums_of_squares_are_named(id):
    class PlainSums:
        def __init__(self, num_features):
            self.n, self.sum, self.squares = 0, 0, 0

        def update(self, x):
            x = x.astype(float)
            self.n, self.sum, self.squares = self.n + 1, self.sum + x, self.squares + x * x

        def statistics(self):
            return self.sum / self.n, self.squares / self.n - (self.sum / self.n) ** 2

    def merge(first, second):
        if 0 in (first[0], second[0]):
            return second if first[0] == 0 else first
        n = first[0] + second[0]
        total = sum(count * mean for count, mean, _ in (first, second))
        squares = sum(m2 + count * mean * mean for count, mean, m2 in (first, second))
        return n, total / n, squares - total * total / n

    def sync(counts, means, variances):
        means, variances = (np.where(counts[:, None], a, 0) for a in (means, variances))
        n, mean = counts.sum(), counts @ means / counts.sum()
        m2 = counts @ (variances + means**2) - n * mean**2
        return mean, m2 / n, m2 / (n - 1)

    answer = {"welford": PlainSums, "chan-merge": merge, "sync-stats": sync}[id]
    result = check(id, answer)
    assert result.mistake in ("square_minus_square", "through_sums_of_squares"), repr(result)


def test_two_samples_are_a_trap_that_is_named():
    def with_two_samples(layer, features):
        x = 100 + np.arange(2.0)[:, None] * np.arange(1, features + 1)
        other = x * [[1], [3]]
        y, again = (layer(x, np.random.default_rng(seed)) for seed in (1, 2))
        has_batch = not np.allclose(y[0], layer(other, np.random.default_rng(1))[0], atol=1e-3)
        if not np.allclose(y, again):
            return "both" if has_batch else "dropout"
        return "batch" if has_batch else "none"

    result = check("bn-or-dropout", with_two_samples)
    assert "two samples become -1 and 1" in english(result), repr(result)


# --- drawing


def test_differing_places_are_marked():
    html = check("standardize", one_place_wrong)._repr_html_()
    assert html.count("<mark>") == 1
    assert "<mark>" not in check("standardize", lambda x: -standardize(x))._repr_html_()


def test_what_is_compared_stays_together():
    html = check("standardize", lambda x: -standardize(x))._repr_html_()
    inputs, compared = html.split('<div class="check-compared">')
    figures = [part.count("<figure>") for part in (inputs, compared.split("</figure></div>")[0])]
    assert figures == [1, 2] and "yours" in compared and "expected" in compared
    crashed = check("standardize", lambda x: x.nothing)._repr_html_()
    assert "check-compared" not in crashed and "expected" in crashed


def test_result_escapes_what_the_reader_wrote():
    result = check("standardize", lambda x: print("<i>") or "<script>alert(1)</script>")
    assert "<script>" not in result._repr_html_() and "<i>" not in result._repr_html_()
    assert "&lt;i&gt;" in result._repr_html_()


def test_what_the_answer_prints_is_bounded_and_shown():
    def talkative(x):
        print("shape", x.shape, "." * 100_000)
        return x

    shown = repr(check("standardize", talkative))
    assert "shape (2, 1)" in shown and len(shown) < 3000


def test_language_of_the_answer():
    set_language("ko")
    assert "Passed" not in check("standardize", standardize).message
    set_language("en")
    assert check("standardize", standardize).message.startswith("Passed")
    assert "통과" not in check("standardize", standardize)._repr_html_()
    set_language("both")
    assert "통과" in check("standardize", standardize).message
    with pytest.raises(ValueError, match="'fr'"):
        set_language("fr")
    assert language.shown_languages() == ("ko", "en")


def test_an_unknown_id_lists_the_known():
    with pytest.raises(ValueError, match="standardize, standardize-test-split"):
        check("standardise", standardize)
    with pytest.raises(ValueError, match="between 1 and 2"):
        hint("standardize", 3)
    assert "axis" in hint("standardize", 2).en


# --- isolation


def test_the_answer_cannot_reach_the_session():
    seen = []

    def leaves_traces(x):
        seen.append(x)
        return standardize(x)

    assert check("standardize", leaves_traces).passed
    assert (seen == []) == isolation.can_fork()


def test_a_failing_check_is_no_wrong_answer():
    """A fault of the exercise's is an error for its author, not a verdict on the reader."""
    broken = exercise_of(standardize, (np.ones((3, 2)),), accepts=lambda *case: 1 / 0)
    with pytest.raises((RuntimeError, ZeroDivisionError), match="division by zero"):
        check_answer(broken, lambda x: x)


def test_replaced_functions_are_put_aside_for_the_check(monkeypatch):
    monkeypatch.setattr(np, "mean", "mine")
    assert check("standardize", lambda x: (x - np.mean(x, axis=0)) / x.std(axis=0)).passed
    assert np.mean == "mine"


def test_settings_of_the_session_do_not_reach_the_check():
    with np.errstate(all="raise"), np.printoptions(precision=1):
        result = check("standardize", lambda x: standardize(x).astype(np.float16) * 1e4)
        assert result.mistake is None, repr(result)
        assert check("standardize", standardize).passed


def test_guard_under_a_profiler():
    """cProfile's profiler can be read but not set from Python."""
    import cProfile

    with cProfile.Profile(), guard.Guard(with_random=True):
        pass


def test_the_line_where_time_ran_out(monkeypatch):
    def endless(x):
        while True:
            x = x + 0

    result = check_answer(STANDARDIZE, endless, seconds=0.3)
    first = endless.__code__.co_firstlineno
    assert any(f"at line {first + n}." in english(result) for n in (1, 2))


def test_a_slow_answer_is_not_said_to_loop(monkeypatch):
    result = check_answer(STANDARDIZE, lambda x: time.sleep(9), seconds=0.2)
    assert "never ends, or a computation that takes too long" in english(result)


# --- the command line


def test_a_file_may_end_with_the_line_that_checks_it(tmp_path, capsys):
    file = tmp_path / "answer.py"
    file.write_text(f"import numpy as np\n{STANDARDIZE.solution_source}\n{STANDARDIZE.check_line}")
    assert command_line(["check", str(file)]) == 0
    file.write_text(STANDARDIZE.stub)
    assert command_line(["check", str(file)]) == 1
    assert "Not attempted yet" in capsys.readouterr().out


def test_the_line_at_which_a_file_fails_is_told(tmp_path, capsys):
    file = tmp_path / "answer.py"
    file.write_text("import numpy as np\n\nnp.ones(2) + np.ones(3)\n")
    assert command_line(["--language", "en", "check", str(file)]) == 2
    assert "line 3. ValueError: operands" in capsys.readouterr().err


# --- the page's cell runner


def test_run_cell_answers_like_a_notebook():
    solved = run_cell(f"{STANDARDIZE.solution_source}\n\n{STANDARDIZE.check_line}", "en")
    assert (solved["state"], solved["mistake"], solved["printed"]) == ("passed", None, "")
    assert "Passed" in solved["html"] and "통과" not in solved["html"]
    assert json.dumps(solved)
    assert run_cell("print('<b>')\n1/0", "en")["printed"] == "&lt;b&gt;\n"
    assert len(run_cell("print('x' * 10**7)", "en")["printed"]) == 10_000
    assert run_cell("", "en")["mistake"] == "nothing_checked"


def test_run_cell_points_at_the_line_that_cannot_be_read():
    said = run_cell("def standardize(x):\n  retrun x", "ko")
    assert said["mistake"] == "syntax_error" and "2번째 줄" in said["html"]
    assert "<pre>  retrun x\n         ^</pre>" in said["html"]


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
