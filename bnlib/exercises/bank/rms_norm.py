"""11.4 RMS normalization."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def rms_norm(x, gamma, eps):
    """Divide every vector of D features by its root mean square, then scale each feature.

        y = gamma * x / sqrt(mean(x^2) + eps)

    x      (..., D): (N, D) or (N, T, D); the mean runs over the D features of each vector
    gamma  (D,)
    Returns y, shaped like x.
    """
    mean_square = np.mean(x**2, axis=-1, keepdims=True)
    return gamma * x / np.sqrt(mean_square + eps)


def cases(rng):
    yield np.array([[1.0, 2.0, 6.0], [-4.0, 1.0, 0.0]]), np.array([2.0, 0.5, 3.0]), 0.5
    # The second vector is 0.
    yield np.array([[1.0, -2.0, 6.0, 5.0], [0.0, 0.0, 0.0, 0.0]]), rng.normal(1.5, 0.3, 4), 1e-6
    for shape in [(3, 5), (2, 3, 4), (3, 2, 5)]:
        x = rng.normal(rng.normal(0, 3, (*shape[:-1], 1)), 2, shape)
        yield x, rng.normal(1.5, 0.3, shape[-1]), 0.1
    x, gamma = rng.normal(2, 3, (4, 3)), rng.normal(1.5, 0.3, 3)
    yield x.astype(np.float32), gamma.astype(np.float32), 1e-6


exercise = Exercise(
    id="rms-norm",
    chapter=11,
    number=4,
    difficulty=1,
    title=Text(ko="RMS 정규화", en="RMS normalization"),
    solution=rms_norm,
    cases=cases,
    hints=[
        Text(
            ko="이름이 순서입니다. 다만 읽는 순서와 반대로, 제곱하고 평균을 내고 제곱근을 구합니다.",
            en="The name is the recipe, read backwards: square, then mean, then root.",
        ),
        Text(
            ko="통계량은 벡터마다 하나이고 평균은 빼지 않습니다. 벡터가 0이면 0이 나와야 합니다.",
            en="One statistic for each vector, and no mean is subtracted. A vector of zeros stays zero.",
        ),
    ],
)


def root_mean_square(x, eps, axis=-1):
    return np.sqrt(np.mean(x**2, axis=axis, keepdims=True) + eps)


@exercise.mistake(
    ko="평균을 뺀 다음 표준편차로 나누었습니다. 그것은 층 정규화입니다. "
    "RMSNorm은 평균을 구하지 않아서 축약 한 번이면 됩니다.",
    en="The mean is removed and you divide by the standard deviation: that is layer normalization. "
    "RMSNorm takes no mean, and so needs one reduction only.",
)
def layer_norm_instead(x, gamma, eps):
    centred = x - x.mean(-1, keepdims=True)
    return gamma * centred / root_mean_square(centred, eps)


@exercise.mistake(
    ko="분자의 x는 그대로인데, 분모에 표준편차를 썼습니다. 표준편차를 구할 때 평균이 빠져나갑니다. "
    "모든 특성이 3인 벡터의 RMS는 얼마인가요?",
    en="The numerator is x as it should be, but you divide by the standard deviation, "
    "which removes the mean inside. What is the RMS of a vector whose features are all 3?",
)
def divides_by_the_standard_deviation(x, gamma, eps):
    return gamma * x / np.sqrt(x.var(-1, keepdims=True) + eps)


@exercise.mistake(
    ko="분모는 맞습니다. 그런데 분자에서 평균을 뺐습니다. RMSNorm은 크기만 맞추고 중심은 그대로 둡니다.",
    en="The denominator is right, but the mean is subtracted in the numerator. "
    "RMSNorm sets the size and leaves the centre alone.",
)
def subtracts_the_mean(x, gamma, eps):
    return gamma * (x - x.mean(-1, keepdims=True)) / root_mean_square(x, eps)


@exercise.mistake(
    ko="제곱근을 구한 다음에 eps를 더했습니다. eps = 0.5, 제곱평균 0.25에서 두 식을 계산해 견주어 보세요.",
    en="eps is added after the root. Work out both formulas for eps = 0.5 and a mean square of 0.25.",
)
def eps_outside_the_root(x, gamma, eps):
    return gamma * x / (root_mean_square(x, 0.0) + eps)


@exercise.mistake(
    ko="eps를 쓰지 않았습니다. 벡터가 0이면 0을 0으로 나누게 됩니다.",
    en="eps is not used. A vector of zeros divides 0 by 0.",
)
def forgets_eps(x, gamma, eps):
    return gamma * x / root_mean_square(x, 0.0)


@exercise.mistake(
    ko="제곱의 평균이 아니라 합으로 나누었습니다. 출력의 제곱평균을 재 보세요. 특성이 많아질수록 작아집니다.",
    en="You divide by a sum of squares, not a mean. "
    "Measure the mean square of the result: it shrinks as features are added.",
)
def sums_the_squares(x, gamma, eps):
    return gamma * x / np.sqrt(np.sum(x**2, axis=-1, keepdims=True) + eps)


@exercise.mistake(
    ko="제곱근이 빠졌습니다. 벡터에 10을 곱하면 출력이 어떻게 달라지나요?",
    en="The root is missing. Multiply a vector by 10: how does its output change?",
)
def forgets_the_root(x, gamma, eps):
    return gamma * x / (np.mean(x**2, axis=-1, keepdims=True) + eps)


@exercise.mistake(
    ko="제곱하지 않고 절댓값의 평균으로 나누었습니다. 3과 4의 절댓값 평균은 3.5이고, RMS는 √12.5입니다.",
    en="You divide by the mean of the absolute values. "
    "For 3 and 4 that is 3.5, and the RMS is √12.5.",
)
def mean_of_absolute_values(x, gamma, eps):
    return gamma * x / (np.mean(np.abs(x), axis=-1, keepdims=True) + eps)


@exercise.mistake(
    ko="평균을 낸 다음 제곱했습니다. 그러면 1과 -1로 된 벡터의 크기가 0이 됩니다. 제곱이 먼저입니다.",
    en="The mean comes before the square. A vector of 1 and -1 then has size 0; the square comes first.",
)
def squares_the_mean(x, gamma, eps):
    return gamma * x / np.sqrt(np.mean(x, axis=-1, keepdims=True) ** 2 + eps)


@exercise.mistake(
    ko="특성마다 배치를 따라 평균을 냈습니다. 표본이 하나뿐일 때도 같은 출력이 나와야 합니다.",
    en="The mean runs along the batch, one for each feature. "
    "A sample should give the same output when it comes alone.",
    positions_too=[False, True],
)
def batch_axis(x, gamma, eps, positions_too):
    axes = tuple(range(x.ndim - 1)) if positions_too else 0
    return gamma * x / root_mean_square(x, eps, axes)


@exercise.mistake(
    ko="모양이 (N, D)이면 맞습니다. (N, T, D)에서는 한 표본의 모든 위치가 통계량 하나를 함께 씁니다. "
    "위치마다 따로 구해야 합니다.",
    en="Right for shape (N, D). For (N, T, D) all positions of a sample share one statistic; "
    "each position needs its own.",
    features_too=[True, False],
)
def over_the_positions(x, gamma, eps, features_too):
    axes = tuple(range(1, x.ndim)) if features_too else 1
    return gamma * x / root_mean_square(x, eps, axes)


@exercise.mistake(
    ko="배열 전체에서 RMS 하나를 구했습니다. 표본 하나의 값이 커지면 다른 표본의 출력도 바뀝니다.",
    en="One RMS is taken over the whole array, so one large sample changes the output of all others.",
)
def whole_array(x, gamma, eps):
    return gamma * x / root_mean_square(x, eps, None)


@exercise.mistake(
    ko="gamma를 곱하지 않았습니다. 특성마다 크기를 되돌릴 길이 없어집니다.",
    en="gamma is not applied, so no feature can get its own size back.",
)
def forgets_gamma(x, gamma, eps):
    return x / root_mean_square(x, eps)


@exercise.mistake(
    ko="gamma에 1을 더해서 곱했습니다. Gemma처럼 gamma - 1을 저장하는 모델에서는 맞지만, "
    "여기서는 gamma를 그대로 곱합니다.",
    en="You multiply by 1 + gamma. That is right for models such as Gemma, which store gamma - 1; "
    "here gamma is the factor itself.",
)
def one_plus_gamma(x, gamma, eps):
    return (1 + gamma) * x / root_mean_square(x, eps)


@exercise.combine
def combined(
    x,
    gamma,
    eps,
    *,
    subtracts_the_mean=False,
    eps_outside_the_root=False,
    sums_the_squares=False,
    batch_axis=False,
    one_plus_gamma=False,
):
    axis = 0 if batch_axis else -1
    square = x**2
    size = (square.sum if sums_the_squares else square.mean)(axis=axis, keepdims=True)
    root = np.sqrt(size) + eps if eps_outside_the_root else np.sqrt(size + eps)
    mean = x.mean(axis=axis, keepdims=True) if subtracts_the_mean else 0
    return (1 + gamma if one_plus_gamma else gamma) * (x - mean) / root
