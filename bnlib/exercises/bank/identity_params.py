"""4.3 The gamma and beta that undo normalization."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def identity_parameters(x, eps):
    """The gamma and beta with which batch normalization returns this mini-batch unchanged.

        y = gamma * (x - mean) / sqrt(var + eps) + beta,   mean and var over the N samples,
                                                           var divided by N
    x    (N, C): N samples, C features; no feature is constant
    eps  a number > 0
    Returns gamma of shape (C,), positive, and beta of shape (C,), such that y = x.
    """
    return np.sqrt(x.var(axis=0) + eps), x.mean(axis=0)


def cases(rng):
    yield np.array([[1.0, 10.0], [2.0, 30.0], [6.0, 20.0]]), 2.0
    for rows, columns, eps in [(4, 3, 0.5), (7, 2, 0.1), (5, 6, 0.2)]:
        mean, std = rng.uniform(2, 4, columns), rng.uniform(0.3, 3, columns)
        yield rng.normal(mean, std, (rows, columns)), eps
    yield rng.normal(-3, 2, (6, 4)).astype(np.float32), 0.1


exercise = Exercise(
    id="identity-params",
    chapter=4,
    number=3,
    difficulty=1,
    title=Text(ko="아무것도 바꾸지 않는 γ와 β", en="The γ and β that change nothing"),
    solution=identity_parameters,
    cases=cases,
    hints=[
        Text(
            ko="y = x가 되려면 곱하기는 나누기를, 더하기는 빼기를 되돌려야 합니다.",
            en="For y = x the multiplication has to undo the division, "
            "and the addition the subtraction.",
        ),
        Text(
            ko="식을 그대로 따라가세요. x - mean을 나눈 수는 표준편차와 조금 다릅니다.",
            en="Follow the formula to the letter: what x - mean is divided by "
            "is not quite the standard deviation.",
        ),
    ],
)


@exercise.mistake(
    ko="eps가 빠졌습니다. 배치 정규화가 나누는 수에는 eps가 들어 있습니다. "
    "분산이 eps만큼 작은 특성에서 y가 x와 얼마나 다른지 재 보세요.",
    en="eps is missing: batch normalization divides by a number that contains it. "
    "For a feature whose variance is as small as eps, measure how far y is from x.",
)
def forgets_eps(x, eps):
    return x.std(axis=0), x.mean(axis=0)


@exercise.mistake(
    ko="eps를 제곱근 밖에서 더했습니다. 배치 정규화는 분산에 더합니다.",
    en="eps is added outside the square root. Batch normalization adds it to the variance.",
)
def eps_outside_the_root(x, eps):
    return x.std(axis=0) + eps, x.mean(axis=0)


@exercise.mistake(
    ko="gamma에 분산을 썼습니다. 정규화는 분산이 아니라 그 제곱근으로 나누었습니다. "
    "x의 단위가 cm라면 gamma의 단위는 무엇이어야 하나요?",
    en="gamma is the variance, but normalizing divided by its square root. "
    "If x is in cm, what is the unit of gamma?",
    with_eps=[True, False],
)
def gamma_is_the_variance(x, eps, with_eps=True):
    return x.var(axis=0) + eps * with_eps, x.mean(axis=0)


@exercise.mistake(
    ko="gamma가 거꾸로입니다. 그 값을 곱하면 두 번 나누게 됩니다.",
    en="gamma is upside down: multiplying by it divides a second time.",
)
def gamma_is_inverted(x, eps):
    return 1 / np.sqrt(x.var(axis=0) + eps), x.mean(axis=0)


@exercise.mistake(
    ko="gamma는 되돌렸지만 beta가 0입니다. 그러면 y의 평균은 얼마인가요? x의 평균은요?",
    en="gamma is right, but beta is 0. What is the mean of y then, and what is that of x?",
)
def beta_is_zero(x, eps):
    gamma, beta = identity_parameters(x, eps)
    return gamma, np.zeros_like(beta)


@exercise.mistake(
    ko="beta는 맞지만 gamma가 1입니다. 그러면 y의 표준편차는 1에 가깝습니다. x의 표준편차는 얼마인가요?",
    en="beta is right, but gamma is 1. The standard deviation of y is then close to 1. "
    "What is that of x?",
)
def gamma_is_one(x, eps):
    gamma, beta = identity_parameters(x, eps)
    return np.ones_like(gamma), beta


@exercise.mistake(
    ko="beta의 부호가 반대입니다. 뺀 것을 되돌리려면 더해야 합니다.",
    en="beta has the wrong sign: what was subtracted has to be added back.",
)
def beta_is_negative(x, eps):
    gamma, beta = identity_parameters(x, eps)
    return gamma, -beta


@exercise.mistake(
    ko="beta를 정규화한 눈금으로 나타냈습니다. 그런데 beta는 gamma를 곱한 다음에 더해집니다.",
    en="beta is given on the normalized scale, but it is added after gamma has multiplied.",
)
def beta_is_normalized(x, eps):
    gamma, beta = identity_parameters(x, eps)
    return gamma, beta / gamma


@exercise.mistake(
    ko="두 값은 맞고 순서가 바뀌었습니다. gamma가 먼저입니다.",
    en="Both are right, in the wrong order: gamma comes first.",
)
def swaps_gamma_and_beta(x, eps):
    return identity_parameters(x, eps)[::-1]


@exercise.mistake(
    ko="분산을 N-1로 나누었습니다(ddof=1). 정규화가 나눈 수를 그대로 되돌려야 y = x가 됩니다.",
    en="The variance is divided by N-1 (ddof=1). y = x only if exactly what normalizing divided by "
    "is undone.",
)
def ddof_1(x, eps):
    return np.sqrt(x.var(axis=0, ddof=1) + eps), x.mean(axis=0)


@exercise.mistake(
    ko="축이 바뀌었습니다. 표본마다 값을 하나씩 구했습니다. gamma와 beta는 특성마다 하나씩입니다.",
    en="The axis is swapped: there is one value for each sample. "
    "gamma and beta have one for each feature.",
)
def wrong_axis(x, eps):
    return np.sqrt(x.var(axis=1) + eps), x.mean(axis=1)


@exercise.mistake(
    ko="배열 전체에서 하나씩만 구했습니다. gamma와 beta는 특성마다 하나씩입니다.",
    en="There is a single value of each for the whole array. "
    "gamma and beta have one for each feature.",
    one_number=[True, False],
)
def whole_array(x, eps, one_number=True):
    gamma, beta = np.sqrt(x.var() + eps), x.mean()
    return (gamma, beta) if one_number else tuple(np.full(x.shape[1], v) for v in (gamma, beta))


@exercise.combine
def combined(
    x,
    eps,
    *,
    ddof_1=False,
    forgets_eps=False,
    eps_outside_the_root=False,
    gamma_is_the_variance=False,
    gamma_is_inverted=False,
    beta_is_zero=False,
    beta_is_negative=False,
    swaps_gamma_and_beta=False,
):
    var, mean = x.var(axis=0, ddof=int(ddof_1)), x.mean(axis=0)
    eps = 0 if forgets_eps else eps
    if gamma_is_the_variance:
        gamma = var + eps
    else:
        gamma = np.sqrt(var) + eps if eps_outside_the_root else np.sqrt(var + eps)
    gamma = 1 / gamma if gamma_is_inverted else gamma
    beta = np.zeros_like(mean) if beta_is_zero else mean
    beta = -beta if beta_is_negative else beta
    return (beta, gamma) if swaps_gamma_and_beta else (gamma, beta)
