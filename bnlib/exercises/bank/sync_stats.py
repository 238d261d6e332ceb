"""13.4 One batch on many machines."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def sync_stats(counts, means, variances):
    """The statistics of a batch that lies on R machines, from what each knows of its own part.

    counts     (R,): integers, the samples on each machine; 0 where a machine has none
    means      (R, C): the mean of each machine's samples; anything, nan included, where it has none
    variances  (R, C): their biased variance, divided by their number; likewise
    At least two samples exist in all. The means may be some 10^8 standard deviations away from 0.
    Returns three arrays (C,), all of the whole batch: the mean; the biased variance, which
    normalizes; and the unbiased variance, which goes into running_var.
    """
    filled = counts > 0
    counts, means, variances = counts[filled, None], means[filled], variances[filled]
    total = counts.sum()
    mean = (counts * means).sum(axis=0) / total
    m2 = (counts * (variances + (means - mean) ** 2)).sum(axis=0)
    return mean, m2 / total, m2 / (total - 1)


def cases(rng):
    yield np.array([1, 3]), np.array([[2.0], [6.0]]), np.array([[0.0], [5.0]])
    for counts, features in [([2, 5, 3], 2), ([4, 0, 6], 3), ([3, 3, 2, 7], 2)]:
        shape = len(counts), features
        means, variances = rng.normal(1, 2, shape), rng.uniform(0.5, 4, shape)
        empty = np.array(counts) == 0
        means[empty] = variances[empty] = np.nan
        yield np.array(counts), means, variances
    yield np.array([3, 0]), np.array([[2.0], [9.0]]), np.array([[1.5], [4.0]])
    # Around 2^27 float64 has no digits for what 1 adds to a square.
    far = np.array([[2.0**27, 1.0], [2.0**27, 3.0]])
    yield np.array([6, 2]), far, np.array([[1.0, 2.0], [1.0, 0.5]])


def accepts(counts, means, variances):
    return len(counts) == len(means) and counts.sum() > 1


exercise = Exercise(
    id="sync-stats",
    chapter=13,
    number=4,
    difficulty=3,
    title=Text(ko="여러 기계에 나뉜 배치", en="One batch on many machines"),
    solution=sync_stats,
    cases=cases,
    accepts=accepts,
    hints=[
        Text(
            ko="빈 기계부터 치우세요. nan에는 0을 곱해도 nan입니다.",
            en="Clear the empty machines away first: 0 times nan is nan.",
        ),
        Text(
            ko="기계마다 값이 모두 같고, 기계끼리는 값이 다르다고 생각해 보세요. "
            "기계의 분산은 모두 0입니다. 배치의 분산은 어디서 나오나요?",
            en="Let all values on one machine be equal, and differ from machine to machine. "
            "Every local variance is 0. Where does the variance of the batch come from?",
        ),
        Text(
            ko="제곱합을 모은 다음 마지막에 한 번 나누세요. 편향 추정량과 불편 추정량은 그 나누는 수만 다릅니다. "
            "표본은 모두 몇 개인가요?",
            en="Gather sums of squares and divide once, at the end. The biased and the unbiased estimate "
            "differ only in what they divide by. How many samples are there in all?",
        ),
    ],
)


def gather(counts, means, variances):
    """The machines that have samples, the joint mean, and what varies within and between them."""
    filled = counts > 0
    counts, means, variances = counts[filled, None], means[filled], variances[filled]
    mean = (counts * means).sum(axis=0) / counts.sum()
    within = (counts * variances).sum(axis=0)
    between = (counts * (means - mean) ** 2).sum(axis=0)
    return counts, means, variances, mean, within, between


def both(variance, total):
    """A variance, biased and unbiased."""
    return variance, variance * total / (total - 1)


@exercise.mistake(
    ko="평균은 맞습니다. 분산은 기계들의 분산을 그대로 평균 냈습니다. 표본의 수도, 기계의 평균들이 서로 다르다는 것도 빠졌습니다.",
    en="The mean is right. The variance is a plain average over the machines: "
    "it leaves out their counts, and that their means differ.",
)
def averages_variances(counts, means, variances):
    counts, _, variances, mean, *_ = gather(counts, means, variances)
    return mean, *both(variances.mean(axis=0), counts.sum())


@exercise.mistake(
    ko="평균은 맞고, 분산의 무게도 맞습니다. 기계의 평균들이 서로 다른 만큼이 분산에서 빠졌습니다. "
    "한 기계에는 1만, 다른 기계에는 5만 있으면 분산이 0인가요?",
    en="The mean is right and so are the weights of the variances. What is missing is how far the "
    "machines' means lie apart. With only 1 on one machine and only 5 on another, is the variance 0?",
)
def forgets_the_spread_of_means(counts, means, variances):
    counts, _, _, mean, within, _ = gather(counts, means, variances)
    return mean, *both(within / counts.sum(), counts.sum())


@exercise.mistake(
    ko="평균은 맞습니다. 분산으로는 기계의 평균들이 흩어진 정도만 쟀습니다. 기계 안에서 흩어진 정도도 더해야 합니다.",
    en="The mean is right. The variance only measures how the machines' means scatter. "
    "The scatter on each machine belongs to it as well.",
)
def forgets_the_spread_within(counts, means, variances):
    counts, _, _, mean, _, between = gather(counts, means, variances)
    return mean, *both(between / counts.sum(), counts.sum())


@exercise.mistake(
    ko="기계마다 무게를 같게 주었습니다. 표본이 1개인 기계와 3개인 기계의 무게가 같을 수는 없습니다.",
    en="Every machine weighs the same. One with 1 sample cannot weigh as much as one with 3.",
    clears_the_empty=[True, False],
)
def ignores_counts(counts, means, variances, clears_the_empty):
    total = counts.sum()
    if clears_the_empty:
        means, variances = means[counts > 0], variances[counts > 0]
    mean = means.mean(axis=0)
    return mean, *both((variances + (means - mean) ** 2).mean(axis=0), total)


@exercise.mistake(
    ko="평균은 맞습니다. 분산에서 기계의 평균들이 흩어진 정도를 구할 때 표본의 수를 쓰지 않았습니다.",
    en="The mean is right. In the variance, the scatter of the machines' means ignores their counts.",
)
def ignores_counts_between(counts, means, variances):
    counts, means, _, mean, within, _ = gather(counts, means, variances)
    total = counts.sum()
    return mean, *both(within / total + ((means - mean) ** 2).mean(axis=0), total)


@exercise.mistake(
    ko="평균은 맞습니다. 표준편차를 평균 낸 다음 제곱했습니다. 평균을 낼 수 있는 것은 제곱합입니다.",
    en="The mean is right. You average standard deviations and square the result. "
    "What may be added up are sums of squares.",
    weigh=[True, False],
)
def averages_standard_deviations(counts, means, variances, weigh):
    counts, _, variances, mean, *_ = gather(counts, means, variances)
    std = np.average(np.sqrt(variances), axis=0, weights=counts[:, 0] if weigh else None)
    return mean, *both(std**2, counts.sum())


@exercise.mistake(
    ko="표본이 있는 기계끼리는 맞습니다. 빈 기계가 하나 있으면 모두 nan이 됩니다. 무게 0을 곱해도 nan은 nan입니다.",
    en="Right while every machine has samples. One empty machine turns everything into nan: "
    "the weight 0 does not help, 0 times nan is nan.",
)
def empty_machine_spoils_all(counts, means, variances):
    counts = counts[:, None]
    total = counts.sum()
    mean = (counts * means).sum(axis=0) / total
    return mean, *both((counts * (variances + (means - mean) ** 2)).sum(axis=0) / total, total)


@exercise.mistake(
    ko="식은 맞지만 E[x²] - E[x]²를 거쳤습니다. 평균이 크면 거의 같은 두 큰 수를 빼게 되고, "
    "자릿수 상쇄(cancellation)로 분산의 자릿수가 사라집니다. 평균이 2²⁷이면 분산이 얼마로 나오나요?",
    en="The algebra is right, but it goes through E[x²] - E[x]². With large means you subtract two "
    "huge, nearly equal numbers, and cancellation eats the digits of the variance. "
    "What variance do you get where the mean is 2²⁷?",
)
def square_minus_square(counts, means, variances):
    counts, means, variances, mean, *_ = gather(counts, means, variances)
    total = counts.sum()
    squares = (counts * (variances + means**2)).sum(axis=0) / total
    return mean, *both(squares - mean**2, total)


@exercise.mistake(
    ko="평균과 편향 분산은 맞습니다. 세 번째 값도 편향 추정량입니다. running_var에는 불편 추정량이 들어갑니다.",
    en="Mean and biased variance are right. The third value is the biased estimate again; "
    "running_var takes the unbiased one.",
)
def biased_twice(counts, means, variances):
    mean, var, _ = sync_stats(counts, means, variances)
    return mean, var, var


@exercise.mistake(
    ko="평균과 세 번째 값은 맞습니다. 두 번째 값도 불편 추정량입니다. 정규화에는 편향 추정량을 씁니다.",
    en="The mean and the third value are right. The second value is the unbiased estimate too; "
    "normalizing takes the biased one.",
)
def unbiased_twice(counts, means, variances):
    mean, _, unbiased = sync_stats(counts, means, variances)
    return mean, unbiased, unbiased


@exercise.mistake(
    ko="평균과 편향 분산은 맞습니다. 불편 추정량에서 기계마다 하나씩 뺐습니다. "
    "평균은 배치 전체에서 하나만 구했으므로, 자유도는 하나만 줄어듭니다.",
    en="Mean and biased variance are right. The unbiased one subtracts 1 for each machine. "
    "Only one mean is estimated, for the whole batch, and so only one degree of freedom is lost.",
    counts_the_empty=[True, False],
)
def subtracts_one_a_machine(counts, means, variances, counts_the_empty):
    mean, var, _ = sync_stats(counts, means, variances)
    machines = len(counts) if counts_the_empty else np.sum(counts > 0)
    return mean, var, var * counts.sum() / (counts.sum() - machines)


@exercise.mistake(
    ko="평균과 편향 분산은 맞습니다. 불편 추정량에서 표본의 수가 아니라 기계의 수를 썼습니다.",
    en="Mean and biased variance are right. "
    "The unbiased one uses the number of machines where the number of samples belongs.",
    counts_the_empty=[True, False],
)
def corrects_by_machines(counts, means, variances, counts_the_empty):
    mean, var, _ = sync_stats(counts, means, variances)
    machines = len(counts) if counts_the_empty else np.sum(counts > 0)
    return mean, var, var * machines / (machines - 1)


@exercise.mistake(
    ko="한 기계의 통계량만 돌려주었습니다. 동기화하지 않은 배치 정규화가 이렇게 합니다.",
    en="These are the statistics of one machine, which is what batch normalization without "
    "synchronization uses.",
    rank=[0, -1],
)
def one_machine_only(counts, means, variances, rank):
    corrected = variances[rank] * counts[rank] / (counts[rank] - 1)
    return means[rank], variances[rank], corrected


@exercise.combine
def combined(
    counts,
    means,
    variances,
    *,
    ignores_counts=False,
    forgets_the_spread_of_means=False,
    empty_machine_spoils_all=False,
    biased_twice=False,
):
    total = counts.sum()
    if not empty_machine_spoils_all:
        filled = counts > 0
        counts, means, variances = counts[filled], means[filled], variances[filled]
    weights = np.full(len(counts), 1 / len(counts)) if ignores_counts else counts / total
    mean = weights @ means
    squares = variances if forgets_the_spread_of_means else variances + (means - mean) ** 2
    var, unbiased = both(weights @ squares, total)
    return mean, var, var if biased_twice else unbiased
