"""3.1 How noisy is the gradient of a mini-batch?"""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def minibatch_variance(gradients, batch_size):
    """How far the gradient of a mini-batch is from the full gradient, in the mean square.

        E |g_batch - g_full|^2

    gradients   (N, D): the gradient of each of the N samples; their mean is g_full
    batch_size  m: g_batch is the mean over m samples, each drawn independently from all N,
                so that a sample may come twice, and m may be larger than N
    Returns a number: the exact expectation over all draws. | |^2 sums the squares of D entries.
    """
    spread = gradients - gradients.mean(axis=0)
    return (spread**2).sum() / len(gradients) / batch_size


def cases(rng):
    yield np.array([[1.0, 0.0], [2.0, 6.0], [6.0, 3.0]]), 2
    for rows, columns, batch_size in [(5, 3, 3), (4, 2, 7), (7, 4, 1), (6, 5, 4), (30, 2, 8)]:
        yield rng.normal(3, rng.uniform(0.5, 3, columns), (rows, columns)), batch_size
    yield rng.normal(-2, 1, (8, 3)).astype(np.float32), 5


exercise = Exercise(
    id="minibatch-variance",
    chapter=3,
    number=1,
    difficulty=1,
    title=Text(ko="미니배치 기울기의 잡음", en="The noise of a mini-batch gradient"),
    solution=minibatch_variance,
    cases=cases,
    hints=[
        Text(
            ko="m = 1부터 시작하세요. 표본 하나를 뽑았을 때 그 기울기는 전체 기울기에서 평균 얼마나 떨어져 있나요?",
            en="Start with m = 1: draw one sample. How far is its gradient from the full one, "
            "on average?",
        ),
        Text(
            ko="서로 독립인 두 수를 더하면 분산도 더해집니다. m개를 더한 다음 m으로 나누면 "
            "분산은 어떻게 되나요? 수를 절반으로 줄이면 분산은 4분의 1이 됩니다.",
            en="Add two independent numbers and their variances add. Halve a number and its variance "
            "is a quarter. What happens to the variance of a sum of m numbers divided by m?",
        ),
    ],
)


def variance(gradients, ddof=0):
    """Summed over the D entries."""
    return gradients.var(axis=0, ddof=ddof).sum()


@exercise.mistake(
    ko="표본 하나의 분산을 구했습니다. 배치의 크기가 결과에 들어 있지 않습니다. "
    "표본을 백 개 평균해도 잡음이 그대로일까요?",
    en="That is the variance of a single sample; the batch size does not appear. "
    "Is the mean of a hundred samples as noisy as one?",
)
def forgets_the_batch_size(gradients, batch_size):
    return variance(gradients)


@exercise.mistake(
    ko="분산을 √m으로 나누었습니다. √m배로 줄어드는 것은 표준편차입니다. 분산은 그 제곱입니다.",
    en="The variance is divided by √m. It is the standard deviation that shrinks by √m; "
    "the variance is its square.",
)
def divides_by_the_root_of_m(gradients, batch_size):
    return variance(gradients) / batch_size**0.5


@exercise.mistake(
    ko="분산을 m²으로 나누었습니다. 합을 m으로 나누면 분산은 m²으로 나뉘지만, "
    "그 합에는 표본이 m개 들어 있습니다.",
    en="The variance is divided by m². Dividing a sum by m does that, but the sum has m terms.",
)
def divides_by_m_squared(gradients, batch_size):
    return variance(gradients) / batch_size**2


@exercise.mistake(
    ko="m으로 나누지 않고 곱했습니다. 그것은 기울기를 평균하지 않고 더했을 때의 분산입니다.",
    en="You multiply by m. That is the variance of the sum of m gradients, not of their mean.",
)
def multiplies_by_m(gradients, batch_size):
    return variance(gradients) * batch_size


