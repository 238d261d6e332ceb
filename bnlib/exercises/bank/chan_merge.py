"""13.2 Chan's merge: two parts of the data become one."""

from functools import wraps

import numpy as np

from ..exercise import Exercise
from ..language import Text


def merge(first, second):
    """Join the statistics of two parts of the data, without seeing the data again.

    first, second  (count, mean, m2) each: the number of samples; their mean, (C,); and the sum
                   of squared deviations from that mean, (C,), not divided by anything
    One part may be empty: its count is 0, and its mean and m2 may be anything, nan included.
    Returns (count, mean, m2) of all samples together. The result has to hold where the means are
    some 10^8 standard deviations away from 0.
    Source: Chan, Golub & LeVeque 1983.
    """
    (count_a, mean_a, m2_a), (count_b, mean_b, m2_b) = first, second
    if count_a == 0:
        return second
    if count_b == 0:
        return first
    count = count_a + count_b
    difference = mean_b - mean_a
    mean = mean_a + difference * count_b / count
    m2 = m2_a + m2_b + difference**2 * count_a * count_b / count
    return count, mean, m2


def part(x):
    return len(x), x.mean(axis=0), ((x - x.mean(axis=0)) ** 2).sum(axis=0)


def cases(rng):
    yield part(np.array([[1.0], [3.0]])), part(np.array([[10.0], [4.0], [7.0]]))
    yield (0, np.full(2, np.nan), np.full(2, np.nan)), part(rng.normal(2, 1, (3, 2)))
    yield part(rng.normal(2, 1, (4, 3))), (0, np.full(3, np.nan), np.full(3, np.nan))
    yield part(rng.normal(2, 1, (4, 3))), (0, np.full(3, 5.0), np.full(3, 7.0))
    yield (0, np.full(2, -3.0), np.full(2, 4.0)), part(rng.normal(2, 1, (5, 2)))
    for count_a, count_b, features in [(5, 3, 2), (1, 6, 3)]:
        a = rng.normal(rng.normal(0, 2, features), 1, (count_a, features))
        b = rng.normal(rng.normal(0, 2, features), 3, (count_b, features))
        yield part(a), part(b)
    # Around 2^27 float64 has no digits for what 1 adds to a square.
    far = 2.0**27 + np.array([1.0, -1.0])
    yield part(np.column_stack([far, [3.0, 1.0]])), part(np.column_stack([far, [0.0, 4.0]]))


exercise = Exercise(
    id="chan-merge",
    chapter=13,
    number=2,
    difficulty=2,
    title=Text(ko="두 부분의 통계량 합치기", en="Merge the statistics of two parts"),
    solution=merge,
    cases=cases,
    hints=[
        Text(
            ko="평균부터 구하세요. 표본 2개의 평균과 3개의 평균을 합치면, 평균은 3개 쪽에 더 가깝습니다.",
            en="Begin with the mean. From a mean of 2 samples and one of 3, "
            "the joint mean lies closer to that of the 3.",
        ),
        Text(
            ko="두 부분이 각각 값 하나를 되풀이한다고 생각해 보세요. 두 m2는 0이지만, 값이 서로 다르면 합친 m2는 0이 아닙니다.",
            en="Let each part repeat one value. Both m2 are 0, "
            "but if the values differ, the joint m2 is not.",
        ),
        Text(
            ko="합친 평균에서 보면 한 부분의 모든 표본은 그 부분의 평균이 옮겨진 만큼 더 벗어납니다. "
            "그 양의 제곱을 표본 수만큼 더하고 정리해 보세요.",
            en="Seen from the joint mean, all samples of a part deviate more, by how far its own mean is "
            "off. Square that, count it for each sample, and simplify.",
        ),
    ],
)


def unless_empty(formula):
    """Empty parts treated rightly, so that the formula is all that is wrong."""

    @wraps(formula)
    def guarded(first, second, **variant):
        if first[0] == 0 or second[0] == 0:
            return merge(first, second)
        return formula(*first, *second, **variant)

    return guarded


