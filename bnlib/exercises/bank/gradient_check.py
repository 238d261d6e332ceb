"""5.3 Check a backward pass, on inputs that leave a bug no place to hide."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def gradient_check(forward, backward, rng):
    """How far a backward pass is from the numerical gradient, on inputs of your choice.

    forward(x, gamma, beta)       -> y                   x: (N, C), gamma and beta: (C,), y: (N, C)
    backward(dy, x, gamma, beta)  -> dx, dgamma, dbeta   each shaped like what it belongs to
    rng                           NumPy's random generator, if you want to draw your inputs

    Choose N and C, small ones such as 5 and 3 (each value takes two losses), x, gamma, beta and dy.
    Compare what `backward` returns with the numerical gradient of the loss sum(dy * y) with respect
    to x, gamma and beta:

        error = |returned - numerical| / (|returned| + |numerical|),   | | over a whole array

    Returns the largest of the three errors, a number. Whatever batch-norm-like layer comes in, it
    has to be below 1e-7 if `backward` is right, and above 1e-4 if it is wrong anywhere.
    """
    samples, features, step = 5, 3, 1e-5
    dy = rng.normal(size=(samples, features))
    inputs = [
        rng.normal(1, 2, (samples, features)),
        rng.uniform(0.5, 2, features),
        rng.normal(size=features),
    ]

    def loss():
        return (dy * forward(*inputs)).sum()

    errors = []
    for values, returned in zip(inputs, backward(dy, *inputs), strict=True):
        numerical = np.empty_like(values)
        for index in np.ndindex(values.shape):
            value = values[index]
            values[index] = value + step
            above = loss()
            values[index] = value - step
            numerical[index] = (above - loss()) / (2 * step)
            values[index] = value
        size = np.linalg.norm(returned) + np.linalg.norm(numerical)
        errors.append(np.linalg.norm(returned - numerical) / size)
    return max(errors)


# --- the layers to be checked; readers see their names


def batch_norm(x, gamma, beta):
    return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) + beta


def right(dy, x, gamma, beta, mean_path=True, variance_path=True):
    inv_std = 1 / np.sqrt(x.var(axis=0) + 1e-5)
    x_hat = (x - x.mean(axis=0)) * inv_std
    dx = dx_hat = dy * gamma
    if mean_path:
        dx = dx - dx_hat.mean(axis=0)
    if variance_path:
        dx = dx - x_hat * (dx_hat * x_hat).mean(axis=0)
    return dx * inv_std, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


def without_mean_path(dy, x, gamma, beta):
    return right(dy, x, gamma, beta, mean_path=False)


def without_variance_path(dy, x, gamma, beta):
    return right(dy, x, gamma, beta, variance_path=False)


def without_gamma(dy, x, gamma, beta):
    _, dgamma, dbeta = right(dy, x, gamma, beta)
    return right(dy, x, np.ones_like(gamma), beta)[0], dgamma, dbeta


def without_x_hat_in_dgamma(dy, x, gamma, beta):
    dx, _, dbeta = right(dy, x, gamma, beta)
    return dx, dbeta, dbeta


def with_averaged_dbeta(dy, x, gamma, beta):
    dx, dgamma, dbeta = right(dy, x, gamma, beta)
    return dx, dgamma, dbeta / len(x)


def with_a_wrong_last_value(dy, x, gamma, beta):
    """Right everywhere but in one place, which a spot check does not see."""
    dx, dgamma, dbeta = right(dy, x, gamma, beta)
    dx[-1, -1] *= 1.5
    return dx, dgamma, dbeta


def with_dbeta_doubled(dy, x, gamma, beta):
    dx, dgamma, dbeta = right(dy, x, gamma, beta)
    return dx, dgamma, 2 * dbeta


def twice_too_large(dy, x, gamma, beta):
    return tuple(2 * gradient for gradient in right(dy, x, gamma, beta))


def evaluation_mode(x, gamma, beta):
    return gamma * (x - 1) / 2 + beta


def right_in_evaluation_mode(dy, x, gamma, beta):
    return dy * gamma / 2, (dy * (x - 1) / 2).sum(axis=0), dy.sum(axis=0)


def curved(x, gamma, beta):
    """Not linear in x, yet with a gradient wherever the inputs are."""
    return np.arcsinh(evaluation_mode(x, gamma, beta))


def right_for_curved(dy, x, gamma, beta):
    slope = 1 / np.sqrt(1 + evaluation_mode(x, gamma, beta) ** 2)
    return right_in_evaluation_mode(dy * slope, x, gamma, beta)


def cases(rng):
    yield batch_norm, right, rng
    yield evaluation_mode, right_in_evaluation_mode, rng
    yield curved, right_for_curved, rng
    for wrong in (
        without_mean_path,
        without_variance_path,
        without_gamma,
        without_x_hat_in_dgamma,
        with_averaged_dbeta,
        with_a_wrong_last_value,
        with_dbeta_doubled,
        twice_too_large,
    ):
        yield batch_norm, wrong, rng


def use(answer, forward, backward, rng):
    """What the error says: the inputs are free, so its digits are too."""
    error = answer(forward, backward, rng)
    if error is None:
        return None
    if np.size(error) != 1 or np.asarray(error).dtype.kind not in "iuf":  # an array of one will do
        return f"type(error) is {type(error).__name__}"
    error = np.asarray(error).item()
    if error < 1e-7:
        return "error < 1e-7"
    if error > 1e-4:
        # 2 g against g: |g| / (|2 g| + |g|), whatever the inputs
        if backward in (with_dbeta_doubled, twice_too_large) and 0.3 < error < 0.4:
            return "error about 1/3"
        return "error > 1e-4"
    return "nan" if np.isnan(error) else "1e-7 <= error <= 1e-4"


exercise = Exercise(
    id="gradient-check",
    chapter=5,
    number=3,
    difficulty=2,
    title=Text(ko="숨을 곳이 없는 기울기 검사", en="A gradient check with nowhere to hide"),
    solution=gradient_check,
    cases=cases,
    use=use,
    hints=[
        Text(
            ko="입력 하나를 조금 올려서 손실을 구하고, 같은 만큼 내려서 다시 구합니다. "
            "두 손실의 차이를 두 점 사이의 거리로 나눕니다. 이것을 모든 입력의 모든 값에 되풀이합니다.",
            en="Raise one input a little and take the loss, lower it as much and take it again. "
            "Divide the difference by the distance between the two points. "
            "Repeat for every value of every input.",
        ),
        Text(
            ko="걸음의 크기는 float64에서 1e-5 부근이 좋습니다. 더 크면 곡선이 보이고, 더 작으면 반올림 오차가 보입니다.",
            en="In float64 a step near 1e-5 is good: larger ones see the curve, smaller ones rounding.",
        ),
        Text(
            ko="어떤 입력에서는 틀린 역전파도 맞아 보입니다. gamma가 모두 1이면 gamma를 빠뜨려도 모릅니다. "
            "표본이 하나뿐이거나 dy가 모두 같으면 무엇을 놓치게 될까요? 표본이 둘이면 x_hat은 언제나 -1과 1이고 dx는 거의 0입니다.",
            en="On some inputs a wrong backward pass looks right. With gamma = 1 nobody notices that "
            "gamma is missing. What goes unnoticed with a single sample, or with all dy alike? With "
            "two samples x_hat is always -1 and 1, and dx nearly 0.",
        ),
    ],
)


def check_with(
    forward,
    backward,
    rng,
    samples=4,
    step=1e-5,
    sides=(1, -1),
    width=2,
    dtype=np.float64,
    gamma=None,
    beta=None,
    dy=None,
    compared=(0, 1, 2),
    smallest_size=0.0,
    summary=np.max,
):
    """The solution with a part replaced. gamma, beta and dy: a number for all their entries."""
    features = 2
    dy = np.full((samples, features), dy) if dy else rng.normal(size=(samples, features))
    inputs = [
        rng.normal(1, 2, (samples, features)),
        rng.uniform(0.5, 2, features) if gamma is None else np.full(features, gamma),
        rng.normal(size=features) if beta is None else np.full(features, beta),
    ]
    dy, *inputs = (values.astype(dtype) for values in (dy, *inputs))
    returned = backward(dy, *inputs)

    def loss(values, index, move):
        value = values[index]
        values[index] = value + move
        found = (dy * forward(*inputs)).sum()
        values[index] = value
        return found

    errors = []
    for k in compared:
        numerical = np.empty_like(inputs[k])
        for index in np.ndindex(numerical.shape):
            ahead, behind = (loss(inputs[k], index, side * step) for side in sides)
            numerical[index] = (ahead - behind) / (width * step)
        size = np.linalg.norm(returned[k]) + np.linalg.norm(numerical)
        errors.append(np.linalg.norm(returned[k] - numerical) / max(size, smallest_size))
    return summary(errors)


@exercise.mistake(
    ko="수치 기울기가 너무 거칠어서, 맞는 역전파와 조금 틀린 역전파를 구별할 수 없습니다. 한쪽으로만 "
    "움직였거나 걸음이 1e-5보다 훨씬 클 때 이렇게 됩니다. 곡선 위의 한 점에서 접선의 기울기를 재려면 "
    "두 점을 어디에, 얼마나 가까이 두는 것이 좋을까요?",
    en="The numerical gradient is too coarse to tell a right one from a slightly wrong one. It gets "
    "so by stepping to one side only, or by steps far larger than 1e-5. To measure the slope at a "
    "point of a curve, where do the two points go, and how close?",
    step=[1e-5, -1e-5, 1e-4, 1e-3, 1e-2],
)
def one_sided(forward, backward, rng, step=1e-5):
    return check_with(forward, backward, rng, sides=(1, 0), width=1, step=step)


@exercise.mistake(
    ko="맞는 역전파도 틀려 보입니다. float32로 계산하면 손실이 일곱 자리까지만 맞아서, 거의 같은 두 손실을 "
    "빼면 몇 자리 남지 않습니다. float64인지, 걸음이 1e-5쯤인지, 움직인 값을 되돌려 놓는지, "
    "손실이 sum(dy * y)인지 보세요.",
    en="Even a right backward pass looks wrong. In float32, with seven digits in the loss, few are "
    "left after subtracting two nearly equal ones. See that it runs in float64, that the step is "
    "about 1e-5, that each value is put back, and that the loss is sum(dy * y).",
    step=[1e-2, 1e-3, 1e-4, 1e-5],
)
def in_float32(forward, backward, rng, step=1e-5):
    return check_with(forward, backward, rng, dtype=np.float32, step=step)


@exercise.mistake(
    ko="표본이 하나뿐입니다. 그 표본은 자기 자신이 평균이므로 x_hat은 0이고 y는 언제나 beta입니다. "
    "dx도 dgamma도 0이니, 여러 가지 틀린 역전파가 그대로 통과합니다.",
    en="There is a single sample. It is its own mean, so x_hat is 0 and y is always beta; dx and "
    "dgamma are 0, and many a wrong backward pass goes through.",
    smallest_size=[0.0, 1e-12],
)
def one_sample(forward, backward, rng, smallest_size=0.0):
    return check_with(forward, backward, rng, samples=1, smallest_size=smallest_size)


@exercise.mistake(
    ko="gamma가 모두 0입니다. 그러면 y는 x와 상관없고 dx는 0입니다. "
    "x로 가는 길이 틀려도 0에 곱해져 보이지 않습니다.",
    en="gamma is all 0. Then y does not depend on x and dx is 0: "
    "whatever is wrong on the way to x is multiplied by 0.",
    smallest_size=[0.0, 1e-12],
)
def all_zero_parameters(forward, backward, rng, smallest_size=0.0):
    return check_with(forward, backward, rng, gamma=0.0, beta=0.0, smallest_size=smallest_size)


@exercise.mistake(
    ko="gamma가 모두 1입니다. 초깃값이 그래서 흔히 그렇게 두지만, 그러면 dx에서 gamma를 빠뜨린 역전파가 통과합니다.",
    en="gamma is all 1, as at initialization. "
    "A backward pass that forgets gamma in dx then goes through.",
)
def gamma_all_one(forward, backward, rng):
    return check_with(forward, backward, rng, gamma=1.0, beta=0.0)


@exercise.mistake(
    ko="x에서는 0과 0을 비교하고 있어서 남는 것은 반올림 오차뿐입니다. dy가 모두 같으면 손실이 y의 합인데, x_hat의 합은 "
    "언제나 0입니다. x의 값을 한꺼번에 움직여도 y는 그대로입니다. dy는 서로 다르게 두고, x는 값 하나씩 움직이세요.",
    en="For x you compare 0 with 0, which leaves nothing but rounding. If all dy are alike, the loss "
    "is the sum of y, and that of x_hat is always 0. If all values of x move at once, y stays. "
    "Let the dy differ, and move x one value at a time.",
    smallest_size=[0.0, 1e-6],
)
def compares_nothing(forward, backward, rng, smallest_size=0.0):
    return check_with(forward, backward, rng, dy=1.0, smallest_size=smallest_size)


@exercise.mistake(
    ko="dx만 비교했습니다. dgamma나 dbeta가 틀린 역전파가 통과합니다.",
    en="Only dx is compared: a backward pass with a wrong dgamma or dbeta goes through.",
)
def checks_dx_only(forward, backward, rng):
    return check_with(forward, backward, rng, compared=(0,))


@exercise.mistake(
    ko="dgamma와 dbeta만 비교했습니다. dx가 틀린 역전파가 통과합니다.",
    en="Only dgamma and dbeta are compared: a backward pass with a wrong dx goes through.",
)
def checks_the_parameters_only(forward, backward, rng):
    return check_with(forward, backward, rng, compared=(1, 2))


@exercise.mistake(
    ko="두 손실의 차이를 걸음 하나의 크기로 나누었습니다. 두 점은 서로 얼마나 떨어져 있나요? "
    "지금은 두 배로 틀린 역전파가 맞다고 나옵니다.",
    en="The difference of the losses is divided by one step. How far apart are the two points? "
    "As it is, a backward pass twice too large counts as right.",
)
def forgets_the_two(forward, backward, rng):
    return check_with(forward, backward, rng, width=1)


@exercise.mistake(
    ko="세 오차 가운데 가장 큰 것이 아닌 다른 것을 돌려주었습니다. 평균이나 가장 작은 오차로는 "
    "맞는 두 기울기가 틀린 하나를 가려 줍니다.",
    en="What comes back is not the largest of the three errors. In their mean, or in the smallest, "
    "two right gradients cover up for a wrong one.",
    summary=[np.mean, np.median],
)
def not_the_largest_error(forward, backward, rng, summary=np.mean):
    return check_with(forward, backward, rng, summary=summary)


@exercise.combine
def combined(
    forward,
    backward,
    rng,
    *,
    one_sided=False,
    gamma_all_one=False,
    checks_dx_only=False,
    checks_the_parameters_only=False,
):
    compared = (0, 1, 2)
    if checks_dx_only or checks_the_parameters_only:
        compared = (0,) if checks_dx_only else (1, 2)
    return check_with(
        forward,
        backward,
        rng,
        sides=(1, 0) if one_sided else (1, -1),
        width=1 if one_sided else 2,
        gamma=1.0 if gamma_all_one else None,
        beta=0.0 if gamma_all_one else None,
        compared=compared,
    )


@exercise.mistake(
    ko="오차 셋을 모두 돌려주었습니다. 필요한 것은 수 하나입니다. 가장 큰 것만 돌려주세요.",
    en="All three errors are returned. One number is asked for: return the largest alone.",
    kind=["tuple", "list", "array"],
)
def returns_all_three(forward, backward, rng, kind="tuple"):
    collected = {"tuple": tuple, "list": list, "array": np.array}[kind]
    return check_with(forward, backward, rng, summary=collected)
