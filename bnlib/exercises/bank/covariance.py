"""2.4 The covariance of data that never fit into memory together."""

import copy

import numpy as np

from ..exercise import Exercise
from ..language import Text


class RunningCovariance:
    """The covariance of all samples seen so far, which arrive in mini-batches.

        covariance = mean((x - mean)^T (x - mean)),   divided by N, not by N - 1

    Mean and N are those of all samples since the start, as if they were one large table. A layer
    has no room for that table: what is kept should not grow with the number of batches.
    """

    def __init__(self, num_features):
        """Start with no sample; num_features is D."""
        self.count = 0
        self.mean = np.zeros(num_features)
        self.scatter = np.zeros((num_features, num_features))

    def update(self, x):
        """Take in a mini-batch x of shape (n, D); n may change, and be 1."""
        mean = x.mean(axis=0)
        centred, shift = x - mean, mean - self.mean
        total = self.count + len(x)
        self.scatter += centred.T @ centred
        self.scatter += np.outer(shift, shift) * self.count * len(x) / total
        self.mean += shift * len(x) / total
        self.count = total

    def covariance(self):
        """Return the covariance so far, of shape (D, D). It may be asked for after any batch."""
        return self.scatter / self.count


def cases(rng):
    yield np.array([[1.0, 4.0], [3.0, 5.0]]), np.array([[8.0, 0.0], [9.0, 2.0], [10.0, 1.0]])
    for sizes, columns in [((5, 2, 3), 3), ((3, 1, 4), 2), ((1, 6, 2), 5)]:
        mixing = rng.normal(size=(columns, columns))
        yield tuple(rng.normal(rng.normal(3, 4, columns), 1, (n, columns)) @ mixing for n in sizes)
    yield far_from_zero(spread=32.0), far_from_zero(spread=64.0)


def far_from_zero(spread):
    """A first column of 2^27 ± 1, whose square needs more digits than float64 has."""
    return np.column_stack([2.0**27 + np.tile([1, -1], 2), np.repeat([spread, -spread], 2)])


def streams(answer, first, second, third=None):
    """The object after every batch."""
    running = answer(first.shape[1])
    for x in (first, second) if third is None else (first, second, third):
        running.update(x)
        yield running


def use(answer, first, second, third=None):
    """The covariance after every batch."""
    return [
        copy.deepcopy(running.covariance())  # it may be changed by the next update
        for running in streams(answer, first, second, third)
    ]


exercise = Exercise(
    id="covariance",
    chapter=2,
    number=4,
    difficulty=3,
    title=Text(ko="미니배치로 모으는 공분산", en="A covariance gathered batch by batch"),
    solution=RunningCovariance,
    cases=cases,
    use=use,
    keeps=streams,
    hints=[
        Text(
            ko="두 배치 안에서는 값이 하나도 변하지 않는데 두 배치의 평균이 다르다고 상상해 보세요. "
            "배치마다 구한 공분산은 0입니다. 전체의 공분산도 0인가요?",
            en="Imagine two batches, constant within but with different means. "
            "The covariance of each is 0. Is that of both together?",
        ),
        Text(
            ko="기억할 것은 세 가지입니다. 표본의 수, 평균, 그리고 평균에서 벗어난 만큼의 곱을 더한 행렬입니다.",
            en="Three things need to be kept: the number of samples, the mean, "
            "and the sum of products of the deviations from it.",
        ),
        Text(
            ko="배치 하나를 더할 때 그 행렬은 배치 안의 퍼짐만큼 커지고, 두 평균의 차이만큼 더 커집니다. "
            "둘째 몫은 두 표본 수에 따라 어떻게 달라지나요? 표본이 하나씩일 때 손으로 계산해 보세요.",
            en="When a batch joins, that matrix grows by the spread within the batch, "
            "and again because the means differ. How does the second part depend on the two counts? "
            "Work it out by hand for one sample each.",
        ),
    ],
)


def covariance_of(x):
    centred = x - x.mean(axis=0)
    return centred.T @ centred / len(x)


class Batches:
    """Keeps the batches, so that a wrong answer is one line: its covariance()."""

    def __init__(self, num_features):
        self.batches = []

    def update(self, x):
        self.batches.append(x)

    @property
    def sizes(self):
        return np.array([len(x) for x in self.batches])

    @property
    def together(self):
        return np.concatenate(self.batches)


@exercise.mistake(
    ko="배치마다 공분산을 구해서 평균했습니다. 그러면 배치끼리 평균이 다른 만큼의 퍼짐이 사라집니다. "
    "배치가 표본 하나씩이라면 결과는 무엇인가요?",
    en="The covariances of the batches are averaged, which loses the spread between their means. "
    "What would come out if every batch were a single sample?",
    weigh=[True, False],
)
class averages_covariances(Batches):
    def __init__(self, num_features, weigh=True):
        super().__init__(num_features)
        self.weigh = weigh

    def covariance(self):
        weights = self.sizes if self.weigh else None
        return np.average([covariance_of(x) for x in self.batches], axis=0, weights=weights)


