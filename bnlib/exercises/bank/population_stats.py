"""7.2 Statistics for inference, from many batches."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def population_statistics(batches):
    """The mean and variance that inference uses, as Algorithm 2 of the batch norm paper has them.

    The mean is the average of the batch means. The variance is the average of the batches'
    unbiased variances, each around its own batch mean.

    batches  list of arrays (m, C), all with the same number m of samples
    Returns the mean (C,) and the variance (C,).
    """
    mean = np.mean([x.mean(axis=0) for x in batches], axis=0)
    var = np.mean([x.var(axis=0, ddof=1) for x in batches], axis=0)
    return mean, var


def cases(rng):
    yield ([np.array([[1.0, 4.0], [2.0, 8.0], [6.0, 9.0]]), np.array([[3.0, 1], [5, 2], [9, 6]])],)
    for count, size, features in [(5, 3, 2), (3, 6, 4), (7, 2, 3)]:
        center, scale = rng.uniform(-3, 6, features), rng.uniform(0.5, 3, features)
        yield ([rng.normal(center, scale, (size, features)) for _ in range(count)],)
    yield ([rng.normal(2, 1, (4, 3)).astype(np.float32) for _ in range(5)],)


exercise = Exercise(
    id="population-stats",
    chapter=7,
    number=2,
    difficulty=1,
    title=Text(ko="여러 배치에서 얻는 추론용 통계량", en="Statistics for inference"),
    solution=population_statistics,
    cases=cases,
    hints=[
        Text(
            ko="배치마다 평균 C개와 분산 C개를 구하세요. 그다음 배치들 사이에서 평균합니다.",
            en="Find C means and C variances for each batch. Then average over the batches.",
        ),
        Text(
            ko="불편 분산에서 나누는 수는 한 배치의 표본 수에서 나옵니다. 배치의 개수와는 상관이 없습니다.",
            en="What the unbiased variance divides by comes from the number of samples in a batch, "
            "not from the number of batches.",
        ),
    ],
)


def averages(batches, ddof):
    mean = np.mean([x.mean(axis=0) for x in batches], axis=0)
    return mean, np.mean([x.var(axis=0, ddof=ddof) for x in batches], axis=0)


@exercise.mistake(
    ko="평균은 맞습니다. 분산이 작습니다. 배치의 분산을 m으로 나누었습니다. "
    "m이 2이면 모집단 분산의 절반쯤으로 나옵니다. 무엇이 빠졌나요?",
    en="The mean is right, the variance too small: the batch variances divide by m. "
    "With m = 2 they come to about half the population's. What is missing?",
)
def biased_variance(batches):
    return averages(batches, ddof=0)


@exercise.mistake(
    ko="평균은 맞습니다. 편향을 고치는 계수에 한 배치의 표본 수가 아니라 배치의 개수를 넣었습니다. "
    "배치를 더 모으면 배치 하나의 편향이 줄어드나요?",
    en="The mean is right. The bias is corrected with the number of batches in place of the "
    "number of samples in a batch. Do more batches make the bias of each one smaller?",
)
def counts_batches(batches):
    mean, var = averages(batches, ddof=0)
    return mean, var * len(batches) / (len(batches) - 1)


@exercise.mistake(
    ko="평균은 맞습니다. 편향을 고치는 계수가 뒤집혔습니다. 고친 분산이 고치기 전보다 작아졌습니다.",
    en="The mean is right. The factor that corrects the bias is upside down: "
    "the corrected variance is smaller than the one before.",
)
def corrects_the_wrong_way(batches):
    mean, var = averages(batches, ddof=0)
    size = len(batches[0])
    return mean, var * (size - 1) / size


@exercise.mistake(
    ko="평균은 맞습니다. 배치를 모두 이어 붙여서 분산을 한 번에 구했습니다. 쓸 만한 추정값이지만 논문의 것과 다릅니다. "
    "거기에는 배치 평균들 사이의 차이도 들어갑니다.",
    en="The mean is right. The variance is taken over all batches joined: a good estimate, "
    "but not the paper's, since it also contains the differences between batch means.",
    ddof=[0, 1],
)
def pools_the_batches(batches, ddof=0):
    joined = np.concatenate(batches)
    return joined.mean(axis=0), joined.var(axis=0, ddof=ddof)


@exercise.mistake(
    ko="마지막 배치의 통계량입니다. 그 배치에 우연히 든 표본이 추론 전체를 정하게 됩니다.",
    en="These are the statistics of the last batch. "
    "The samples that happened to be in it would decide all of inference.",
)
def last_batch_only(batches):
    return averages(batches[-1:], ddof=1)


@exercise.mistake(
    ko="평균은 맞습니다. 표준편차를 평균한 다음 제곱했습니다. 이렇게 얻은 분산은 늘 분산의 평균보다 작거나 같습니다.",
    en="The mean is right. Standard deviations are averaged and then squared, "
    "which never gives more than the average of the variances.",
)
def averages_standard_deviations(batches):
    mean, _ = averages(batches, ddof=1)
    return mean, np.mean([x.std(axis=0, ddof=1) for x in batches], axis=0) ** 2


@exercise.mistake(
    ko="평균은 맞습니다. 돌려준 것은 표준편차입니다. 분산을 돌려주어야 합니다.",
    en="The mean is right, but what is returned next is the standard deviation. "
    "The variance is asked for.",
)
def returns_standard_deviation(batches):
    mean, var = averages(batches, ddof=1)
    return mean, np.sqrt(var)


@exercise.mistake(
    ko="평균은 맞습니다. 배치 평균들이 서로 얼마나 다른지를 쟀습니다. 그것은 대략 모집단 분산을 m으로 나눈 값입니다. "
    "배치 안의 퍼짐은 어디로 갔나요?",
    en="The mean is right. What you measure is how far the batch means differ from one another, "
    "about the population's variance divided by m. Where did the spread inside a batch go?",
    ddof=[0, 1],
)
def variance_of_the_means(batches, ddof=0):
    means = np.array([x.mean(axis=0) for x in batches])
    return means.mean(axis=0), means.var(axis=0, ddof=ddof)


@exercise.mistake(
    ko="이동 평균을 계산했습니다. 나중 배치가 더 무겁고, 처음 값 0과 1이 남아 있습니다. "
    "여기서는 모든 배치의 무게가 같습니다.",
    en="This is a moving average: later batches weigh more, and the first values 0 and 1 linger. "
    "Here every batch has the same weight.",
    momentum=[0.1, 0.9, 0.01, 0.99],
)
def moving_average(batches, momentum=0.1):
    mean, var = np.zeros_like(batches[0][0]), np.ones_like(batches[0][0])
    for x in batches:
        mean = (1 - momentum) * mean + momentum * x.mean(axis=0)
        var = (1 - momentum) * var + momentum * x.var(axis=0, ddof=1)
    return mean, var


@exercise.combine
def combined(
    batches,
    *,
    last_batch_only=False,
    averages_standard_deviations=False,
    biased_variance=False,
    returns_standard_deviation=False,
):
    batches = batches[-1:] if last_batch_only else batches
    mean, var = averages(batches, ddof=int(not biased_variance))
    if averages_standard_deviations:
        stds = [x.std(axis=0, ddof=int(not biased_variance)) for x in batches]
        var = np.mean(stds, axis=0) ** 2
    return mean, np.sqrt(var) if returns_standard_deviation else var
