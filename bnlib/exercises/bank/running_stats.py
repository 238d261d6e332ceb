"""7.1 What batch norm remembers."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


class RunningStatistics:
    """The running mean and variance of a batch norm layer, kept the way torch keeps them.

        running = (1 - momentum) * running + momentum * the batch's own

    running_mean  (C,), starts at 0
    running_var   (C,), starts at 1; it averages the batches' unbiased variances
    """

    def __init__(self, num_features, momentum=0.1):
        """Start with nothing seen; C is `num_features`."""
        self.momentum = momentum
        self.running_mean = np.zeros(num_features)
        self.running_var = np.ones(num_features)

    def update(self, x, training):
        """Take in the batch x of shape (N, C), N > 1; with training False, change nothing."""
        if training:
            keep = 1 - self.momentum
            self.running_mean = keep * self.running_mean + self.momentum * x.mean(axis=0)
            self.running_var = keep * self.running_var + self.momentum * x.var(axis=0, ddof=1)


def use(answer, num_features, momentum, batches, training):
    """The statistics before the first batch and after every one."""
    statistics = answer(num_features, *([] if momentum == "default" else [momentum]))
    means, variances = [np.array(statistics.running_mean)], [np.array(statistics.running_var)]
    for x, is_training in zip(batches, training, strict=True):
        statistics.update(x, is_training)
        means.append(np.array(statistics.running_mean))
        variances.append(np.array(statistics.running_var))
    return {"running_mean": means, "running_var": variances}


def cases(rng):
    yield 2, 0.1, [np.array([[1.0, 8.0], [3.0, 5.0], [8.0, 5.0]])], [True]
    batches = rng.normal([5, -2, 0.5], [1, 3, 0.2], (4, 5, 3))
    yield 3, 0.3, list(batches), [True, True, False, True]
    yield 4, 0.01, list(rng.normal(3, 2, (3, 7, 4))), [False, True, True]
    batches = [rng.normal([-4, 10], [2, 5], (size, 2)) for size in (2, 9, 3, 6, 5)]
    yield 2, 0.6, batches, [True] * 5
    yield 3, "default", list(rng.normal([3, -1, 8], [1, 2, 4], (2, 4, 3))), [True, True]


exercise = Exercise(
    id="running-stats",
    chapter=7,
    number=1,
    difficulty=2,
    title=Text(ko="배치 정규화가 기억하는 것", en="What batch norm remembers"),
    solution=RunningStatistics,
    cases=cases,
    use=use,
    hints=[
        Text(
            ko="객체에 남겨야 할 것은 셋입니다. momentum, running_mean, running_var. "
            "두 배열의 길이와 처음 값을 먼저 정하세요.",
            en="The object has three things to keep: momentum, running_mean and running_var. "
            "Settle the length and the first value of the two arrays before anything else.",
        ),
        Text(
            ko="momentum이 0.1이면 배치 하나가 결과에 얼마나 들어와야 하나요? 식에서 두 비중의 합은 1입니다.",
            en="With a momentum of 0.1, how much of one batch should enter? "
            "The two weights in the formula add up to 1.",
        ),
        Text(
            ko="불편 분산은 N이 아니라 다른 수로 나눕니다. NumPy의 var에는 이것을 정하는 인수가 있습니다.",
            en="The unbiased variance does not divide by N. NumPy's var has an argument for that.",
        ),
    ],
)


@exercise.combine
class Combined:
    """The solution, with a switch for each mistake."""

    def __init__(
        self,
        num_features,
        momentum=0.1,
        *,
        keeps_the_last_batch=False,
        averages_all_batches=False,
        starts_from_the_first_batch=False,
        momentum_reversed=False,
        biased_variance=False,
        starts_var_at_0=False,
        updates_in_eval=False,
        averages_standard_deviations=False,
        stores_standard_deviations=False,
        spread_around_the_running_mean=False,
        one_number_for_all_features=False,
        center="old",
    ):
        self.switches = {name: value for name, value in locals().items() if value is True}
        self.momentum = momentum
        self.center = center
        self.batches = 0
        self.running_mean = np.zeros(num_features)
        self.running_var = np.full(num_features, 0.0 if starts_var_at_0 else 1.0)

    def update(self, x, training):
        if not training and "updates_in_eval" not in self.switches:
            return
        self.batches += 1
        mean, var = self.statistics(x)
        weight = self.weight()
        self.running_mean = (1 - weight) * self.running_mean + weight * mean
        if "averages_standard_deviations" in self.switches:
            std = (1 - weight) * np.sqrt(self.running_var) + weight * np.sqrt(var)
            self.running_var = std**2
        else:
            self.running_var = (1 - weight) * self.running_var + weight * var

    def weight(self):
        """The weight of the new batch."""
        is_first = "starts_from_the_first_batch" in self.switches and self.batches == 1
        if is_first or "keeps_the_last_batch" in self.switches:
            return 1.0
        if "averages_all_batches" in self.switches:
            return 1 / self.batches
        return 1 - self.momentum if "momentum_reversed" in self.switches else self.momentum

    def statistics(self, x):
        axis = None if "one_number_for_all_features" in self.switches else 0
        center = mean = x.mean(axis=axis)
        if "spread_around_the_running_mean" in self.switches:
            weight = self.weight() if self.center == "new" else 0
            center = (1 - weight) * self.running_mean + weight * mean
        count = len(x) if axis == 0 else x.size
        count -= "biased_variance" not in self.switches
        var = ((x - center) ** 2).sum(axis=axis) / count
        return mean, np.sqrt(var) if "stores_standard_deviations" in self.switches else var


@exercise.mistake(
    ko="momentum을 반대로 읽었습니다. 여기서는 새 배치의 비중입니다. Keras와 Flax에서는 옛 값의 비중입니다. "
    "momentum이 0.1일 때 배치 하나로 결과가 거의 다 바뀌었습니다.",
    en="The momentum is read the other way round. Here it is the weight of the new batch; "
    "in Keras and Flax it is that of the old value. "
    "With 0.1, a single batch has replaced nearly everything.",
)
def momentum_reversed(num_features, momentum=0.1):
    return Combined(num_features, momentum, momentum_reversed=True)


@exercise.mistake(
    ko="평균은 맞습니다. 분산이 조금씩 작습니다. 배치의 분산을 N으로 나누었습니다. "
    "정규화할 때는 그것이 맞지만, 저장하는 것은 모집단 분산의 추정값입니다.",
    en="The mean is right, the variance a little small: the batch's variance is divided by N. "
    "That is right for normalizing the batch, but what is stored estimates the population's.",
)
def biased_variance(num_features, momentum=0.1):
    return Combined(num_features, momentum, biased_variance=True)


@exercise.mistake(
    ko="running_var가 0에서 시작합니다. 학습하기 전에 평가 모드로 쓰면 무엇으로 나누게 되나요?",
    en="running_var starts at 0. Used in evaluation mode before any training, "
    "what would the layer divide by?",
)
def starts_var_at_0(num_features, momentum=0.1):
    return Combined(num_features, momentum, starts_var_at_0=True)


@exercise.mistake(
    ko="평가 모드에서도 통계량이 바뀌었습니다. 그러면 시험 데이터를 넣을 때마다 모델이 달라집니다.",
    en="The statistics move in evaluation mode as well, so every test batch changes the model.",
)
def updates_in_eval(num_features, momentum=0.1):
    return Combined(num_features, momentum, updates_in_eval=True)


@exercise.mistake(
    ko="표준편차를 평균한 다음 제곱했습니다. 평균의 제곱은 제곱의 평균보다 작습니다. "
    "표준편차가 1과 3인 두 배치에서 분산의 평균은 얼마인가요?",
    en="Standard deviations are averaged and then squared, and the square of a mean is less "
    "than the mean of the squares. For two batches with standard deviations 1 and 3, "
    "what is the mean variance?",
)
def averages_standard_deviations(num_features, momentum=0.1):
    return Combined(num_features, momentum, averages_standard_deviations=True)


@exercise.mistake(
    ko="running_var에 표준편차를 저장했습니다. 평가 모드에서는 이 값의 제곱근을 다시 구합니다.",
    en="running_var holds standard deviations. Evaluation mode will take their square root again.",
)
def stores_standard_deviations(num_features, momentum=0.1):
    return Combined(num_features, momentum, stores_standard_deviations=True)


@exercise.mistake(
    ko="모든 배치를 똑같은 무게로 평균했습니다(누적 평균). momentum을 쓰지 않았으므로 처음 값 1도 곧바로 사라졌습니다. "
    "이동 평균은 오래된 배치를 조금씩 잊습니다.",
    en="All batches get the same weight (a cumulative average). Momentum is not used, "
    "and the 1 at the start is gone at once. A moving average forgets old batches bit by bit.",
)
def averages_all_batches(num_features, momentum=0.1):
    return Combined(num_features, momentum, averages_all_batches=True)


@exercise.mistake(
    ko="마지막 배치의 통계량만 남았습니다. 추론에서 쓸 값이 마지막 배치 하나에 달려 있습니다.",
    en="Only the last batch's statistics are kept. Inference would hang on that one batch.",
)
def keeps_the_last_batch(num_features, momentum=0.1):
    return Combined(num_features, momentum, keeps_the_last_batch=True)


@exercise.mistake(
    ko="첫 배치의 통계량을 그대로 처음 값으로 삼았습니다. 그럴듯한 방법이지만 이 문제의 규칙과 다릅니다. "
    "첫 배치의 비중도 momentum입니다.",
    en="The first batch's statistics are taken over whole. A sensible idea, but not the rule here: "
    "the first batch, too, enters with weight momentum.",
)
def starts_from_the_first_batch(num_features, momentum=0.1):
    return Combined(num_features, momentum, starts_from_the_first_batch=True)


@exercise.mistake(
    ko="분산을 배치의 평균이 아니라 이동 평균을 중심으로 쟀습니다. "
    "그래서 평균이 아직 0에서 멀리 가지 못한 처음에 분산이 너무 큽니다.",
    en="The variance is measured around the running mean instead of the batch's own. "
    "It comes out too large early on, while the running mean is still near 0.",
    center=["old", "new"],
)
def spread_around_the_running_mean(num_features, momentum=0.1, center="old"):
    switch = {"spread_around_the_running_mean": True}
    return Combined(num_features, momentum, center=center, **switch)


@exercise.mistake(
    ko="모든 특성이 한 통계량을 나누어 씁니다. 특성마다 평균과 분산을 따로 기억해야 합니다. "
    "모양이 (3, 2)인 배치에서 평균은 몇 개인가요?",
    en="All features share one pair of statistics. Each feature needs its own: "
    "how many means does a batch of shape (3, 2) have?",
)
def one_number_for_all_features(num_features, momentum=0.1):
    return Combined(num_features, momentum, one_number_for_all_features=True)
