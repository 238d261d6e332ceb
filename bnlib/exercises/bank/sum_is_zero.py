"""5.4 Nudge one value, and all outputs move, by amounts that sum to zero."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def normalization_jacobian(x, eps):
    """How much every normalized value moves when any one value is nudged.

        x_hat = (x - mean) / sqrt(var + eps),   mean and var over the N values, var divided by N

    x    (N,): one feature of a mini-batch of N samples; eps: a number > 0
    Returns J of shape (N, N), where J[i, j] is the derivative of x_hat[i] with respect to x[j].
    Every row of J sums to 0, and so does every column.
    """
    samples = len(x)
    inv_std = 1 / np.sqrt(x.var() + eps)
    x_hat = (x - x.mean()) * inv_std
    return inv_std * (np.eye(samples) - 1 / samples - np.outer(x_hat, x_hat) / samples)


def cases(rng):
    yield np.array([1.0, 2.0, 6.0]), 0.5
    for samples, eps in [(2, 0.1), (4, 0.3), (7, 0.2), (5, 1.0)]:
        yield rng.normal(rng.uniform(-5, 5), rng.uniform(0.5, 3), samples), eps


exercise = Exercise(
    id="sum-is-zero",
    chapter=5,
    number=4,
    difficulty=3,
    title=Text(ko="합이 0인 야코비안", en="A Jacobian that sums to zero"),
    solution=normalization_jacobian,
    cases=cases,
    hints=[
        Text(
            ko="세 질문으로 나누세요. x[j]를 밀면 x[j] 자신은, 평균은, 분산은 얼마나 움직이나요? "
            "셋 중 하나만 i = j일 때에 한합니다.",
            en="Split it into three questions: when x[j] is nudged, how far does x[j] itself move, "
            "how far the mean, how far the variance? Only one of the three needs i = j.",
        ),
        Text(
            ko="모든 x에 같은 수를 더하면 x_hat은 그대로입니다. 그래서 J의 한 행의 합은 0입니다. "
            "x_hat의 합은 언제나 0입니다. 그래서 한 열의 합도 0입니다.",
            en="Add the same number to all x, and x_hat stays: hence a row of J sums to 0. "
            "The sum of x_hat is always 0: hence a column does too.",
        ),
        Text(
            ko="앞 문제의 역전파를 쓸 수도 있습니다. dy가 한 자리만 1이고 나머지가 0이라면 dx는 J의 무엇인가요?",
            en="The backward pass of the exercise before can help. If dy is 1 in one place and 0 "
            "elsewhere, what part of J is dx?",
        ),
    ],
)


def jacobian(x, eps, mean=1.0, along=1.0, ddof=0):
    """The solution with a factor on each of the terms that are taken away."""
    samples = len(x)
    inv_std = 1 / np.sqrt(x.var(ddof=ddof) + eps)
    x_hat = (x - x.mean()) * inv_std
    along_x_hat = np.outer(x_hat, x_hat) / samples
    return inv_std * (np.eye(samples) - mean / samples - along * along_x_hat)


@exercise.mistake(
    ko="대각선만 남았습니다. 평균과 분산을 상수로 보았기 때문입니다. 한 값을 밀면 다른 x_hat도 움직입니다. "
    "한 행을 더해 보세요.",
    en="Only a diagonal is there, since mean and variance are taken for constants. Nudge one value "
    "and the other x_hat move too. Add up a row.",
)
def statistics_as_constants(x, eps):
    return jacobian(x, eps, mean=0, along=0)


@exercise.mistake(
    ko="대각선은 맞습니다. 그런데 나머지를 0으로 두었습니다. x[0]을 밀면 평균이 움직이고, "
    "그러면 x_hat[1]도 움직입니다.",
    en="The diagonal is right, but the rest is 0. Nudge x[0] and the mean moves, "
    "and x_hat[1] with it.",
)
def own_value_only(x, eps):
    return np.diag(np.diag(normalization_jacobian(x, eps)))


@exercise.mistake(
    ko="평균을 거치는 몫이 빠졌습니다. 한 행을 더해 보세요. 모든 x에 같은 수를 더했을 때 x_hat이 움직이나요?",
    en="The part through the mean is missing. Add up a row: "
    "does x_hat move when the same number is added to all x?",
)
def mean_path_missing(x, eps):
    return jacobian(x, eps, mean=0)


@exercise.mistake(
    ko="분산을 거치는 몫이 빠졌습니다. 값들을 두 배로 벌리면 x_hat은 거의 그대로입니다. "
    "J에 x - mean을 곱해서 거의 0이 되는지 보세요.",
    en="The part through the variance is missing. Spread the values "
    "twice as far and x_hat hardly moves: multiply J by x - mean and see whether that is small.",
)
def variance_path_missing(x, eps):
    return jacobian(x, eps, along=0)


@exercise.mistake(
    ko="1/N이 빠졌습니다. 값 하나는 평균도 분산도 N분의 1만큼만 움직입니다.",
    en="A 1/N is missing: one value moves mean and variance by an Nth part only.",
    term=["both", "mean", "along"],
)
def one_over_n_missing(x, eps, term="both"):
    mean, along = (len(x) if term in ("both", name) else 1 for name in ("mean", "along"))
    return jacobian(x, eps, mean, along)


@exercise.mistake(
    ko="한 몫의 부호가 반대입니다. 평균이 커지면 x_hat은 작아지고, 분산이 커지면 x_hat은 0에 가까워집니다.",
    en="A part has the wrong sign. A larger mean lowers x_hat, "
    "and a larger variance pulls it towards 0.",
    term=["both", "mean", "along"],
)
def wrong_sign(x, eps, term="both"):
    mean, along = (-1 if term in ("both", name) else 1 for name in ("mean", "along"))
    return jacobian(x, eps, mean, along)


@exercise.mistake(
    ko="분산을 거치는 몫이 두 배이거나 절반입니다. 제곱을 미분하면 2가 나오고 제곱근을 미분하면 1/2이 나옵니다.",
    en="The part through the variance is twice or half what it should be. "
    "The derivative of a square brings a 2, that of a square root a 1/2.",
    factor=[2.0, 0.5],
)
def variance_path_off_by_two(x, eps, factor=2.0):
    return jacobian(x, eps, along=factor)


@exercise.mistake(
    ko="모양은 맞지만 표준편차로 나누지 않았습니다. x의 단위가 cm라면 J의 단위는 무엇인가요?",
    en="The pattern is right, but it is not divided by the standard deviation. "
    "If x is in cm, what is the unit of J?",
)
def forgets_inv_std(x, eps):
    return jacobian(x, eps) * np.sqrt(x.var() + eps)


@exercise.mistake(
    ko="셋째 항에 정규화하지 않은 x - mean이 들어갔습니다. 세 항은 단위가 없어야 하고, "
    "표준편차는 맨 앞에서 한 번만 나눕니다.",
    en="The third term uses x - mean before it is divided by the standard deviation. "
    "The three terms have no unit; the division comes once, in front.",
)
def centred_instead_of_x_hat(x, eps):
    return jacobian(x, eps, along=x.var() + eps)


@exercise.mistake(
    ko="거의 맞습니다. x_hat 방향을 남김없이 지웠습니다. eps가 있으면 x_hat의 분산이 1보다 조금 작아서 "
    "그 방향의 움직임이 조금 남습니다.",
    en="Almost. The direction of x_hat is removed entirely. With eps the variance of x_hat is a "
    "little below 1, and some movement in that direction remains.",
)
def projects_entirely(x, eps):
    return jacobian(x, eps, along=(x.var() + eps) / x.var())


@exercise.mistake(
    ko="eps가 빠졌습니다. 나누는 수는 분산에 eps를 더한 것의 제곱근입니다.",
    en="eps is missing: what you divide by is the root of the variance plus eps.",
)
def forgets_eps(x, eps):
    return jacobian(x, eps=0)


@exercise.mistake(
    ko="분산을 N-1로 나누었습니다(ddof=1). 이 문제의 x_hat은 N으로 나눈 분산을 씁니다.",
    en="The variance is divided by N-1 (ddof=1). Here x_hat uses the one divided by N.",
)
def ddof_1(x, eps):
    return jacobian(x, eps, ddof=1)


@exercise.combine
def combined(
    x,
    eps,
    *,
    statistics_as_constants=False,
    mean_path_missing=False,
    variance_path_missing=False,
    one_over_n_missing=False,
    wrong_sign=False,
    forgets_inv_std=False,
    forgets_eps=False,
    ddof_1=False,
):
    eps = 0 if forgets_eps else eps
    factor = (-1 if wrong_sign else 1) * (len(x) if one_over_n_missing else 1)
    mean = 0 if mean_path_missing or statistics_as_constants else factor
    along = factor
    if statistics_as_constants or (variance_path_missing and not mean_path_missing):
        along = 0
    found = jacobian(x, eps, mean, along, ddof=int(ddof_1))
    return found * np.sqrt(x.var(ddof=int(ddof_1)) + eps) if forgets_inv_std else found
