"""1.1 Standardize every column of a table."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def standardize(x):
    """Give every column mean 0 and standard deviation 1.

    x  (N, D): N samples, D features; no column is constant
    Returns an array of shape (N, D).
    """
    return (x - x.mean(axis=0)) / x.std(axis=0)


def cases(rng):
    yield (np.array([[1.0, 10.0], [2.0, 30.0], [6.0, 20.0]]),)
    for rows, columns in [(4, 3), (7, 2), (5, 5), (3, 8), (40, 6)]:
        scales = 10.0 ** rng.uniform(-2, 3, columns)
        yield (rng.normal(rng.uniform(-3, 3, columns) * scales, scales, (rows, columns)),)
    yield (rng.normal(4, 2, (9, 4)).astype(np.float32),)


exercise = Exercise(
    id="standardize",
    chapter=1,
    number=1,
    difficulty=1,
    title=Text(ko="열마다 표준화하기", en="Standardize every column"),
    solution=standardize,
    cases=cases,
    hints=[
        Text(
            ko="평균이 몇 개 필요한지 먼저 세어 보세요. 특성마다 하나씩입니다.",
            en="Count the means you need first: one for each feature.",
        ),
        Text(
            ko="NumPy의 mean과 std는 axis를 받습니다. axis를 주면 그 축이 사라집니다. "
            "모양 (N, D)에서 (D,)가 남으려면 어느 축이 사라져야 할까요?",
            en="NumPy's mean and std take an axis, and that axis disappears. "
            "Which one must go so that (N, D) leaves (D,)?",
        ),
    ],
)


@exercise.mistake(
    ko="축이 바뀌었습니다. 지금은 표본마다 평균을 뺍니다. "
    "모양이 (3, 2)인 입력에서 평균은 몇 개여야 할까요?",
    en="The axis is swapped: a mean is taken for every sample. "
    "How many means should an input of shape (3, 2) have?",
)
def wrong_axis(x):
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)


@exercise.mistake(
    ko="표준편차를 구할 때 N이 아니라 N-1로 나누었습니다(ddof=1). "
    "결과의 표준편차를 다시 재 보세요. 정확히 1인가요?",
    en="The standard deviation divides by N-1 instead of N (ddof=1). "
    "Measure the standard deviation of your result: is it exactly 1?",
)
def ddof_1(x):
    return (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)


@exercise.mistake(
    ko="표준편차가 아니라 분산으로 나누었습니다. "
    "x의 단위가 cm라면 분산의 단위는 무엇이고, 결과에는 어떤 단위가 남나요?",
    en="You divide by the variance, not by the standard deviation. "
    "If x is in cm, what is the unit of the variance, and which unit is left in the result?",
)
def divides_by_variance(x):
    return (x - x.mean(axis=0)) / x.var(axis=0)


@exercise.mistake(
    ko="결과의 열마다 평균을 구해 보세요. 0이 아닙니다. 나누기 전에 할 일이 빠졌습니다.",
    en="Take the mean of each column of your result: it is not 0. A step before the division "
    "is missing.",
)
def forgets_the_mean(x):
    return x / x.std(axis=0)


@exercise.mistake(
    ko="평균은 0이 되었습니다. 그런데 결과의 표준편차가 1이 아닙니다. 빠진 단계가 있습니다.",
    en="The mean is 0 now, but the standard deviation of the result is not 1. One step is missing.",
)
def forgets_the_scale(x):
    return x - x.mean(axis=0)


@exercise.mistake(
    ko="표 전체에서 평균 하나와 표준편차 하나를 구했습니다. "
    "그러면 값이 큰 열이 통계량을 혼자 정합니다. 열마다 따로 구해야 합니다.",
    en="One mean and one standard deviation are taken over the whole table, "
    "so the column with the largest values decides both. Each column needs its own.",
)
def scalar_statistics(x):
    return (x - x.mean()) / x.std()


@exercise.mistake(
    ko="최소-최대 스케일링(min-max scaling)을 했습니다. 결과가 0과 1 사이에 들어왔지만 "
    "평균은 0이 아니고 표준편차는 1이 아닙니다.",
    en="This is min-max scaling: the result lies between 0 and 1, "
    "but its mean is not 0 and its standard deviation is not 1.",
)
def min_max(x):
    return (x - x.min(axis=0)) / (x.max(axis=0) - x.min(axis=0))


@exercise.mistake(
    ko="평균을 빼기 전에 나누었습니다. 괄호가 빠지면 나눗셈이 먼저 계산됩니다.",
    en="The division happens before the subtraction: without brackets it binds tighter.",
)
def missing_brackets(x):
    return x - x.mean(axis=0) / x.std(axis=0)


@exercise.mistake(
    ko="거의 맞습니다. 그런데 표준편차나 분산에 작은 수를 더했습니다. 상수 열이 없으니 더할 까닭이 없고, "
    "값이 작은 열에서는 결과의 표준편차가 1에서 벗어납니다.",
    en="Almost, but a small number is added to the standard deviation or the variance. No column is "
    "constant, so there is no need, and where values are small the result's standard deviation is "
    "off 1.",
    to_std=[1e-8, 1e-7, 1e-6, 1e-5, 1e-3],
    to_variance=[1e-10, 1e-8, 1e-6, 1e-5, 1e-3],
)
def adds_a_small_number(x, to_std=0.0, to_variance=0.0):
    return (x - x.mean(axis=0)) / (np.sqrt(x.var(axis=0) + to_variance) + to_std)


@exercise.combine
def combined(
    x,
    *,
    forgets_the_mean=False,
    scalar_statistics=False,
    wrong_axis=False,
    ddof_1=False,
    divides_by_variance=False,
):
    axis = None if scalar_statistics else int(wrong_axis)
    mean = 0 if forgets_the_mean else x.mean(axis=axis, keepdims=True)
    variance = x.var(axis=axis, ddof=int(ddof_1), keepdims=True)
    return (x - mean) / (variance if divides_by_variance else np.sqrt(variance))
