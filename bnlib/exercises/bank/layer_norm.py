"""11.1 Layer normalization."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def layer_norm(x, gamma, beta, eps):
    """Normalize every vector of D features by itself, then scale and shift each feature.

        y = gamma * (x - mean) / sqrt(var + eps) + beta

    x      (..., D): (N, D), or (N, T, D) with T positions; each vector has its own statistics
    gamma  (D,); beta (D,)
    var divides by D, not D - 1.
    Returns y, shaped like x.
    """
    mean = x.mean(axis=-1, keepdims=True)
    var = x.var(axis=-1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def cases(rng):
    x = np.array([[1.0, 2.0, 6.0], [40.0, 10.0, 20.0]])
    yield x, np.array([2.0, 0.5, 3.0]), np.array([1.0, -1.0, 0.5]), 0.5
    # The second sample is constant: its variance is 0.
    x = np.array([[1.0, 2.0, 6.0, 5.0], [3.0, 3.0, 3.0, 3.0]])
    yield x, rng.normal(1.5, 0.3, 4), rng.normal(0.5, 1, 4), 1e-5
    for shape in [(3, 5), (2, 3, 4), (3, 2, 5)]:
        x = rng.normal(rng.normal(0, 3, (*shape[:-1], 1)), 2, shape)
        yield x, rng.normal(1.5, 0.3, shape[-1]), rng.normal(0.5, 1, shape[-1]), 0.1
    floats = rng.normal(2, 3, (4, 3)), rng.normal(1.5, 0.3, 3), rng.normal(0.5, 1, 3)
    yield *(array.astype(np.float32) for array in floats), 1e-5


exercise = Exercise(
    id="layer-norm",
    chapter=11,
    number=1,
    difficulty=1,
    title=Text(ko="층 정규화", en="Layer normalization"),
    solution=layer_norm,
    cases=cases,
    hints=[
        Text(
            ko="통계량이 몇 개인지 세어 보세요. 모양이 (N, T, D)이면 평균은 N·T개입니다.",
            en="Count the statistics: for shape (N, T, D) there are N·T means.",
        ),
        Text(
            ko="평균의 모양이 x에 맞게 브로드캐스트(broadcast)되어야 합니다. keepdims가 하는 일을 떠올려 보세요.",
            en="The means must broadcast against x. Remember what keepdims does.",
        ),
    ],
)


def standardize(x, axes, eps, ddof=0):
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=axes, keepdims=True, ddof=ddof) + eps)


@exercise.mistake(
    ko="특성마다 배치를 따라 통계량을 구했습니다. 그것은 배치 정규화입니다. "
    "표본이 하나뿐일 때 무엇이 나오는지 계산해 보세요. 층 정규화는 다른 표본을 보지 않습니다.",
    en="The statistics run along the batch, one for each feature: that is batch normalization. "
    "Work out what a single sample gives. Layer normalization never looks at other samples.",
    positions_too=[False, True],
)
def batch_axis(x, gamma, beta, eps, positions_too):
    axes = tuple(range(x.ndim - 1)) if positions_too else 0
    return gamma * standardize(x, axes, eps) + beta


@exercise.mistake(
    ko="모양이 (N, D)이면 맞습니다. (N, T, D)에서는 한 표본의 모든 위치를 섞어 통계량을 구했습니다. "
    "그러면 뒤에 오는 단어가 앞 단어의 출력을 바꿉니다. 통계량은 위치마다 따로 구합니다.",
    en="Right for shape (N, D). For (N, T, D) all positions of a sample share statistics, "
    "so a later word changes what comes out for an earlier one. Each position needs its own.",
    features_too=[True, False],
)
def over_the_positions(x, gamma, beta, eps, features_too):
    axes = tuple(range(1, x.ndim)) if features_too else 1
    return gamma * standardize(x, axes, eps) + beta


@exercise.mistake(
    ko="배열 전체에서 평균 하나와 분산 하나를 구했습니다. 표본 하나의 값이 커지면 다른 표본의 출력도 바뀝니다.",
    en="One mean and one variance are taken over the whole array, "
    "so one large sample changes the output of all others.",
)
def whole_array(x, gamma, beta, eps):
    return gamma * standardize(x, None, eps) + beta


@exercise.mistake(
    ko="분산을 구할 때 D가 아니라 D-1로 나누었습니다(ddof=1). torch.var의 기본값이 이렇습니다. "
    "특성이 하나뿐이면 무엇이 나오나요?",
    en="The variance divides by D-1 instead of D (ddof=1), as torch.var does by default. "
    "What would a single feature give?",
)
def ddof_1(x, gamma, beta, eps):
    return gamma * standardize(x, -1, eps, ddof=1) + beta


@exercise.mistake(
    ko="분산의 제곱근을 구한 다음에 eps를 더했습니다. eps = 0.5, 분산 0.25에서 두 식을 계산해 견주어 보세요.",
    en="eps is added after the square root. Work out both formulas for eps = 0.5 and a variance of 0.25.",
)
def eps_outside_the_root(x, gamma, beta, eps):
    mean, std = x.mean(-1, keepdims=True), x.std(-1, keepdims=True)
    return gamma * (x - mean) / (std + eps) + beta


@exercise.mistake(
    ko="eps를 쓰지 않았습니다. 모든 특성이 3인 표본에서는 0을 0으로 나누게 됩니다.",
    en="eps is not used. A sample whose features are all 3 divides 0 by 0.",
)
def forgets_eps(x, gamma, beta, eps):
    return gamma * standardize(x, -1, 0.0) + beta


@exercise.mistake(
    ko="제곱근이 빠져 분산으로 나누었습니다. 한 표본에 10을 곱하면 출력이 어떻게 달라지나요?",
    en="The root is missing: you divide by the variance. "
    "Multiply one sample by 10: how does its output change?",
)
def divides_by_variance(x, gamma, beta, eps):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return gamma * (x - mean) / (var + eps) + beta


@exercise.mistake(
    ko="평균을 빼지 않고 표준편차로 나누기만 했습니다. 한 표본의 모든 특성에 100을 더해도 출력은 그대로여야 합니다.",
    en="You divide by the standard deviation without subtracting the mean. "
    "Adding 100 to every feature of a sample should leave its output as it is.",
)
def forgets_the_mean(x, gamma, beta, eps):
    return gamma * x / np.sqrt(x.var(-1, keepdims=True) + eps) + beta


@exercise.mistake(
    ko="제곱평균의 제곱근으로 나누었습니다. 이것은 RMSNorm이고, 11.4에서 다룹니다. 층 정규화는 평균을 먼저 뺍니다.",
    en="You divide by the root mean square: that is RMSNorm, exercise 11.4. "
    "Layer normalization removes the mean first.",
)
def rms_instead(x, gamma, beta, eps):
    return gamma * x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) + beta


@exercise.mistake(
    ko="표준화까지는 맞습니다. gamma와 beta가 하는 일이 빠졌습니다.",
    en="Right up to the standardized values. What gamma and beta do is missing.",
)
def forgets_gamma_and_beta(x, gamma, beta, eps):
    return standardize(x, -1, eps)


@exercise.mistake(
    ko="스케일과 이동을 표준화하기 전에 했습니다. 그러면 gamma와 beta를 모두 두 배로 키워도 출력이 거의 그대로입니다.",
    en="Scale and shift come before standardizing. "
    "Then doubling every gamma and beta leaves the output almost as it was.",
)
def affine_first(x, gamma, beta, eps):
    return standardize(gamma * x + beta, -1, eps)


@exercise.mistake(
    ko="beta에도 gamma가 곱해졌습니다. 괄호의 위치를 보세요. beta를 1 키우면 출력은 얼마나 커져야 하나요?",
    en="beta is multiplied by gamma as well; look at the brackets. "
    "By how much should the output grow when beta grows by 1?",
)
def beta_scaled(x, gamma, beta, eps):
    return gamma * (standardize(x, -1, eps) + beta)


@exercise.combine
def combined(
    x,
    gamma,
    beta,
    eps,
    *,
    batch_axis=False,
    ddof_1=False,
    eps_outside_the_root=False,
    forgets_the_mean=False,
    forgets_gamma_and_beta=False,
):
    axis = 0 if batch_axis else -1
    mean = 0 if forgets_the_mean else x.mean(axis=axis, keepdims=True)
    var = x.var(axis=axis, keepdims=True, ddof=int(ddof_1))
    x_hat = (x - mean) / (np.sqrt(var) + eps if eps_outside_the_root else np.sqrt(var + eps))
    return x_hat if forgets_gamma_and_beta else gamma * x_hat + beta
