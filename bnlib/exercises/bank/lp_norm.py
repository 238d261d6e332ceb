"""10.4 Normalize by another norm, forward and backward."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def lp_norm(x, dy, p):
    """Centre each column, divide it by its p-norm, and send a gradient back through both.

        y = d / s,    d = x - mean(x),    s = mean(|d|^p)^(1/p),    for p = inf: s = max(|d|)

    x   (m, C): m samples; no d is 0, and in a column no two |d| are equal
    dy  (m, C): the gradient of the loss with respect to y
    p   1, 2, 3, ... or np.inf; p = 2 is batch normalization without eps, gamma and beta
    Returns y and dx, the gradient with respect to x, both of shape (m, C).
    """
    d = x - x.mean(axis=0)
    size = np.abs(d)
    if p == np.inf:
        s = size.max(axis=0)
        ds = np.sign(d) * (size == s)
    else:
        s = np.mean(size**p, axis=0) ** (1 / p)
        ds = np.sign(d) * (size / s) ** (p - 1) / len(x)
    y = d / s
    dd = (dy - ds * np.sum(dy * y, axis=0)) / s
    return y, dd - dd.mean(axis=0)


def cases(rng):
    x = np.array([[0.0, 30.0], [1.0, 10.0], [2.0, 20.0], [7.0, 90.0]])
    dy = np.array([[1.0, 0.0], [-1.0, 2.0], [3.0, 1.0], [2.0, -2.0]])
    for p in (2, 1, np.inf, 3):
        yield x, dy, p
    for samples, features, p in [(5, 3, 1), (3, 4, np.inf), (6, 2, 4), (7, 3, 2)]:
        scale = 10.0 ** rng.uniform(-1, 1, features)
        x = rng.normal(2 * scale, scale, (samples, features))
        yield x, rng.normal(0.5, 1, (samples, features)), p


def accepts(x, dy, p):
    size = np.sort(np.abs(x - x.mean(axis=0)), axis=0)
    return size.min() > 0 and np.diff(size, axis=0).min(initial=np.inf) > 1e-6


exercise = Exercise(
    id="lp-norm",
    chapter=10,
    number=4,
    difficulty=3,
    title=Text(ko="다른 노름으로 나누기", en="Divide by another norm"),
    solution=lp_norm,
    cases=cases,
    accepts=accepts,
    hints=[
        Text(
            ko="순전파부터 하세요. p가 커질수록 mean(|d|^p)^(1/p)에서는 가장 큰 |d|가 이깁니다. "
            "NumPy에게 무한대 제곱을 시키지 말고 p = inf를 따로 다루세요.",
            en="Begin with the forward pass. As p grows, the largest |d| wins. "
            "Do not ask NumPy for a power of infinity: treat p = inf on its own.",
        ),
        Text(
            ko="역전파에서 따라갈 x에서 y로 가는 길은 셋입니다. d에서 곧바로, s를 지나서, 평균을 지나서 갑니다. "
            "5장에서처럼 노드마다 기울기를 적어 보세요.",
            en="Backward, three paths lead from x to y: straight through d, through s, "
            "and through the mean. Write them node by node, as in chapter 5.",
        ),
        Text(
            ko="s를 d_i로 미분하면 부호는 d_i를 따르고 크기는 |d_i / s|의 p-1제곱에 비례합니다. "
            "p = 1이면 크기가 모두 같고, p = 2이면 y에 비례합니다. p = inf이면 한 원소만 남습니다. 어느 원소인가요?",
            en="The derivative of s by d_i has the sign of d_i, and a size that goes with the power p-1 "
            "of |d_i / s|: for p = 1 all the same, for p = 2 like y. For p = inf one entry is left. Which?",
        ),
    ],
)


def forward(x, p, mean=np.mean):
    d = x - x.mean(axis=0)
    size = np.abs(d)
    s = size.max(axis=0) if p == np.inf else mean(size**p, axis=0) ** (1 / p)
    return d, s


def slope_of_norm(d, s, p):
    """The derivative of s by d."""
    if p == np.inf:
        return np.sign(d) * (np.abs(d) == s)
    return np.sign(d) * (np.abs(d) / s) ** (p - 1) / len(d)


def backward(dy, d, s, ds):
    dd = (dy - ds * np.sum(dy * d / s, axis=0)) / s
    return dd - dd.mean(axis=0)


@exercise.mistake(
    ko="|d|^p의 평균이 아니라 합으로 나누었습니다. 그러면 배치가 클수록 y가 작아집니다. "
    "같은 표본을 두 번씩 넣어도 y는 그대로여야 합니다.",
    en="You divide by a sum over |d|^p, not by a mean, so y shrinks as the batch grows. "
    "With every sample given twice, y should stay the same.",
)
def sums_instead_of_averaging(x, dy, p):
    d, s = forward(x, p, np.sum)
    ds = slope_of_norm(d, s, p) * (1 if p == np.inf else len(x))
    return d / s, backward(dy, d, s, ds)


@exercise.mistake(
    ko="1/p 제곱이 빠졌습니다. x에 10을 곱하면 y가 그대로인지 p = 2에서 확인해 보세요.",
    en="The power 1/p is missing. Multiply x by 10 and see, for p = 2, whether y stays the same.",
)
def forgets_the_root(x, dy, p):
    if p == np.inf:
        return lp_norm(x, dy, p)
    d = x - x.mean(axis=0)
    s = np.mean(np.abs(d) ** p, axis=0)
    ds = p * np.sign(d) * np.abs(d) ** (p - 1) / len(x)
    return d / s, backward(dy, d, s, ds)


@exercise.mistake(
    ko="크기를 x에서 쟀습니다. 여기서는 평균을 뺀 d에서 재야 합니다. "
    "모든 x에 100을 더해도 y는 그대로여야 합니다.",
    en="The norm is taken of x, but here it belongs to d, after the mean is removed. "
    "Adding 100 to every x should leave y as it is.",
)
def norm_of_the_raw_input(x, dy, p):
    size = np.abs(x)
    s = size.max(axis=0) if p == np.inf else np.mean(size**p, axis=0) ** (1 / p)
    d = x - x.mean(axis=0)
    dd = dy / s
    through_s = -slope_of_norm(x, s, p) * np.sum(dy * d, axis=0) / s**2
    return d / s, dd - dd.mean(axis=0) + through_s


@exercise.mistake(
    ko="평균을 빼지 않았습니다. y의 평균이 0인가요?",
    en="The mean is not removed. Is the mean of y zero?",
)
def forgets_to_centre(x, dy, p):
    size = np.abs(x)
    s = size.max(axis=0) if p == np.inf else np.mean(size**p, axis=0) ** (1 / p)
    return x / s, (dy - slope_of_norm(x, s, p) * np.sum(dy * x / s, axis=0)) / s


@exercise.mistake(
    ko="유한한 p에서는 맞습니다. p = inf를 같은 식에 넣으면 |d|^inf는 0이나 inf이고, "
    "inf의 0제곱은 1입니다. 이때 s는 무엇이어야 하나요?",
    en="Right for finite p. With p = inf in the same formula, |d|^inf is 0 or inf, "
    "and NumPy takes inf to the power 0 to be 1. What should s be then?",
)
def leaves_infinity_to_the_formula(x, dy, p):
    d = x - x.mean(axis=0)
    size = np.abs(d)
    s = np.mean(size**p, axis=0) ** (1 / p)
    ds = np.sign(d) * (size / s) ** (p - 1) / len(x)
    return d / s, backward(dy, d, s, ds)


@exercise.mistake(
    ko="p와 상관없이 표준편차로 나누었습니다. p = 2에서만 맞습니다.",
    en="You divide by the standard deviation whatever p is. That is right for p = 2 only.",
)
def always_p_2(x, dy, p):
    return lp_norm(x, dy, 2)


@exercise.mistake(
    ko="y는 맞습니다. dx에서는 평균과 s를 상수로 보았습니다. 둘 다 x로 계산한 값입니다. "
    "dx의 합이 열마다 0인지 보세요.",
    en="y is right. In dx the mean and s are treated as constants, but both are computed from x. "
    "Does each column of dx sum to 0?",
)
def statistics_are_constants(x, dy, p):
    d, s = forward(x, p)
    return d / s, dy / s


@exercise.mistake(
    ko="y는 맞고, 평균을 지나는 길도 있습니다. dx에 s를 지나는 길이 없습니다. "
    "x에 상수를 곱해도 y는 그대로이므로, dx는 d와 수직이어야 합니다.",
    en="y is right and so is the path through the mean. The path through s is missing from dx. "
    "Scaling x does not change y, so dx must be perpendicular to d.",
)
def forgets_the_path_through_s(x, dy, p):
    d, s = forward(x, p)
    return d / s, (dy - dy.mean(axis=0)) / s


@exercise.mistake(
    ko="y는 맞고, s를 지나는 길도 있습니다. dx에 평균을 지나는 길이 없습니다. "
    "모든 x에 같은 수를 더해도 y는 그대로이므로, dx의 합은 열마다 0이어야 합니다.",
    en="y is right and so is the path through s. The path through the mean is missing from dx. "
    "Adding a constant to x does not change y, so each column of dx must sum to 0.",
)
def forgets_the_path_through_the_mean(x, dy, p):
    d, s = forward(x, p)
    return d / s, (dy - slope_of_norm(d, s, p) * np.sum(dy * d / s, axis=0)) / s


@exercise.mistake(
    ko="y는 맞습니다. dx는 p = 2에서만 맞습니다. 배치 정규화의 역전파 식을 다른 p에도 썼습니다. "
    "s를 d로 미분한 값은 p에 따라 달라집니다.",
    en="y is right, dx for p = 2 only: it is the backward pass of batch normalization. "
    "The derivative of s by d depends on p.",
)
def backward_of_p_2(x, dy, p):
    d, s = forward(x, p)
    y = d / s
    return y, backward(dy, d, s, y / len(x))


@exercise.mistake(
    ko="y는 맞습니다. dx에서 s를 d로 미분할 때 부호를 빠뜨렸습니다. "
    "평균보다 작은 원소가 더 작아지면 s는 커지나요, 작아지나요?",
    en="y is right. In dx the derivative of s by d has lost its sign. "
    "When an entry below the mean goes lower still, does s grow or shrink?",
)
def forgets_the_sign(x, dy, p):
    d, s = forward(x, p)
    return d / s, backward(dy, d, s, np.abs(slope_of_norm(d, s, p)))


@exercise.mistake(
    ko="y는 맞습니다. dx는 p = inf에서만 틀립니다. 최댓값의 기울기는 최댓값인 원소 하나로만 갑니다. "
    "지금은 모든 원소가 나누어 받습니다.",
    en="y is right, and dx is wrong for p = inf only. The gradient of a maximum goes to the one entry "
    "that is the maximum; here all entries share it.",
)
def spreads_the_maximum(x, dy, p):
    d, s = forward(x, p)
    ds = np.sign(d) / len(x) if p == np.inf else slope_of_norm(d, s, p)
    return d / s, backward(dy, d, s, ds)


@exercise.mistake(
    ko="y는 맞습니다. dx에서 s의 미분에 1/m이 빠졌습니다. s 안에는 합이 아니라 평균이 있습니다.",
    en="y is right. In dx the derivative of s lacks 1/m: inside s there is a mean, not a sum.",
)
def forgets_one_over_m(x, dy, p):
    d, s = forward(x, p)
    ds = slope_of_norm(d, s, p) * (1 if p == np.inf else len(x))
    return d / s, backward(dy, d, s, ds)


@exercise.mistake(
    ko="y는 맞습니다. dx에서 s를 지나는 길을 빼지 않고 더했습니다. s가 커지면 y는 작아집니다.",
    en="y is right. In dx the path through s is added instead of taken away. "
    "When s grows, y gets smaller.",
)
def adds_the_path_through_s(x, dy, p):
    d, s = forward(x, p)
    return d / s, backward(dy, d, s, -slope_of_norm(d, s, p))


@exercise.combine
def combined(
    x,
    dy,
    p,
    *,
    always_p_2=False,
    forgets_the_path_through_the_mean=False,
    forgets_the_sign=False,
    spreads_the_maximum=False,
    forgets_one_over_m=False,
):
    p = 2 if always_p_2 else p
    d, s = forward(x, p)
    ds = slope_of_norm(d, s, p)
    if p == np.inf:
        ds = np.sign(d) / len(x) if spreads_the_maximum else ds
    elif forgets_one_over_m:
        ds = ds * len(x)
    ds = np.abs(ds) if forgets_the_sign else ds
    if forgets_the_path_through_the_mean:
        return d / s, (dy - ds * np.sum(dy * d / s, axis=0)) / s
    return d / s, backward(dy, d, s, ds)