@exercise.mistake(
    ko="표본의 수를 쓰지 않고, 두 부분의 무게를 같게 보았습니다. 표본 1개와 표본 100개를 합쳐 보세요.",
    en="The counts are ignored: both parts weigh the same. Merge 1 sample with 100.",
    in_m2=[True, False],
)
@unless_empty
def ignores_counts(count_a, mean_a, m2_a, count_b, mean_b, m2_b, in_m2):
    count = count_a + count_b
    pairs = count / 4 if in_m2 else count_a * count_b / count
    return count, (mean_a + mean_b) / 2, m2_a + m2_b + (mean_b - mean_a) ** 2 * pairs


@exercise.mistake(
    ko="개수와 평균은 맞습니다. m2에서 두 평균이 서로 다른 만큼이 빠졌습니다. "
    "1만 있는 부분과 5만 있는 부분을 합치면 분산이 0인가요?",
    en="Count and mean are right. m2 leaves out how far the two means lie apart. "
    "Is the variance 0 when a part full of 1 meets a part full of 5?",
)
@unless_empty
def forgets_the_difference_of_means(count_a, mean_a, m2_a, count_b, mean_b, m2_b):
    count = count_a + count_b
    return count, (count_a * mean_a + count_b * mean_b) / count, m2_a + m2_b


@exercise.mistake(
    ko="두 부분의 무게가 서로 바뀌었습니다. 표본이 많은 쪽으로 평균이 가야 합니다.",
    en="The weights of the two parts are swapped. The mean should go toward the part with more samples.",
)
@unless_empty
def swaps_the_weights(count_a, mean_a, m2_a, count_b, mean_b, m2_b):
    count, _, m2 = merge((count_a, mean_a, m2_a), (count_b, mean_b, m2_b))
    return count, (count_b * mean_a + count_a * mean_b) / count, m2


@exercise.mistake(
    ko="개수와 평균은 맞습니다. m2에서 평균의 차이를 제곱하지 않았습니다. 두 부분의 순서를 바꾸어도 m2는 그대로여야 합니다.",
    en="Count and mean are right. In m2 the difference of the means is not squared. "
    "Swapping the two parts should leave m2 as it is.",
)
@unless_empty
def difference_not_squared(count_a, mean_a, m2_a, count_b, mean_b, m2_b):
    count, mean, _ = merge((count_a, mean_a, m2_a), (count_b, mean_b, m2_b))
    return count, mean, m2_a + m2_b + (mean_b - mean_a) * count_a * count_b / count


@exercise.mistake(
    ko="개수와 평균은 맞습니다. m2에서 평균의 차이에 주는 무게가 틀립니다. "
    "표본이 하나씩인 두 부분, 0과 2를 손으로 합쳐 보세요. m2는 2입니다.",
    en="Count and mean are right. In m2 the difference of the means has the wrong weight. "
    "Merge two parts of one sample each, 0 and 2, by hand: m2 is 2.",
    weight=["product", "all", "one", "first", "second", "fraction"],
)
@unless_empty
def wrong_weight_of_the_difference(count_a, mean_a, m2_a, count_b, mean_b, m2_b, weight):
    count, mean, _ = merge((count_a, mean_a, m2_a), (count_b, mean_b, m2_b))
    weights = {
        "product": count_a * count_b,
        "all": count,
        "one": 1,
        "first": count_a,
        "second": count_b,
        "fraction": count_a * count_b / count**2,
    }
    return count, mean, m2_a + m2_b + (mean_b - mean_a) ** 2 * weights[weight]


@exercise.mistake(
    ko="개수와 평균은 맞습니다. m2에서 한 부분의 평균만 옮겼습니다. 합친 평균은 두 부분의 평균과 모두 다릅니다.",
    en="Count and mean are right. In m2 only one part's mean was moved, "
    "but the joint mean differs from both.",
    moved=["first", "second"],
)
@unless_empty
def moves_one_part_only(count_a, mean_a, m2_a, count_b, mean_b, m2_b, moved):
    count, mean, _ = merge((count_a, mean_a, m2_a), (count_b, mean_b, m2_b))
    between = {
        "first": count_a * (mean_a - mean) ** 2,
        "second": count_b * (mean_b - mean) ** 2,
    }
    return count, mean, m2_a + m2_b + between[moved]


