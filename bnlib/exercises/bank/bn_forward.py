"""4.1 Batch normalization, the forward pass."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def bn_forward(x, gamma, beta, eps):
    """Batch normalization of a fully connected layer's output, as in training.

    Normalize every feature over the mini-batch: mean and variance over the N samples, the variance
    divided by N, and eps added to the variance. Then scale by gamma and shift by beta.

    x            (N, C): N samples, C features; a feature may be constant, or far from 0
    gamma, beta  (C,)
    eps          a number > 0
    Returns y of shape (N, C).
    """
    mean = x.mean(axis=0)
    var = x.var(axis=0)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta


def cases(rng):
    x = np.array([[1.0, 10.0], [2.0, 30.0], [6.0, 26.0]])
    yield x, np.array([2.0, -3.0]), np.array([0.5, 4.0]), 0.1
    for rows, columns, eps in [(4, 3, 0.5), (7, 2, 0.01), (5, 6, 0.2)]:
        x = rng.normal(rng.uniform(-3, 3, columns), rng.uniform(0.3, 3, columns), (rows, columns))
        yield x, *parameters(rng, columns), eps
    x = np.column_stack([rng.normal(1, 0.1, 5), np.full(5, 2.0), rng.normal(-4, 2, 5)])
    yield x, *parameters(rng, 3), 1e-3  # the second feature is constant
    # The squares of the first feature need more digits than float64 has.
    x = np.column_stack([2.0**27 + np.array([1.0, -1.0, 1.0, -1.0]), rng.normal(0, 1, 4)])
    yield x, np.array([1.5, -2.0]), np.array([0.7, 9.0]), 1e-2
    x = rng.normal(2, 1, (6, 4)).astype(np.float32)
    yield x, *(values.astype(np.float32) for values in parameters(rng, 4)), 0.1


def parameters(rng, columns):
    """gamma away from 0 and 1, of either sign, and beta away from 0."""
    gamma = rng.uniform(1.3, 3, columns) * rng.permutation(np.resize([1, -1], columns))
    return gamma, rng.uniform(0.5, 2, columns)


exercise = Exercise(
    id="bn-forward",
    chapter=4,
    number=1,
    difficulty=1,
    title=Text(ko="네 줄의 배치 정규화", en="Batch normalization in four lines"),
    solution=bn_forward,
    cases=cases,
    hints=[
        Text(
            ko="알고리즘 1의 네 줄을 그대로 옮기면 됩니다. 평균, 분산, 정규화, 스케일과 이동의 차례입니다.",
            en="It is the four lines of Algorithm 1: mean, variance, normalize, scale and shift.",
        ),
        Text(
            ko="특성이 C개이면 평균도 C개입니다. 모양이 (N, C)인 배열에서 어느 축이 사라져야 하나요?",
            en="C features have C means. Which axis of an array of shape (N, C) has to go?",
        ),
        Text(
            ko="eps는 분산이 0일 때 0으로 나누지 않게 합니다. 분산에 더한 다음 제곱근을 구합니다.",
            en="eps keeps a variance of 0 from dividing by 0. It joins the variance before the root.",
        ),
    ],
)


def normalize(x, eps, axis=0, ddof=0):
    mean = x.mean(axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=axis, ddof=ddof, keepdims=True) + eps)


@exercise.mistake(
    ko="축이 바뀌었습니다. 지금은 표본마다 자기 특성들의 평균을 뺍니다. 그것은 층 정규화(layer normalization)입니다. "
    "배치 정규화에서 평균은 모두 몇 개여야 할까요?",
    en="The axis is swapped: each sample loses the mean of its own features, which is layer "
    "normalization. How many means are there in batch normalization?",
)
def wrong_axis(x, gamma, beta, eps):
    return gamma * normalize(x, eps, axis=1) + beta


@exercise.mistake(
    ko="배열 전체에서 평균 하나와 분산 하나를 구했습니다. 특성마다 따로 구하지 않으면 "
    "값이 큰 특성이 나머지를 모두 0 가까이로 누릅니다.",
    en="One mean and one variance are taken over the whole array. "
    "The feature with the largest values then squashes all others towards 0.",
)
def whole_array(x, gamma, beta, eps):
    return gamma * normalize(x, eps, axis=None) + beta


@exercise.mistake(
    ko="eps를 제곱근을 구한 다음에 더했습니다. 분산이 0인 특성에서 이 문제의 식은 무엇으로 나누고 "
    "여러분의 식은 무엇으로 나누나요?",
    en="eps is added after the square root. For a feature of variance 0, what does the formula of "
    "this exercise divide by, and what does yours?",
)
def eps_outside_the_root(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / (x.std(axis=0) + eps) + beta


@exercise.mistake(
    ko="eps가 빠졌습니다. 배치 안에서 변하지 않는 특성이 있으면 0을 0으로 나누어 nan이 됩니다.",
    en="eps is missing. A feature that is constant within the batch divides 0 by 0 and gives nan.",
)
def forgets_eps(x, gamma, beta, eps):
    return gamma * normalize(x, 0) + beta


@exercise.mistake(
    ko="분산을 N-1로 나누었습니다(ddof=1). torch에서 var의 기본값이 그렇습니다. "
    "정규화에는 N으로 나눈 편향 추정량을 씁니다. N-1은 추론에 쓸 이동 통계량에 나옵니다.",
    en="The variance is divided by N-1 (ddof=1), the default of var in torch. "
    "Normalizing uses the biased estimate, divided by N; N-1 belongs to the running statistics "
    "for inference.",
)
def ddof_1(x, gamma, beta, eps):
    return gamma * normalize(x, eps, ddof=1) + beta


@exercise.mistake(
    ko="정규화하기 전에 gamma를 곱했습니다. 정규화가 그 스케일을 도로 지웁니다. "
    "gamma를 두 배로 하면 여러분의 결과도 두 배가 되나요?",
    en="gamma comes before normalizing, which takes the scale away again. "
    "Double gamma: does your result double?",
    and_beta=[False, True],
)
def gamma_before_normalizing(x, gamma, beta, eps, and_beta=False):
    if and_beta:
        return normalize(gamma * x + beta, eps)
    return normalize(gamma * x, eps) + beta


@exercise.mistake(
    ko="beta에도 gamma를 곱했습니다. 괄호를 살펴보세요. beta는 스케일한 다음에 더하는 이동입니다.",
    en="beta is multiplied by gamma too: look at your brackets. The shift comes after the scale.",
)
def beta_scaled(x, gamma, beta, eps):
    return gamma * (normalize(x, eps) + beta)


@exercise.mistake(
    ko="gamma와 beta가 서로 바뀌었습니다. 스케일과 이동 중 어느 것이 곱하는 쪽인가요?",
    en="gamma and beta have changed places. Which of scale and shift multiplies?",
)
def swaps_gamma_and_beta(x, gamma, beta, eps):
    return beta * normalize(x, eps) + gamma


@exercise.mistake(
    ko="gamma가 빠졌습니다. 모든 특성의 표준편차가 1에 머무르면 다음 층은 크기를 고를 수 없습니다.",
    en="gamma is missing. With every standard deviation stuck at 1, "
    "the net cannot choose how large a feature is.",
)
def forgets_gamma(x, gamma, beta, eps):
    return normalize(x, eps) + beta


@exercise.mistake(
    ko="beta가 빠졌습니다. 모든 특성의 평균이 0에 머무릅니다.",
    en="beta is missing: every feature is stuck at mean 0.",
)
def forgets_beta(x, gamma, beta, eps):
    return gamma * normalize(x, eps)


@exercise.mistake(
    ko="정규화까지는 맞습니다. 마지막 한 줄, 스케일과 이동이 빠졌습니다.",
    en="Right as far as x_hat. The last line, scale and shift, is missing.",
)
def forgets_scale_and_shift(x, gamma, beta, eps):
    return normalize(x, eps)


@exercise.mistake(
    ko="평균을 빼지 않았습니다. 결과에서 특성마다 평균을 재 보세요. beta와 같아야 합니다.",
    en="The mean is not subtracted. Measure the mean of each feature of your result: "
    "it should be beta.",
)
def forgets_the_mean(x, gamma, beta, eps):
    return gamma * x / np.sqrt(x.var(axis=0) + eps) + beta


@exercise.mistake(
    ko="제곱근이 빠졌습니다. 분산으로 나누면 퍼짐이 100이던 특성은 퍼짐이 100분의 1이 됩니다.",
    en="The square root is missing. Divided by its variance, a feature with a spread of 100 "
    "ends up with a spread of 1/100.",
)
def forgets_the_root(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / (x.var(axis=0) + eps) + beta


@exercise.mistake(
    ko="식은 수학으로는 맞습니다. 그런데 분산을 제곱의 평균에서 평균의 제곱을 빼서 구했습니다. "
    "평균이 크면 거의 같은 두 큰 수를 빼게 되어 자릿수가 사라집니다(자릿수 상쇄). "
    "값이 2²⁷ ± 1인 특성에서 분산이 얼마로 나오나요?",
    en="Right on paper, but the variance is the mean of the squares minus the square of the mean. "
    "With a large mean these are two huge, nearly equal numbers, and the digits cancel. "
    "What variance do you get for values of 2²⁷ ± 1?",
)
def square_minus_square(x, gamma, beta, eps):
    mean = x.mean(axis=0)
    var = (x * x).mean(axis=0) - mean * mean
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


@exercise.combine
def combined(
    x,
    gamma,
    beta,
    eps,
    *,
    wrong_axis=False,
    whole_array=False,
    forgets_the_mean=False,
    ddof_1=False,
    forgets_the_root=False,
    forgets_eps=False,
    eps_outside_the_root=False,
    swaps_gamma_and_beta=False,
    forgets_gamma=False,
    forgets_beta=False,
    forgets_scale_and_shift=False,
    beta_scaled=False,
):
    axis = None if whole_array else int(wrong_axis)
    mean = 0 if forgets_the_mean else x.mean(axis=axis, keepdims=True)
    var = x.var(axis=axis, ddof=int(ddof_1), keepdims=True)
    eps = 0 if forgets_eps else eps
    if forgets_the_root:
        scale = var + eps
    else:
        scale = np.sqrt(var) + eps if eps_outside_the_root else np.sqrt(var + eps)
    gamma, beta = (beta, gamma) if swaps_gamma_and_beta else (gamma, beta)
    x_hat = (x - mean) / scale
    if forgets_scale_and_shift:
        return x_hat
    if forgets_gamma:  # with beta forgotten as well, that is forgets_scale_and_shift
        gamma = np.ones_like(gamma)
    elif forgets_beta:
        beta = np.zeros_like(beta)
    return gamma * (x_hat + beta) if beta_scaled else gamma * x_hat + beta
