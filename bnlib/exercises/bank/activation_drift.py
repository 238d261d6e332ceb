"""3.4 Tell the drift of a layer's inputs from the noise of the batches."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def activation_drift(layer, weights, batches):
    """Measure during training how far a layer's inputs move, and why.

    layer    layer(weight, x) -> (N, D): what the layers below, with their weights, make of x.
             These are the inputs of the layer that is watched.
    weights  (T + 1, K, D): weights[t] are the weights before step t
    batches  (T + 1, N, K): batches[t] is the mini-batch of step t

    For each step t there are two numbers:
        drift[t]  how far the inputs move when weights[t] become weights[t + 1], on batches[t]
        noise[t]  how far they move when batches[t] becomes batches[t + 1], with weights[t]
    How far b is from a, where a comes first in time, is

        distance(a, b) = mean over the D features of |mean(b) - mean(a)| / std(a)

    with mean and standard deviation over the N samples, the latter divided by N.
    Returns drift of shape (T,) and noise of shape (T,).
    """

    def distance(a, b):
        return np.mean(np.abs(b.mean(axis=0) - a.mean(axis=0)) / a.std(axis=0))

    drift, noise = [], []
    for t in range(len(weights) - 1):
        now = layer(weights[t], batches[t])
        drift.append(distance(now, layer(weights[t + 1], batches[t])))
        noise.append(distance(now, layer(weights[t], batches[t + 1])))
    return np.array(drift), np.array(noise)


def sigmoid_layer(weight, x):
    return 1 / (1 + np.exp(-x @ weight))


def tanh_layer(weight, x):
    return np.tanh(x @ weight + 0.5)


def cases(rng):
    for layer, steps, samples, inputs, features in [
        (sigmoid_layer, 2, 4, 2, 5),
        (sigmoid_layer, 3, 7, 3, 2),
        (tanh_layer, 4, 6, 4, 3),
    ]:
        first = rng.normal(0, 0.7, (inputs, features))
        updates = rng.normal(0, 0.3, (steps, inputs, features))
        weights = first + np.cumsum(np.concatenate([0 * updates[:1], updates]), axis=0)
        yield layer, weights, rng.normal(1, 1, (steps + 1, samples, inputs))


exercise = Exercise(
    id="activation-drift",
    chapter=3,
    number=4,
    difficulty=3,
    title=Text(ko="이동과 잡음을 나누어 재기", en="Tell drift from noise"),
    solution=activation_drift,
    cases=cases,
    hints=[
        Text(
            ko="실험에서는 한 번에 하나만 바꿉니다. 파라미터의 몫을 재려면 무엇을 그대로 두어야 하나요? "
            "배치의 몫을 재려면 무엇을 그대로 두어야 하나요?",
            en="An experiment changes one thing at a time. What has to stay fixed to measure the part "
            "of the parameters, and what for the part of the batches?",
        ),
        Text(
            ko="스텝마다 layer를 세 번 부르면 됩니다. 두 거리는 출발점이 같습니다.",
            en="Three calls of layer for each step are enough: both distances have the same start.",
        ),
        Text(
            ko="거리를 특성마다 구한 다음 마지막에 평균합니다. 절댓값은 그 앞에 있습니다.",
            en="Take the distance for each feature and average last; the absolute value comes before.",
        ),
    ],
)


def measure(
    layer,
    weights,
    batches,
    drift=((0, 0), (1, 0)),
    noise=((0, 0), (0, 1)),
    power=1,
    signed=False,
    whole_layer=False,
    scale="first",
    ddof=0,
):
    """The solution, with a part replaced.

    drift, noise  which two inputs are compared: (steps ahead for the weights, for the batch) each
    """

    def distance(a, b):
        over = None if whole_layer else 0
        std = {"first": a, "second": b, "both": np.concatenate([a, b])}.get(scale)
        std = 1.0 if std is None else std.std(axis=over, ddof=ddof)
        moved = b.mean(axis=over) - a.mean(axis=over)
        moved = (moved if signed else np.abs(moved)) / std
        return np.mean(moved**power) ** (1 / power)

    def inputs(t, ahead):
        return layer(weights[t + ahead[0]], batches[t + ahead[1]])

    steps = range(len(weights) - 1)
    return tuple(
        np.array([distance(inputs(t, first), inputs(t, second)) for t in steps])
        for first, second in (drift, noise)
    )


@exercise.mistake(
    ko="이동을 잴 때 파라미터와 배치를 함께 바꾸었습니다. 학습 기록의 이웃한 두 줄이 바로 그렇습니다. "
    "파라미터를 바꾸지 않아도 여러분의 이동은 0이 되지 않습니다. 확인해 보세요.",
    en="For the drift you change both the parameters and the batch, as two neighbouring lines of a "
    "training log do. Freeze the parameters: your drift does not become 0.",
)
def drift_includes_noise(layer, weights, batches):
    return measure(layer, weights, batches, drift=((0, 0), (1, 1)))


@exercise.mistake(
    ko="잡음을 잴 때 파라미터와 배치를 함께 바꾸었습니다. "
    "배치가 언제나 같다면 잡음은 0이어야 합니다. 여러분의 식에서는 그런가요?",
    en="For the noise you change both the batch and the parameters. "
    "If the batch were always the same, the noise should be 0. Is it, in your formula?",
)
def noise_includes_drift(layer, weights, batches):
    return measure(layer, weights, batches, noise=((0, 0), (1, 1)))


@exercise.mistake(
    ko="이동을 다음 스텝의 배치로 쟀습니다. 두 파라미터를 같은 배치로 비교한 것은 맞습니다. "
    "어느 배치인지 문제를 다시 읽어 보세요.",
    en="The drift is measured on the batch of the next step. Comparing both parameters on one "
    "batch is right; read again which batch it should be.",
)
def drift_on_the_next_batch(layer, weights, batches):
    return measure(layer, weights, batches, drift=((0, 1), (1, 1)))


@exercise.mistake(
    ko="잡음을 스텝이 끝난 뒤의 파라미터로 쟀습니다. 두 배치를 같은 파라미터로 비교한 것은 맞습니다. "
    "어느 파라미터인지 문제를 다시 읽어 보세요.",
    en="The noise is measured with the parameters after the step. Comparing both batches with the "
    "same parameters is right; read again which ones they should be.",
)
def noise_with_the_next_weights(layer, weights, batches):
    return measure(layer, weights, batches, noise=((1, 0), (1, 1)))


@exercise.mistake(
    ko="두 값은 맞고 순서가 바뀌었습니다. 이동이 먼저입니다.",
    en="Both are right, in the wrong order: drift comes first.",
)
def swaps_drift_and_noise(layer, weights, batches):
    return measure(layer, weights, batches)[::-1]


@exercise.mistake(
    ko="언제나 처음 파라미터와 비교했습니다. 그러면 그때까지의 이동이 쌓입니다. "
    "이 문제는 한 스텝의 이동을 묻습니다.",
    en="You always compare with the first parameters, so the drift piles up. "
    "The exercise asks for the drift of each single step.",
)
def drift_since_the_start(layer, weights, batches):
    fixed_start = [
        measure(layer, weights[[0, t + 1]], batches[[t, t]])[0][0] for t in range(len(weights) - 1)
    ]
    return np.array(fixed_start), measure(layer, weights, batches)[1]


@exercise.mistake(
    ko="절댓값이 빠졌습니다. 한 특성은 올라가고 다른 특성은 내려가면 평균에서 서로 지워집니다. "
    "거리가 음수가 될 수 있나요?",
    en="The absolute value is missing. If one feature goes up and another down, they cancel. "
    "Can a distance be negative?",
)
def forgets_the_absolute_value(layer, weights, batches):
    return measure(layer, weights, batches, signed=True)


@exercise.mistake(
    ko="표준편차로 나누지 않았습니다. 0.1만큼의 이동은 퍼짐이 0.01인 특성에서는 크고, 10인 특성에서는 작습니다.",
    en="The standard deviation is missing. A move of 0.1 is large for a feature with a spread of "
    "0.01, and small where the spread is 10.",
)
def forgets_the_spread(layer, weights, batches):
    return measure(layer, weights, batches, scale=None)


@exercise.mistake(
    ko="움직이기 전이 아니라 움직인 뒤의 표준편차가 들어 있습니다. "
    "이 문제의 거리는 시간에서 앞선 쪽의 표준편차로 잽니다.",
    en="You use the standard deviation from after the move, too. In this exercise the distance is "
    "measured in standard deviations of what comes first.",
    scale=["second", "both"],
)
def spread_of_the_later(layer, weights, batches, scale="second"):
    return measure(layer, weights, batches, scale=scale)


@exercise.mistake(
    ko="층 전체에서 평균 하나와 표준편차 하나를 구했습니다. 특성마다 따로 구한 다음 마지막에 평균합니다.",
    en="One mean and one standard deviation are taken over the whole layer. "
    "Take them for each feature and average at the end.",
)
def one_mean_for_the_layer(layer, weights, batches):
    return measure(layer, weights, batches, whole_layer=True)


@exercise.mistake(
    ko="특성마다 구한 거리를 제곱해서 평균하고 제곱근을 구했습니다. 이 문제에서는 그대로 평균합니다.",
    en="The distances of the features are squared, averaged and rooted. "
    "Here they are averaged as they are.",
)
def root_mean_square(layer, weights, batches):
    return measure(layer, weights, batches, power=2)


@exercise.mistake(
    ko="표준편차를 N-1로 나누어 구했습니다(ddof=1). 문제는 N으로 나눕니다.",
    en="The standard deviation divides by N-1 (ddof=1). In this exercise it is N.",
)
def ddof_1(layer, weights, batches):
    return measure(layer, weights, batches, ddof=1)


@exercise.mistake(
    ko="잡음을 데이터에서 쟀습니다. 보고 있는 것은 층의 입력, 곧 데이터가 아래층을 지나온 값입니다.",
    en="The noise is measured on the data. What is watched are the layer's inputs: "
    "what the layers below make of the data.",
)
def noise_of_the_data(layer, weights, batches):
    drift, _ = measure(layer, weights, batches)
    return drift, measure(lambda weight, x: x, weights, batches)[1]


@exercise.combine
def combined(
    layer,
    weights,
    batches,
    *,
    drift_includes_noise=False,
    noise_includes_drift=False,
    swaps_drift_and_noise=False,
    forgets_the_absolute_value=False,
    forgets_the_spread=False,
    one_mean_for_the_layer=False,
    ddof_1=False,
):
    found = measure(
        layer,
        weights,
        batches,
        drift=((0, 0), (1, int(drift_includes_noise))),
        noise=((0, 0), (int(noise_includes_drift), 1)),
        signed=forgets_the_absolute_value,
        scale=None if forgets_the_spread else "first",
        whole_layer=one_mean_for_the_layer,
        ddof=int(ddof_1),
    )
    return found[::-1] if swaps_drift_and_noise else found
