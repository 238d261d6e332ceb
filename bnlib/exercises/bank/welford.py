"""13.1 Mean and variance in one pass."""

import copy

import numpy as np

from ..exercise import Exercise
from ..language import Text


class Welford:
    """Mean and variance of samples that come one at a time and are not kept.

    num_features  C; everything is computed in float64
    """

    def __init__(self, num_features):
        """Start without samples."""
        self.count = 0
        self.mean = np.zeros(num_features)
        self.m2 = np.zeros(num_features)

    def update(self, x):
        """Take in one more sample x, of shape (C,)."""
        self.count += 1
        deviation = x - self.mean
        self.mean = self.mean + deviation / self.count
        self.m2 = self.m2 + deviation * (x - self.mean)

    def statistics(self):
        """Return the mean and the variance, (C,) each, of all samples so far; at least one came.

        The variance divides by their number n, not n - 1. It has to hold where the mean is some
        10^8 standard deviations away from 0.
        """
        return self.mean, self.m2 / self.count


def streams(answer, samples):
    """The object after every sample."""
    stream = answer(samples.shape[1])
    for x in samples:
        stream.update(x)
        yield stream


def use(answer, samples):
    """The statistics after every sample."""
    return [
        copy.deepcopy(stream.statistics())  # they may be changed by the next update
        for stream in streams(answer, samples)
    ]


def cases(rng):
    yield (np.array([[1.0, 10.0], [3.0, 40.0], [8.0, 10.0]]),)
    yield (rng.normal(rng.normal(0, 3, 3), 2, (5, 3)),)
    yield (rng.normal(2, 1, (6, 2)).astype(np.float32),)
    # Around 2^27 float64 has no digits for what 1 adds to a square.
    yield (np.column_stack([2.0**27 + np.array([1, -1, 0]), [3.0, 1.0, 5.0]]),)


exercise = Exercise(
    id="welford",
    chapter=13,
    number=1,
    difficulty=2,
    title=Text(ko="한 번만 읽고 분산 구하기", en="The variance in one reading"),
    solution=Welford,
    cases=cases,
    use=use,
    keeps=streams,
    hints=[
        Text(
            ko="새 표본은 평균을 자기 쪽으로 조금 끌어당깁니다. n번째 표본은 몇 분의 1만큼 끌어당기나요?",
            en="A new sample pulls the mean a little toward itself. By what fraction does the n-th one?",
        ),
        Text(
            ko="표본의 제곱을 모으지 말고, 평균에서 벗어난 양의 제곱의 합을 모으세요. "
            "1e6에 가까운 수의 제곱은 1e12이고, 거기서 1을 가려내려면 자릿수를 많이 잃습니다.",
            en="Do not collect squares of samples, but squares of deviations from the mean. Near 1e6 a "
            "square is 1e12; to find 1 in that, many digits are lost.",
        ),
        Text(
            ko="x가 들어올 때 제곱합이 얼마나 늘어나는지 표본 두 개로 손으로 계산해 보세요. "
            "옛 평균에서 벗어난 양과 새 평균에서 벗어난 양이 모두 필요합니다.",
            en="Work out with two samples by how much the sum of squares grows. "
            "You need the deviation from the old mean and the one from the new mean.",
        ),
    ],
)


@exercise.mistake(
    ko="E[x²] - E[x]²로 구했습니다. 평균이 크면 거의 같은 두 큰 수를 빼게 되고, "
    "자릿수 상쇄(cancellation)로 분산의 자릿수가 사라집니다. 값이 2²⁷ ± 1이면 분산이 얼마로 나오나요?",
    en="This is E[x²] - E[x]². With a large mean you subtract two huge, nearly equal numbers, and "
    "cancellation eats the digits of the variance. What variance do you get for values of 2²⁷ ± 1?",
    clips=[False, True],
    widens=[False],
)
class square_minus_square(Welford):
    def __init__(self, num_features, clips=False, widens=True):
        super().__init__(num_features)
        self.clips, self.dtype = clips, float if widens else None

    def update(self, x):
        self.count += 1
        self.mean = self.mean + (x - self.mean) / self.count
        self.m2 = self.m2 + np.square(x, dtype=self.dtype)

    def statistics(self):
        variance = self.m2 / self.count - self.mean**2
        return self.mean, np.maximum(variance, 0) if self.clips else variance


@exercise.mistake(
    ko="평균은 맞습니다. 옛 평균에서 벗어난 양을 두 번 곱했습니다. 그 평균에는 x가 아직 들어 있지 않습니다. "
    "표본이 하나일 때 분산이 0인가요?",
    en="The mean is right. The deviation from the old mean is multiplied by itself, but x is not in "
    "that mean yet. Is the variance of a single sample 0?",
)
class old_mean_twice(Welford):
    def update(self, x):
        self.m2 = self.m2 + (x - self.mean) ** 2
        self.count += 1
        self.mean = self.mean + (x - self.mean) / self.count


@exercise.mistake(
    ko="평균은 맞습니다. 새 평균에서 벗어난 양을 두 번 곱했습니다. 평균이 움직였으니 앞의 표본들이 벗어난 양도 늘었습니다. "
    "그만큼이 빠졌습니다.",
    en="The mean is right. The deviation from the new mean is multiplied by itself. "
    "The mean has moved, so earlier samples deviate more as well, and that is left out.",
)
class new_mean_twice(Welford):
    def update(self, x):
        self.count += 1
        self.mean = self.mean + (x - self.mean) / self.count
        self.m2 = self.m2 + (x - self.mean) ** 2


