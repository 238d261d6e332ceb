"""10.1 How steep a function is between the points that were tried."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def lipschitz_estimate(f, points):
    """The steepest average slope of f between any two of the points.

        max |f(a) - f(b)| / |a - b|    over all pairs of different points a, b

    f       takes one point of shape (D,) and returns a number
    points  (N, D): N >= 2 points, all different; |a - b| is the Euclidean distance
    Returns a number. No Lipschitz constant of f is smaller.
    """
    values = np.array([f(point) for point in points])
    rises = np.abs(values[:, None] - values)
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    different = distances > 0
    return np.max(rises[different] / distances[different])


def bowl(x):
    return np.sum(x**2)


def slope_down(x):
    return -np.sum(np.arange(1, len(x) + 1) * x)


def waves(x):
    return np.sum(np.sin(3 * x))


def cone(x):
    return np.sqrt(np.sum(x**2)) + 0.1 * x[0]


def cases(rng):
    yield bowl, np.array([[1.0], [2.0], [-5.0]])
    yield slope_down, np.array([[0.0, 0.0], [0.0, 2.0], [1.0, 3.0]])
    for f, points, dimensions in [(waves, 5, 2), (cone, 4, 3), (bowl, 7, 2), (waves, 9, 4)]:
        yield f, rng.normal(1, 2, (points, dimensions))


def accepts(f, points):
    return len(np.unique(points, axis=0)) == len(points)


exercise = Exercise(
    id="lipschitz-estimate",
    chapter=10,
    number=1,
    difficulty=1,
    title=Text(ko="립시츠 상수를 아래에서 재기", en="Measure a Lipschitz constant from below"),
    solution=lipschitz_estimate,
    cases=cases,
    accepts=accepts,
    hints=[
        Text(
            ko="점이 N개면 쌍은 N(N-1)/2개입니다. 가장 가파른 쌍이 이웃한 두 점이라는 보장은 없습니다.",
            en="N points make N(N-1)/2 pairs. Nothing says the steepest one is made of neighbours.",
        ),
        Text(
            ko="쌍마다 f가 변한 양의 절댓값을 두 점 사이의 거리로 나눕니다. "
            "한 점을 자기 자신과 짝지으면 무엇을 무엇으로 나누게 되나요?",
            en="For each pair, divide the size of the change of f by the distance between the points. "
            "What is divided by what if a point is paired with itself?",
        ),
    ],
)


def slopes(f, points, pairs, distance=np.linalg.norm):
    return [abs(f(points[i]) - f(points[j])) / distance(points[i] - points[j]) for i, j in pairs]


def all_pairs(points):
    return [(i, j) for i in range(len(points)) for j in range(i)]


@exercise.mistake(
    ko="기울기들의 평균을 돌려주었습니다. 립시츠 상수는 모든 쌍에서 지켜져야 하는 한계입니다. "
    "평균보다 가파른 쌍이 하나라도 있으면 그 한계는 깨집니다.",
    en="This is the average of the slopes. A Lipschitz constant is a limit that every pair must keep, "
    "and some pair is steeper than the average.",
)
def averages_the_slopes(f, points):
    return np.mean(slopes(f, points, all_pairs(points)))


@exercise.mistake(
    ko="가장 완만한 쌍의 기울기입니다. 한계를 정하는 것은 가장 가파른 쌍입니다.",
    en="This is the slope of the flattest pair. The limit is set by the steepest.",
)
def takes_the_flattest(f, points):
    return np.min(slopes(f, points, all_pairs(points)))


@exercise.mistake(
    ko="배열에서 이웃한 점들만 비교했습니다. 점의 순서를 섞으면 답이 달라지나요? 달라지면 안 됩니다.",
    en="Only points next to each other in the array are compared. "
    "Shuffle the points: does your answer change? It should not.",
)
def compares_neighbours_only(f, points):
    return np.max(slopes(f, points, [(i, i + 1) for i in range(len(points) - 1)]))


@exercise.mistake(
    ko="모든 점을 첫 점하고만 비교했습니다. 첫 점이 없는 쌍에도 가파른 곳이 있을 수 있습니다.",
    en="Every point is compared with the first one only. "
    "A pair without the first point can be the steepest.",
)
def compares_with_the_first(f, points):
    return np.max(slopes(f, points, [(0, j) for j in range(1, len(points))]))


@exercise.mistake(
    ko="절댓값이 빠졌습니다. f가 작아지는 쪽으로 본 쌍은 음수가 되어 최댓값에 들지 못합니다. "
    "점의 순서를 거꾸로 하면 답이 달라지나요? 달라지면 안 됩니다.",
    en="The absolute value is missing, so a pair along which f falls counts as negative. "
    "Reverse the order of the points: does your answer change? It should not.",
    direction=[1, -1],
)
def forgets_the_sign(f, points, direction=1):
    return np.max(
        [
            direction * (f(points[i]) - f(points[j])) / np.linalg.norm(points[i] - points[j])
            for i, j in all_pairs(points)
        ]
    )


@exercise.mistake(
    ko="거리를 제곱한 값으로 나누었습니다. x의 단위가 m라면 기울기의 단위는 1/m이어야 합니다.",
    en="You divide by the squared distance. If x is in metres, a slope is per metre.",
)
def divides_by_the_squared_distance(f, points):
    return np.max(slopes(f, points, all_pairs(points), lambda d: np.sum(d**2)))


@exercise.mistake(
    ko="1차원에서는 맞습니다. 2차원부터는 거리를 좌표마다 잰 차이의 합으로 구했습니다. "
    "(0, 0)과 (3, 4) 사이의 유클리드 거리는 얼마인가요?",
    en="Right in one dimension. From two on, your distance adds the differences of the coordinates. "
    "How far is (3, 4) from (0, 0) in Euclid's sense?",
)
def sums_the_coordinates(f, points):
    return np.max(slopes(f, points, all_pairs(points), lambda d: np.sum(np.abs(d))))


@exercise.mistake(
    ko="1차원에서는 맞습니다. 2차원부터는 거리로 가장 큰 좌표 차이만 썼습니다. "
    "(0, 0)과 (3, 4) 사이의 유클리드 거리는 얼마인가요?",
    en="Right in one dimension. From two on, your distance is the largest coordinate difference. "
    "How far is (3, 4) from (0, 0) in Euclid's sense?",
)
def takes_the_largest_coordinate(f, points):
    return np.max(slopes(f, points, all_pairs(points), lambda d: np.max(np.abs(d))))


@exercise.mistake(
    ko="f가 변한 양의 최댓값입니다. 멀리 떨어진 두 점에서는 완만한 함수도 많이 변합니다. "
    "얼마나 움직여서 그만큼 변했나요?",
    en="This is the largest change of f. Far apart, even a flat function changes a lot. "
    "How far did you move for it?",
)
def forgets_the_distance(f, points):
    return np.max(slopes(f, points, all_pairs(points), lambda d: 1.0))


@exercise.mistake(
    ko="가장 큰 변화를 가장 먼 거리로 나누었습니다. 두 최댓값이 같은 쌍에서 나왔나요? "
    "나눗셈을 쌍마다 먼저 해야 합니다.",
    en="The largest change is divided by the largest distance. Do both belong to the same pair? "
    "The division comes first, pair by pair.",
)
def divides_the_maxima(f, points):
    pairs = all_pairs(points)
    rise = max(abs(f(points[i]) - f(points[j])) for i, j in pairs)
    return rise / max(np.linalg.norm(points[i] - points[j]) for i, j in pairs)


@exercise.mistake(
    ko="nan이 나옵니다. 점을 자기 자신과 짝지으면 0을 0으로 나누게 되고, nan에서 시작한 최댓값도 nan으로 남을 수 있습니다.",
    en="The result is nan. A point paired with itself divides 0 by 0, "
    "and a maximum that starts from nan can stay there.",
)
def gives_nan(f, points):
    return np.nan


@exercise.combine
def combined(
    f,
    points,
    *,
    compares_neighbours_only=False,
    averages_the_slopes=False,
    divides_by_the_squared_distance=False,
    forgets_the_sign=False,
):
    ratios = []
    for i, j in all_pairs(points):
        if i - j == 1 or not compares_neighbours_only:
            rise = f(points[i]) - f(points[j])
            distance = np.linalg.norm(points[i] - points[j])
            distance = distance**2 if divides_by_the_squared_distance else distance
            ratios.append((rise if forgets_the_sign else abs(rise)) / distance)
    return np.mean(ratios) if averages_the_slopes else np.max(ratios)
