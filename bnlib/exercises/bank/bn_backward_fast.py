"""5.2 The backward pass in one line."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def bn_backward_fast(dy, x_hat, inv_std, gamma):
    """The gradient dx of batch normalization, from what the forward pass has kept.

        inv_std = 1 / sqrt(var + eps),   x_hat = (x - mean) * inv_std,   y = gamma * x_hat + beta

    with mean and var over the N samples, and var divided by N. x itself is gone.

    dy, x_hat       (N, C): the gradient of the loss with respect to y, and the normalized values
    inv_std, gamma  (C,)
    Returns dx of shape (N, C). With eps > 0 the variance of x_hat is a little below 1; the result
    is exact all the same.
    """
    dx_hat = dy * gamma
    along_x_hat = x_hat * (dx_hat * x_hat).mean(axis=0)
    return inv_std * (dx_hat - dx_hat.mean(axis=0) - along_x_hat)


def cases(rng):
    x = np.array([[1.0, 10.0], [2.0, 30.0], [6.0, 20.0]])
    dy = np.array([[1.0, -2.0], [3.0, 0.5], [-1.0, 2.0]])
    yield dy, *forward(x, eps=2.0), np.array([2.0, -3.0])
    for rows, columns, eps in [(4, 3, 0.5), (7, 2, 0.1), (5, 6, 0.2)]:
        yield random_inputs(rng, rows, columns, eps)
    yield tuple(array.astype(np.float32) for array in random_inputs(rng, 6, 4, 0.3))


def is_normalized(dy, x_hat, inv_std, gamma):
    """Whether x_hat can come from a batch: mean 0, and a variance that eps keeps below 1."""
    has_mean_0 = np.allclose(x_hat.mean(axis=0), 0, atol=1e-6)
    return len(x_hat) > 1 and has_mean_0 and bool((x_hat.var(axis=0) < 1).all())


def forward(x, eps):
    inv_std = 1 / np.sqrt(x.var(axis=0) + eps)
    return (x - x.mean(axis=0)) * inv_std, inv_std


def random_inputs(rng, rows, columns, eps):
    """dy with a mean, inv_std away from 1, and gamma away from 0 and 1."""
    x = rng.normal(0, rng.uniform(0.3, 3, columns), (rows, columns))
    gamma = rng.uniform(1.3, 3, columns) * rng.permutation(np.resize([1, -1], columns))
    return rng.normal(1, 1, (rows, columns)), *forward(x, eps), gamma


exercise = Exercise(
    id="bn-backward-fast",
    chapter=5,
    number=2,
    difficulty=2,
    title=Text(ko="한 줄로 모은 역전파", en="The backward pass in one line"),
    solution=bn_backward_fast,
    cases=cases,
    accepts=is_normalized,
    hints=[
        Text(
            ko="앞 문제의 dx에 (x - mean)과 분산이 나오는 자리마다 x_hat과 inv_std를 넣어 보세요. "
            "세 항이 남고 모두 inv_std가 곱해져 있습니다.",
            en="Take dx from the exercise before and put in x_hat and inv_std wherever x - mean and the "
            "variance appear. Three terms remain, and all have the factor inv_std.",
        ),
        Text(
            ko="그림으로는 두 번의 빼기입니다. 첫째로 평균을 빼고, 둘째로 x_hat 방향의 성분을 뺍니다. "
            "그 성분의 크기는 x_hat과 곱해서 구한 평균입니다.",
            en="As a picture, two things are taken away: the mean, and the component along x_hat, "
            "whose size is the mean of the product with x_hat.",
        ),
    ],
)


def project(dy, x_hat, inv_std, gamma, mean=1.0, along=1.0):
    """The solution with a factor on each of the terms that are taken away."""
    dx_hat = dy * gamma
    along_x_hat = x_hat * (dx_hat * x_hat).mean(axis=0)
    return inv_std * (dx_hat - mean * dx_hat.mean(axis=0) - along * along_x_hat)


@exercise.mistake(
    ko="평균을 빼지 않았습니다. 결과를 열마다 더해 보세요. x에 같은 수를 더해도 y는 변하지 않으니 "
    "그 합은 얼마여야 할까요?",
    en="The mean is not taken away. Add up each column of your result. "
    "Adding the same number to all x changes no y, so what should that sum be?",
)
def mean_missing(dy, x_hat, inv_std, gamma):
    return project(dy, x_hat, inv_std, gamma, mean=0)


@exercise.mistake(
    ko="x_hat 방향의 성분을 빼지 않았습니다. x를 평균에서 고르게 벌리면 분산도 함께 커져서 "
    "x_hat은 거의 그대로입니다. 그 방향의 기울기는 거의 0이어야 합니다.",
    en="The component along x_hat is not taken away. Stretch x away from its mean and the variance "
    "grows too, so x_hat hardly changes: the gradient in that direction is almost 0.",
)
def x_hat_component_missing(dy, x_hat, inv_std, gamma):
    return project(dy, x_hat, inv_std, gamma, along=0)


@exercise.mistake(
    ko="평균과 분산을 상수로 보았습니다. 곧은 길 하나만 남고, 빼야 할 두 항이 모두 빠졌습니다.",
    en="Mean and variance are taken for constants. Only the direct path is left; "
    "both terms to be taken away are missing.",
)
def statistics_as_constants(dy, x_hat, inv_std, gamma):
    return project(dy, x_hat, inv_std, gamma, mean=0, along=0)


@exercise.mistake(
    ko="평균이 있어야 할 자리에 합이 있습니다. 표본을 두 배로 복사하면 빼는 항도 두 배가 되나요?",
    en="There is a sum where a mean should be. Copy every sample twice: "
    "should what you take away double?",
    term=["both", "mean", "along"],
)
def sum_instead_of_mean(dy, x_hat, inv_std, gamma, term="both"):
    mean, along = (float(len(dy)) if term in ("both", name) else 1.0 for name in ("mean", "along"))
    return project(dy, x_hat, inv_std, gamma, mean, along)


@exercise.mistake(
    ko="모양은 같지만 모두 N배 큽니다. N을 곱해서 모은 식이라면 마지막에 1/N이 있어야 합니다.",
    en="Right up to a factor N. If you collected the terms over a common N, "
    "a 1/N is due at the end.",
)
def n_times_too_large(dy, x_hat, inv_std, gamma):
    return bn_backward_fast(dy, x_hat, inv_std, gamma) * len(dy)


@exercise.mistake(
    ko="빼야 할 항의 부호가 반대입니다. 기울기에서 없애야 할 성분이 두 배가 되었습니다.",
    en="A term has the wrong sign: what should vanish from the gradient is doubled.",
    term=["both", "mean", "along"],
)
def wrong_sign(dy, x_hat, inv_std, gamma, term="both"):
    mean, along = (-1.0 if term in ("both", name) else 1.0 for name in ("mean", "along"))
    return project(dy, x_hat, inv_std, gamma, mean, along)


@exercise.mistake(
    ko="gamma가 빠졌습니다. 들어온 것은 y의 기울기이고, y는 x_hat의 gamma배입니다.",
    en="gamma is missing. What comes in is the gradient of y, and y is gamma times x_hat.",
)
def forgets_gamma(dy, x_hat, inv_std, gamma):
    return bn_backward_fast(dy, x_hat, inv_std, np.ones_like(gamma))


@exercise.mistake(
    ko="gamma를 세 항 가운데 일부에만 곱했습니다. gamma는 모든 항에 똑같이 들어 있습니다.",
    en="gamma multiplies some of the three terms only. It belongs to all of them alike.",
    terms=["direct", "direct and mean", "direct and along"],
)
def gamma_on_some_terms(dy, x_hat, inv_std, gamma, terms="direct"):
    mean = (dy * gamma if "mean" in terms else dy).mean(axis=0)
    along = x_hat * ((dy * gamma if "along" in terms else dy) * x_hat).mean(axis=0)
    return inv_std * (dy * gamma - mean - along)


@exercise.mistake(
    ko="inv_std가 빠졌습니다. 퍼짐이 100인 특성에서 x를 1만큼 밀면 x_hat은 얼마나 움직이나요?",
    en="inv_std is missing. In a feature with a spread of 100, nudge x by 1: "
    "how far does x_hat move?",
)
def forgets_inv_std(dy, x_hat, inv_std, gamma):
    return bn_backward_fast(dy, x_hat, np.ones_like(inv_std), gamma)


@exercise.mistake(
    ko="inv_std를 일부 항에만 곱했습니다. 세 항의 단위가 서로 다릅니다.",
    en="inv_std multiplies some of the terms only, so the three terms differ in their units.",
    terms=["direct", "direct and mean"],
)
def inv_std_on_some_terms(dy, x_hat, inv_std, gamma, terms="direct"):
    dx_hat = dy * gamma
    mean = dx_hat.mean(axis=0) * (inv_std if "mean" in terms else 1)
    return inv_std * dx_hat - mean - x_hat * (dx_hat * x_hat).mean(axis=0)


@exercise.mistake(
    ko="inv_std로 나누었습니다. inv_std는 이미 표준편차의 역수입니다.",
    en="You divide by inv_std, which is one over the standard deviation already.",
)
def divides_by_inv_std(dy, x_hat, inv_std, gamma):
    return bn_backward_fast(dy, x_hat, 1 / inv_std, gamma)


@exercise.mistake(
    ko="셋째 항에서 마지막에 곱할 x_hat이 빠졌습니다. 지금은 모든 표본에서 같은 수를 뺍니다. "
    "평균에서 먼 표본일수록 더 많이 빼야 하지 않나요?",
    en="In the third term the last factor x_hat is missing, so every sample loses the same number. "
    "Should a sample further from the mean not lose more?",
)
def no_direction(dy, x_hat, inv_std, gamma):
    dx_hat = dy * gamma
    return inv_std * (dx_hat - dx_hat.mean(axis=0) - (dx_hat * x_hat).mean(axis=0))


@exercise.mistake(
    ko="x_hat 방향의 성분을 남김없이 뺐습니다. eps가 있으면 x_hat의 분산이 1보다 조금 작고, "
    "그 방향으로도 기울기가 조금 남습니다.",
    en="The component along x_hat is taken away entirely. With eps the variance of x_hat is "
    "a little below 1, and a little of the gradient remains in that direction.",
)
def projects_entirely(dy, x_hat, inv_std, gamma):
    dx_hat = dy * gamma
    size = (dx_hat * x_hat).sum(axis=0) / (x_hat**2).sum(axis=0)
    return inv_std * (dx_hat - dx_hat.mean(axis=0) - x_hat * size)


@exercise.mistake(
    ko="축이 바뀌었습니다. 표본마다 특성들의 평균을 구했습니다. 배치 정규화에서 함께 움직이는 것은 "
    "같은 특성의 표본들입니다.",
    en="The axis is swapped: the means run over the features of a sample. "
    "In batch normalization the samples of a feature move together.",
)
def wrong_axis(dy, x_hat, inv_std, gamma):
    dx_hat = dy * gamma
    along = x_hat * (dx_hat * x_hat).mean(axis=1, keepdims=True)
    return inv_std * (dx_hat - dx_hat.mean(axis=1, keepdims=True) - along)


@exercise.mistake(
    ko="평균을 배열 전체에서 구했습니다. 특성마다 따로 구해야 합니다.",
    en="The means run over the whole array. Each feature needs its own.",
)
def whole_array(dy, x_hat, inv_std, gamma):
    dx_hat = dy * gamma
    return inv_std * (dx_hat - dx_hat.mean() - x_hat * (dx_hat * x_hat).mean())


@exercise.combine
def combined(
    dy,
    x_hat,
    inv_std,
    gamma,
    *,
    statistics_as_constants=False,
    mean_missing=False,
    x_hat_component_missing=False,
    sum_instead_of_mean=False,
    wrong_sign=False,
    projects_entirely=False,
    forgets_gamma=False,
    forgets_inv_std=False,
    divides_by_inv_std=False,
    n_times_too_large=False,
):
    factor = (-1.0 if wrong_sign else 1.0) * (len(dy) if sum_instead_of_mean else 1)
    mean = 0.0 if mean_missing or statistics_as_constants else factor
    along = factor / (x_hat**2).mean(axis=0) if projects_entirely else factor
    if statistics_as_constants or (x_hat_component_missing and not mean_missing):
        along = 0.0
    if forgets_inv_std or divides_by_inv_std:
        inv_std = np.ones_like(inv_std) if forgets_inv_std else 1 / inv_std
    gamma = np.ones_like(gamma) if forgets_gamma else gamma
    dx = project(dy, x_hat, inv_std, gamma, mean, along)
    return dx * len(dy) if n_times_too_large else dx
