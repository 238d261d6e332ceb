"""12.2 Find the bug: gamma shrinks although its gradient is zero."""

from ..exercise import Exercise
from ..language import Text


def sgd_step(parameters, gradients, learning_rate, decay):
    """One step of gradient descent that decays weights only.

        p - learning_rate * (gradient + decay * p)    conv.weight and fc.weight
        p - learning_rate * gradient                  biases, gamma and beta

    parameters, gradients  dicts of arrays with the same names and shapes, torch's: "conv.weight"
                           (C, B, k, k), "bn.weight" (C,) is gamma and "bn.bias" (C,) is beta,
                           "fc.weight" (K, C), "fc.bias" (K,)
    Returns a new dict with the same names; the arrays it was given stay as they are.
    """
    stepped = {}
    for name, p in parameters.items():
        shrink = decay if p.ndim > 1 else 0.0
        stepped[name] = p - learning_rate * (gradients[name] + shrink * p)
    return stepped


def cases(rng):
    yield case(rng, 1, 2, 1, 3, 0.5, 0.2)
    yield case(rng, 2, 3, 2, 2, 0.1, 0.05)
    yield case(rng, 3, 2, 3, 4, 1.0, 0.3)
    yield case(rng, 2, 3, 1, 4, 0.5, 0.1, slope=0)  # weights shrink without a gradient, too


def case(rng, inputs, channels, kernel, classes, learning_rate, decay, slope=1):
    shapes = {
        "conv.weight": (channels, inputs, kernel, kernel),
        "bn.weight": (channels,),
        "bn.bias": (channels,),
        "fc.weight": (classes, channels),
        "fc.bias": (classes,),
    }
    parameters = {name: rng.normal(1.5, 0.5, shape) for name, shape in shapes.items()}
    gradients = {name: rng.normal(0, slope, shape) for name, shape in shapes.items()}
    return parameters, gradients, learning_rate, decay


exercise = Exercise(
    id="find-the-bug-decay",
    chapter=12,
    number=2,
    difficulty=1,
    title=Text(
        ko="버그 찾기: 기울기가 0인데 줄어드는 γ",
        en="Find the bug: γ shrinks though its gradient is zero",
    ),
    solution=sgd_step,
    cases=cases,
    hints=[
        Text(
            ko="기울기를 모두 0으로 두고 한 스텝을 가 보세요. 어떤 파라미터가 움직이나요? 움직여도 되는 것은 어느 것인가요?",
            en="Take a step with all gradients zero. Which parameters move, and which of them may?",
        ),
        Text(
            ko="이름에 기대면 위험합니다. torch는 γ를 bn.weight라고 부릅니다. "
            "합성곱과 완전 연결층의 가중치를 나머지와 가르는, 이름이 아닌 성질은 무엇인가요?",
            en="Names are treacherous: torch calls γ bn.weight. What, other than its name, "
            "sets the weight of a convolution or a fully connected layer apart from the rest?",
        ),
    ],
)


def step(parameters, gradients, learning_rate, decay, decays):
    """A step in which the parameters for which decays(name, p) is true are decayed."""
    return {
        name: p - learning_rate * (gradients[name] + (decay * p if decays(name, p) else 0.0))
        for name, p in parameters.items()
    }


@exercise.mistake(
    ko="모든 파라미터에 가중치 감쇠를 걸었습니다. γ가 0으로 끌려가면 그 채널은 사라집니다. "
    "기울기가 0일 때 bn.weight가 움직이는지 보세요.",
    en="Weight decay acts on every parameter. γ is pulled toward 0, where its channel vanishes. "
    "See whether bn.weight moves when its gradient is 0.",
)
def decays_everything(parameters, gradients, learning_rate, decay):
    stepped = {}
    for name, p in parameters.items():
        stepped[name] = p - learning_rate * (gradients[name] + decay * p)
    return stepped


exercise.start = decays_everything


@exercise.mistake(
    ko="β와 편향은 놓아주었지만 γ는 여전히 줄어듭니다. 이름으로 골랐다면, torch에서 γ의 이름이 무엇인지 보세요.",
    en="β and the bias are spared, but γ still shrinks. "
    "If you chose by name, look at what torch calls γ.",
)
def still_decays_gamma(parameters, gradients, learning_rate, decay):
    return step(
        parameters, gradients, learning_rate, decay, lambda name, p: name.endswith("weight")
    )


@exercise.mistake(
    ko="γ는 놓아주었지만 β는 여전히 줄어듭니다. β도 정규화 층의 파라미터입니다.",
    en="γ is spared, but β still shrinks. It belongs to the normalization layer too.",
    decays_the_bias=[True, False],
)
def still_decays_beta(parameters, gradients, learning_rate, decay, decays_the_bias):
    spared = {"bn.weight"} if decays_the_bias else {"bn.weight", "fc.bias"}
    return step(parameters, gradients, learning_rate, decay, lambda name, p: name not in spared)


@exercise.mistake(
    ko="γ와 β는 맞습니다. 완전 연결층의 편향은 여전히 줄어듭니다. 이 문제에서는 가중치만 감쇠합니다.",
    en="γ and β are right. The bias of the fully connected layer still shrinks; "
    "here only weights are decayed.",
)
def still_decays_the_bias(parameters, gradients, learning_rate, decay):
    return step(
        parameters, gradients, learning_rate, decay, lambda name, p: not name.startswith("bn")
    )