@exercise.mistake(
    ko="배치의 크기가 달라도 똑같은 무게로 합쳤습니다. 표본이 하나인 배치와 백 개인 배치를 "
    "합치면 전체 평균은 어디에 가까워야 하나요?",
    en="Batches of different size are given the same weight. "
    "Join a batch of one sample and a batch of a hundred: which is the overall mean close to?",
)
class ignores_batch_sizes(Batches):
    def covariance(self):
        within = np.mean([covariance_of(x) for x in self.batches], axis=0)
        return within + covariance_of(np.array([x.mean(axis=0) for x in self.batches]))


@exercise.mistake(
    ko="마지막 배치의 공분산만 남았습니다. 앞의 배치도 함께 세어야 합니다.",
    en="Only the last batch counts. The ones before it belong to the data as well.",
)
class only_the_last_batch(Batches):
    def covariance(self):
        return covariance_of(self.batches[-1])


@exercise.mistake(
    ko="식은 수학으로는 맞습니다. 그런데 제곱의 평균에서 평균의 제곱을 뺐습니다. 평균이 크면 "
    "거의 같은 두 큰 수를 빼게 되어 자릿수가 사라집니다(자릿수 상쇄). "
    "값이 2²⁷ ± 1인 열에서 분산이 얼마로 나오나요?",
    en="The formula is right on paper: the mean of the squares minus the square of the mean. "
    "With a large mean these are two huge, nearly equal numbers, and the digits cancel. "
    "What variance do you get for a column of 2²⁷ ± 1?",
)
class square_minus_square(Batches):
    def covariance(self):
        x = self.together
        mean = x.mean(axis=0)
        return x.T @ x / len(x) - np.outer(mean, mean)


@exercise.mistake(
    ko="N-1로 나누었습니다. np.cov의 기본값이 그렇습니다. 여기서는 N으로 나눕니다.",
    en="The sum is divided by N-1, as np.cov does unless told otherwise. Here it is N.",
)
class ddof_1(Batches):
    def covariance(self):
        samples = len(self.together)
        return covariance_of(self.together) * samples / (samples - 1)


@exercise.mistake(
    ko="평균을 빼지 않았습니다. 모든 값에 100을 더해 보세요. 공분산은 그대로여야 합니다.",
    en="The mean is not removed. Add 100 to all values: a covariance should not change.",
)
class forgets_to_centre(Batches):
    def covariance(self):
        return self.together.T @ self.together / len(self.together)


@exercise.mistake(
    ko="배치마다 그때까지의 평균을 빼고 더했습니다. 그런데 나중에 평균이 움직이면 "
    "앞에서 더한 몫은 옛 평균을 기준으로 남습니다. 그 차이를 메워야 합니다.",
    en="From each batch you remove the mean so far. When the mean moves on, "
    "what was added earlier still refers to the old one. That difference has to be made up.",
)
class keeps_old_means(Batches):
    def covariance(self):
        scatter = 0
        for stop in range(1, len(self.batches) + 1):
            deviations = self.batches[stop - 1] - np.concatenate(self.batches[:stop]).mean(axis=0)
            scatter = scatter + deviations.T @ deviations
        return scatter / len(self.together)


@exercise.mistake(
    ko="대각선만 남았습니다. 그것은 특성마다 구한 분산입니다. 공분산은 두 특성의 곱도 셉니다.",
    en="Only the diagonal is there: the variance of each feature. "
    "A covariance counts the products of two features as well.",
)
class only_the_variances(Batches):
    def covariance(self):
        return np.diag(self.together.var(axis=0))


@exercise.mistake(
    ko="공분산이 아니라 상관 행렬입니다. 대각선이 모두 1입니다. 특성의 단위를 바꾸면 공분산은 달라져야 합니다.",
    en="That is the correlation matrix, with 1 all along the diagonal. "
    "Change a feature's unit and its covariances should change.",
)
class correlation(Batches):
    def covariance(self):
        return np.corrcoef(self.together, rowvar=False)


@exercise.combine
class Combined(RunningCovariance):
    def __init__(
        self,
        num_features,
        *,
        ddof_1=False,
        forgets_to_centre=False,
        only_the_last_batch=False,
        only_the_variances=False,
    ):
        super().__init__(num_features)
        self.ddof = int(ddof_1)
        self.forgets_to_centre = forgets_to_centre
        self.only_the_last_batch = only_the_last_batch
        self.only_the_variances = only_the_variances

    def update(self, x):
        if self.only_the_last_batch:
            super().__init__(x.shape[1])
        super().update(x)

    def covariance(self):
        scatter = self.scatter
        if self.forgets_to_centre:
            scatter = scatter + self.count * np.outer(self.mean, self.mean)
        found = scatter / np.float64(self.count - self.ddof)
        return np.diag(np.diag(found)) if self.only_the_variances else found
