"""8.3 Fold batch norm into a convolution."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def fold_conv(w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False):
    """The weights and bias of one convolution that also does the batch norm after it.

    The batch norm is in evaluation mode, with eps added to running_var inside the root.

    w  kernels, (C_out, C_in, kh, kw); (C_in, C_out, kh, kw) if `transposed`, the layout of a
       transposed convolution
    b  (C_out,), or None for a convolution without bias
    gamma, beta, running_mean, running_var  (C_out,)
    Returns new_w, shaped like w, and new_b (C_out,).
    """
    scale = gamma / np.sqrt(running_var + eps)
    per_output = scale[:, None, None] if transposed else scale[:, None, None, None]
    bias = 0 if b is None else b
    return w * per_output, scale * (bias - running_mean) + beta


def cases(rng):
    for shape, has_bias, eps, transposed in [
        ((2, 3, 1, 1), True, 1e-5, False),
        ((3, 2, 1, 2), True, 1e-5, True),
        ((2, 4, 1, 3), False, 1e-3, False),
        ((3, 3, 2, 4), True, 0.1, False),
        ((4, 4, 3, 2), False, 1e-5, True),
        ((3, 2, 5, 3), True, 1e-2, False),  # kernels as wide as there are outputs
    ]:
        outputs = shape[1] if transposed else shape[0]
        yield (
            rng.normal(0.5, 1, shape),
            rng.normal(1, 1, outputs) if has_bias else None,
            rng.uniform(0.5, 2, outputs),
            rng.normal(-1, 1, outputs),
            rng.normal(2, 1, outputs),
            rng.uniform(0.1, 5, outputs),
            eps,
            transposed,
        )
    shapes = [(4, 3, 1, 2), 4, 4, 4, 4, 4]
    yield tuple(rng.uniform(0.5, 2, shape).astype(np.float32) for shape in shapes)


exercise = Exercise(
    id="fold-conv",
    chapter=8,
    number=3,
    difficulty=2,
    title=Text(ko="배치 정규화를 합성곱에 접기", en="Fold batch norm into a convolution"),
    solution=fold_conv,
    cases=cases,
    hints=[
        Text(
            ko="출력 채널 하나를 만드는 커널 전체에 수 하나를 곱합니다. 7장의 선형층과 같고 축만 더 많습니다.",
            en="Everything that makes one output channel is multiplied by one number. "
            "It is chapter 7's linear layer with more axes.",
        ),
        Text(
            ko="모양이 (C_out,)인 배열을 w의 출력 축에 맞추려면 크기가 1인 축을 몇 개, 어디에 붙여야 하나요? "
            "전치 합성곱에서는 출력 축의 자리가 다릅니다.",
            en="To line an array of shape (C_out,) up with the output axis of w, how many axes "
            "of size 1 does it need, and where? In a transposed convolution that axis sits "
            "elsewhere.",
        ),
        Text(
            ko="편향이 없는 합성곱은 편향이 0인 합성곱입니다. 접은 뒤에는 편향이 생깁니다.",
            en="A convolution without a bias is one whose bias is 0. After folding it has one.",
        ),
    ],
)


def per_output(scale, transposed):
    return scale.reshape((1, -1, 1, 1) if transposed else (-1, 1, 1, 1))


def scale_of(gamma, running_var, eps):
    return gamma / np.sqrt(running_var + eps)


def folded(w, b, scale, beta, mean, transposed):
    return w * per_output(scale, transposed), scale * ((0 if b is None else b) - mean) + beta


@exercise.mistake(
    ko="배율이 w의 입력 채널 축을 따라 곱해집니다. 입력과 출력의 채널 수가 다르면 오류가 나고, "
    "같으면 오류 없이 틀린 값이 나옵니다. w의 어느 축이 출력인가요?",
    en="The factor runs along the input channels of w. Where the numbers of input and output "
    "channels differ that is an error, where they agree it is silently wrong. "
    "Which axis of w holds the outputs?",
)
def scales_the_input_channels(
    w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False
):
    scale = scale_of(gamma, running_var, eps)
    _, new_b = folded(w, b, scale, beta, running_mean, transposed)
    return w * per_output(scale, not transposed), new_b


@exercise.mistake(
    ko="배율이 커널의 너비를 따라 곱해집니다. 모양이 (C_out,)인 배열을 그대로 곱하면 NumPy는 마지막 축에 맞춥니다.",
    en="The factor runs along the width of the kernels: "
    "NumPy lines an array of shape (C_out,) up with the last axis.",
)
def scales_along_the_width(
    w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False
):
    scale = scale_of(gamma, running_var, eps)
    _, new_b = folded(w, b, scale, beta, running_mean, transposed)
    return w * scale, new_b


@exercise.mistake(
    ko="보통의 합성곱은 맞습니다. 전치 합성곱에서는 출력 채널이 첫째 축이 아닙니다. "
    "채널 수가 같으면 오류 없이 지나갑니다.",
    en="Ordinary convolutions are right. In a transposed convolution the outputs are not the "
    "first axis, and with equal numbers of channels nothing complains.",
)
def ignores_transposed(w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False):
    scale = scale_of(gamma, running_var, eps)
    return folded(w, b, scale, beta, running_mean, transposed=False)


@exercise.mistake(
    ko="편향이 있는 합성곱은 맞습니다. 배치 정규화 앞의 합성곱은 대개 편향이 없습니다. 그때 b는 None입니다.",
    en="Convolutions with a bias are right. One before batch norm usually has none, and b is None.",
)
def needs_a_bias(w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False):
    scale = scale_of(gamma, running_var, eps)
    return w * per_output(scale, transposed), scale * (b - running_mean) + beta


@exercise.mistake(
    ko="커널은 맞습니다. 편향에서 running_mean이 빠졌습니다. 입력이 0일 때 두 층은 무엇을 내나요?",
    en="The kernels are right; running_mean is missing from the bias. "
    "What do the two layers give for an input of 0?",
)
def forgets_the_mean(w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False):
    return folded(w, b, scale_of(gamma, running_var, eps), beta, 0 * running_mean, transposed)


@exercise.mistake(
    ko="거의 맞습니다. eps가 빠졌습니다. 분산이 작은 채널에서 확인해 보세요.",
    en="Almost: eps is missing. Check a channel with a small variance.",
)
def forgets_eps(w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False):
    return folded(w, b, scale_of(gamma, running_var, 0), beta, running_mean, transposed)


@exercise.mistake(
    ko="eps를 제곱근 밖에서 더했습니다. 접은 층은 배치 정규화와 같은 식을 써야 합니다.",
    en="eps is added outside the root. The folded layer has to use batch norm's own formula.",
)
def eps_outside_the_root(w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False):
    scale = gamma / (np.sqrt(running_var) + eps)
    return folded(w, b, scale, beta, running_mean, transposed)


@exercise.mistake(
    ko="커널은 맞습니다. 앞 층의 편향에 배율을 곱하지 않았습니다. b도 배치 정규화를 지나갑니다.",
    en="The kernels are right, but the old bias is not scaled. b goes through batch norm as well.",
)
def leaves_the_bias_unscaled(
    w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False
):
    scale = scale_of(gamma, running_var, eps)
    new_w, shift = folded(w, None, scale, beta, running_mean, transposed)
    return new_w, shift + (0 if b is None else b)


@exercise.mistake(
    ko="커널은 맞습니다. 앞 층의 편향 b가 사라졌습니다. 평가 모드에서는 저장된 평균만 빼므로 b가 남습니다.",
    en="The kernels are right; the old bias b has vanished. "
    "Evaluation mode subtracts only the stored mean, so b stays.",
)
def drops_the_bias(w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False):
    scale = scale_of(gamma, running_var, eps)
    return folded(w, None, scale, beta, running_mean, transposed)


@exercise.combine
def combined(
    w,
    b,
    gamma,
    beta,
    running_mean,
    running_var,
    eps=1e-5,
    transposed=False,
    *,
    scales_the_input_channels=False,
    ignores_transposed=False,
    scales_along_the_width=False,
    needs_a_bias=False,
    forgets_the_mean=False,
    forgets_eps=False,
    eps_outside_the_root=False,
    drops_the_bias=False,
    leaves_the_bias_unscaled=False,
):
    eps = 0 if forgets_eps else eps
    std = np.sqrt(running_var) + eps if eps_outside_the_root else np.sqrt(running_var + eps)
    scale = gamma / std
    if b is None and not needs_a_bias:
        b = 0
    shift = 0 if drops_the_bias else b if leaves_the_bias_unscaled else scale * b
    mean = 0 if forgets_the_mean else running_mean
    is_second = (transposed and not ignores_transposed) != scales_the_input_channels
    factor = scale if scales_along_the_width else per_output(scale, is_second)
    return w * factor, shift - scale * mean + beta
