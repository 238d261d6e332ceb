"""7.4 Fold batch norm into the linear layer before it."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def fold_linear(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    """One linear layer that does what a linear layer and a batch norm in evaluation mode do.

        y = x @ w.T + b
        z = gamma * (y - running_mean) / sqrt(running_var + eps) + beta

    w      (C, D): C outputs, D inputs; b (C,)
    gamma, beta, running_mean, running_var  (C,)
    Returns new_w (C, D) and new_b (C,) with x @ new_w.T + new_b equal to z for every x.
    """
    scale = gamma / np.sqrt(running_var + eps)
    return w * scale[:, None], scale * (b - running_mean) + beta


def cases(rng):
    yield (
        np.array([[1.0, 2.0, -1.0], [0.5, -3.0, 4.0]]),
        np.array([1.0, -2.0]),
        np.array([2.0, 0.5]),
        np.array([3.0, -1.0]),
        np.array([5.0, 1.0]),
        np.array([4.0, 0.25]),
    )
    for outputs, inputs, eps in [(3, 5, 1e-3), (4, 4, 1e-5), (5, 2, 0.1)]:
        yield (
            rng.normal(0.5, 1, (outputs, inputs)),
            rng.normal(1, 1, outputs),
            rng.uniform(0.5, 2, outputs),
            rng.normal(-1, 1, outputs),
            rng.normal(2, 1, outputs),
            rng.uniform(0.1, 5, outputs),
            eps,
        )
    shapes = [(4, 3), 4, 4, 4, 4, 4]
    yield tuple(rng.uniform(0.5, 2, shape).astype(np.float32) for shape in shapes)


exercise = Exercise(
    id="fold-linear",
    chapter=7,
    number=4,
    difficulty=2,
    title=Text(
        ko="배치 정규화를 앞의 선형층에 접기", en="Fold batch norm into the linear layer before it"
    ),
    solution=fold_linear,
    cases=cases,
    hints=[
        Text(
            ko="둘째 식의 y 자리에 첫째 식을 넣고 괄호를 푸세요. x가 곱해진 항과 나머지로 나누어 모읍니다.",
            en="Put the first formula in place of y in the second and multiply out. "
            "Collect the terms with x, and the rest.",
        ),
        Text(
            ko="출력마다 하나씩인 계수가 있습니다. w의 어느 축이 출력인가요? "
            "그 계수가 b와 running_mean에도 곱해지는지 살펴보세요.",
            en="One factor belongs to each output. Which axis of w holds the outputs? "
            "And check whether the factor also multiplies b and running_mean.",
        ),
    ],
)


def folded(w, b, scale, beta, mean):
    return w * scale[:, None], scale * (b - mean) + beta


def scale_of(gamma, running_var, eps):
    return gamma / np.sqrt(running_var + eps)


@exercise.mistake(
    ko="가중치는 맞습니다. 편향에서 running_mean이 빠졌습니다. x가 0일 때 두 층이 무엇을 내는지 견주어 보세요.",
    en="The weights are right; running_mean is missing from the bias. "
    "Compare what the two give for x = 0.",
)
def forgets_the_mean(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    return folded(w, b, scale_of(gamma, running_var, eps), beta, 0)


@exercise.mistake(
    ko="거의 맞습니다. eps가 빠졌습니다. 분산이 작은 출력에서는 이 차이가 크게 보입니다.",
    en="Almost: eps is missing. For an output with a small variance it shows.",
)
def forgets_eps(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    return folded(w, b, scale_of(gamma, running_var, 0), beta, running_mean)


@exercise.mistake(
    ko="eps를 제곱근 밖에서 더했습니다. 분산이 0.25이고 eps가 0.1일 때 두 식을 계산해 보세요.",
    en="eps is added outside the root. Work out both formulas for a variance of 0.25 and eps = 0.1.",
)
def eps_outside_the_root(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    return folded(w, b, gamma / (np.sqrt(running_var) + eps), beta, running_mean)


@exercise.mistake(
    ko="가중치는 맞습니다. 앞 층의 편향에 배율을 곱하지 않았습니다. b도 배치 정규화를 지나갑니다.",
    en="The weights are right, but the old bias is not scaled. b goes through batch norm as well.",
)
def leaves_the_bias_unscaled(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    scale = scale_of(gamma, running_var, eps)
    return w * scale[:, None], b - scale * running_mean + beta


@exercise.mistake(
    ko="가중치는 맞습니다. running_mean에 배율을 곱하지 않았습니다. 뺀 다음에 나누는지, 나눈 다음에 빼는지 확인하세요.",
    en="The weights are right, but running_mean is not scaled. "
    "Is it subtracted before the division or after?",
)
def leaves_the_mean_unscaled(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    scale = scale_of(gamma, running_var, eps)
    return w * scale[:, None], scale * b - running_mean + beta


@exercise.mistake(
    ko="가중치는 맞습니다. beta에도 배율을 곱했습니다. beta는 정규화가 끝난 뒤에 더합니다.",
    en="The weights are right, but beta is scaled too. It is added after the normalization.",
)
def scales_beta(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    scale = scale_of(gamma, running_var, eps)
    return w * scale[:, None], scale * (b - running_mean + beta)


@exercise.mistake(
    ko="가중치는 맞습니다. 앞 층의 편향 b가 사라졌습니다. "
    "배치 정규화 앞의 편향이 쓸모없는 것은 학습 모드에서입니다. 평가 모드에서는 저장된 평균만 뺍니다.",
    en="The weights are right; the old bias b has vanished. A bias before batch norm is redundant "
    "in training mode. In evaluation mode only the stored mean is subtracted.",
)
def drops_the_bias(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    return folded(w, 0, scale_of(gamma, running_var, eps), beta, running_mean)


@exercise.mistake(
    ko="배율이 w의 입력 축을 따라 곱해집니다. w의 모양은 (출력, 입력)입니다. "
    "두 수가 다르면 오류가 나지만, 정사각 행렬에서는 오류 없이 틀린 값이 나옵니다.",
    en="The factor runs along the inputs of w, whose shape is (outputs, inputs). "
    "Where the two numbers differ that is an error; for a square matrix it is silently wrong.",
)
def scales_the_inputs(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    scale = scale_of(gamma, running_var, eps)
    return w * scale, scale * (b - running_mean) + beta


@exercise.mistake(
    ko="표준편차가 아니라 분산으로 나누었습니다. 제곱근이 빠졌습니다.",
    en="The division is by the variance, not by the standard deviation: the root is missing.",
)
def divides_by_variance(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    return folded(w, b, gamma / (running_var + eps), beta, running_mean)


@exercise.mistake(
    ko="gamma가 빠졌습니다. 정규화만 접고 스케일은 접지 않았습니다.",
    en="gamma is missing: the normalization is folded in, the scale is not.",
)
def forgets_gamma(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    return folded(w, b, scale_of(1, running_var, eps), beta, running_mean)


@exercise.combine
def combined(
    w,
    b,
    gamma,
    beta,
    running_mean,
    running_var,
    eps=1e-5,
    *,
    forgets_the_mean=False,
    forgets_eps=False,
    drops_the_bias=False,
    leaves_the_bias_unscaled=False,
    leaves_the_mean_unscaled=False,
    scales_beta=False,
    scales_the_inputs=False,
    divides_by_variance=False,
    forgets_gamma=False,
):
    gamma, eps = 1 if forgets_gamma else gamma, 0 if forgets_eps else eps
    scale = gamma / ((running_var + eps) if divides_by_variance else np.sqrt(running_var + eps))
    bias = 0 * b if drops_the_bias else b if leaves_the_bias_unscaled else scale * b
    mean = running_mean if leaves_the_mean_unscaled else scale * running_mean
    mean = 0 if forgets_the_mean else mean
    shift = scale * beta if scales_beta else beta
    return w * (scale if scales_the_inputs else scale[:, None]), bias - mean + shift
