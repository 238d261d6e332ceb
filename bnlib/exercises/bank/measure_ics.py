"""9.2 Measure internal covariate shift."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def internal_covariate_shift(gradient, weights, layer, lr, batches, step):
    """How far a layer's gradient moves because the layers below it have moved.

    gradient  gradient(weights, batch) -> list: the loss's gradient for each layer's weights
    weights   list of arrays, one for each layer, from the lowest to the highest
    layer     the layer to measure, counted from 0
    lr        learning rate of the gradient step
    batches   list of batches; the step measured uses batches[step]
    G is the layer's gradient before the step. G' is its gradient on the same batch after the
    layers below it, and no others, have made one step of gradient descent.
    Returns the Euclidean norm of G - G' over all its entries, and the cosine between G and G'.
    """
    batch = batches[step]
    slopes = gradient(weights, batch)
    below = [w - lr * slope for w, slope in zip(weights[:layer], slopes[:layer], strict=True)]
    before, after = slopes[layer], gradient([*below, *weights[layer:]], batch)[layer]
    cosine = np.sum(before * after) / (np.linalg.norm(before) * np.linalg.norm(after))
    return np.linalg.norm(before - after), cosine


def gradient(weights, batch):
    """Mean squared error of a tanh network that should reproduce its input."""
    activations = [batch]
    for w in weights:
        activations.append(np.tanh(activations[-1] @ w))
    error = 2 * (activations[-1] - batch) / batch.size
    slopes = []
    for w, below, above in zip(weights[::-1], activations[-2::-1], activations[:0:-1], strict=True):
        error = error * (1 - above**2)
        slopes.append(below.T @ error)
        error = error @ w.T
    return slopes[::-1]


def cases(rng):
    for layers, layer, step in [(2, 1, 0), (3, 1, 1), (4, 2, 1), (4, 3, 2), (3, 0, 0), (5, 3, 1)]:
        features = 2 if layers == 2 else 3
        weights = list(rng.normal(0, 0.8, (layers, features, features)))
        batches = list(rng.normal(0.3, 1, (step + 2, 5, features)))
        yield gradient, weights, layer, float(rng.uniform(0.5, 2)), batches, step


exercise = Exercise(
    id="measure-ics",
    chapter=9,
    number=2,
    difficulty=2,
    title=Text(ko="내부 공변량 변화 재기", en="Measure internal covariate shift"),
    solution=internal_covariate_shift,
    cases=cases,
    hints=[
        Text(
            ko="gradient를 두 번 부릅니다. 두 번 사이에 무엇이 달라지고 무엇이 그대로인지 먼저 적어 보세요.",
            en="gradient is called twice. Write down first what differs between the two calls "
            "and what stays the same.",
        ),
        Text(
            ko="아래층의 새 가중치로 새 목록을 만드세요. 받은 목록을 고치면 재는 층까지 바뀌기 쉽습니다. "
            "0번 층에는 아래층이 없으므로 결과는 0과 1입니다.",
            en="Build a new list with the lower layers' new weights and leave the old one alone. "
            "Layer 0 has nothing below it, so its result is 0 and 1.",
        ),
    ],
)


def step_of(weights, slopes, lr, is_moved):
    """The weights after a gradient step of the layers for which is_moved(number) holds."""
    return [
        w - lr * slope if is_moved(number) else w
        for number, (w, slope) in enumerate(zip(weights, slopes, strict=True))
    ]


def compare(before, after):
    cosine = np.sum(before * after) / (np.linalg.norm(before) * np.linalg.norm(after))
    return np.linalg.norm(before - after), cosine


def before_and_after(gradient, weights, layer, lr, batch, is_moved=None):
    slopes = gradient(weights, batch)
    moved = step_of(weights, slopes, lr, is_moved or (lambda number: number < layer))
    return slopes[layer], gradient(moved, batch)[layer]


@exercise.mistake(
    ko="두 번째 기울기를 다른 배치에서 구했습니다. 그러면 배치가 달라서 생긴 차이까지 함께 잽니다. "
    "아래층이 없는 0번 층에서 결과가 0인지 확인해 보세요.",
    en="The second gradient comes from another batch, so the difference between batches is "
    "measured along with the shift. For layer 0, which has nothing below it, is the result 0?",
)
def recomputes_on_another_batch(gradient, weights, layer, lr, batches, step):
    slopes = gradient(weights, batches[step])
    moved = step_of(weights, slopes, lr, lambda number: number < layer)
    return compare(slopes[layer], gradient(moved, batches[step + 1])[layer])


@exercise.mistake(
    ko="재려는 층까지 갱신했습니다. 이 층이 스스로 움직인 몫은 공변량 변화가 아닙니다. 아래층만 움직여야 합니다.",
    en="The layer being measured has moved as well. What it does itself is no covariate shift: "
    "only the layers below may move.",
)
def updates_this_layer_too(gradient, weights, layer, lr, batches, step):
    return compare(
        *before_and_after(
            gradient, weights, layer, lr, batches[step], lambda number: number <= layer
        )
    )


@exercise.mistake(
    ko="모든 층을 갱신했습니다. 이것은 스텝 앞뒤의 기울기 변화이지, 아래층 때문에 생긴 변화가 아닙니다.",
    en="All layers have moved. That is the change of the gradient over a whole step, "
    "not the change that the lower layers cause.",
)
def updates_every_layer(gradient, weights, layer, lr, batches, step):
    return compare(
        *before_and_after(gradient, weights, layer, lr, batches[step], lambda number: True)
    )


@exercise.mistake(
    ko="아래층이 아니라 위층을 움직였습니다. 층의 입력을 정하는 것은 어느 쪽인가요?",
    en="The layers above have moved instead of those below. Which of them make the layer's input?",
)
def updates_the_layers_above(gradient, weights, layer, lr, batches, step):
    return compare(
        *before_and_after(
            gradient, weights, layer, lr, batches[step], lambda number: number > layer
        )
    )


@exercise.mistake(
    ko="바로 아래층 하나만 움직였습니다. 그 밑의 층들도 이 층의 입력을 바꿉니다.",
    en="Only the layer right below has moved. Those further down change this layer's input too.",
)
def updates_one_layer_below(gradient, weights, layer, lr, batches, step):
    return compare(
        *before_and_after(
            gradient, weights, layer, lr, batches[step], lambda number: number == layer - 1
        )
    )


@exercise.mistake(
    ko="아래층을 하나씩 갱신하면서 그때마다 기울기를 다시 구했습니다. 학습의 한 스텝에서는 모든 기울기가 "
    "같은 가중치에서 나옵니다.",
    en="The lower layers move one after the other, each with a fresh gradient. "
    "In one training step all gradients belong to the same weights.",
)
def updates_in_turn(gradient, weights, layer, lr, batches, step):
    moved = list(weights)
    for number in range(layer):
        moved[number] = moved[number] - lr * gradient(moved, batches[step])[number]
    before = gradient(weights, batches[step])[layer]
    return compare(before, gradient(moved, batches[step])[layer])


@exercise.mistake(
    ko="아래층이 기울기를 거슬러 올라갔습니다. 경사 하강법의 부호를 확인하세요.",
    en="The lower layers climb the gradient. Check the sign of gradient descent.",
)
def climbs(gradient, weights, layer, lr, batches, step):
    return compare(*before_and_after(gradient, weights, layer, -lr, batches[step]))


@exercise.mistake(
    ko="코사인은 맞습니다. 첫째 수가 두 기울기의 크기의 차입니다. 크기가 같고 방향이 반대인 두 기울기라면 얼마가 나오나요?",
    en="The cosine is right. The first number is the difference of the two lengths: "
    "what would it be for gradients of one length and opposite directions?",
)
def difference_of_norms(gradient, weights, layer, lr, batches, step):
    before, after = before_and_after(gradient, weights, layer, lr, batches[step])
    return abs(np.linalg.norm(before) - np.linalg.norm(after)), compare(before, after)[1]


@exercise.mistake(
    ko="코사인은 맞습니다. 첫째 수가 행렬의 스펙트럼 노름, 곧 가장 큰 특잇값입니다. "
    "np.linalg.norm은 행렬에 ord=2를 주면 모든 원소의 제곱합에서 나온 노름이 아니라 이것을 돌려줍니다.",
    en="The cosine is right. The first number is the spectral norm, the largest singular value: "
    "given a matrix and ord=2, np.linalg.norm returns that and not the norm over all entries.",
)
def spectral_norm(gradient, weights, layer, lr, batches, step):
    before, after = before_and_after(gradient, weights, layer, lr, batches[step])
    return np.linalg.norm(before - after, 2), compare(before, after)[1]


@exercise.mistake(
    ko="코사인은 맞습니다. 첫째 수가 노름의 제곱입니다.",
    en="The cosine is right. The first number is the square of the norm.",
)
def squared_norm(gradient, weights, layer, lr, batches, step):
    distance, cosine = internal_covariate_shift(gradient, weights, layer, lr, batches, step)
    return distance**2, cosine


@exercise.mistake(
    ko="코사인은 맞습니다. 첫째 수를 G의 크기로 나누었습니다. 쓸 만한 양이지만 여기서 묻는 정의와 다릅니다.",
    en="The cosine is right. The first number is divided by the length of G: "
    "a useful quantity, but not the definition asked for.",
)
def relative_norm(gradient, weights, layer, lr, batches, step):
    before, after = before_and_after(gradient, weights, layer, lr, batches[step])
    distance, cosine = compare(before, after)
    return distance / np.linalg.norm(before), cosine


@exercise.mistake(
    ko="노름은 맞습니다. 둘째 수가 코사인 거리입니다. 두 기울기가 같으면 1이어야 합니다.",
    en="The norm is right. The second number is the cosine distance; "
    "for two equal gradients it should be 1.",
)
def cosine_distance(gradient, weights, layer, lr, batches, step):
    distance, cosine = internal_covariate_shift(gradient, weights, layer, lr, batches, step)
    return distance, 1 - cosine


@exercise.combine
def combined(
    gradient,
    weights,
    layer,
    lr,
    batches,
    step,
    *,
    updates_every_layer=False,
    updates_this_layer_too=False,
    updates_the_layers_above=False,
    updates_one_layer_below=False,
    climbs=False,
    recomputes_on_another_batch=False,
    spectral_norm=False,
    difference_of_norms=False,
    squared_norm=False,
    relative_norm=False,
    cosine_distance=False,
):
    def is_moved(number):
        return (
            updates_every_layer
            or (updates_this_layer_too and number <= layer)
            or (updates_the_layers_above and not updates_this_layer_too and number > layer)
            or (updates_one_layer_below and number == layer - 1)
            or (not updates_elsewhere and number < layer)
        )

    updates_elsewhere = updates_the_layers_above or updates_one_layer_below
    slopes = gradient(weights, batches[step])
    moved = step_of(weights, slopes, -lr if climbs else lr, is_moved)
    before = slopes[layer]
    after = gradient(moved, batches[step + recomputes_on_another_batch])[layer]
    distance, cosine = compare(before, after)
    if spectral_norm:
        distance = np.linalg.norm(before - after, 2)
    if difference_of_norms:
        distance = abs(np.linalg.norm(before) - np.linalg.norm(after))
    distance = distance**2 if squared_norm else distance
    distance = distance / np.linalg.norm(before) if relative_norm else distance
    return distance, 1 - cosine if cosine_distance else cosine
