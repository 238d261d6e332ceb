"""10.3 Santurkar's bound on the gradient in front of a batch normalization layer."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def gradient_norm_bound(y, g, gamma):
    """The right side of Theorem 4.1, one number for each activation j.

        gamma_j^2 / sigma_j^2 * (|g_j|^2 - <1, g_j>^2 / m - <g_j, y_hat_j>^2 / m)

    y      (m, C): a batch of m samples of C activations, the input of batch normalization
    g      (m, C): the gradient of the loss with respect to the layer's output, which the theorem
           takes to be that of the same network without the layer; g_j is column j
    gamma  (C,)
    sigma_j is the standard deviation of column j of y (divided by m, no eps) and y_hat_j the
    column with its mean removed, divided by sigma_j. <a, b> is the dot product over the batch.
    Returns (C,): how large the squared norm of the gradient with respect to y_j can be.
    Source: Santurkar et al. 2018, Theorem 4.1.
    """
    sigma = y.std(axis=0)
    y_hat = (y - y.mean(axis=0)) / sigma
    along_ones = g.sum(axis=0) ** 2 / len(y)
    along_y_hat = (g * y_hat).sum(axis=0) ** 2 / len(y)
    return (gamma / sigma) ** 2 * ((g**2).sum(axis=0) - along_ones - along_y_hat)


def cases(rng):
    y = np.array([[1.0, 10.0], [2.0, 40.0], [6.0, 20.0], [3.0, 30.0]])
    g = np.array([[2.0, 1.0], [0.0, 5.0], [1.0, -1.0], [4.0, 2.0]])
    yield y, g, np.array([2.0, 30.0])
    for samples, activations in [(5, 3), (3, 4), (9, 2), (6, 1)]:
        scale = 10.0 ** rng.uniform(-1, 1, activations)
        yield (
            rng.normal(2 * scale, scale, (samples, activations)),
            rng.normal(0.7, 1, (samples, activations)),
            rng.normal(1.5, 0.3, activations),
        )


def accepts(y, g, gamma):
    return len(y) > 2  # of two samples nothing is left in the bracket


exercise = Exercise(
    id="theorem-4-1",
    chapter=10,
    number=3,
    difficulty=2,
    title=Text(ko="정리 4.1의 오른쪽 항", en="The right side of Theorem 4.1"),
    solution=gradient_norm_bound,
    cases=cases,
    accepts=accepts,
    hints=[
        Text(
            ko="빼는 두 항은 모두 내적의 제곱입니다. 먼저 배치를 따라 더해 수 하나를 만들고, 그다음에 제곱합니다.",
            en="Both terms taken away are squares of dot products: "
            "first sum over the batch to one number, then square.",
        ),
        Text(
            ko="모든 원소가 1인 벡터와 y_hat은 둘 다 길이가 √m이고 서로 수직입니다. "
            "그래서 두 항은 g에서 두 방향의 성분을 없앨 때 줄어드는 길이의 제곱입니다.",
            en="The vector of ones and y_hat both have length √m, and they are perpendicular. "
            "So the two terms are what |g|² loses when those two components are removed.",
        ),
        Text(
            ko="5장의 역전파(eps는 0)로 y의 기울기를 구하고 열마다 제곱합을 내 보세요. "
            "g가 같을 때 그 값은 이 오른쪽 항과 같습니다.",
            en="Send g back through batch normalization as in chapter 5, with eps 0, and square and sum "
            "each column: for the same g you get this right side exactly.",
        ),
    ],
)


def terms(y, g, ddof=0):
    """sigma, |g|^2 and the two terms to take away."""
    sigma = y.std(axis=0, ddof=ddof)
    y_hat = (y - y.mean(axis=0)) / sigma
    ones, along = g.sum(axis=0) ** 2 / len(y), (g * y_hat).sum(axis=0) ** 2 / len(y)
    return sigma, (g**2).sum(axis=0), ones, along


@exercise.mistake(
    ko="빼야 할 항 가운데 <1, g>가 있는 항이 없습니다. 역전파에서 평균을 지나는 길이 만드는 항입니다. "
    "g의 모든 원소가 같으면 이 열의 한계는 얼마여야 하나요?",
    en="The term with <1, g> is missing: it is what the path through the mean takes away. "
    "What should the bound be when all entries of g are equal?",
)
def forgets_the_mean_term(y, g, gamma):
    sigma, square, _, along = terms(y, g)
    return (gamma / sigma) ** 2 * (square - along)


@exercise.mistake(
    ko="빼야 할 항 가운데 <g, y_hat>이 있는 항이 없습니다. 역전파에서 분산을 지나는 길이 만드는 항입니다. "
    "g가 y_hat과 같으면 이 열의 한계는 얼마여야 하나요?",
    en="The term with <g, y_hat> is missing: it is what the path through the variance takes away. "
    "What should the bound be when g equals y_hat?",
)
def forgets_the_projection_term(y, g, gamma):
    sigma, square, ones, _ = terms(y, g)
    return (gamma / sigma) ** 2 * (square - ones)


@exercise.mistake(
    ko="스케일 γ²/σ²만 남았습니다. 평균과 분산을 상수로 보면 이렇게 됩니다. "
    "정리가 말하는 이득은 괄호 안에서 빼는 두 항에 있습니다.",
    en="Only the scale γ²/σ² is left, as if mean and variance were constants. "
    "What the theorem adds is the two terms taken away inside the bracket.",
)
def statistics_are_constants(y, g, gamma):
    sigma, square, _, _ = terms(y, g)
    return (gamma / sigma) ** 2 * square


@exercise.mistake(
    ko="두 항을 더했습니다. 배치 정규화는 기울기에서 성분을 없앱니다. 그러면 길이가 늘까요, 줄까요?",
    en="The two terms are added. Batch normalization removes components from the gradient: "
    "does that make it longer or shorter?",
)
def adds_the_terms(y, g, gamma):
    sigma, square, ones, along = terms(y, g)
    return (gamma / sigma) ** 2 * (square + ones + along)


@exercise.mistake(
    ko="빼는 두 항을 m으로 나누지 않았습니다. 1만 있는 벡터의 길이는 √m이므로, 그 방향의 성분을 재려면 나누어야 합니다. "
    "한계가 음수가 되는 열이 있나요?",
    en="The two terms are not divided by m. The vector of ones has length √m, "
    "so the component along it needs that division. Does any bound come out negative?",
)
def forgets_one_over_m(y, g, gamma):
    sigma, square, ones, along = terms(y, g)
    return (gamma / sigma) ** 2 * (square - len(y) * (ones + along))


@exercise.mistake(
    ko="마지막 항을 m이 아니라 √m으로 나누었습니다. y_hat의 길이를 재 보세요. "
    "g가 y_hat과 같을 때 한계가 음수가 되면 안 됩니다.",
    en="The last term is divided by √m, not m. Measure the length of y_hat: "
    "with g equal to y_hat, your bound becomes negative.",
)
def one_over_root_m(y, g, gamma):
    sigma, square, ones, along = terms(y, g)
    return (gamma / sigma) ** 2 * (square - ones - along * np.sqrt(len(y)))


@exercise.mistake(
    ko="내적을 구하기 전에 제곱했습니다. 원소마다 제곱한 다음 더한 값과, 더한 다음 제곱한 값은 다릅니다.",
    en="The squares are taken before the sums. "
    "A sum of squares is not the square of a sum, and a dot product is a sum.",
)
def squares_before_summing(y, g, gamma):
    sigma = y.std(axis=0)
    y_hat = (y - y.mean(axis=0)) / sigma
    removed = ((g**2).sum(axis=0) + ((g * y_hat) ** 2).sum(axis=0)) / len(y)
    return (gamma / sigma) ** 2 * ((g**2).sum(axis=0) - removed)


@exercise.mistake(
    ko="<g, y_hat>에 표준화하지 않은 y를 넣었습니다. y의 단위를 cm에서 m로 바꾸면 괄호 안은 그대로여야 합니다.",
    en="The dot product uses y as it came, not standardized. "
    "Change the unit of y from cm to m: the bracket should stay the same.",
)
def projects_onto_raw_y(y, g, gamma):
    sigma, square, ones, _ = terms(y, g)
    return (gamma / sigma) ** 2 * (square - ones - (g * y).sum(axis=0) ** 2 / len(y))


@exercise.mistake(
    ko="<g, y_hat>에 평균만 뺀 y를 넣었습니다. 표준편차로도 나누어야 길이가 √m이 됩니다.",
    en="The dot product uses y with only its mean removed. "
    "Its length is √m only after the division by the standard deviation.",
)
def projects_onto_centred_y(y, g, gamma):
    sigma, square, ones, along = terms(y, g)
    return (gamma / sigma) ** 2 * (square - ones - along * sigma**2)


@exercise.mistake(
    ko="괄호 안은 맞습니다. γ를 제곱하지 않았습니다. 왼쪽 항이 길이의 제곱이라는 것을 떠올려 보세요.",
    en="The bracket is right, but γ is not squared. The left side is a squared length.",
)
def gamma_not_squared(y, g, gamma):
    return gradient_norm_bound(y, g, gamma) / gamma


@exercise.mistake(
    ko="괄호 안은 맞습니다. σ를 제곱하지 않았습니다. y의 단위를 바꾸면 기울기의 제곱은 단위의 제곱만큼 바뀝니다.",
    en="The bracket is right, but σ is not squared. "
    "A squared gradient changes with the square of the unit of y.",
)
def sigma_not_squared(y, g, gamma):
    return gradient_norm_bound(y, g, gamma) * y.std(axis=0)


@exercise.mistake(
    ko="γ와 σ를 곱하지 않고 괄호 안만 돌려주었습니다. 활성값의 퍼짐이 클수록 기울기가 줄어드는 효과가 빠졌습니다.",
    en="Only the bracket is returned, without γ and σ. "
    "That leaves out that a wider spread of activations makes the gradient smaller.",
)
def forgets_the_scale(y, g, gamma):
    return gradient_norm_bound(y, g, gamma) * (y.std(axis=0) / gamma) ** 2


@exercise.mistake(
    ko="표준편차를 구할 때 m이 아니라 m-1로 나누었습니다(ddof=1). "
    "그러면 y_hat의 길이가 √m이 아니게 됩니다.",
    en="The standard deviation divides by m-1 instead of m (ddof=1), "
    "so the length of y_hat is no longer √m.",
)
def ddof_1(y, g, gamma):
    sigma, square, ones, along = terms(y, g, ddof=1)
    return (gamma / sigma) ** 2 * (square - ones - along)


@exercise.mistake(
    ko="마지막에 제곱근을 구했습니다. 정리 4.1의 양쪽은 길이가 아니라 길이의 제곱입니다.",
    en="You take a square root at the end. Both sides of Theorem 4.1 are squared lengths.",
)
def takes_the_root(y, g, gamma):
    return np.sqrt(gradient_norm_bound(y, g, gamma))


@exercise.combine
def combined(
    y,
    g,
    gamma,
    *,
    forgets_the_mean_term=False,
    forgets_one_over_m=False,
    gamma_not_squared=False,
    sigma_not_squared=False,
    ddof_1=False,
):
    sigma, square, ones, along = terms(y, g, ddof=int(ddof_1))
    removed = along if forgets_the_mean_term else ones + along
    bracket = square - removed * (len(y) if forgets_one_over_m else 1)
    scale = gamma if gamma_not_squared else gamma**2
    return scale * bracket / (sigma if sigma_not_squared else sigma**2)
