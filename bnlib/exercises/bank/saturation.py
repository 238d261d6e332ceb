"""3.2 What is left of a gradient below a stack of sigmoids?"""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def surviving_gradient(z):
    """How much of a gradient of 1 is left, layer by layer, on its way down a stack of sigmoids.

        sigmoid(z) = 1 / (1 + exp(-z))

    A gradient of 1 arrives at the output of the last layer. Going back through a layer multiplies
    it by the slope of the sigmoid at that layer's z. (All weights between layers are 1.)

    z  (L, N): what enters the sigmoid of each of L layers, the first layer first, for N samples;
       any finite value, -1000 and 1000 among them
    Returns (L, N): row l is the gradient with respect to z[l], after layers l, l + 1, ..., L - 1.
    No value of z causes a warning or nan.
    """
    decay = np.exp(-np.abs(z))
    slope = decay / (1 + decay) ** 2
    return np.cumprod(slope[::-1], axis=0)[::-1]


def cases(rng):
    yield (np.array([[0.0, 1.0, -3.0], [2.0, -1.0, 0.0]]),)
    for layers, samples in [(3, 2), (1, 4), (5, 3), (2, 7)]:
        yield (rng.normal(0.5, 1.5, (layers, samples)),)
    yield (np.array([[1000.0, -1000.0, 0.5], [1.0, -0.5, 30.0], [0.3, 2.0, -1.0]]),)
    yield (rng.normal(0, 2, (4, 3)).astype(np.float32),)


exercise = Exercise(
    id="saturation",
    chapter=3,
    number=2,
    difficulty=2,
    title=Text(ko="시그모이드를 거슬러 온 기울기", en="A gradient on its way down the sigmoids"),
    solution=surviving_gradient,
    cases=cases,
    quiet=True,
    hints=[
        Text(
            ko="시그모이드의 기울기가 가장 큰 곳은 z = 0이고 그 값은 1/4입니다. "
            "여러분이 구한 기울기는 z = 0에서 얼마인가요?",
            en="The slope of the sigmoid is largest at z = 0, where it is 1/4. "
            "What is yours at z = 0?",
        ),
        Text(
            ko="연쇄 법칙(chain rule)은 곱셈입니다. 마지막 층의 행에는 인수가 하나, "
            "첫 층의 행에는 L개가 들어 있습니다.",
            en="The chain rule multiplies. The row of the last layer has one factor, "
            "the row of the first has L.",
        ),
        Text(
            ko="np.exp는 큰 수에서 inf가 되며 경고를 냅니다. float64에서는 709, float32에서는 88을 넘을 때입니다. "
            "음수 쪽에서는 조용히 0에 다가갑니다. 시그모이드의 기울기는 z와 -z에서 어떻게 다른가요?",
            en="np.exp gives inf and a warning for large numbers: above 709 in float64, above 88 in "
            "float32. For negative ones it quietly approaches 0. How does the slope of the sigmoid "
            "differ between z and -z?",
        ),
    ],
)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def slope_of_sigmoid(z):
    decay = np.exp(-np.abs(z))  # without a warning
    return decay / (1 + decay) ** 2


def from_the_top(factors):
    return np.cumprod(factors[::-1], axis=0)[::-1]


@exercise.mistake(
    ko="시그모이드의 기울기가 아니라 값을 곱했습니다. z가 크면 값은 1에 가깝지만 기울기는 0에 가깝습니다.",
    en="You multiply values of the sigmoid, not slopes. "
    "For a large z the value is near 1, but the slope is near 0.",
)
def value_instead_of_slope(z):
    return from_the_top(sigmoid(z))


@exercise.mistake(
    ko="시그모이드를 두 번 지났습니다. s(1 - s)의 s는 이미 시그모이드의 값입니다. "
    "z = 0에서 1/4이 나오는지 확인해 보세요.",
    en="The sigmoid is applied twice: the s of s(1 - s) is already its value. "
    "Check whether you get 1/4 at z = 0.",
)
def sigmoid_twice(z):
    return from_the_top(slope_of_sigmoid(sigmoid(z)))


@exercise.mistake(
    ko="tanh의 기울기를 썼습니다. z = 0에서 1이 나옵니다. 시그모이드의 기울기는 1/4을 넘지 않습니다.",
    en="That is the slope of tanh, which is 1 at z = 0. The slope of the sigmoid never exceeds 1/4.",
    of_the_sigmoid=[False, True],
)
def slope_of_tanh(z, of_the_sigmoid=False):
    return from_the_top(1 - (sigmoid(z) if of_the_sigmoid else np.tanh(z)) ** 2)