@exercise.mistake(
    ko="γ, β, 편향은 맞습니다. 그런데 합성곱의 가중치도 감쇠에서 빠졌습니다. 합성곱 커널의 축은 몇 개인가요?",
    en="γ, β and the bias are right, but the convolution's weight is spared as well. "
    "How many axes does a kernel have?",
)
def spares_the_kernel(parameters, gradients, learning_rate, decay):
    return step(parameters, gradients, learning_rate, decay, lambda name, p: p.ndim == 2)


@exercise.mistake(
    ko="합성곱의 가중치는 맞습니다. 그런데 완전 연결층의 가중치가 감쇠에서 빠졌습니다.",
    en="The convolution's weight is right, but the fully connected layer's weight is spared.",
)
def spares_the_matrix(parameters, gradients, learning_rate, decay):
    return step(parameters, gradients, learning_rate, decay, lambda name, p: p.ndim == 4)


@exercise.mistake(
    ko="가중치 감쇠가 모두 사라졌습니다. γ와 β를 놓아주려다 가중치까지 놓아주었습니다.",
    en="Nothing is decayed any more: in sparing γ and β, the weights were spared too.",
)
def decays_nothing(parameters, gradients, learning_rate, decay):
    return step(parameters, gradients, learning_rate, decay, lambda name, p: False)


@exercise.mistake(
    ko="거꾸로 골랐습니다. 지금은 편향과 γ, β가 줄어들고 가중치는 그대로입니다.",
    en="The choice is the wrong way round: biases, γ and β shrink, and the weights do not.",
)
def decays_the_others(parameters, gradients, learning_rate, decay):
    return step(parameters, gradients, learning_rate, decay, lambda name, p: p.ndim == 1)


@exercise.mistake(
    ko="감쇠할 것은 맞게 골랐습니다. 그런데 나머지는 아예 움직이지 않습니다. "
    "감쇠하지 않는다는 것은 학습하지 않는다는 뜻이 아닙니다.",
    en="The right ones are decayed, but the others do not move at all. "
    "Spared from decay does not mean spared from learning.",
)
def freezes_the_spared(parameters, gradients, learning_rate, decay):
    stepped = sgd_step(parameters, gradients, learning_rate, decay)
    return {name: stepped[name] if p.ndim > 1 else p for name, p in parameters.items()}


@exercise.mistake(
    ko="감쇠할 것은 맞게 골랐습니다. 그런데 나머지가 결과에서 사라졌습니다. 이름은 모두 남아야 합니다.",
    en="The right ones are decayed, but the others are gone from the result. Every name has to stay.",
)
def drops_the_spared(parameters, gradients, learning_rate, decay):
    stepped = sgd_step(parameters, gradients, learning_rate, decay)
    return {name: p for name, p in stepped.items() if p.ndim > 1}


@exercise.mistake(
    ko="감쇠할 것은 맞게 골랐습니다. 그런데 감쇠에 학습률이 곱해지지 않았습니다. "
    "학습률을 0으로 두면 파라미터가 움직이지 않아야 합니다.",
    en="The right ones are decayed, but the decay is not multiplied by the learning rate. "
    "With a learning rate of 0 nothing should move.",
)
def decay_without_learning_rate(parameters, gradients, learning_rate, decay):
    return step(
        parameters, gradients, learning_rate, decay / learning_rate, lambda name, p: p.ndim > 1
    )


@exercise.mistake(
    ko="감쇠할 것은 맞게 골랐습니다. 그런데 부호가 반대여서 가중치가 커집니다. 기울기가 0일 때 한 스텝을 가 보세요.",
    en="The right ones are chosen, but the sign is reversed and they grow. "
    "Take a step with zero gradients.",
)
def decays_upwards(parameters, gradients, learning_rate, decay):
    return step(parameters, gradients, learning_rate, -decay, lambda name, p: p.ndim > 1)


@exercise.mistake(
    ko="γ를 0이 아니라 1로 끌어당겼습니다. 덜 해롭지만, 여기서 γ는 기울기만 따라 움직입니다.",
    en="γ is pulled toward 1 instead of 0. Less harmful, "
    "but here γ follows its gradient and nothing else.",
)
def pulls_gamma_to_one(parameters, gradients, learning_rate, decay):
    stepped = sgd_step(parameters, gradients, learning_rate, decay)
    pull = learning_rate * decay * (parameters["bn.weight"] - 1)
    return stepped | {"bn.weight": stepped["bn.weight"] - pull}


@exercise.combine
def combined(
    parameters,
    gradients,
    learning_rate,
    decay,
    *,
    still_decays_gamma=False,
    still_decays_the_bias=False,
    spares_the_kernel=False,
    decay_without_learning_rate=False,
    decays_upwards=False,
):
    decayed = {"fc.weight"}
    decayed |= set() if spares_the_kernel else {"conv.weight"}
    decayed |= {"bn.weight"} if still_decays_gamma else set()
    decayed |= {"fc.bias"} if still_decays_the_bias else set()
    decay = -decay if decays_upwards else decay
    decay = decay / learning_rate if decay_without_learning_rate else decay
    return step(parameters, gradients, learning_rate, decay, lambda name, p: name in decayed)
