"""5.1 Batch normalization, the backward pass."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def bn_backward(dy, x, gamma, eps):
    """The gradients of a loss with respect to the inputs of batch normalization.

        x_hat = (x - mean) / sqrt(var + eps),   mean and var over the N samples, var divided by N
        y = gamma * x_hat + beta

    dy     (N, C): the gradient of the loss with respect to y
    x      (N, C): N samples, C features; gamma: (C,); eps: a number > 0
    Returns dx of shape (N, C), dgamma and dbeta of shape (C,): the exact gradients of the loss with
    respect to x, gamma and beta. mean and var depend on x as well.
    """
    samples = len(x)
    centred = x - x.mean(axis=0)
    inv_std = 1 / np.sqrt(x.var(axis=0) + eps)
    x_hat = centred * inv_std

    dgamma = (dy * x_hat).sum(axis=0)
    dbeta = dy.sum(axis=0)
    dx_hat = dy * gamma

    dvar = -0.5 * inv_std**3 * (dx_hat * centred).sum(axis=0)
    dmean = -inv_std * dx_hat.sum(axis=0)
    dx = dx_hat * inv_std + dvar * 2 * centred / samples + dmean / samples
    return dx, dgamma, dbeta


def cases(rng):
    x = np.array([[1.0, 10.0], [2.0, 30.0], [6.0, 20.0]])
    dy = np.array([[1.0, -2.0], [3.0, 0.5], [-1.0, 2.0]])
    yield dy, x, np.array([2.0, -3.0]), 0.1
    for rows, columns, eps in [(4, 3, 0.5), (7, 2, 0.01), (5, 6, 0.2)]:
        yield *random_inputs(rng, rows, columns), eps
    dy, x, gamma = random_inputs(rng, 6, 3)
    x[:, 1] = 2.0  # a constant feature
    yield dy, x, gamma, 0.1
    yield *(array.astype(np.float32) for array in random_inputs(rng, 6, 4)), 0.1


def random_inputs(rng, rows, columns):
    """dy with a mean, x with a scale, and gamma away from 0 and 1."""
    x = rng.normal(rng.uniform(-3, 3, columns), rng.uniform(0.5, 3, columns), (rows, columns))
    gamma = rng.uniform(1.3, 3, columns) * rng.permutation(np.resize([1, -1], columns))
    return rng.normal(1, 1, (rows, columns)), x, gamma


exercise = Exercise(
    id="bn-backward",
    chapter=5,
    number=1,
    difficulty=2,
    title=Text(ko="배치 정규화의 역전파", en="Batch normalization, backwards"),
    solution=bn_backward,
    cases=cases,
    hints=[
        Text(
            ko="계산 그래프에서 x가 나가는 화살표를 세어 보세요. x_hat으로 바로 가는 길 말고도 "
            "평균과 분산을 거치는 길이 있습니다.",
            en="Count the arrows that leave x in the computational graph. Besides the direct one to "
            "x_hat, there are those through the mean and through the variance.",
        ),
        Text(
            ko="dy에서 dx_hat으로, 거기서 분산과 평균의 기울기로, 마지막에 세 길을 더해 dx로 가세요. "
            "평균의 기울기에 분산이 하는 몫은 0입니다. 왜 그럴까요?",
            en="Go from dy to dx_hat, from there to the gradients of the variance and of the mean, and "
            "add up three paths to dx. What the variance contributes to the gradient of the mean is 0. "
            "Why?",
        ),
        Text(
            ko="스스로 검사해 보세요. 열마다 dx의 합은 0이어야 하고, x의 한 값을 조금 바꾸어 "
            "손실이 변한 만큼과 dx가 맞아야 합니다.",
            en="Check yourself: each column of dx sums to 0, and dx agrees with how much the loss "
            "changes when you nudge one value of x.",
        ),
    ],
)


def gradients(dy, x, gamma, eps, mean_path=1.0, variance_path=1.0, ddof=0, eps_outside=0.0):
    """The solution in its collected form, with a factor on each path. 1 is right, 0 missing."""
    inv_std = 1 / (np.sqrt(x.var(axis=0, ddof=ddof) + eps) + eps_outside)
    x_hat = (x - x.mean(axis=0)) * inv_std
    dx_hat = dy * gamma
    through_mean = dx_hat.mean(axis=0)
    through_variance = x_hat * (dx_hat * x_hat).mean(axis=0)
    dx = inv_std * (dx_hat - mean_path * through_mean - variance_path * through_variance)
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@exercise.mistake(
    ko="dx에서 평균을 거치는 길이 빠졌습니다. x의 한 값을 올리면 평균도 올라가고, "
    "그러면 다른 표본이 모두 내려갑니다. dx를 열마다 더해 보세요. 0이 되어야 합니다.",
    en="In dx the path through the mean is missing: raise one value of x "
    "and the mean rises, which lowers all other samples. "
    "Add up each column of dx; it should be 0.",
)
def mean_path_missing(dy, x, gamma, eps):
    return gradients(dy, x, gamma, eps, mean_path=0)


@exercise.mistake(
    ko="dx에서 분산을 거치는 길이 빠졌습니다. "
    "평균에서 먼 값을 더 멀리 밀면 분산이 커지고, 모든 표본이 조금씩 줄어듭니다.",
    en="In dx the path through the variance is missing: push a value "
    "further from the mean and the variance grows, which shrinks all samples a little.",
)
def variance_path_missing(dy, x, gamma, eps):
    return gradients(dy, x, gamma, eps, variance_path=0)


@exercise.mistake(
    ko="dx는 평균과 분산을 상수로 보고 구했습니다. 통계량을 기울기 없이 계산하면 "
    "이렇게 됩니다. 평가 모드에서는 맞지만, 학습할 때는 두 통계량이 x에서 나옵니다.",
    en="dx takes mean and variance for constants, as when statistics are "
    "computed without gradient. That holds in evaluation mode; "
    "in training both come from x.",
)
def statistics_as_constants(dy, x, gamma, eps):
    return gradients(dy, x, gamma, eps, mean_path=0, variance_path=0)


@exercise.mistake(
    ko="두 길은 다 있는데 1/N이 빠졌습니다. 표본 하나는 평균을 얼마나 움직이나요? "
    "배치가 클수록 그 몫은 작아져야 합니다.",
    en="Both paths are there, but a 1/N is missing. How far does one sample move the mean? "
    "The larger the batch, the less.",
    path=["both", "mean", "variance"],
)
def one_over_n_missing(dy, x, gamma, eps, path="both"):
    mean_path, variance_path = (
        float(len(x)) if path in ("both", name) else 1.0 for name in ("mean", "variance")
    )
    return gradients(dy, x, gamma, eps, mean_path, variance_path)


@exercise.mistake(
    ko="한 길의 부호가 반대입니다. 평균이 커지면 x_hat은 작아지고, 분산이 커져도 x_hat은 0에 가까워집니다. "
    "두 길 모두 곧은 길을 깎아야 합니다.",
    en="A path has the wrong sign. A larger mean lowers x_hat, and a larger variance pulls it "
    "towards 0: both paths take away from the direct one.",
    path=["both", "mean", "variance"],
)
def wrong_sign(dy, x, gamma, eps, path="both"):
    mean_path, variance_path = (
        -1.0 if path in ("both", name) else 1.0 for name in ("mean", "variance")
    )
    return gradients(dy, x, gamma, eps, mean_path, variance_path)


@exercise.mistake(
    ko="분산을 거치는 길의 크기가 두 배이거나 절반입니다. (x - 평균)²을 미분하면 2가 나오고, "
    "제곱근을 미분하면 1/2이 나옵니다. 하나가 빠졌습니다.",
    en="The path through the variance is twice or half what it should be. "
    "The derivative of a square brings a 2, that of a square root a 1/2. One of them is missing.",
    factor=[2.0, 0.5],
)
def variance_path_off_by_two(dy, x, gamma, eps, factor=2.0):
    return gradients(dy, x, gamma, eps, variance_path=factor)


@exercise.mistake(
    ko="분산을 거치는 길에서 지수가 어긋났습니다. (var + eps)의 -1/2제곱을 미분하면 지수는 얼마가 되나요?",
    en="On the path through the variance the exponent is off. "
    "Differentiate (var + eps) to the power of -1/2: what is the new power?",
    power=[1, 0.5],
)
def wrong_power_of_the_variance(dy, x, gamma, eps, power=1):
    return gradients(dy, x, gamma, eps, variance_path=(x.var(axis=0) + eps) ** power)


@exercise.mistake(
    ko="dx에 gamma가 빠졌습니다. y는 x_hat의 gamma배입니다. "
    "gamma = 1로만 시험하면 이 실수가 보이지 않습니다.",
    en="dx lacks gamma: y is gamma times x_hat. A test with gamma = 1 alone never shows this.",
)
def forgets_gamma(dy, x, gamma, eps):
    return gradients(dy, x, np.ones_like(gamma), eps)


@exercise.mistake(
    ko="dgamma에 x_hat이 빠졌습니다. gamma를 1만큼 키우면 y[i]는 얼마나 변하나요?",
    en="dgamma lacks x_hat: raise gamma by 1, and how much does y[i] change?",
)
def dgamma_without_x_hat(dy, x, gamma, eps):
    dx, _, dbeta = gradients(dy, x, gamma, eps)
    return dx, dbeta, dbeta


@exercise.mistake(
    ko="dx와 dbeta는 맞습니다. dgamma에 정규화한 값이 아닌 x가 들어갔습니다. gamma가 곱하는 것은 무엇인가요?",
    en="dx and dbeta are right. dgamma uses x before it is fully normalized. "
    "What does gamma multiply?",
    centred=[False, True],
)
def dgamma_with_x(dy, x, gamma, eps, centred=False):
    dx, _, dbeta = gradients(dy, x, gamma, eps)
    return dx, (dy * (x - x.mean(axis=0) if centred else x)).sum(axis=0), dbeta


@exercise.mistake(
    ko="dbeta를 표본에 걸쳐 평균했습니다. beta는 모든 표본의 y에 더해지므로 기울기도 모두 더해집니다. "
    "1/N은 손실에 있다면 이미 dy에 들어 있습니다.",
    en="dbeta is averaged over the samples. beta is added to y of every sample, so the gradients add "
    "up. If the loss has a 1/N, it is in dy already.",
)
def dbeta_averaged(dy, x, gamma, eps):
    dx, dgamma, dbeta = gradients(dy, x, gamma, eps)
    return dx, dgamma, dbeta / len(x)


@exercise.mistake(
    ko="dgamma를 표본에 걸쳐 평균했습니다. gamma는 모든 표본에 곱해지므로 기울기도 모두 더해집니다.",
    en="dgamma is averaged over the samples. gamma multiplies every sample, so the gradients add up.",
)
def dgamma_averaged(dy, x, gamma, eps):
    dx, dgamma, dbeta = gradients(dy, x, gamma, eps)
    return dx, dgamma / len(x), dbeta


@exercise.mistake(
    ko="dgamma와 dbeta를 표본마다 하나씩 남겨 두었습니다. 두 모양은 gamma와 같아야 합니다. "
    "어느 축을 더해야 할까요?",
    en="dgamma and dbeta keep a value for each sample. They should have the shape of gamma. "
    "Which axis is left to sum over?",
)
def parameters_not_summed(dy, x, gamma, eps):
    dx, _, _ = gradients(dy, x, gamma, eps)
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return dx, dy * x_hat, dy


@exercise.mistake(
    ko="값은 맞고 dgamma와 dbeta의 자리가 바뀌었습니다.",
    en="The values are right, but dgamma and dbeta have changed places.",
)
def swaps_dgamma_and_dbeta(dy, x, gamma, eps):
    dx, dgamma, dbeta = gradients(dy, x, gamma, eps)
    return dx, dbeta, dgamma


@exercise.mistake(
    ko="분산을 N-1로 나누었습니다(ddof=1). 순전파가 쓴 것과 같은 분산이어야 합니다.",
    en="The variance is divided by N-1 (ddof=1). It has to be the one that the forward pass used.",
)
def ddof_1(dy, x, gamma, eps):
    return gradients(dy, x, gamma, eps, ddof=1)


@exercise.mistake(
    ko="eps가 빠졌습니다. 배치 안에서 변하지 않는 특성이 있으면 dx가 nan이 됩니다.",
    en="eps is missing. A feature that is constant within the batch turns dx into nan.",
)
def forgets_eps(dy, x, gamma, eps):
    return gradients(dy, x, gamma, eps=0)


@exercise.mistake(
    ko="eps를 제곱근 밖에서 더했습니다. 순전파의 식과 같아야 합니다.",
    en="eps is added outside the square root. The formula has to be that of the forward pass.",
)
def eps_outside_the_root(dy, x, gamma, eps):
    return gradients(dy, x, gamma, eps=0, eps_outside=eps)


@exercise.combine
def combined(
    dy,
    x,
    gamma,
    eps,
    *,
    statistics_as_constants=False,
    mean_path_missing=False,
    variance_path_missing=False,
    one_over_n_missing=False,
    wrong_sign=False,
    forgets_gamma=False,
    ddof_1=False,
    forgets_eps=False,
    dgamma_without_x_hat=False,
    dbeta_averaged=False,
    dgamma_averaged=False,
    swaps_dgamma_and_dbeta=False,
):
    factor = (-1.0 if wrong_sign else 1.0) * (len(x) if one_over_n_missing else 1)
    mean_path = 0 if mean_path_missing or statistics_as_constants else factor
    variance_path = factor
    if statistics_as_constants or (variance_path_missing and not mean_path_missing):
        variance_path = 0
    dx, dgamma, dbeta = gradients(
        dy,
        x,
        np.ones_like(gamma) if forgets_gamma else gamma,
        0 if forgets_eps else eps,
        mean_path,
        variance_path,
        ddof=int(ddof_1),
    )
    dgamma = dbeta if dgamma_without_x_hat else dgamma
    dgamma = dgamma / len(x) if dgamma_averaged else dgamma
    dbeta = dbeta / len(x) if dbeta_averaged else dbeta
    return (dx, dbeta, dgamma) if swaps_dgamma_and_dbeta else (dx, dgamma, dbeta)
