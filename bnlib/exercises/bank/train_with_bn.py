"""6.1 One training step of a network with batch norm."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def train_step(x, labels, lr, w1, gamma, beta, w2, b2):
    """One step of gradient descent for a network with one batch-normalized hidden layer.

        x @ w1 -> batch norm (gamma, beta) -> sigmoid -> @ w2 + b2 -> softmax

    x       (N, D); labels (N,): integers from 0 to K - 1
    lr      learning rate
    w1      (D, H); gamma (H,); beta (H,); w2 (H, K); b2 (K,)
    The batch norm is in training mode: statistics of this batch, biased variance, eps = 1e-5
    inside the root. The loss is the mean over the batch of -log(probability of the label).
    Returns the new w1, gamma, beta, w2, b2; the arrays passed in stay as they are.
    """
    z = x @ w1
    inv_std = 1 / np.sqrt(z.var(axis=0) + 1e-5)
    x_hat = (z - z.mean(axis=0)) * inv_std
    h = 1 / (1 + np.exp(-(gamma * x_hat + beta)))
    logits = h @ w2 + b2
    dlogits = np.exp(logits - logits.max(axis=1, keepdims=True))
    dlogits /= dlogits.sum(axis=1, keepdims=True)
    dlogits[np.arange(len(x)), labels] -= 1
    dlogits /= len(x)

    dy = dlogits @ w2.T * h * (1 - h)
    dx_hat = dy * gamma
    dz = inv_std * (dx_hat - dx_hat.mean(axis=0) - x_hat * (dx_hat * x_hat).mean(axis=0))
    return (
        w1 - lr * x.T @ dz,
        gamma - lr * (dy * x_hat).sum(axis=0),
        beta - lr * dy.sum(axis=0),
        w2 - lr * h.T @ dlogits,
        b2 - lr * dlogits.sum(axis=0),
    )


def cases(rng):
    for rows, inputs, hidden, classes, lr in [
        (4, 2, 3, 2, 1.0),
        (7, 5, 4, 3, 0.5),
        (12, 3, 2, 5, 3.0),
    ]:
        yield (
            rng.normal(1, 2, (rows, inputs)),
            rng.integers(0, classes, rows),
            lr,
            rng.normal(0, 1, (inputs, hidden)),
            rng.uniform(0.5, 2.0, hidden),
            rng.normal(0.5, 1, hidden),
            rng.normal(0, 1, (hidden, classes)),
            rng.normal(0, 1, classes),
        )


exercise = Exercise(
    id="train-with-bn",
    chapter=6,
    number=1,
    difficulty=2,
    title=Text(ko="배치 정규화로 한 스텝 학습하기", en="One training step with batch norm"),
    solution=train_step,
    cases=cases,
    hints=[
        Text(
            ko="순전파를 먼저 끝까지 쓰고, 역전파에서 다시 쓸 값에 이름을 붙이세요. "
            "정규화한 값, 표준편차의 역수, 시그모이드의 출력이 필요합니다.",
            en="Write the forward pass to its end first and name what the way back needs: "
            "the normalized values, the inverse standard deviation, the sigmoid's output.",
        ),
        Text(
            ko="소프트맥스와 교차 엔트로피를 함께 미분하면 로짓의 기울기는 확률에서 정답 자리만 1을 뺀 값입니다. "
            "손실이 평균이므로 N으로 한 번, 이 자리에서만 나눕니다.",
            en="For softmax and cross-entropy together, the gradient of the logits is the "
            "probabilities "
            "minus 1 at the label. The loss is a mean, so divide by N: once, and here.",
        ),
        Text(
            ko="배치 정규화의 역전파는 5장에서 만든 세 항짜리 식입니다. 파라미터는 기울기를 모두 구한 뒤에 갱신하세요.",
            en="The backward pass of batch norm is the three-term formula of chapter 5. "
            "Update the parameters only after all the gradients are known.",
        ),
    ],
)


def gradients(
    x,
    labels,
    w1,
    gamma,
    beta,
    w2,
    b2,
    axis=0,
    ddof=0,
    std=lambda var: np.sqrt(var + 1e-5),
    statistics_are_constants=False,
    gamma_back=None,
    slope=lambda h: h * (1 - h),
    w2_back=None,
):
    """The gradients of the solution; each keyword puts one mistake into them."""
    z = x @ w1
    inv_std = 1 / std(z.var(axis=axis, ddof=ddof, keepdims=True))
    x_hat = (z - z.mean(axis=axis, keepdims=True)) * inv_std
    h = 1 / (1 + np.exp(-(gamma * x_hat + beta)))
    logits = h @ w2 + b2
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    dlogits = (odds / odds.sum(axis=1, keepdims=True) - np.eye(len(b2))[labels]) / len(x)

    dy = dlogits @ (w2 if w2_back is None else w2_back).T * slope(h)
    dz = dx_hat = dy * (gamma if gamma_back is None else gamma_back)
    if not statistics_are_constants:
        along_x_hat = (dx_hat * x_hat).mean(axis=axis, keepdims=True)
        dz = dx_hat - dx_hat.mean(axis=axis, keepdims=True) - x_hat * along_x_hat
    return (
        x.T @ (dz * inv_std),
        (dy * x_hat).sum(axis=0),
        dy.sum(axis=0),
        h.T @ dlogits,
        dlogits.sum(axis=0),
    )


def updated(parameters, steps):
    return tuple(parameter - step for parameter, step in zip(parameters, steps, strict=True))


@exercise.mistake(
    ko="배치의 평균과 분산을 상수로 보고 역전파했습니다. w1의 갱신만 틀렸습니다. "
    "z[0]을 조금 움직이면 다른 표본의 출력도 움직이나요?",
    en="The way back treats the batch's mean and variance as constants: only w1 is wrong. "
    "If z[0] moves a little, do the outputs of the other samples move too?",
)
def statistics_are_constants(x, labels, lr, *parameters):
    slopes = gradients(x, labels, *parameters, statistics_are_constants=True)
    return updated(parameters, [lr * slope for slope in slopes])


@exercise.mistake(
    ko="부호가 반대입니다. 이 스텝을 되풀이하면 손실이 커집니다. 스텝 앞뒤의 손실을 비교해 보세요.",
    en="The sign is reversed: repeat this step and the loss grows. "
    "Compare the loss before and after.",
)
def climbs_the_loss(x, labels, lr, *parameters):
    return updated(parameters, [-lr * slope for slope in gradients(x, labels, *parameters)])


@exercise.mistake(
    ko="손실의 평균이 아니라 합을 미분했습니다. 같은 표본을 두 번씩 넣으면 스텝이 두 배가 됩니다. "
    "배치 크기를 바꿀 때마다 학습률도 바꿔야 합니다.",
    en="This is the gradient of the sum of the losses, not of their mean. "
    "Put every sample in twice and the step doubles: the learning rate then depends on batch size.",
)
def sums_over_the_batch(x, labels, lr, *parameters):
    return train_step(x, labels, lr * len(x), *parameters)


@exercise.mistake(
    ko="gamma와 beta의 기울기를 배치로 한 번 더 평균했습니다. "
    "손실을 평균할 때 이미 N으로 나누었습니다. 표본들의 기울기를 이제 어떻게 모아야 하나요?",
    en="The gradients of gamma and beta are averaged over the batch once more. "
    "The loss has already been divided by N. How should the samples' shares be put together now?",
)
def averages_twice(x, labels, lr, *parameters):
    dw1, dgamma, dbeta, dw2, db2 = gradients(x, labels, *parameters)
    slopes = [dw1, dgamma / len(x), dbeta / len(x), dw2, db2]
    return updated(parameters, [lr * slope for slope in slopes])


@exercise.mistake(
    ko="gamma와 beta가 그대로입니다. 통계량은 배치에서 계산하지만 이 둘은 학습하는 파라미터입니다.",
    en="gamma and beta have not moved. The statistics come from the batch, "
    "but these two are parameters and are learned.",
)
def freezes_gamma_and_beta(x, labels, lr, w1, gamma, beta, w2, b2):
    new_w1, _, _, new_w2, new_b2 = train_step(x, labels, lr, w1, gamma, beta, w2, b2)
    return new_w1, gamma, beta, new_w2, new_b2


@exercise.mistake(
    ko="w2를 먼저 갱신하고, 새 w2로 아래층의 기울기를 구했습니다. "
    "w2와 b2는 맞고 그 아래가 조금씩 틀렸습니다. 기울기는 모두 갱신 전의 한 점에서 구해야 합니다.",
    en="w2 is updated first, and the layers below get their gradients through the new w2. "
    "All gradients belong to one point: the one before the step.",
)
def updates_w2_too_early(x, labels, lr, *parameters):
    new_w2 = train_step(x, labels, lr, *parameters)[3]
    slopes = gradients(x, labels, *parameters, w2_back=new_w2)
    return updated(parameters, [lr * slope for slope in slopes])


@exercise.mistake(
    ko="w2와 b2는 맞습니다. 그 아래에서 시그모이드의 도함수가 빠졌습니다. 포화된 유닛도 큰 기울기를 받습니다.",
    en="w2 and b2 are right. Below them the derivative of the sigmoid is missing, "
    "so even a saturated unit gets a large gradient.",
)
def forgets_the_sigmoid(x, labels, lr, *parameters):
    slopes = gradients(x, labels, *parameters, slope=np.ones_like)
    return updated(parameters, [lr * slope for slope in slopes])


@exercise.mistake(
    ko="w1만 틀렸습니다. 역전파가 gamma를 건너뛰었습니다. "
    "순전파에서 gamma를 곱했다면 되돌아오는 길에는 무엇을 곱해야 하나요?",
    en="Only w1 is wrong: the way back skips gamma. "
    "If the forward pass multiplies by gamma, what does the backward pass multiply by?",
)
def forgets_gamma_on_the_way_back(x, labels, lr, w1, gamma, *others):
    slopes = gradients(x, labels, w1, gamma, *others, gamma_back=np.ones_like(gamma))
    return updated((w1, gamma, *others), [lr * slope for slope in slopes])


@exercise.mistake(
    ko="축이 바뀌었습니다. 지금은 표본 하나의 은닉 유닛들로 평균을 구합니다. 그것은 층 정규화입니다. "
    "x @ w1의 모양이 (4, 3)이면 평균은 몇 개인가요?",
    en="The axis is swapped: the mean is taken over the hidden units of one sample, "
    "which is layer normalization. If x @ w1 has shape (4, 3), how many means are there?",
)
def normalizes_each_sample(x, labels, lr, *parameters):
    slopes = gradients(x, labels, *parameters, axis=1)
    return updated(parameters, [lr * slope for slope in slopes])


@exercise.mistake(
    ko="거의 맞습니다. eps를 제곱근 밖에서 더했거나 쓰지 않았습니다. 분산에 eps를 더한 다음 제곱근을 구합니다.",
    en="Almost: eps is added outside the root, or not used. It is added to the variance, before the root.",
    std=[np.sqrt, lambda var: np.sqrt(var) + 1e-5],
)
def eps_elsewhere(x, labels, lr, *parameters, std):
    slopes = gradients(x, labels, *parameters, std=std)
    return updated(parameters, [lr * slope for slope in slopes])


@exercise.mistake(
    ko="분산을 N이 아니라 N-1로 나누었습니다. 정규화에는 편향 분산을 씁니다.",
    en="The variance divides by N-1 instead of N. Normalization uses the biased variance.",
)
def ddof_1(x, labels, lr, *parameters):
    slopes = gradients(x, labels, *parameters, ddof=1)
    return updated(parameters, [lr * slope for slope in slopes])


@exercise.combine
def combined(
    x,
    labels,
    lr,
    *parameters,
    statistics_are_constants=False,
    climbs_the_loss=False,
    sums_over_the_batch=False,
    averages_twice=False,
    freezes_gamma_and_beta=False,
    forgets_the_sigmoid=False,
    forgets_gamma_on_the_way_back=False,
    normalizes_each_sample=False,
):
    changes = {"axis": int(normalizes_each_sample)}
    if forgets_the_sigmoid:
        changes["slope"] = np.ones_like
    if forgets_gamma_on_the_way_back:
        changes["gamma_back"] = np.ones_like(parameters[1])
    dw1, dgamma, dbeta, dw2, db2 = gradients(
        x, labels, *parameters, statistics_are_constants=statistics_are_constants, **changes
    )
    share = 0 if freezes_gamma_and_beta else 1 / len(x) if averages_twice else 1
    slopes = [dw1, share * dgamma, share * dbeta, dw2, db2]
    lr = lr * (-1 if climbs_the_loss else 1) * (len(x) if sums_over_the_batch else 1)
    return updated(parameters, [lr * slope for slope in slopes])
