"""8.1 Batch norm for feature maps."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def batch_norm_conv(x, gamma, beta, eps=1e-5):
    """Batch norm in training mode after a convolution: one mean and one variance per channel.

    x      (N, C, H, W): N images, C channels; N may be 1
    gamma  (C,); beta (C,)
    eps    is added to the variance, inside the root; the variance is the biased one
    Returns an array of shape (N, C, H, W).
    """
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    var = x.var(axis=(0, 2, 3), keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma[:, None, None] * x_hat + beta[:, None, None]


def cases(rng):
    for shape, eps in [
        ((2, 3, 1, 2), 1e-5),
        ((1, 3, 4, 2), 1e-5),
        ((4, 2, 3, 5), 1e-3),
        ((3, 5, 2, 4), 1e-5),
        ((5, 4, 3, 4), 0.1),  # as many channels as columns: a gamma on the wrong axis broadcasts
    ]:
        channels = shape[1]
        center = rng.normal(2, 3, (channels, 1, 1)) + rng.normal(0, 1, shape[1:])
        x = rng.normal(center, rng.uniform(0.3, 2, (channels, 1, 1)), shape)
        yield x, rng.uniform(0.5, 2, channels), rng.normal(1, 1, channels), eps
    parts = rng.normal(1, 2, (3, 2, 4, 3)), rng.uniform(0.5, 2, 2), rng.normal(1, 1, 2)
    yield tuple(part.astype(np.float32) for part in parts)


exercise = Exercise(
    id="bn-conv",
    chapter=8,
    number=1,
    difficulty=2,
    title=Text(ko="특성 맵의 배치 정규화", en="Batch norm for feature maps"),
    solution=batch_norm_conv,
    cases=cases,
    hints=[
        Text(
            ko="평균 하나에 값이 몇 개 들어가나요? 한 채널의 모든 그림, 모든 위치이므로 N·H·W개입니다.",
            en="How many values go into one mean? All images and all positions of a channel: "
            "N·H·W.",
        ),
        Text(
            ko="mean과 var의 axis에는 튜플도 쓸 수 있습니다. keepdims=True로 두면 사라진 축이 크기 1로 남아 x와 맞습니다.",
            en="The axis of mean and var may be a tuple, and keepdims=True leaves axes of size 1 "
            "that fit x.",
        ),
        Text(
            ko="모양이 (C,)인 배열을 x에 그대로 곱하면 NumPy는 마지막 축에 맞춥니다. 채널은 마지막 축이 아닙니다.",
            en="NumPy lines an array of shape (C,) up with the last axis, and the channels are "
            "not there.",
        ),
    ],
)


def per_channel(values):
    return values[:, None, None]


def normalized_over(axes, x, gamma, beta, eps):
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return per_channel(gamma) * (x - mean) / np.sqrt(var + eps) + per_channel(beta)


def dense(rows, gamma, beta, eps):
    """Batch norm of the rows of a matrix with C columns."""
    x_hat = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + eps)
    return gamma * x_hat + beta


@exercise.mistake(
    ko="통계량이 활성값마다 하나씩입니다. (N, C·H·W)로 펼친 것과 같습니다. "
    "합성곱은 모든 위치를 똑같이 다루므로, 한 채널의 모든 위치가 평균 하나를 함께 씁니다. "
    "그림이 한 장이면 지금은 어떤 값이 나오나요?",
    en="There is a statistic for every activation, as if x were flattened to (N, C·H·W). "
    "A convolution treats all positions alike, so all positions of a channel share one mean. "
    "With a single image, what comes out now?",
)
def per_activation(x, gamma, beta, eps=1e-5):
    return normalized_over(0, x, gamma, beta, eps)


@exercise.mistake(
    ko="채널까지 한데 모아 평균 하나와 분산 하나를 구했습니다. 채널마다 따로여야 합니다. "
    "채널이 C개면 평균은 몇 개인가요?",
    en="One mean and one variance are taken over the channels as well. "
    "Each channel needs its own: how many means are there for C channels?",
)
def over_the_channels_too(x, gamma, beta, eps=1e-5):
    return normalized_over((0, 1, 2, 3), x, gamma, beta, eps)


@exercise.mistake(
    ko="위치를 먼저 평균해서 없앤 다음 N개의 값으로 분산을 구했습니다. "
    "평균은 같지만, 그림 안에서 위치마다 다른 정도가 분산에서 빠집니다. 값은 N·H·W개가 모두 필요합니다.",
    en="The positions are averaged away first and the variance is taken over N values. "
    "The mean is the same, but the spread inside each image is lost. "
    "All N·H·W values belong in the variance.",
)
def over_n_only(x, gamma, beta, eps=1e-5):
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    var = x.mean(axis=(2, 3), keepdims=True).var(axis=0, keepdims=True)
    return per_channel(gamma) * (x - mean) / np.sqrt(var + eps) + per_channel(beta)


@exercise.mistake(
    ko="그림마다 통계량을 따로 구했습니다. 그것은 인스턴스 정규화입니다. 배치의 축이 빠졌습니다.",
    en="Each image has its own statistics, which is instance normalization: "
    "the batch axis is missing.",
)
def over_positions_only(x, gamma, beta, eps=1e-5):
    return normalized_over((2, 3), x, gamma, beta, eps)


@exercise.mistake(
    ko="그림 한 장의 모든 채널과 위치를 함께 정규화했습니다. 그것은 층 정규화입니다.",
    en="All channels and positions of an image are normalized together, "
    "which is layer normalization.",
)
def over_each_image(x, gamma, beta, eps=1e-5):
    return normalized_over((1, 2, 3), x, gamma, beta, eps)


@exercise.mistake(
    ko="마지막 축을 채널로 보았습니다(NHWC). 여기서 채널은 둘째 축입니다(NCHW).",
    en="The last axis is taken for the channels (NHWC). Here they are the second axis (NCHW).",
)
def channels_last(x, gamma, beta, eps=1e-5):
    return normalized_over((0, 1, 2), x, gamma, beta, eps)


@exercise.mistake(
    ko="축을 옮기지 않고 reshape로 (N·H·W, C)를 만들었습니다. reshape는 값의 순서를 바꾸지 않으므로 "
    "한 열에 여러 채널의 값이 섞입니다. 채널마다 다른 상수를 넣은 작은 x로 확인해 보세요.",
    en="x is reshaped to (N·H·W, C) without moving an axis. A reshape keeps the order of the "
    "values, so each column mixes channels. Try a small x that is a different constant "
    "in each channel.",
)
def reshapes_without_moving_axes(x, gamma, beta, eps=1e-5):
    return dense(x.reshape(-1, x.shape[1]), gamma, beta, eps).reshape(x.shape)


@exercise.mistake(
    ko="정규화는 맞습니다. 그런데 (N·H·W, C)에서 되돌아올 때 축을 다시 옮기지 않아 값이 다른 자리에 놓였습니다.",
    en="The normalization is right, but on the way back from (N·H·W, C) the axes are not moved "
    "again, and the values land in other places.",
)
def reshapes_back_without_moving_axes(x, gamma, beta, eps=1e-5):
    rows = x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])
    return dense(rows, gamma, beta, eps).reshape(x.shape)


@exercise.mistake(
    ko="gamma와 beta가 마지막 축을 따라 곱해집니다. 너비와 채널의 수가 다르면 오류가 나고, "
    "같으면 오류 없이 틀린 값이 나옵니다. 두 배열의 모양을 x와 맞추어 보세요.",
    en="gamma and beta run along the last axis. Where width and number of channels differ that is "
    "an error; where they agree it is silently wrong. How do their shapes line up with x?",
)
def gamma_on_the_last_axis(x, gamma, beta, eps=1e-5):
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


@exercise.mistake(
    ko="분산을 N·H·W가 아니라 거기서 1을 뺀 수로 나누었습니다. 정규화에는 편향 분산을 씁니다.",
    en="The variance divides by one less than N·H·W. Normalization uses the biased variance.",
)
def unbiased_variance(x, gamma, beta, eps=1e-5):
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True, ddof=1)
    return per_channel(gamma) * (x - mean) / np.sqrt(var + eps) + per_channel(beta)


@exercise.mistake(
    ko="eps를 제곱근 밖에서 더했습니다. 제곱근을 구하기 전과 뒤에 더하는 것은 같지 않습니다.",
    en="eps is added outside the root. Adding it before and after the root is not the same.",
)
def eps_outside_the_root(x, gamma, beta, eps=1e-5):
    mean, std = x.mean(axis=(0, 2, 3), keepdims=True), x.std(axis=(0, 2, 3), keepdims=True)
    return per_channel(gamma) * (x - mean) / (std + eps) + per_channel(beta)


@exercise.mistake(
    ko="거의 맞습니다. eps를 쓰지 않았습니다. 값이 모두 같은 채널에서는 0을 0으로 나누게 됩니다.",
    en="Almost: eps is not used. A channel whose values are all alike divides 0 by 0.",
)
def forgets_eps(x, gamma, beta, eps=1e-5):
    return normalized_over((0, 2, 3), x, gamma, beta, 0.0)


@exercise.combine
def combined(
    x,
    gamma,
    beta,
    eps=1e-5,
    *,
    per_activation=False,
    over_the_channels_too=False,
    over_positions_only=False,
    over_each_image=False,
    channels_last=False,
    unbiased_variance=False,
    eps_outside_the_root=False,
    gamma_on_the_last_axis=False,
):
    choices = {
        0: per_activation,
        (0, 1, 2, 3): over_the_channels_too,
        (2, 3): over_positions_only,
        (1, 2, 3): over_each_image,
        (0, 1, 2): channels_last,
        (0, 2, 3): True,
    }
    axes = next(axes for axes, is_chosen in choices.items() if is_chosen)
    mean = x.mean(axis=axes, keepdims=True)
    var = x.var(axis=axes, keepdims=True, ddof=int(unbiased_variance))
    std = np.sqrt(var) + eps if eps_outside_the_root else np.sqrt(var + eps)
    if not gamma_on_the_last_axis:
        gamma, beta = per_channel(gamma), per_channel(beta)
    return gamma * (x - mean) / std + beta
