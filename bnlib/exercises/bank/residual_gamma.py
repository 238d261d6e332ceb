"""8.4 A residual block that starts as the identity."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def residual_block_backward(dy, x, w, gamma, eps=1e-5):
    """Backward pass of a residual block: a 1 x 1 convolution, batch norm, and the skip.

        z[n, o] = sum over i of w[o, i] * x[n, i]     at every position
        y = x + gamma * x_hat + beta                  x_hat: z normalized per channel

    dy, x  (N, C, H, W); w (C, C); gamma (C,), in which some or all may be 0
    The batch norm is in training mode: biased variance over N, H, W, eps inside the root.
    Returns dx (N, C, H, W), dw (C, C), dgamma (C,) and dbeta (C,).
    """
    axes = (0, 2, 3)
    z = np.einsum("oi,nihw->nohw", w, x)
    inv_std = 1 / np.sqrt(z.var(axis=axes, keepdims=True) + eps)
    x_hat = (z - z.mean(axis=axes, keepdims=True)) * inv_std

    dx_hat = dy * gamma[:, None, None]
    along_x_hat = (dx_hat * x_hat).mean(axis=axes, keepdims=True)
    dz = inv_std * (dx_hat - dx_hat.mean(axis=axes, keepdims=True) - x_hat * along_x_hat)
    dx = dy + np.einsum("oi,nohw->nihw", w, dz)
    dw = np.einsum("nohw,nihw->oi", dz, x)
    return dx, dw, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes)


def cases(rng):
    for shape, zeros, *eps in [
        ((2, 3, 1, 2), 3),
        ((2, 3, 2, 1), 0),
        ((3, 4, 2, 3), 1, 0.3),
        ((4, 2, 3, 5), 0, 1.0),
        ((2, 5, 4, 3), 5),
    ]:
        channels = shape[1]
        gamma = rng.uniform(0.3, 2, channels)
        gamma[:zeros] = 0
        yield (
            rng.normal(0.3, 1, shape),
            rng.normal(rng.normal(1, 1, (channels, 1, 1)), 1.5, shape),
            rng.normal(0.2, 1, (channels, channels)),
            gamma,
            *eps,
        )


exercise = Exercise(
    id="residual-gamma",
    chapter=8,
    number=4,
    difficulty=3,
    title=Text(
        ko="항등 함수로 시작하는 잔차 블록", en="A residual block that starts as the identity"
    ),
    solution=residual_block_backward,
    cases=cases,
    hints=[
        Text(
            ko="y에는 x가 두 길로 들어갑니다. 길마다 기울기를 따로 구해 더하세요. 지름길의 것은 계산할 것이 없습니다.",
            en="x reaches y along two paths. Find the gradient of each and add them; "
            "that of the skip needs no computation.",
        ),
        Text(
            ko="gamma의 기울기에는 gamma가 들어 있지 않습니다. 그래서 0에서 출발해도 첫 스텝에 0을 벗어납니다.",
            en="The gradient of gamma does not contain gamma. "
            "That is why it leaves 0 with the first step.",
        ),
        Text(
            ko="배치 정규화 부분은 5장의 식 그대로이고, 평균이 N, H, W의 세 축에 걸칩니다. "
            "1×1 합성곱의 역전파에서는 출력 채널 o를 따라 더합니다.",
            en="The batch norm part is chapter 5's formula with means over the three axes N, H "
            "and W. "
            "Going back through the 1 x 1 convolution, the sum runs over the output channels o.",
        ),
    ],
)


def backward(
    dy,
    x,
    w,
    gamma,
    eps=1e-5,
    axes=(0, 2, 3),
    std=lambda var, eps: np.sqrt(var + eps),
    statistics_are_constants=False,
    skip=1.0,
    w_back=None,
    dgamma_factor=1.0,
):
    """The solution; each keyword puts one mistake into it."""
    z = np.einsum("oi,nihw->nohw", w, x)
    inv_std = 1 / std(z.var(axis=axes, keepdims=True), eps)
    x_hat = (z - z.mean(axis=axes, keepdims=True)) * inv_std
    dz = dx_hat = dy * gamma[:, None, None]
    if not statistics_are_constants:
        along_x_hat = (dx_hat * x_hat).mean(axis=axes, keepdims=True)
        dz = dx_hat - dx_hat.mean(axis=axes, keepdims=True) - x_hat * along_x_hat
    dz = dz * inv_std
    dx = skip * dy + np.einsum("oi,nohw->nihw", w if w_back is None else w_back, dz)
    dgamma = dgamma_factor * (dy * x_hat).sum(axis=(0, 2, 3))
    return dx, np.einsum("nohw,nihw->oi", dz, x), dgamma, dy.sum(axis=(0, 2, 3))


@exercise.mistake(
    ko="dx에서 지름길이 빠졌습니다. gamma가 0이면 지금은 아래층이 기울기를 받지 못합니다. "
    "잔차 연결은 바로 이것을 막으려는 것입니다.",
    en="The skip is missing from dx. With gamma = 0 the layers below get no gradient at all, "
    "which is what the skip is there to prevent.",
)
def forgets_the_skip(dy, x, w, gamma, eps=1e-5):
    return backward(dy, x, w, gamma, eps, skip=0.0)


@exercise.mistake(
    ko="dx가 지름길뿐입니다. gamma가 0일 때는 맞습니다. gamma가 0이 아니면 x는 합성곱을 지나는 길로도 y에 닿습니다.",
    en="dx holds the skip alone. That is right while gamma = 0. "
    "Otherwise x also reaches y through the convolution.",
)
def only_the_skip(dy, x, w, gamma, eps=1e-5):
    return dy.copy(), *backward(dy, x, w, gamma, eps)[1:]


@exercise.mistake(
    ko="dgamma에 gamma를 곱했습니다. 그러면 0에서 시작한 gamma는 영원히 0입니다. "
    "y를 gamma로 미분하면 gamma가 남나요?",
    en="dgamma is multiplied by gamma, so a gamma that starts at 0 would stay there for ever. "
    "Differentiate y by gamma: is there a gamma left?",
)
def gamma_never_leaves_zero(dy, x, w, gamma, eps=1e-5):
    return backward(dy, x, w, gamma, eps, dgamma_factor=gamma)


@exercise.mistake(
    ko="지름길의 기울기에도 gamma를 곱했습니다. 지름길에는 gamma가 없습니다. "
    "gamma가 0인 블록은 입력을 그대로 내보내므로 기울기도 그대로 돌려보냅니다.",
    en="The gradient of the skip is multiplied by gamma too, but the skip has no gamma. "
    "A block with gamma = 0 passes its input on unchanged, and the gradient back unchanged.",
)
def scales_the_skip(dy, x, w, gamma, eps=1e-5):
    return backward(dy, x, w, gamma, eps, skip=gamma[:, None, None])


@exercise.mistake(
    ko="평균과 분산을 상수로 보고 역전파했습니다. 두 통계량도 x에서 나왔습니다. dgamma와 dbeta는 맞습니다.",
    en="The way back treats mean and variance as constants, but both come from x. "
    "dgamma and dbeta are right.",
)
def statistics_are_constants(dy, x, w, gamma, eps=1e-5):
    return backward(dy, x, w, gamma, eps, statistics_are_constants=True)


@exercise.mistake(
    ko="dx에서 w가 전치되어 있습니다. 순전파가 입력 채널 i를 따라 더했다면 역전파는 어느 채널을 따라 더하나요? "
    "w가 대칭일 때만 두 값이 같습니다.",
    en="In dx, w is transposed. If the forward pass sums over input channels i, which channels "
    "does the backward pass sum over? The two agree only for a symmetric w.",
)
def transposes_w(dy, x, w, gamma, eps=1e-5):
    return backward(dy, x, w, gamma, eps, w_back=w.T)


@exercise.mistake(
    ko="dw가 전치되어 있습니다. dw의 행은 출력 채널, 열은 입력 채널입니다. 모양이 정사각이라 오류가 나지 않습니다.",
    en="dw is transposed. Its rows are output channels and its columns input channels; "
    "as it is square, nothing complains.",
)
def transposes_dw(dy, x, w, gamma, eps=1e-5):
    dx, dw, dgamma, dbeta = backward(dy, x, w, gamma, eps)
    return dx, dw.T, dgamma, dbeta


@exercise.mistake(
    ko="통계량을 N만으로 구했습니다. 합성곱의 배치 정규화는 한 채널의 모든 위치를 함께 봅니다.",
    en="The statistics are taken over N alone. After a convolution, batch norm puts "
    "all positions of a channel together.",
)
def per_activation(dy, x, w, gamma, eps=1e-5):
    return backward(dy, x, w, gamma, eps, axes=(0,))


@exercise.mistake(
    ko="dgamma와 dbeta를 더하지 않고 평균했습니다. gamma 하나가 N·H·W개의 값에 쓰였습니다. "
    "그 값들의 몫을 어떻게 모아야 하나요?",
    en="dgamma and dbeta are averaged instead of summed. One gamma was used for N·H·W values: "
    "how should their shares be put together?",
)
def averages_gamma_and_beta(dy, x, w, gamma, eps=1e-5):
    dx, dw, dgamma, dbeta = backward(dy, x, w, gamma, eps)
    values = dy.size / len(gamma)
    return dx, dw, dgamma / values, dbeta / values


@exercise.mistake(
    ko="eps를 제곱근 밖에서 더했거나, 받은 eps를 쓰지 않았습니다. 분산에 eps를 더한 다음 제곱근을 구합니다.",
    en="eps is added outside the root, or the eps that was passed in is not used. "
    "It is added to the variance, before the root.",
    std=[
        lambda var, eps: np.sqrt(var) + eps,
        lambda var, eps: np.sqrt(var),
        lambda var, eps: np.sqrt(var + 1e-5),
    ],
)
def eps_elsewhere(dy, x, w, gamma, eps=1e-5, std=None):
    return backward(dy, x, w, gamma, eps, std=std)


@exercise.combine
def combined(
    dy,
    x,
    w,
    gamma,
    eps=1e-5,
    *,
    forgets_the_skip=False,
    scales_the_skip=False,
    gamma_never_leaves_zero=False,
    statistics_are_constants=False,
    transposes_w=False,
    transposes_dw=False,
    per_activation=False,
    averages_gamma_and_beta=False,
):
    dx, dw, dgamma, dbeta = backward(
        dy,
        x,
        w,
        gamma,
        eps,
        axes=(0,) if per_activation else (0, 2, 3),
        statistics_are_constants=statistics_are_constants,
        skip=0.0 if forgets_the_skip else gamma[:, None, None] if scales_the_skip else 1.0,
        w_back=w.T if transposes_w else w,
        dgamma_factor=gamma if gamma_never_leaves_zero else 1.0,
    )
    values = dy.size / len(gamma) if averages_gamma_and_beta else 1
    return dx, dw.T if transposes_dw else dw, dgamma / values, dbeta / values
