"""10.2 How much the gradient changes along the step that it proposes."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def effective_smoothness(gradient, w, learning_rates):
    """The largest change of the gradient per distance moved along it.

        max |gradient(w - lr * g) - g| / |lr * g|    over the learning rates, with g = gradient(w)

    gradient        takes weights of shape (D,) and returns the loss' gradient there, of shape (D,)
    w               (D,): where every step starts; g is not 0 there
    learning_rates  (S,): positive numbers, in any order
    Returns a number; |.| is the Euclidean norm.
    Source: Santurkar et al. 2018, Figure 4(c).
    """
    g = gradient(w)
    changes = [np.linalg.norm(gradient(w - lr * g) - g) for lr in learning_rates]
    distances = np.linalg.norm(g) * np.asarray(learning_rates)
    return np.max(changes / distances)


def gradient_of_a_bowl(w):
    return np.arange(1, len(w) + 1) * w


def gradient_of_waves(w):
    return np.arange(1, len(w) + 1) * np.cos(2 * w)


def gradient_of_quartic(w):
    return w**3 - np.roll(w, 1)


def gradient_of_saturating(w):
    return np.tanh(3 * w - 1) + 0.1 * np.sum(w)


def cases(rng):
    yield gradient_of_a_bowl, np.array([1.0, -2.0]), np.array([0.1, 0.3])
    yield gradient_of_waves, np.array([0.2, 1.5]), np.array([0.5, 0.1, 1.2])
    for gradient, dimensions, steps in [
        (gradient_of_quartic, 3, 4),
        (gradient_of_saturating, 2, 5),
        (gradient_of_waves, 4, 6),
    ]:
        w = rng.uniform(0.5, 1.5, dimensions) * rng.choice([-1, 1], dimensions)
        yield gradient, w, 10.0 ** rng.uniform(-2, 0, steps)


def accepts(gradient, w, learning_rates):
    return np.all(learning_rates > 0)


exercise = Exercise(
    id="effective-smoothness",
    chapter=10,
    number=2,
    difficulty=2,
    title=Text(ko="기울기는 얼마나 빨리 변하나", en="How fast the gradient changes"),
    solution=effective_smoothness,
    cases=cases,
    accepts=accepts,
    hints=[
        Text(
            ko="기울기를 두 번 구합니다. 한 번은 w에서, 한 번은 한 걸음 내려간 곳에서 구합니다. "
            "두 벡터의 차이는 하나의 벡터입니다. 그 길이를 재세요.",
            en="Take the gradient twice: at w, and where the step ends. "
            "The two vectors differ by a vector; measure its length.",
        ),
        Text(
            ko="학습률은 움직인 거리가 아닙니다. 기울기가 두 배인 곳에서 같은 학습률은 두 배 멀리 갑니다.",
            en="A learning rate is not a distance: where the gradient is twice as long, "
            "the same learning rate goes twice as far.",
        ),
        Text(
            ko="확인하려면 손실 c|w|²/2를 넣어 보세요. 기울기는 c w이고, 답은 어느 학습률에서나 c입니다.",
            en="A check: the loss c|w|²/2 has gradient c w, and the answer is c at every learning rate.",
        ),
    ],
)


def changes(gradient, w, learning_rates):
    g = gradient(w)
    return np.array([np.linalg.norm(gradient(w - lr * g) - g) for lr in learning_rates])


def distances(gradient, w, learning_rates):
    return np.linalg.norm(gradient(w)) * learning_rates


@exercise.mistake(
    ko="기울기가 변한 양만 쟀습니다. 논문의 그림 4(b)가 재는 것이고, 매끄러움은 움직인 거리로 나눈 값입니다. "
    "걸음이 길면 기울기가 많이 변하는 것이 당연합니다.",
    en="This is the change of the gradient alone, as in the paper's Figure 4(b). "
    "A longer step changes it more; smoothness is the change per distance.",
)
def forgets_the_distance(gradient, w, learning_rates):
    return np.max(changes(gradient, w, learning_rates))


@exercise.mistake(
    ko="학습률로 나누었습니다. 실제로 움직인 거리는 학습률만으로 정해지지 않습니다. "
    "손실에 10을 곱하면 답은 몇 배가 되어야 하나요?",
    en="You divide by the learning rate, but that alone is not how far the weights moved. "
    "Multiply the loss by 10: by how much should the answer grow?",
)
def divides_by_the_learning_rate(gradient, w, learning_rates):
    return np.max(changes(gradient, w, learning_rates) / learning_rates)


@exercise.mistake(
    ko="기울기의 길이로만 나누었습니다. 학습률이 다른 걸음들을 견주려면 움직인 거리가 필요합니다.",
    en="You divide by the length of the gradient only. "
    "Steps with different learning rates go different distances.",
)
def divides_by_the_gradient(gradient, w, learning_rates):
    return np.max(changes(gradient, w, learning_rates) / np.linalg.norm(gradient(w)))


@exercise.mistake(
    ko="오르막으로 걸었습니다. 경사 하강법이 지나갈 곳의 매끄러움을 재야 합니다.",
    en="The step goes uphill. What counts is the landscape where gradient descent will pass.",
)
def walks_uphill(gradient, w, learning_rates):
    g = gradient(w)
    moved = [np.linalg.norm(gradient(w + lr * g) - g) for lr in learning_rates]
    return np.max(moved / distances(gradient, w, learning_rates))


@exercise.mistake(
    ko="두 기울기의 길이를 뺐습니다. 길이는 같고 방향이 반대인 두 기울기를 생각해 보세요. "
    "길이의 차이는 0이지만 기울기는 크게 변했습니다.",
    en="You subtract the lengths of the two gradients. Think of two with equal length and opposite "
    "directions: the lengths differ by 0, yet the gradient has changed a lot.",
)
def subtracts_the_lengths(gradient, w, learning_rates):
    g = gradient(w)
    lengths = np.array([np.linalg.norm(gradient(w - lr * g)) for lr in learning_rates])
    return np.max(np.abs(lengths - np.linalg.norm(g)) / distances(gradient, w, learning_rates))


@exercise.mistake(
    ko="걸음 끝의 기울기를 그대로 썼습니다. 알고 싶은 것은 처음 기울기에서 얼마나 변했는지입니다. "
    "기울기가 어디서나 같은 손실에서 답은 얼마여야 하나요?",
    en="You measure the gradient at the end of the step, not its change from the start. "
    "What should the answer be for a loss whose gradient is the same everywhere?",
)
def forgets_the_first_gradient(gradient, w, learning_rates):
    g = gradient(w)
    lengths = np.array([np.linalg.norm(gradient(w - lr * g)) for lr in learning_rates])
    return np.max(lengths / distances(gradient, w, learning_rates))


@exercise.mistake(
    ko="학습률마다 구한 값의 평균을 돌려주었습니다. 그림 4(c)는 그중 가장 나쁜 값을 그립니다.",
    en="You average over the learning rates. Figure 4(c) shows the worst of them.",
)
def averages(gradient, w, learning_rates):
    return np.mean(changes(gradient, w, learning_rates) / distances(gradient, w, learning_rates))


@exercise.mistake(
    ko="가장 크게 변한 양을 가장 먼 거리로 나누었습니다. 나눗셈은 학습률마다 먼저 해야 합니다.",
    en="The largest change is divided by the largest distance. "
    "The division comes first, at each learning rate.",
)
def divides_the_maxima(gradient, w, learning_rates):
    largest = np.max(changes(gradient, w, learning_rates))
    return largest / np.max(distances(gradient, w, learning_rates))


@exercise.mistake(
    ko="가장 큰 학습률 하나만 재었습니다. 더 짧은 걸음에서 기울기가 더 빨리 변할 수 있습니다.",
    en="Only the largest learning rate is measured. The gradient can change faster on a shorter step.",
)
def longest_step_only(gradient, w, learning_rates):
    return effective_smoothness(gradient, w, [np.max(learning_rates)])


@exercise.mistake(
    ko="기울기를 길이 1로 만든 다음 걸었습니다. 그러면 학습률이 곧 거리가 되어, "
    "경사 하강법이 실제로 가는 곳과 다른 곳을 재게 됩니다.",
    en="The gradient is scaled to length 1 before the step. "
    "Then you measure at other places than gradient descent would reach.",
)
def steps_along_the_unit_vector(gradient, w, learning_rates):
    g = gradient(w)
    unit = g / np.linalg.norm(g)
    moved = [np.linalg.norm(gradient(w - lr * unit) - g) for lr in learning_rates]
    return np.max(moved / learning_rates)


@exercise.mistake(
    ko="걸음을 이어서 걸었습니다. 두 번째 학습률부터 출발점이 w가 아닙니다. "
    "학습률의 순서를 바꾸면 답이 달라지는지 보세요.",
    en="The steps are chained: from the second learning rate on you no longer start from w. "
    "Reorder the learning rates and see whether the answer changes.",
)
def chains_the_steps(gradient, w, learning_rates):
    ratios = []
    for lr in learning_rates:
        g = gradient(w)
        ratios.append(np.linalg.norm(gradient(w - lr * g) - g) / np.linalg.norm(lr * g))
        w = w - lr * g
    return np.max(ratios)


@exercise.combine
def combined(
    gradient,
    w,
    learning_rates,
    *,
    walks_uphill=False,
    subtracts_the_lengths=False,
    forgets_the_distance=False,
    divides_by_the_learning_rate=False,
    averages=False,
):
    g, ratios = gradient(w), []
    for lr in learning_rates:
        there = gradient(w + lr * g if walks_uphill else w - lr * g)
        change = np.linalg.norm(there - g)
        if subtracts_the_lengths:
            change = abs(np.linalg.norm(there) - np.linalg.norm(g))
        distance = lr if divides_by_the_learning_rate else np.linalg.norm(lr * g)
        ratios.append(change if forgets_the_distance else change / distance)
    return np.mean(ratios) if averages else np.max(ratios)
