"""9.1 Put the covariate shift back in."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def noisy_batch_norm(batches, gamma, beta, rng):
    """The outputs of batch norm with noise after it, whose distribution changes at every step.

    batches  list of arrays (N, C), one for each training step
    gamma    (C,); beta (C,). Statistics of each batch, biased variance, eps = 1e-5 in the root
    rng      a NumPy random generator; each step draws from it, in this order:
             mean   rng.uniform(-0.5, 0.5, C)        the noise's mean, for each feature
             std    rng.uniform(1.0, 1.25, C)        and its scale
             shift  rng.normal(mean, 0.1, (N, C))    for each value
             scale  rng.normal(std, 0.1, (N, C))
    The noise multiplies the output of batch norm by scale and then adds shift.
    Returns the list of the noisy outputs, each (N, C).
    """
    outputs = []
    for x in batches:
        y = gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) + beta
        mean = rng.uniform(-0.5, 0.5, len(gamma))
        std = rng.uniform(1.0, 1.25, len(gamma))
        shift = rng.normal(mean, 0.1, x.shape)
        scale = rng.normal(std, 0.1, x.shape)
        outputs.append(scale * y + shift)
    return outputs


def cases(rng):
    for steps, rows, features in [(2, 3, 2), (1, 4, 3), (4, 2, 5), (3, 6, 4)]:
        center = rng.normal(3, 2, features)
        yield (
            [rng.normal(center, 2, (rows, features)) for _ in range(steps)],
            rng.uniform(0.5, 2, features),
            rng.normal(1, 1, features),
            np.random.default_rng(int(rng.integers(1000))),
        )


exercise = Exercise(
    id="noisy-bn",
    chapter=9,
    number=1,
    difficulty=2,
    title=Text(ko="분포를 다시 흔들기", en="Put the shift back in"),
    solution=noisy_batch_norm,
    cases=cases,
    accepts=lambda batches, gamma, beta, rng: batches[0].shape[1] == len(gamma) == len(beta),
    hints=[
        Text(
            ko="한 스텝 안에서 먼저 배치 정규화를 끝내세요. gamma와 beta까지 적용한 다음이 잡음의 자리입니다.",
            en="Within a step, finish batch norm first. The noise comes after gamma and beta.",
        ),
        Text(
            ko="잡음의 분포는 스텝마다 새것이어야 합니다. 어떤 줄이 반복문 안에 있어야 하나요?",
            en="The noise has another distribution at each step. "
            "Which lines belong inside the loop?",
        ),
    ],
)


def batch_norm(x, gamma=1.0, beta=0.0, eps=1e-5):
    return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) + beta


def draw_distribution(rng, features):
    return rng.uniform(-0.5, 0.5, features), rng.uniform(1.0, 1.25, features)


def draw_values(rng, mean, std, shape):
    return rng.normal(mean, 0.1, shape), rng.normal(std, 0.1, shape)


def draw(rng, shape):
    return draw_values(rng, *draw_distribution(rng, shape[1]), shape)


@exercise.mistake(
    ko="잡음이 고정되어 있습니다. 분포를 첫 스텝에서 한 번만 뽑았습니다. 모든 스텝에서 같은 평균만큼 밀리면 "
    "다음 층이 보는 분포는 움직이지 않습니다.",
    en="The noise is frozen: its distribution is drawn once, at the first step. If every step is "
    "shifted alike, the distribution that the next layer sees does not move.",
    frozen=["distribution", "values"],
)
def noise_frozen(batches, gamma, beta, rng, frozen="distribution"):
    distribution = draw_distribution(rng, len(gamma))
    values = draw_values(rng, *distribution, batches[0].shape)
    outputs = []
    for step, x in enumerate(batches):
        if step and frozen == "distribution":
            values = draw_values(rng, *distribution, x.shape)
        outputs.append(values[1] * batch_norm(x, gamma, beta) + values[0])
    return outputs


@exercise.mistake(
    ko="잡음을 배치 정규화 앞에 넣었습니다. 배치 정규화가 그 잡음의 평균과 크기를 바로 지웁니다. "
    "실험은 다음 층이 받는 분포를 흔들려고 합니다.",
    en="The noise comes before batch norm, which takes its mean and its scale away at once. "
    "The experiment wants to shake what the next layer receives.",
)
def noise_before_batch_norm(batches, gamma, beta, rng):
    outputs = []
    for x in batches:
        shift, scale = draw(rng, x.shape)
        outputs.append(batch_norm(scale * x + shift, gamma, beta))
    return outputs


@exercise.mistake(
    ko="잡음이 정규화와 gamma, beta 사이에 있습니다. 그러면 gamma가 작은 특성에서는 잡음도 작아집니다. "
    "층의 출력이 끝난 다음에 넣어야 합니다.",
    en="The noise sits between the normalization and gamma, beta, so a small gamma makes it small "
    "as well. It belongs after the layer's output.",
)
def noise_before_gamma(batches, gamma, beta, rng):
    outputs = []
    for x in batches:
        shift, scale = draw(rng, x.shape)
        outputs.append(gamma * (scale * batch_norm(x) + shift) + beta)
    return outputs


@exercise.mistake(
    ko="잡음의 평균이 0입니다. 값은 흔들리지만 분포의 중심은 제자리입니다. "
    "공변량 변화를 흉내 내려면 스텝마다 중심도 옮겨야 합니다.",
    en="The noise has mean zero: values jitter, but the center of the distribution stays. "
    "To imitate a covariate shift, the center has to move at each step too.",
    draws_mean=[True, False],
)
def zero_mean_only(batches, gamma, beta, rng, draws_mean=True):
    outputs = []
    for x in batches:
        if draws_mean:
            rng.uniform(-0.5, 0.5, len(gamma))
        std = rng.uniform(1.0, 1.25, len(gamma))
        shift, scale = draw_values(rng, np.zeros_like(std), std, x.shape)
        outputs.append(scale * batch_norm(x, gamma, beta) + shift)
    return outputs


@exercise.mistake(
    ko="더하는 잡음만 있습니다. 분포의 중심은 움직이지만 퍼짐은 그대로입니다. 곱하는 잡음도 있어야 합니다.",
    en="The noise is only added: the center moves, the spread stays. "
    "The outputs have to be multiplied as well.",
    draws_scale=[True, False],
)
def unit_variance_only(batches, gamma, beta, rng, draws_scale=True):
    outputs = []
    for x in batches:
        mean, std = draw_distribution(rng, len(gamma))
        shift = rng.normal(mean, 0.1, x.shape)
        if draws_scale:
            rng.normal(std, 0.1, x.shape)
        outputs.append(batch_norm(x, gamma, beta) + shift)
    return outputs


@exercise.mistake(
    ko="한 스텝에서 모든 표본이 같은 잡음을 받았습니다. 표본마다 새로 뽑아야 합니다. shift의 모양은 무엇이어야 하나요?",
    en="All samples of a step get the same noise. Each sample needs its own draw: "
    "which shape should shift have?",
)
def same_noise_for_all_samples(batches, gamma, beta, rng):
    outputs = []
    for x in batches:
        shift, scale = draw(rng, (1, len(gamma)))
        outputs.append(scale * batch_norm(x, gamma, beta) + shift)
    return outputs


@exercise.mistake(
    ko="shift를 먼저 더한 다음 scale을 곱했습니다. 그러면 이동에도 배율이 곱해집니다.",
    en="shift is added first and then multiplied by scale along with the rest.",
)
def shifts_before_scaling(batches, gamma, beta, rng):
    outputs = []
    for x in batches:
        shift, scale = draw(rng, x.shape)
        outputs.append(scale * (batch_norm(x, gamma, beta) + shift))
    return outputs


@exercise.mistake(
    ko="뽑은 순서가 다릅니다. 평균, 크기, shift, scale의 차례로 뽑아야 같은 생성기에서 같은 잡음이 나옵니다. "
    "식에서 scale이 앞에 오더라도 shift를 먼저 뽑으세요.",
    en="The draws come in another order. Only as mean, std, shift, scale does one generator give the "
    "same noise: even where scale comes first in the formula, shift is drawn first.",
    early=["scale", "std"],
)
def draws_in_another_order(batches, gamma, beta, rng, early):
    outputs = []
    for x in batches:
        if early == "std":
            std, mean = rng.uniform(1.0, 1.25, len(gamma)), rng.uniform(-0.5, 0.5, len(gamma))
            shift, scale = draw_values(rng, mean, std, x.shape)
        else:
            mean, std = draw_distribution(rng, len(gamma))
            scale, shift = rng.normal(std, 0.1, x.shape), rng.normal(mean, 0.1, x.shape)
        outputs.append(scale * batch_norm(x, gamma, beta) + shift)
    return outputs


@exercise.mistake(
    ko="거의 맞습니다. 배치 정규화에서 eps를 쓰지 않았습니다.",
    en="Almost: batch norm is used without its eps.",
)
def forgets_eps(batches, gamma, beta, rng):
    outputs = []
    for x in batches:
        shift, scale = draw(rng, x.shape)
        outputs.append(scale * batch_norm(x, gamma, beta, eps=0.0) + shift)
    return outputs


@exercise.combine
def combined(
    batches,
    gamma,
    beta,
    rng,
    *,
    noise_before_batch_norm=False,
    noise_before_gamma=False,
    noise_frozen=False,
    zero_mean_only=False,
    unit_variance_only=False,
    same_noise_for_all_samples=False,
    shifts_before_scaling=False,
):
    def shake(values, mean, std):
        mean = 0 * mean if zero_mean_only else mean
        rows = 1 if same_noise_for_all_samples else len(values)
        shift, scale = draw_values(rng, mean, std, (rows, len(gamma)))
        scale = 1 if unit_variance_only else scale
        return scale * (values + shift) if shifts_before_scaling else scale * values + shift

    outputs = []
    for step, x in enumerate(batches):
        if step == 0 or not noise_frozen:
            distribution = draw_distribution(rng, len(gamma))
        if noise_before_batch_norm:
            outputs.append(batch_norm(shake(x, *distribution), gamma, beta))
        elif noise_before_gamma:
            outputs.append(gamma * shake(batch_norm(x), *distribution) + beta)
        else:
            outputs.append(shake(batch_norm(x, gamma, beta), *distribution))
    return outputs
