"""1.3 A feature that never changes."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def standardize_safely(x):
    """Standardize every column; a column that never changes becomes all zeros.

    x  (N, D): N samples, D features; some columns may be constant
    Returns an array of shape (N, D) without nan or inf.
    """
    constant = x.max(axis=0) == x.min(axis=0)
    std = np.where(constant, 1.0, x.std(axis=0))
    return np.where(constant, 0.0, (x - x.mean(axis=0)) / std)


def cases(rng):
    yield (np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]]),)
    yield (np.column_stack([np.full(4, 0.0), rng.normal(3, 2, 4), np.full(4, -7.0)]),)
    # Ten times 0.1 has a mean of 0.09999999999999999, so its computed std is not 0.
    yield (np.column_stack([np.full(10, 0.1), rng.normal(3, 2, 10)]),)
    # A length in metres, known to the nanometre: small, but not constant.
    yield (np.column_stack([rng.normal(0, 1e-9, 6), np.full(6, 2.0), rng.normal(5, 1, 6)]),)
    # A clock that has counted nanoseconds for 52 days: 2 and 4 later are different times.
    yield (np.column_stack([2.0**52 + np.array([0, 2, 4, 2]), rng.normal(3, 2, 4)]),)
    # Constant but for some rows, and constant at a value whose mean is rounded by far more.
    yield (np.column_stack([[3.0, 3.0, 5.0, 3.0], [1.0, 3.0, 2.0, 1.0]]),)
    yield (np.column_stack([np.full(10, 1234567.1), rng.normal(3, 2, 10)]),)
    # Not constant either, however small the numbers.
    yield (np.column_stack([1e-13 * np.array([1, 2, 4, 2]), 1e-100 * np.array([3, 1, 1, 2])]),)
    yield (rng.normal(-2, 3, (7, 4)),)


exercise = Exercise(
    id="constant-feature",
    chapter=1,
    number=3,
    difficulty=2,
    title=Text(ko="변하지 않는 특성", en="A feature that never changes"),
    solution=standardize_safely,
    cases=cases,
    hints=[
        Text(
            ko="상수 열에서는 x - mean이 0이고 std도 0입니다. 0/0을 NumPy는 무엇으로 답하나요?",
            en="In a constant column x - mean is 0 and so is std. What does NumPy make of 0/0?",
        ),
        Text(
            ko="std가 정확히 0인지 묻는 것은 위험합니다. 0.1을 열 번 더해 10으로 나누어 보세요. "
            "변하지 않는 열을 반올림 오차 없이 알아내는 다른 방법이 있습니다.",
            en="Asking whether std is exactly 0 is risky: add 0.1 ten times and divide by 10. "
            "There is a way to recognise an unchanging column that rounding cannot spoil.",
        ),
    ],
)


@exercise.mistake(
    ko="상수 열에서 0을 0으로 나누어 nan이 나옵니다. nan 하나가 다음 층의 모든 출력을 nan으로 만듭니다.",
    en="A constant column divides 0 by 0 and gives nan. "
    "A single nan turns every output of the next layer into nan.",
)
def divides_by_zero(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


@exercise.mistake(
    ko="상수 열을 지웠습니다. 그러면 열의 번호가 밀려서, 학습할 때와 다른 열을 지운 데이터와 맞지 않습니다. "
    "열의 수를 지키고 0으로 채우세요.",
    en="The constant column is dropped. Column numbers then shift, "
    "and another batch may drop others. Keep the column and fill it with 0.",
)
def drops_the_column(x):
    x = x[:, x.max(axis=0) != x.min(axis=0)]
    return (x - x.mean(axis=0)) / x.std(axis=0)


@exercise.mistake(
    ko="상수 열이 평균만 뺀 값이 아니라 원래 값으로 남아 있습니다. 이 열은 0이어야 합니다.",
    en="The constant column keeps its original value. It should become 0.",
)
def keeps_the_constant(x):
    constant = x.max(axis=0) == x.min(axis=0)
    std = np.where(constant, 1.0, x.std(axis=0))
    return np.where(constant, x, (x - x.mean(axis=0)) / std)


@exercise.mistake(
    ko="대부분 맞습니다. 그런데 상수 열이면 std가 정확히 0이라고 믿었습니다. 값이 모두 0.1인 열에서는 반올림 때문에 "
    "std가 약 1e-17이 되고, 결과가 0이 아니라 1 근처가 됩니다.",
    en="Almost. You rely on a constant column's std being exactly 0. In a column of 0.1 rounding leaves a std "
    "of about 1e-17, and the result is near 1 instead of 0.",
)
def compares_std_with_zero(x):
    std = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(std == 0, 1.0, std)


SMALL_NUMBERS = [1e-15, 1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3]
SMALL_NUMBERS += [np.finfo(float).eps]


@exercise.mistake(
    ko="상수 열인지를 표준편차나 최댓값과 최솟값의 차이가 얼마나 작은지로 정했습니다. 그 크기가 1e-13인 열도, "
    "0에서 먼 곳에서 조금씩 움직이는 열도 변하는 열입니다. 한편 반올림만으로도 표준편차가 그만큼 커질 수 있습니다. "
    "값이 변하는지는 값에게 물어보세요.",
    en="How small the std, or the difference of maximum and minimum, is decides whether a column is "
    "constant. But one where it is 1e-13 does change, and so does one that moves a little far from "
    "0, while rounding alone can make a std as large. Ask the values themselves whether they change.",
    # One threshold of each kind that the inputs tell apart.
    small=[1e-15, 1e-12, 1e-10, 1e-9, 1e-6],
    ratio=[1e-12],
    small_range=[1e-15, 1e-12, 1e-6],
    ratio_of_range=[1e-12],
    is_isclose=[True],
)
def judges_by_the_size(
    x, small=0.0, ratio=0.0, small_range=0.0, ratio_of_range=0.0, is_isclose=False
):
    mean, std, smallest, largest = x.mean(axis=0), x.std(axis=0), x.min(axis=0), x.max(axis=0)
    if is_isclose:
        constant = np.isclose(largest, smallest)
    elif small_range or ratio_of_range:
        constant = largest - smallest <= (small_range or ratio_of_range * np.abs(smallest))
    else:
        constant = std <= (small or ratio * np.abs(mean))
    return np.where(constant, 0.0, (x - mean) / np.where(constant, 1.0, std))


@exercise.mistake(
    ko="모든 열의 표준편차에 작은 수를 더했습니다. 표준편차가 1e-100인 열도 변하는 열입니다. "
    "결과에서 그 열의 표준편차를 재 보세요.",
    en="A small number is added to every standard deviation. A column with a standard deviation of "
    "1e-100 changes, too: measure its spread in the result.",
    small=SMALL_NUMBERS,
)
def adds_a_small_number(x, small=1e-8):
    return (x - x.mean(axis=0)) / (x.std(axis=0) + small)


@exercise.mistake(
    ko="상수 열은 0이 되었습니다. 그런데 분산에 작은 수를 더한 다음 제곱근을 구했습니다. "
    "배치 정규화는 이렇게 합니다. 이 문제에서는 표준편차가 1e-9인 열이 거의 0으로 눌립니다.",
    en="The constant column is 0 now, but a small number is added to the variance under the root. "
    "Batch normalization does that; here it squashes a column with standard deviation 1e-9 to 0.",
    small=SMALL_NUMBERS,
)
def adds_eps_to_the_variance(x, small=1e-5):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + small)


@exercise.mistake(
    ko="표준편차가 어떤 수보다 작으면 그 수로 나누었습니다. 표준편차가 1e-100인 열도 변하는 열입니다. "
    "결과에서 그 열의 표준편차를 재 보세요.",
    en="Where a standard deviation is below some number, you divide by that number. A column with a "
    "standard deviation of 1e-100 changes, too: measure its spread in the result.",
    # From 1e-6 up it looks like an eps added to the variance.
    small=[small for small in SMALL_NUMBERS if small < 1e-6],
)
def divides_by_no_less(x, small=1e-8):
    return (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), small)
