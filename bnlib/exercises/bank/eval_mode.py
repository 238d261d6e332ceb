"""7.3 The same layer, another function."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def batch_norm_inference(x, gamma, beta, running_mean, running_var, eps=1e-5):
    """What batch norm computes in evaluation mode.

    x             (N, C), N may be 1
    gamma, beta   (C,); running_mean, running_var (C,): what training has left behind
    eps           is added to the variance, inside the root
    Returns an array of shape (N, C).
    """
    return gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta


def cases(rng):
    yield (
        np.array([[3.0, 5.0]]),
        np.array([2.0, 0.5]),
        np.array([1.0, -1.0]),
        np.array([1.0, 7.0]),
        np.array([4.0, 0.25]),
    )
    for rows, features, eps in [(1, 3, 1e-5), (6, 4, 1e-3), (4, 2, 0.1), (9, 5, 1e-5)]:
        scale = rng.uniform(0.3, 3, features)
        yield (
            rng.normal(2, scale, (rows, features)),
            rng.uniform(0.5, 2, features),
            rng.normal(1, 1, features),
            rng.normal(3, 1, features),
            1.5 * scale**2,
            eps,
        )
    yield tuple(rng.uniform(0.5, 2, s).astype(np.float32) for s in [(5, 3), 3, 3, 3, 3])


exercise = Exercise(
    id="eval-mode",
    chapter=7,
    number=3,
    difficulty=1,
    title=Text(ko="평가 모드의 배치 정규화", en="Batch norm in evaluation mode"),
    solution=batch_norm_inference,
    cases=cases,
    hints=[
        Text(
            ko="표본 하나를 따로 넣을 때와 다른 표본과 함께 넣을 때, 그 표본의 출력은 같아야 합니다.",
            en="A sample must give the same output alone and in company.",
        ),
        Text(
            ko="학습할 때와 같은 네 줄입니다. 다만 앞의 두 줄, 곧 평균과 분산을 계산하는 줄이 필요 없습니다.",
            en="The same four lines as in training, except that the first two, "
            "which compute the mean and the variance, are not needed.",
        ),
    ],
)


def affine(x, mean, std, gamma, beta):
    return gamma * (x - mean) / std + beta


@exercise.mistake(
    ko="배치의 통계량으로 정규화했습니다. 이것은 학습 모드입니다. 표본이 하나면 출력이 늘 beta입니다. "
    "입력에 무엇을 넣어도 같은 답이 나옵니다.",
    en="The batch's own statistics are used, as in training. "
    "With a single sample the output is always beta, whatever the input.",
    also=["biased", "unbiased"],
)
def uses_batch_statistics(x, gamma, beta, running_mean, running_var, eps=1e-5, also="biased"):
    count = len(x) if also == "biased" else max(len(x) - 1, 1)
    var = ((x - x.mean(axis=0)) ** 2).sum(axis=0) / count
    return affine(x, x.mean(axis=0), np.sqrt(var + eps), gamma, beta)


@exercise.mistake(
    ko="평균은 저장된 것을 뺐지만 나눌 때는 이 배치의 표준편차를 썼습니다. "
    "표본이 하나면 그 표준편차는 얼마인가요?",
    en="The stored mean is subtracted, but the division uses this batch's standard deviation. "
    "What is that for a single sample?",
)
def mixes_in_the_batch_variance(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return affine(x, running_mean, np.sqrt(x.var(axis=0) + eps), gamma, beta)


@exercise.mistake(
    ko="나눌 때는 저장된 분산을 썼지만 평균은 이 배치의 것을 뺐습니다. 표본이 하나면 무엇이 남나요?",
    en="The division uses the stored variance, but the mean is this batch's own. "
    "What is left of a single sample?",
)
def mixes_in_the_batch_mean(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return affine(x, x.mean(axis=0), np.sqrt(running_var + eps), gamma, beta)


@exercise.mistake(
    ko="저장된 분산을 표준편차처럼 썼습니다. 제곱근이 빠졌습니다.",
    en="The stored variance is used as if it were a standard deviation: the root is missing.",
)
def divides_by_variance(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return affine(x, running_mean, running_var + eps, gamma, beta)


@exercise.mistake(
    ko="eps를 제곱근 밖에서 더했습니다. eps가 0.1이고 분산이 0.25일 때 두 식을 계산해 보세요.",
    en="eps is added outside the root. Work out both formulas for eps = 0.1 and a variance of "
    "0.25.",
)
def eps_outside_the_root(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return affine(x, running_mean, np.sqrt(running_var) + eps, gamma, beta)


@exercise.mistake(
    ko="거의 맞습니다. eps를 쓰지 않았습니다. 학습할 때 분산에 더한 값은 평가할 때도 더해야 같은 층입니다.",
    en="Almost: eps is not used. What was added to the variance in training "
    "must be added here too, or it is another layer.",
)
def forgets_eps(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return affine(x, running_mean, np.sqrt(running_var), gamma, beta)


@exercise.mistake(
    ko="정규화는 맞습니다. 스케일과 이동이 빠졌습니다. gamma와 beta는 학습이 끝난 뒤에도 층의 일부입니다.",
    en="The normalization is right; scale and shift are missing. "
    "gamma and beta stay part of the layer after training.",
)
def forgets_gamma_and_beta(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return (x - running_mean) / np.sqrt(running_var + eps)


@exercise.mistake(
    ko="저장된 평균을 빼지 않았습니다. x와 running_mean에 똑같이 10을 더해도 출력은 그대로여야 합니다.",
    en="The stored mean is not subtracted. "
    "Adding 10 to x and to running_mean alike should leave the output as it is.",
)
def forgets_the_mean(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return affine(x, 0, np.sqrt(running_var + eps), gamma, beta)


@exercise.mistake(
    ko="거의 맞습니다. beta를 더하지 않았습니다. x가 저장된 평균과 같을 때 층은 무엇을 내보내야 하나요?",
    en="Almost: beta is not added. What should the layer give for an x equal to the stored mean?",
)
def forgets_beta(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return affine(x, running_mean, np.sqrt(running_var + eps), gamma, 0)


@exercise.mistake(
    ko="gamma와 beta가 서로 바뀌었습니다. 곱하는 것과 더하는 것이 어느 쪽인지 보세요.",
    en="gamma and beta are swapped. Which one multiplies, and which one is added?",
)
def swaps_gamma_and_beta(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return affine(x, running_mean, np.sqrt(running_var + eps), beta, gamma)


@exercise.mistake(
    ko="저장된 통계량에 이 배치를 먼저 섞었습니다. 평가 모드에서는 이동 통계량을 읽기만 합니다.",
    en="This batch is blended into the stored statistics first. "
    "Evaluation mode only reads the running statistics.",
    momentum=[0.1, 0.9, 0.01],
)
def updates_first(x, gamma, beta, running_mean, running_var, eps=1e-5, momentum=0.1):
    mean = (1 - momentum) * running_mean + momentum * x.mean(axis=0)
    var = (1 - momentum) * running_var + momentum * x.var(axis=0)
    return affine(x, mean, np.sqrt(var + eps), gamma, beta)


@exercise.combine
def combined(
    x,
    gamma,
    beta,
    running_mean,
    running_var,
    eps=1e-5,
    *,
    uses_batch_statistics=False,
    mixes_in_the_batch_variance=False,
    mixes_in_the_batch_mean=False,
    divides_by_variance=False,
    forgets_eps=False,
    eps_outside_the_root=False,
    forgets_gamma_and_beta=False,
):
    takes_var = uses_batch_statistics or mixes_in_the_batch_variance
    takes_mean = uses_batch_statistics or (mixes_in_the_batch_mean and not takes_var)
    mean = x.mean(axis=0) if takes_mean else running_mean
    var = x.var(axis=0) if takes_var else running_var
    eps = 0 if forgets_eps else eps
    std = np.sqrt(var) + eps if eps_outside_the_root else np.sqrt(var + eps)
    std = var + eps if divides_by_variance else std
    return affine(x, mean, std, *((1, 0) if forgets_gamma_and_beta else (gamma, beta)))