@exercise.mistake(
    ko="개수와 평균은 맞습니다. m2를 분산처럼 평균 냈습니다. m2는 나누지 않은 제곱합이므로 표본이 늘면 커집니다.",
    en="Count and mean are right. m2 is averaged as if it were a variance. "
    "It is an undivided sum and grows with the samples.",
    with_difference=[True, False],
)
@unless_empty
def averages_m2(count_a, mean_a, m2_a, count_b, mean_b, m2_b, with_difference):
    count, mean, _ = merge((count_a, mean_a, m2_a), (count_b, mean_b, m2_b))
    between = (mean_b - mean_a) ** 2 * count_a * count_b / count**2 if with_difference else 0
    return count, mean, (count_a * m2_a + count_b * m2_b) / count + between


@exercise.mistake(
    ko="개수와 평균은 맞습니다. m2를 개수로 나누어 분산을 돌려주었습니다. 그러면 그 결과를 다시 합칠 수 없습니다.",
    en="Count and mean are right. m2 is divided by the count, which makes it a variance: "
    "your result cannot be merged again.",
)
@unless_empty
def returns_the_variance(count_a, mean_a, m2_a, count_b, mean_b, m2_b):
    count, mean, m2 = merge((count_a, mean_a, m2_a), (count_b, mean_b, m2_b))
    return count, mean, m2 / count


@exercise.mistake(
    ko="식은 맞지만 제곱의 합으로 되돌아가서 계산했습니다. 평균이 크면 거의 같은 두 큰 수를 빼게 되고, "
    "자릿수 상쇄(cancellation)로 m2의 자릿수가 사라집니다. 평균이 2²⁷이면 m2가 얼마로 나오나요?",
    en="The algebra is right, but it goes back to sums of squares. With large means you subtract two "
    "huge, nearly equal numbers, and cancellation eats the digits of m2. "
    "What m2 do you get where the mean is 2²⁷?",
)
@unless_empty
def through_sums_of_squares(count_a, mean_a, m2_a, count_b, mean_b, m2_b):
    count = count_a + count_b
    mean = (count_a * mean_a + count_b * mean_b) / count
    squares = m2_a + count_a * mean_a**2 + m2_b + count_b * mean_b**2
    return count, mean, squares - count * mean**2


@exercise.mistake(
    ko="두 부분에 표본이 있으면 맞습니다. 빈 부분의 평균이 nan이면, 무게 0을 곱해도 nan은 nan입니다. "
    "빈 배열의 평균은 nan이므로 실제로 일어나는 일입니다.",
    en="Right while both parts have samples. Where an empty part brings a mean of nan, the weight 0 "
    "does not help: 0 times nan is nan. The mean of an empty array is nan, so this does happen.",
)
def empty_part_spoils_all(first, second):
    (count_a, mean_a, m2_a), (count_b, mean_b, m2_b) = first, second
    count = count_a + count_b
    difference = mean_b - mean_a
    m2 = m2_a + m2_b + difference**2 * count_a * count_b / count
    return count, mean_a + difference * count_b / count, m2


@exercise.combine
def combined(
    first,
    second,
    *,
    swaps_the_weights=False,
    forgets_the_difference_of_means=False,
    returns_the_variance=False,
    empty_part_spoils_all=False,
):
    if not empty_part_spoils_all and (first[0] == 0 or second[0] == 0):
        return merge(first, second)
    (count_a, mean_a, m2_a), (count_b, mean_b, m2_b) = first, second
    count, difference = count_a + count_b, mean_b - mean_a
    mean = mean_a + difference * (count_a if swaps_the_weights else count_b) / count
    m2 = m2_a + m2_b
    if not forgets_the_difference_of_means:
        m2 = m2 + difference**2 * count_a * count_b / count
    return count, mean, m2 / count if returns_the_variance else m2
