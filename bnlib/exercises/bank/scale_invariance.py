"""4.4 Weights a hundred times as large, and the same output."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def absorb_scale(scale, gamma, eps):
    """Change gamma and eps so that rescaled weights make no difference.

    A linear layer is followed by batch normalization, and neither has a bias:

        x = u W,   y = gamma * (x - mean) / sqrt(var + eps)

    Now feature j of x comes out scale[j] times as large, since column j of W was multiplied by it.
    Find the gamma and the eps, one for each feature, for which y is the same as before: exactly,
    for every mini-batch u.

    scale  (C,): no entry is 0, some may be negative
    gamma  (C,): before the change
    eps    a number > 0: before the change
    Returns the new gamma of shape (C,), and the new eps of shape (C,), positive.
    """
    return gamma * np.sign(scale), eps * scale**2


def cases(rng):
    yield np.array([2.0, -3.0]), np.array([1.5, 0.7]), 0.1
    for columns in (3, 5, 4):
        signs = rng.permutation(np.resize([1, -1], columns))
        scale = signs * rng.choice([rng.uniform(0.1, 0.8), rng.uniform(1.3, 9)], columns)
        yield scale, rng.uniform(1.2, 3, columns) * rng.choice([1, -1], columns), 10**-columns
    yield np.array([-0.5, 3.0, 0.25], np.float32), np.array([2.0, 0.5, -1.5], np.float32), 0.2


exercise = Exercise(
    id="scale-invariance",
    chapter=4,
    number=4,
    difficulty=3,
    title=Text(ko="가중치의 크기는 어디로 갔나", en="Where did the size of the weights go?"),
    solution=absorb_scale,
    cases=cases,
    hints=[
        Text(
            ko="eps = 0이라고 생각하고 시작하세요. x를 3배로 하면 평균은 몇 배가 되고 표준편차는 몇 배가 되나요? "
            "-3배로 하면요?",
            en="Begin with eps = 0. Multiply x by 3: by how much does the mean grow, "
            "and the standard deviation? And by -3?",
        ),
        Text(
            ko="이제 eps를 생각합니다. 분산이 a²배가 되었는데 eps가 그대로라면 둘의 비율이 달라집니다.",
            en="Now eps. If the variance is a² times as large and eps is not, "
            "their ratio has changed.",
        ),
        Text(
            ko="작은 배치를 하나 만들어 전과 후의 y를 비교해 보세요. 두 값의 차이가 1e-15 정도여야 합니다.",
            en="Make a small batch and compare y before and after: they should agree to about 1e-15.",
        ),
    ],
)


@exercise.mistake(
    ko="gamma에서 음수 배율을 놓쳤습니다. 표준편차는 음수가 되지 않으므로 "
    "x의 부호가 뒤집히면 y의 부호도 뒤집힙니다. 무엇이 그것을 되돌릴 수 있나요?",
    en="gamma overlooks a negative scale. A standard deviation is never negative, "
    "so when x changes sign, y does too. What can turn it back?",
)
def forgets_the_sign(scale, gamma, eps):
    return gamma, eps * scale**2


@exercise.mistake(
    ko="gamma는 맞습니다. eps를 그대로 두었습니다. 배율이 작으면 분산이 eps보다 작아져서 y가 0으로 눌립니다. "
    "배율이 0.001일 때를 계산해 보세요.",
    en="gamma is right, but eps stays as it was. With a small scale the variance falls below eps "
    "and y is squashed to 0. Work it out for a scale of 0.001.",
)
def eps_unchanged(scale, gamma, eps):
    return gamma * np.sign(scale), eps * np.ones_like(scale)


@exercise.mistake(
    ko="아무것도 바꾸지 않았습니다. eps = 0이고 배율이 모두 양수라면 그것이 정답입니다. "
    "이 문제에는 eps가 있고 음수 배율도 있습니다.",
    en="Nothing is changed. That is right for eps = 0 and positive scales; "
    "here there is an eps, and a scale may be negative.",
)
def changes_nothing(scale, gamma, eps):
    return gamma, eps * np.ones_like(scale)


@exercise.mistake(
    ko="gamma는 맞습니다. eps를 배율의 크기만큼만 곱했습니다. eps가 제곱근 밖에 있다면 맞습니다. "
    "eps는 무엇에 더해지고, 그것은 몇 배가 되었나요?",
    en="gamma is right. eps is multiplied by the size of the scale, as if it stood outside the "
    "square root. What is eps added to, and by how much did that grow?",
    signed=[False, True],
)
def eps_grows_like_the_scale(scale, gamma, eps, signed=False):
    return gamma * np.sign(scale), eps * (scale if signed else np.abs(scale))


@exercise.mistake(
    ko="gamma는 맞습니다. eps의 방향이 반대입니다. x가 커지면 분산도 커집니다. "
    "비율을 지키려면 eps는 커져야 하나요, 작아져야 하나요?",
    en="gamma is right, eps goes the wrong way. A larger x has a larger variance. "
    "To keep the ratio, does eps have to grow or shrink?",
)
def eps_shrinks(scale, gamma, eps):
    return gamma * np.sign(scale), eps / scale**2


@exercise.mistake(
    ko="gamma를 배율로 나누었습니다. 통계량이 상수라면 맞습니다. 그러나 학습할 때의 평균과 표준편차는 "
    "x와 함께 커집니다. 배율이 얼마나 y까지 오나요?",
    en="gamma is divided by the scale. That would be right for constant statistics, but in training "
    "mean and standard deviation grow along with x. How much of the scale reaches y?",
    eps_power=[2, 0],
)
def divides_gamma(scale, gamma, eps, eps_power=2):
    return gamma / scale, eps * scale**eps_power


@exercise.mistake(
    ko="gamma에 배율을 곱했습니다. 그러면 배율이 y에 나타납니다. 배율이 100이면 y도 100배가 되나요?",
    en="gamma is multiplied by the scale, which brings the scale into y. "
    "With a scale of 100, should y be 100 times as large?",
    eps_power=[2, 0],
)
def multiplies_gamma(scale, gamma, eps, eps_power=2):
    return gamma * scale, eps * scale**eps_power


@exercise.mistake(
    ko="gamma의 부호를 모두 버렸습니다. 바꿀 것은 배율의 부호뿐입니다. 원래의 gamma도 음수일 수 있습니다.",
    en="gamma loses its own sign. Only the sign of the scale has to be made up for; "
    "gamma may have been negative before.",
)
def drops_the_sign_of_gamma(scale, gamma, eps):
    return np.abs(gamma) * np.sign(scale), eps * scale**2


@exercise.combine
def combined(
    scale,
    gamma,
    eps,
    *,
    forgets_the_sign=False,
    drops_the_sign_of_gamma=False,
    eps_unchanged=False,
    eps_grows_like_the_scale=False,
    eps_shrinks=False,
):
    gamma = np.abs(gamma) if drops_the_sign_of_gamma else gamma
    gamma = gamma if forgets_the_sign else gamma * np.sign(scale)
    if eps_unchanged and not forgets_the_sign:  # both together are changes_nothing
        return gamma, eps * np.ones_like(scale)
    growth = np.abs(scale) if eps_grows_like_the_scale else scale**2
    return gamma, eps / growth if eps_shrinks else eps * growth
