"""1.4 The largest step that does not blow up."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def max_stable_step(x):
    """The learning rate above which gradient descent diverges.

    The loss is f(w) = |x w - y|^2 / (2 N), for any y.

    x  (N, D): N samples, D features
    Returns a number.
    """
    hessian = x.T @ x / len(x)
    return 2 / np.linalg.eigvalsh(hessian)[-1]


def cases(rng):
    yield (np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 1.0]]),)
    for rows, columns in [(8, 3), (20, 5), (6, 2), (50, 4)]:
        scales = 10.0 ** rng.uniform(-1, 2, columns)
        yield (rng.normal(0.5, 1.0, (rows, columns)) * scales,)
    yield (rng.normal(2, 1, (12, 3)).astype(np.float32),)


exercise = Exercise(
    id="max-stable-step",
    chapter=1,
    number=4,
    difficulty=3,
    title=Text(ko="발산하지 않는 가장 큰 스텝", en="The largest step that does not blow up"),
    solution=max_stable_step,
    cases=cases,
    hints=[
        Text(
            ko="이 손실의 헤세 행렬(Hessian)은 w에도 y에도 달려 있지 않습니다. 두 번 미분해 보세요.",
            en="The Hessian of this loss depends on neither w nor y. Differentiate twice.",
        ),
        Text(
            ko="고유벡터 방향 하나에서 오차는 스텝마다 (1 - ηλ)배가 됩니다. "
            "이 수의 크기가 1보다 작으려면 η는 얼마보다 작아야 하나요? 어느 λ가 가장 까다로운가요?",
            en="Along one eigenvector the error is multiplied by (1 - ηλ) at every step. "
            "How small must η be to keep that below 1 in size, and which λ asks for the least?",
        ),
        Text(
            ko="대칭 행렬의 고윳값은 np.linalg.eigvalsh가 작은 것부터 줍니다.",
            en="np.linalg.eigvalsh gives the eigenvalues of a symmetric matrix, smallest first.",
        ),
    ],
)


@exercise.mistake(
    ko="고윳값은 맞게 골랐습니다. 다만 결과가 절반입니다. η = 1/λ에서는 그 방향의 오차가 한 스텝에 0이 됩니다. "
    "발산은 어디서 시작하나요?",
    en="The right eigenvalue, but half the step. At η = 1/λ the error along that direction vanishes in one step. "
    "Where does it start to grow?",
)
def one_over_lambda(x):
    return max_stable_step(x) / 2


@exercise.mistake(
    ko="가장 작은 고윳값을 썼습니다. 그 방향에는 알맞지만, 가장 가파른 방향에서는 오차가 커집니다.",
    en="The smallest eigenvalue is used. The step suits that direction, "
    "but along the steepest one the error grows.",
)
def smallest_eigenvalue(x):
    return 2 / np.linalg.eigvalsh(x.T @ x / len(x))[0]


@exercise.mistake(
    ko="손실에 있는 1/N이 빠졌습니다. 표본을 두 배로 복사해도 손실은 그대로인데, 스텝은 절반이 됩니다.",
    en="The 1/N of the loss is missing. Copy every sample twice: "
    "the loss is the same, but your step is halved.",
)
def forgets_one_over_n(x):
    return 2 / np.linalg.eigvalsh(x.T @ x)[-1]


@exercise.mistake(
    ko="고윳값의 합(대각합)을 썼습니다. 안전하지만 가장 큰 스텝은 아닙니다. 고윳값 하나만 필요합니다.",
    en="The sum of the eigenvalues (the trace) is used. Safe, but not the largest step: "
    "only one eigenvalue counts.",
)
def trace(x):
    return 2 / np.trace(x.T @ x / len(x))


@exercise.mistake(
    ko="x에서 평균을 뺀 공분산을 썼습니다. 손실에는 x가 그대로 들어 있습니다. "
    "평균이 큰 특성에서 두 값이 크게 다릅니다.",
    en="The covariance, with the mean removed, is used, but the loss contains x itself. "
    "For features with a large mean the two are far apart.",
)
def centres_first(x):
    centred = x - x.mean(axis=0)
    return 2 / np.linalg.eigvalsh(centred.T @ centred / len(x))[-1]


@exercise.mistake(
    ko="x의 특잇값을 썼습니다. 헤세 행렬의 고윳값은 특잇값의 제곱을 N으로 나눈 것입니다.",
    en="A singular value of x is used. The Hessian's eigenvalues are its square, divided by N.",
)
def singular_value(x):
    return 2 / np.linalg.svd(x, compute_uv=False)[0]