@exercise.mistake(
    ko="층마다 기울기를 구했지만 곱하지 않았습니다. 첫 층까지 내려오려면 위의 모든 층을 지나야 합니다.",
    en="The slopes are right, layer by layer, but not multiplied. "
    "To reach the first layer, a gradient has to pass all the layers above it.",
)
def forgets_the_product(z):
    return slope_of_sigmoid(z)


@exercise.mistake(
    ko="기울기를 더했습니다. 합성한 함수의 기울기는 곱입니다. 층을 더 쌓으면 여러분의 결과는 커집니다.",
    en="The slopes are added. Composed functions multiply their slopes. "
    "Your result grows with every further layer.",
)
def adds_the_slopes(z):
    return np.cumsum(slope_of_sigmoid(z)[::-1], axis=0)[::-1]


@exercise.mistake(
    ko="첫 층부터 곱해 올라갔습니다. 기울기는 마지막 층에서 들어와 아래로 내려갑니다. "
    "인수가 하나뿐인 행은 어느 행이어야 할까요?",
    en="The product runs upwards from the first layer. The gradient enters at the last layer "
    "and goes down. Which row should have a single factor?",
)
def product_from_the_bottom(z):
    return np.cumprod(slope_of_sigmoid(z), axis=0)


@exercise.mistake(
    ko="곱은 맞는데 행의 순서가 거꾸로입니다. 첫 층이 첫 행입니다.",
    en="The products are right, but the rows come in reverse: the first layer is the first row.",
)
def rows_reversed(z):
    return surviving_gradient(z)[::-1]


@exercise.mistake(
    ko="층마다 자기 자신의 기울기가 빠졌습니다. 그것은 그 층의 출력에 대한 기울기입니다. "
    "이 문제는 그 층의 z에 대한 기울기를 묻습니다.",
    en="Each layer's own slope is left out. That is the gradient with respect to its output; "
    "the exercise asks for the one with respect to its z.",
)
def leaves_out_its_own_layer(z):
    return np.concatenate([surviving_gradient(z)[1:], np.ones_like(z[:1])])


@exercise.mistake(
    ko="모든 층을 한꺼번에 곱해서 행마다 같은 수가 되었습니다. 층마다 지나온 층의 수가 다릅니다.",
    en="All layers are multiplied at once, so every row is the same. "
    "Layers differ in how many lie above them.",
)
def same_product_in_every_row(z):
    return np.broadcast_to(slope_of_sigmoid(z).prod(axis=0), z.shape)


@exercise.mistake(
    ko="층이 아니라 표본을 따라 곱했습니다. 표본끼리는 서로 영향을 주지 않습니다.",
    en="The product runs over the samples, not the layers. Samples do not affect each other.",
)
def multiplies_over_samples(z):
    return np.cumprod(slope_of_sigmoid(z)[:, ::-1], axis=1)[:, ::-1]


@exercise.mistake(
    ko="z가 1000이나 -1000이면 nan이 나옵니다. exp가 inf가 되어 inf/inf를 계산했습니다. "
    "z = 1000에서 exp(-z)와 exp(z) 중 어느 쪽이 안전한가요?",
    en="At z = 1000 or -1000 the result is nan: exp overflows and inf/inf is computed. "
    "Which is safe at z = 1000, exp(-z) or exp(z)?",
    form=["value", "slope", "slope at -z"],
)
def overflows(z, form="value"):
    grown = np.exp(-z if form == "slope at -z" else z)
    if form == "value":
        value = grown / (1 + grown)
        return from_the_top(value * (1 - value))
    return from_the_top(grown / (1 + grown) ** 2)


@exercise.combine
def combined(
    z,
    *,
    value_instead_of_slope=False,
    sigmoid_twice=False,
    slope_of_tanh=False,
    adds_the_slopes=False,
    product_from_the_bottom=False,
    rows_reversed=False,
):
    slope = slope_of_sigmoid(sigmoid(z) if sigmoid_twice else z)
    if value_instead_of_slope:
        slope = sigmoid(z)
    elif slope_of_tanh:
        slope = 1 - np.tanh(z) ** 2
    accumulate = np.cumsum if adds_the_slopes else np.cumprod
    if product_from_the_bottom:
        return accumulate(slope, axis=0)
    from_the_last = accumulate(slope[::-1], axis=0)
    return from_the_last if rows_reversed else from_the_last[::-1]
