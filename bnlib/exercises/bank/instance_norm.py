"""11.3 Instance normalization."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def instance_norm(x, gamma, beta, eps):
    """Normalize each feature map of each sample by itself, then scale and shift each channel.

        y = gamma * (x - mean) / sqrt(var + eps) + beta

    x      (N, C, H, W): N samples of C feature maps
    gamma  (C,); beta (C,)
    var divides by the number of values n, not n - 1.
    Returns y, shaped like x.
    """
    mean = x.mean(axis=(2, 3), keepdims=True)
    var = x.var(axis=(2, 3), keepdims=True)
    return gamma[:, None, None] * (x - mean) / np.sqrt(var + eps) + beta[:, None, None]


def cases(rng):
    # In the third, W is C: a gamma on the wrong axis goes unnoticed there.
    for shape, eps in [((1, 2, 1, 3), 0.5), ((2, 3, 4, 2), 0.1), ((2, 3, 2, 3), 1e-5)]:
        yield case(rng, shape, eps)
    constant = case(rng, (2, 2, 3, 4), 1e-5)
    constant[0][1, 0] = 7.0
    yield constant
    *floats, eps = case(rng, (3, 2, 2, 4), 1e-5)
    yield *(array.astype(np.float32) for array in floats), eps


def case(rng, shape, eps):
    x = rng.normal(rng.normal(0, 3, (*shape[:2], 1, 1)), 2, shape)
    return x, rng.normal(1.5, 0.3, shape[1]), rng.normal(0.5, 1, shape[1]), eps


exercise = Exercise(
    id="instance-norm",
    chapter=11,
    number=3,
    difficulty=1,
    title=Text(ko="인스턴스 정규화", en="Instance normalization"),
    solution=instance_norm,
    cases=cases,
    hints=[
        Text(
            ko="평균은 몇 개인가요? 특성 맵마다 하나이므로 N·C개입니다. 남는 축과 사라지는 축을 적어 보세요.",
            en="How many means are there? One for each feature map, N·C. "
            "Write down which axes stay and which disappear.",
        ),
        Text(
            ko="gamma의 모양 (C,)는 맨 뒤의 축인 너비에 맞춰집니다. 채널에 맞추려면 모양을 어떻게 바꾸어야 하나요?",
            en="gamma of shape (C,) lines up with the last axis, the width. "
            "What shape does it need to line up with the channels?",
        ),
    ],
)


def standardize(x, axes, eps, ddof=0):
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=axes, keepdims=True, ddof=ddof) + eps)


def scale_and_shift(x_hat, gamma, beta):
    return gamma[:, None, None] * x_hat + beta[:, None, None]


@exercise.mistake(
    ko="모든 표본을 함께 보았습니다. 그것은 배치 정규화입니다. 사진마다 대비가 다를 때, "
    "인스턴스 정규화는 사진마다 따로 맞춥니다.",
    en="All samples are taken together: that is batch normalization. "
    "Instance normalization levels the contrast of every picture by itself.",
)
def over_the_batch_too(x, gamma, beta, eps):
    return scale_and_shift(standardize(x, (0, 2, 3), eps), gamma, beta)


@exercise.mistake(
    ko="한 표본의 모든 채널을 함께 보았습니다. 그룹이 하나인 그룹 정규화가 이렇게 합니다. "
    "인스턴스 정규화는 채널을 섞지 않습니다.",
    en="All channels of a sample are taken together, as group normalization with one group does. "
    "Instance normalization does not mix channels.",
)
def over_the_channels_too(x, gamma, beta, eps):
    return scale_and_shift(standardize(x, (1, 2, 3), eps), gamma, beta)


@exercise.mistake(
    ko="특성 맵의 한 방향만 보았습니다. 특성 맵 하나에는 값이 H×W개 있고, 통계량은 하나씩입니다.",
    en="Only one direction of the feature map is used. "
    "A map has H×W values and one mean, not one for each row or column.",
    axis=[2, 3],
)
def one_direction_only(x, gamma, beta, eps, axis):
    return scale_and_shift(standardize(x, axis, eps), gamma, beta)


@exercise.mistake(
    ko="결과에 x의 정보가 하나도 없습니다. 원소마다 자기 자신을 뺐거나, 정규화한 값을 결과에 넣지 않았습니다. "
    "인스턴스는 원소가 아니라 특성 맵 하나입니다.",
    en="Nothing of x is left in the result. Either every element has itself subtracted, or the "
    "normalized values are never put in. An instance is one feature map, not one element.",
)
def nothing_of_x(x, gamma, beta, eps):
    return scale_and_shift(np.zeros_like(x), gamma, beta)


@exercise.mistake(
    ko="배치 축만 보았습니다. 그러면 화소 자리마다 통계량이 생깁니다. 특성 맵 안의 값들을 함께 보아야 합니다.",
    en="Only the batch axis is used, so each pixel position gets its own statistics. "
    "The values inside one feature map belong together.",
)
def over_the_batch_only(x, gamma, beta, eps):
    return scale_and_shift(standardize(x, 0, eps), gamma, beta)


@exercise.mistake(
    ko="위치마다 채널들을 함께 보았습니다. 특성 맵 하나는 채널 하나이고, 값은 H와 W를 따라 놓여 있습니다.",
    en="The channels are taken together at each position. "
    "A feature map is one channel; its values lie along H and W.",
)
def over_the_channels_only(x, gamma, beta, eps):
    return scale_and_shift(standardize(x, 1, eps), gamma, beta)


@exercise.mistake(
    ko="채널이 맨 뒤에 있는 배열(NHWC)처럼 계산했습니다. 여기서 x의 축은 표본, 채널, 높이, 너비의 순서입니다.",
    en="This treats x as channels-last (NHWC). Here the axes are sample, channel, height, width.",
)
def channels_last(x, gamma, beta, eps):
    return scale_and_shift(standardize(x, (1, 2), eps), gamma, beta)


@exercise.mistake(
    ko="gamma와 beta가 채널이 아니라 맨 뒤의 축인 너비에 맞춰졌습니다. 대개는 오류가 나지만, "
    "너비와 채널 수가 같으면 아무 말 없이 틀립니다.",
    en="gamma and beta line up with the last axis, the width, not with the channels. Mostly that is "
    "an error; where the width equals the number of channels, it is silently wrong.",
)
def gamma_on_the_last_axis(x, gamma, beta, eps):
    return gamma * standardize(x, (2, 3), eps) + beta


@exercise.mistake(
    ko="분산을 구할 때 H·W가 아니라 H·W-1로 나누었습니다(ddof=1).",
    en="The variance divides by H·W-1 instead of H·W (ddof=1).",
)
def ddof_1(x, gamma, beta, eps):
    return scale_and_shift(standardize(x, (2, 3), eps, ddof=1), gamma, beta)


@exercise.mistake(
    ko="분산의 제곱근을 구한 다음에 eps를 더했습니다. eps = 0.5, 분산 0.25에서 두 식을 계산해 견주어 보세요.",
    en="eps is added after the square root. Work out both formulas for eps = 0.5 and a variance of 0.25.",
)
def eps_outside_the_root(x, gamma, beta, eps):
    mean, std = x.mean((2, 3), keepdims=True), x.std((2, 3), keepdims=True)
    return scale_and_shift((x - mean) / (std + eps), gamma, beta)


@exercise.mistake(
    ko="eps를 쓰지 않았습니다. 한 가지 색으로 칠해진 특성 맵은 0을 0으로 나누게 됩니다.",
    en="eps is not used. A feature map of one flat colour divides 0 by 0.",
)
def forgets_eps(x, gamma, beta, eps):
    return scale_and_shift(standardize(x, (2, 3), 0.0), gamma, beta)


@exercise.mistake(
    ko="표준화까지는 맞습니다. gamma와 beta가 하는 일이 빠졌습니다.",
    en="Right up to the standardized values. What gamma and beta do is missing.",
)
def forgets_gamma_and_beta(x, gamma, beta, eps):
    return standardize(x, (2, 3), eps)


@exercise.combine
def combined(
    x,
    gamma,
    beta,
    eps,
    *,
    over_the_batch_too=False,
    over_the_channels_too=False,
    gamma_on_the_last_axis=False,
    ddof_1=False,
    eps_outside_the_root=False,
):
    axes = (*[0] * over_the_batch_too, *[1] * over_the_channels_too, 2, 3)
    var = x.var(axis=axes, keepdims=True, ddof=int(ddof_1))
    root = np.sqrt(var) + eps if eps_outside_the_root else np.sqrt(var + eps)
    x_hat = (x - x.mean(axis=axes, keepdims=True)) / root
    if gamma_on_the_last_axis:
        return gamma * x_hat + beta
    return scale_and_shift(x_hat, gamma, beta)