@exercise.mistake(
    ko="제곱근을 구했습니다. 이 문제가 묻는 것은 거리의 제곱의 기댓값입니다.",
    en="A square root is taken. The exercise asks for the mean of the squared distance.",
)
def takes_the_root(gradients, batch_size):
    return np.sqrt(variance(gradients) / batch_size)


@exercise.mistake(
    ko="전체 기울기를 빼지 않았습니다. 모든 표본의 기울기가 똑같다면 잡음은 0이어야 합니다. "
    "여러분의 식은 얼마를 주나요?",
    en="The full gradient is not subtracted. If all samples had the same gradient, "
    "the noise would be 0. What does your formula give?",
)
def forgets_the_full_gradient(gradients, batch_size):
    return (gradients**2).sum() / len(gradients) / batch_size


@exercise.mistake(
    ko="N이 아니라 N-1로 나누었습니다. 여기서 N개의 표본은 모집단 전체입니다. "
    "추정할 것이 없으므로 보정할 것도 없습니다.",
    en="You divide by N-1 instead of N. Here the N samples are the whole population: "
    "nothing is estimated, so there is nothing to correct.",
)
def ddof_1(gradients, batch_size):
    return variance(gradients, ddof=1) / batch_size


@exercise.mistake(
    ko="한 번 뽑은 표본을 다시 뽑지 않을 때의 식입니다. 그러면 m = N에서 잡음이 0이 됩니다. "
    "이 문제에서는 같은 표본이 두 번 나올 수 있습니다.",
    en="That is the formula for drawing without replacement, where the noise is 0 at m = N. "
    "In this exercise a sample may come twice.",
)
def without_replacement(gradients, batch_size):
    samples = len(gradients)
    return variance(gradients) / batch_size * (samples - batch_size) / (samples - 1)


@exercise.mistake(
    ko="D개의 성분을 더하지 않고 평균했습니다. 거리의 제곱은 성분마다 구한 제곱의 합입니다.",
    en="The D entries are averaged. A squared distance is the sum of the squares.",
)
def averages_the_entries(gradients, batch_size):
    return variance(gradients) / batch_size / gradients.shape[1]


@exercise.mistake(
    ko="성분마다 분산을 하나씩 돌려주었습니다. 거리의 제곱은 수 하나입니다. 마지막에 무엇을 더해야 하나요?",
    en="You return one variance for each entry. A squared distance is a single number. "
    "What is left to add up?",
)
def keeps_the_entries_apart(gradients, batch_size):
    return gradients.var(axis=0) / batch_size


@exercise.mistake(
    ko="모든 수를 한데 모아 평균 하나를 뺐습니다. 전체 기울기에는 성분마다 평균이 하나씩 있습니다.",
    en="One mean is taken over all numbers together. The full gradient has a mean for each entry.",
    scale_by_entries=[True, False],
)
def one_mean_for_all_entries(gradients, batch_size, scale_by_entries=True):
    entries = gradients.shape[1] if scale_by_entries else 1
    return gradients.var() * entries / batch_size


@exercise.combine
def combined(
    gradients,
    batch_size,
    *,
    forgets_the_full_gradient=False,
    ddof_1=False,
    averages_the_entries=False,
    forgets_the_batch_size=False,
    divides_by_the_root_of_m=False,
    divides_by_m_squared=False,
    multiplies_by_m=False,
    takes_the_root=False,
):
    mean = 0 if forgets_the_full_gradient else gradients.mean(axis=0)
    total = ((gradients - mean) ** 2).sum() / (len(gradients) - int(ddof_1))
    if averages_the_entries:
        total = total / gradients.shape[1]
    power = -1.0
    if forgets_the_batch_size or multiplies_by_m:
        power = 0.0 if forgets_the_batch_size else 1.0
    elif divides_by_the_root_of_m or divides_by_m_squared:
        power = -0.5 if divides_by_the_root_of_m else -2.0
    noise = total * float(batch_size) ** power
    return np.sqrt(noise) if takes_the_root else noise
