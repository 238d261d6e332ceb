"""11.2 Group normalization."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def group_norm(x, num_groups, gamma, beta, eps):
    """Normalize groups of neighbouring channels of each sample, then scale and shift each channel.

        y = gamma * (x - mean) / sqrt(var + eps) + beta

    x           (N, C, H, W)
    num_groups  G: the first C/G channels form the first group, and so on
    gamma       (C,); beta (C,)
    Each group of each sample has its own mean and var, over its channels and all positions;
    var divides by their number n, not n - 1.
    Returns y, shaped like x. Raises ValueError if num_groups does not divide C.
    """
    N, C, H, W = x.shape
    if C % num_groups:
        raise ValueError(f"num_groups: expected a divisor of {C} channels, got {num_groups}")
    groups = x.reshape(N, num_groups, C // num_groups, H, W)
    mean = groups.mean(axis=(2, 3, 4), keepdims=True)
    var = groups.var(axis=(2, 3, 4), keepdims=True)
    x_hat = ((groups - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma[:, None, None] * x_hat + beta[:, None, None]


def cases(rng):
    for shape, num_groups, eps in [
        ((1, 4, 1, 2), 2, 0.5),
        ((2, 6, 2, 3), 2, 0.1),
        ((3, 6, 2, 1), 3, 0.1),
        ((4, 8, 3, 2), 2, 1e-5),
        ((2, 3, 1, 4), 1, 1e-5),
        ((2, 4, 3, 2), 4, 0.1),
    ]:
        yield case(rng, shape, num_groups, eps)
    constant = case(rng, (2, 4, 1, 3), 2, 1e-5)
    constant[0][1, 2:] = 5.0
    yield constant
    # Three channels make no two groups, although the 12 values of a sample would.
    yield case(rng, (2, 3, 2, 2), 2, 0.1)


def case(rng, shape, num_groups, eps):
    x = rng.normal(rng.normal(0, 3, (*shape[:2], 1, 1)), 2, shape)
    return x, num_groups, rng.normal(1.5, 0.3, shape[1]), rng.normal(0.5, 1, shape[1]), eps


exercise = Exercise(
    id="group-norm",
    chapter=11,
    number=2,
    difficulty=2,
    title=Text(ko="그룹 정규화", en="Group normalization"),
    solution=group_norm,
    cases=cases,
    hints=[
        Text(
            ko="채널 축 하나를 축 두 개로 나누면 됩니다. 하나는 그룹의 번호이고, 하나는 그룹 안에서의 번호입니다. "
            "NumPy의 reshape은 뒤의 축부터 채웁니다. 어느 축이 먼저 와야 이웃한 채널이 한 그룹이 되나요?",
            en="Split the channel axis in two: the group's number, and the number inside the group. "
            "reshape runs through the last axis first. Which of the two must come first "
            "so that neighbouring channels share a group?",
        ),
        Text(
            ko="평균의 개수를 세어 보세요. 표본 N개에 그룹 G개이면 N·G개입니다.",
            en="Count the means: N samples of G groups have N·G.",
        ),
        Text(
            ko="gamma와 beta는 그룹이 아니라 채널마다 하나입니다. x의 모양으로 돌아온 다음에 곱하면 편합니다.",
            en="gamma and beta belong to channels, not groups; "
            "they are easiest to apply back in the shape of x.",
        ),
    ],
)


def standardize(x, axes, eps, ddof=0):
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=axes, keepdims=True, ddof=ddof) + eps)


def scale_and_shift(x_hat, gamma, beta):
    return gamma[:, None, None] * x_hat + beta[:, None, None]


def grouped(x, num_groups):
    N, C, H, W = x.shape
    if C % num_groups:
        raise ValueError
    return x.reshape(N, num_groups, C // num_groups, H, W)


@exercise.mistake(
    ko="G가 C를 나누면 맞습니다. 채널 3개를 그룹 2개로 나눌 수는 없는데, 표본의 값 12개를 6개씩 나누어 "
    "한 채널이 두 그룹에 걸쳤습니다. 이 입력에는 답 대신 ValueError가 필요합니다.",
    en="Right where G divides C. Three channels cannot make two groups, but the 12 values of a sample "
    "were split 6 and 6, cutting a channel in two. This input calls for a ValueError, not an answer.",
)
def splits_a_channel(x, num_groups, gamma, beta, eps):
    groups = x.reshape(len(x), num_groups, -1)
    return scale_and_shift(standardize(groups, 2, eps).reshape(x.shape), gamma, beta)


@exercise.mistake(
    ko="G가 C를 나누면 맞습니다. 나누지 못할 때 남는 채널로 그룹을 하나 더 만들었습니다. "
    "이 입력에는 ValueError가 필요합니다.",
    en="Right where G divides C. Where it does not, the channels left over make one more group. "
    "This input calls for a ValueError.",
    channels_left=["a group of their own", "with the last group", "as they are", "zero"],
)
def makes_uneven_groups(x, num_groups, gamma, beta, eps, channels_left):
    size = x.shape[1] // num_groups
    x_hat = x.copy() if channels_left == "as they are" else np.zeros_like(x)
    starts = [g * size for g in range(num_groups)]
    stops = [start + size for start in starts]
    if channels_left == "with the last group":
        stops[-1] = x.shape[1]
    if channels_left == "a group of their own" and stops[-1] < x.shape[1]:
        starts, stops = [*starts, stops[-1]], [*stops, x.shape[1]]
    for start, stop in zip(starts, stops, strict=True):
        x_hat[:, start:stop] = standardize(x[:, start:stop], (1, 2, 3), eps)
    return scale_and_shift(x_hat, gamma, beta)


@exercise.mistake(
    ko="채널을 G개씩 건너뛰며 묶었습니다. reshape의 두 축이 바뀌면 이렇게 됩니다. "
    "채널 6개, 그룹 2개이면 첫 그룹은 채널 0, 2, 4가 아니라 0, 1, 2입니다.",
    en="The groups take every G-th channel, as happens when the two axes of reshape are swapped. "
    "With 6 channels and 2 groups the first one is channels 0, 1, 2, not 0, 2, 4.",
)
def interleaves_the_channels(x, num_groups, gamma, beta, eps):
    N, C, H, W = x.shape
    groups = grouped(x, num_groups).reshape(N, C // num_groups, num_groups, H, W)
    return scale_and_shift(standardize(groups, (1, 3, 4), eps).reshape(x.shape), gamma, beta)


@exercise.mistake(
    ko="num_groups를 한 그룹의 채널 수로 읽었습니다. 채널 6개에 num_groups가 2이면 그룹은 몇 개인가요?",
    en="num_groups is read as the number of channels in a group. "
    "How many groups do 6 channels and num_groups = 2 make?",
)
def reads_groups_as_group_size(x, num_groups, gamma, beta, eps):
    if x.shape[1] % num_groups:
        raise ValueError
    return group_norm(x, x.shape[1] // num_groups, gamma, beta, eps)


@exercise.mistake(
    ko="채널이 아닌 축을 나누어 묶었습니다. x의 축은 차례로 표본, 채널, 높이, 너비입니다. 몇 번째 축을 나누어야 하나요?",
    en="Another axis than the channels is split into groups. "
    "The axes of x are sample, channel, height, width. Which one is to be split?",
    axis=[0, 2, 3],
)
def groups_the_wrong_axis(x, num_groups, gamma, beta, eps, axis):
    moved = np.moveaxis(x, axis, 1)
    groups = grouped(moved, num_groups)
    x_hat = standardize(groups, (2, 3, 4), eps).reshape(moved.shape)
    return scale_and_shift(np.moveaxis(x_hat, 1, axis), gamma, beta)


@exercise.mistake(
    ko="그룹은 맞습니다. 그런데 모든 표본이 통계량을 함께 씁니다. 그룹 정규화는 배치를 보지 않습니다. "
    "표본 하나를 빼도 나머지의 출력은 그대로여야 합니다.",
    en="The groups are right, but all samples share statistics. Group normalization never looks at "
    "the batch: take one sample away, and the others should stay as they are.",
)
def over_the_batch_too(x, num_groups, gamma, beta, eps):
    groups = grouped(x, num_groups)
    return scale_and_shift(standardize(groups, (0, 2, 3, 4), eps).reshape(x.shape), gamma, beta)


@exercise.mistake(
    ko="그룹은 맞습니다. 그런데 위치마다 통계량을 따로 구했습니다. 한 그룹은 위치 H×W개를 모두 함께 봅니다.",
    en="The groups are right, but every position has its own statistics. "
    "A group takes all H×W positions together.",
)
def each_position_alone(x, num_groups, gamma, beta, eps):
    groups = grouped(x, num_groups)
    return scale_and_shift(standardize(groups, 2, eps).reshape(x.shape), gamma, beta)


@exercise.mistake(
    ko="num_groups를 쓰지 않고 채널 전체를 한 그룹으로 보았습니다. G = 1이면 맞습니다.",
    en="num_groups is ignored: all channels form one group. That is right for G = 1.",
    checks_the_groups=[False, True],
)
def one_group(x, num_groups, gamma, beta, eps, checks_the_groups):
    if checks_the_groups:
        grouped(x, num_groups)
    return group_norm(x, 1, gamma, beta, eps)


@exercise.mistake(
    ko="채널마다 통계량을 따로 구했습니다. 그것은 인스턴스 정규화이고, G = C이면 맞습니다. "
    "한 그룹의 채널들은 통계량을 함께 씁니다.",
    en="Each channel has its own statistics: that is instance normalization, right for G = C. "
    "The channels of a group share theirs.",
    checks_the_groups=[False, True],
)
def each_channel_alone(x, num_groups, gamma, beta, eps, checks_the_groups):
    if checks_the_groups:
        grouped(x, num_groups)
    return group_norm(x, x.shape[1], gamma, beta, eps)


@exercise.mistake(
    ko="채널마다 구한 평균과 분산을 그룹 안에서 평균 냈습니다. 그룹의 평균은 맞지만 분산은 작습니다. "
    "채널 평균들이 서로 다른 만큼이 빠졌습니다.",
    en="Means and variances are taken channel by channel and averaged over the group. The mean is right, "
    "the variance too small: how far the channel means lie apart is left out.",
)
def averages_the_channels(x, num_groups, gamma, beta, eps):
    groups = grouped(x, num_groups)
    mean = groups.mean(axis=(2, 3, 4), keepdims=True)
    var = groups.var(axis=(3, 4), keepdims=True).mean(axis=2, keepdims=True)
    x_hat = (groups - mean) / np.sqrt(var + eps)
    return scale_and_shift(x_hat.reshape(x.shape), gamma, beta)


@exercise.mistake(
    ko="분산을 구할 때 값의 개수 n이 아니라 n-1로 나누었습니다(ddof=1).",
    en="The variance divides by n-1 instead of n, the number of values in a group (ddof=1).",
)
def ddof_1(x, num_groups, gamma, beta, eps):
    x_hat = standardize(grouped(x, num_groups), (2, 3, 4), eps, ddof=1)
    return scale_and_shift(x_hat.reshape(x.shape), gamma, beta)


@exercise.mistake(
    ko="분산의 제곱근을 구한 다음에 eps를 더했습니다. eps = 0.5, 분산 0.25에서 두 식을 계산해 견주어 보세요.",
    en="eps is added after the square root. Work out both formulas for eps = 0.5 and a variance of 0.25.",
)
def eps_outside_the_root(x, num_groups, gamma, beta, eps):
    groups, axes = grouped(x, num_groups), (2, 3, 4)
    x_hat = groups - groups.mean(axis=axes, keepdims=True)
    x_hat = x_hat / (groups.std(axis=axes, keepdims=True) + eps)
    return scale_and_shift(x_hat.reshape(x.shape), gamma, beta)


@exercise.mistake(
    ko="eps를 쓰지 않았습니다. 그룹의 값이 모두 같으면 0을 0으로 나누게 됩니다.",
    en="eps is not used. A group whose values are all equal divides 0 by 0.",
)
def forgets_eps(x, num_groups, gamma, beta, eps):
    return group_norm(x, num_groups, gamma, beta, 0.0)


@exercise.mistake(
    ko="표준화까지는 맞습니다. gamma와 beta가 하는 일이 빠졌습니다.",
    en="Right up to the standardized values. What gamma and beta do is missing.",
)
def forgets_gamma_and_beta(x, num_groups, gamma, beta, eps):
    return standardize(grouped(x, num_groups), (2, 3, 4), eps).reshape(x.shape)


@exercise.mistake(
    ko="스케일과 이동을 표준화하기 전에 했습니다. 통계량은 x 자신의 것이어야 합니다.",
    en="Scale and shift come before standardizing. The statistics are those of x itself.",
)
def affine_first(x, num_groups, gamma, beta, eps):
    groups = grouped(scale_and_shift(x, gamma, beta), num_groups)
    return standardize(groups, (2, 3, 4), eps).reshape(x.shape)


@exercise.combine
def combined(
    x,
    num_groups,
    gamma,
    beta,
    eps,
    *,
    interleaves_the_channels=False,
    splits_a_channel=False,
    over_the_batch_too=False,
    ddof_1=False,
    eps_outside_the_root=False,
    forgets_gamma_and_beta=False,
):
    N, C, H, W = x.shape
    if splits_a_channel and C % num_groups:
        groups, axes = x.reshape(N, num_groups, -1), (2,)
    else:
        groups, axes = grouped(x, num_groups), (2, 3, 4)
        if interleaves_the_channels:
            groups, axes = groups.reshape(N, C // num_groups, num_groups, H, W), (1, 3, 4)
    axes = (0, *axes) if over_the_batch_too else axes
    var = groups.var(axis=axes, keepdims=True, ddof=int(ddof_1))
    root = np.sqrt(var) + eps if eps_outside_the_root else np.sqrt(var + eps)
    x_hat = ((groups - groups.mean(axis=axes, keepdims=True)) / root).reshape(x.shape)
    return x_hat if forgets_gamma_and_beta else scale_and_shift(x_hat, gamma, beta)