@exercise.mistake(
    ko="평균은 맞습니다. 분산을 n이 아니라 n-1로 나누었습니다. 표본이 하나일 때 무엇이 나오나요?",
    en="The mean is right. The variance divides by n-1 instead of n. What does a single sample give?",
    first=[np.nan, 0.0],
)
class ddof_1(Welford):
    def __init__(self, num_features, first=0.0):
        super().__init__(num_features)
        self.first = first

    def statistics(self):
        if self.count == 1:
            return self.mean, self.m2 + self.first
        return self.mean, self.m2 / (self.count - 1)


@exercise.mistake(
    ko="평균은 맞습니다. 제곱합을 개수로 나누지 않고 그대로 돌려주었습니다. 표본이 늘수록 한없이 커집니다.",
    en="The mean is right. The sum of squares comes back undivided and grows with every sample.",
)
class forgets_to_divide(Welford):
    def statistics(self):
        return self.mean, self.m2


@exercise.mistake(
    ko="평균은 맞습니다. 분산이 아니라 표준편차를 돌려주었습니다.",
    en="The mean is right. What comes back is the standard deviation, not the variance.",
)
class returns_the_standard_deviation(Welford):
    def statistics(self):
        return self.mean, np.sqrt(self.m2 / self.count)


@exercise.mistake(
    ko="평균이 틀립니다. 새 표본에 늘 같은 무게를 주었습니다. 지수 이동 평균이 이렇게 합니다. "
    "모든 표본의 무게가 같으려면 무게가 어떻게 줄어야 하나요?",
    en="The mean is wrong: every new sample gets the same weight, as in an exponential moving average. "
    "How must the weight shrink for all samples to count alike?",
    weight=[0.1, 0.5, 0.9, 0.01],
)
class moving_average(Welford):
    def __init__(self, num_features, weight=0.1):
        super().__init__(num_features)
        self.weight = weight

    def update(self, x):
        self.count += 1
        deviation = x - self.mean
        self.mean = self.mean + deviation * self.weight
        self.m2 = self.m2 + deviation * (x - self.mean)


@exercise.mistake(
    ko="개수를 하나 더 많이 셌습니다. 첫 표본이 들어온 다음의 평균은 그 표본이어야 합니다.",
    en="The count is one too high. After the first sample the mean should be that sample.",
)
class counts_one_too_many(Welford):
    def __init__(self, num_features):
        super().__init__(num_features)
        self.count = 1


@exercise.mistake(
    ko="개수를 늘리기 전에 나누었습니다. 첫 표본에서 0으로 나누게 됩니다.",
    en="You divide before the count goes up, so the first sample divides by 0.",
)
class counts_too_late(Welford):
    def update(self, x):
        deviation = x - self.mean
        self.mean = self.mean + deviation / np.float64(self.count)
        self.m2 = self.m2 + deviation * (x - self.mean)
        self.count += 1


@exercise.mistake(
    ko="마지막 표본을 평균으로 삼았습니다. 앞의 표본들이 평균에서 사라졌습니다.",
    en="The last sample is taken for the mean; those before it are lost from it.",
)
class keeps_the_last_sample(Welford):
    def update(self, x):
        self.count += 1
        deviation = x - self.mean
        self.mean = np.array(x, dtype=float)
        self.m2 = self.m2 + deviation * (x - self.mean)


@exercise.mistake(
    ko="평균을 첫 표본에서 시작해 움직이지 않았습니다. 분산은 진짜 평균에서 벗어난 양으로 재야 합니다.",
    en="The mean stays at the first sample. "
    "The variance is about deviations from the mean of all of them.",
)
class mean_of_the_first(Welford):
    def update(self, x):
        self.count += 1
        if self.count == 1:
            self.mean = np.array(x, dtype=float)
        self.m2 = self.m2 + (x - self.mean) ** 2


@exercise.mistake(
    ko="float64 입력에서는 맞습니다. float32 표본이 들어오면 통계량도 float32로 계산합니다. "
    "표본을 많이 더할수록 반올림 오차가 쌓이므로, 누적은 더 넓은 자료형으로 합니다.",
    en="Right for float64. When the samples are float32, so are your statistics. "
    "Rounding errors add up over many samples, so sums are kept in a wider type.",
)
class accumulates_in_float32(Welford):
    def update(self, x):
        super().update(x)
        self.mean, self.m2 = self.mean.astype(x.dtype), self.m2.astype(x.dtype)


@exercise.combine
class Combined(Welford):
    def __init__(
        self,
        num_features,
        *,
        old_mean_twice=False,
        new_mean_twice=False,
        ddof_1=False,
        forgets_to_divide=False,
        returns_the_standard_deviation=False,
        counts_one_too_many=False,
    ):
        super().__init__(num_features)
        self.count = int(counts_one_too_many)
        self.old_mean_twice, self.new_mean_twice = old_mean_twice, new_mean_twice
        self.ddof, self.forgets_to_divide = int(ddof_1), forgets_to_divide
        self.takes_the_root = returns_the_standard_deviation

    def update(self, x):
        self.count += 1
        old = x - self.mean
        self.mean = self.mean + old / self.count
        new = x - self.mean
        product = old**2 if self.old_mean_twice else old * new
        self.m2 = self.m2 + (new**2 if self.new_mean_twice else product)

    def statistics(self):
        count = 1 if self.forgets_to_divide else np.float64(self.count - self.ddof)
        variance = self.m2 / count
        return self.mean, np.sqrt(variance) if self.takes_the_root else variance
