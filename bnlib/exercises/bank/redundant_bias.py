"""4.2 Which biases does batch normalization make redundant?"""

from ..exercise import Exercise
from ..language import Text


def redundant_biases(layers):
    """Tell for every linear layer of a net whether its bias has any effect on the net's output.

    layers  the kinds of the layers, a list of strings, the first layer first:
            "linear"   y = x W + b, with a bias b of one value for each feature
            "bn"       batch normalization in training: the statistics are those of the mini-batch
            "relu"     y = max(x, 0)
            "sigmoid"  y = 1 / (1 + exp(-x))
    Returns a list with one bool for each "linear", in order: True if the output of the net stays
    the same whatever that bias is, for all weights and inputs.
    """
    found = []
    is_removed_above = False
    for kind in reversed(layers):
        if kind == "linear":
            found.append(is_removed_above)
        else:
            is_removed_above = kind == "bn"
    return found[::-1]


def cases(rng):
    for net in [
        "linear bn",
        "linear relu bn linear",
        "linear bn relu linear",
        "bn linear relu linear sigmoid",
        "linear linear bn sigmoid linear",
        "linear bn relu linear relu bn linear",
        "linear sigmoid linear bn linear linear",
        "linear linear linear linear bn relu linear",
    ]:
        yield (net.split(),)
    for length in (5, 8):
        yield (["linear", *rng.choice(["linear", "bn", "relu", "sigmoid"], length).tolist()],)


exercise = Exercise(
    id="redundant-bias",
    chapter=4,
    number=2,
    difficulty=2,
    title=Text(ko="쓸모없는 편향 찾기", en="Find the useless biases"),
    solution=redundant_biases,
    cases=cases,
    hints=[
        Text(
            ko="편향은 모든 표본에 같은 벡터를 더합니다. 배치 정규화는 무엇을 빼나요?",
            en="A bias adds the same vector to every sample. What does batch normalization subtract?",
        ),
        Text(
            ko="모든 표본에 더해진 같은 벡터가 선형 층을 지나면 무엇이 되나요? 비선형 함수를 지나면요?",
            en="A vector that was added to every sample passes a linear layer: what becomes of it? "
            "And when it passes a nonlinearity?",
        ),
        Text(
            ko="마지막 층에서 거꾸로 걸어 보세요. 지금 더해진 상수가 위에서 지워지는지만 기억하면 됩니다.",
            en="Walk back from the last layer. All you need to remember is whether a constant added "
            "here would be removed further up.",
        ),
    ],
)


def linear_layers(layers):
    return [i for i, kind in enumerate(layers) if kind == "linear"]


@exercise.mistake(
    ko="바로 다음 층이 bn인지만 보았습니다. 그 사이에 선형 층이 하나 더 있으면 어떻게 되나요? "
    "편향 b는 b W라는 상수가 되어 bn에 닿습니다.",
    en="You look only at the very next layer. What if one more linear layer comes before the bn? "
    "The bias b then arrives there as the constant b W.",
)
def only_the_next_layer(layers):
    return [layers[i + 1 : i + 2] == ["bn"] for i in linear_layers(layers)]


@exercise.mistake(
    ko="위쪽 어딘가에 bn이 있기만 하면 된다고 보았습니다. 그 사이에 relu나 sigmoid가 있으면 "
    "편향은 표본마다 다르게 작용합니다. 그러고도 평균만 빼면 지워질까요?",
    en="You accept any bn further up. With a relu or sigmoid in between, the bias acts on each "
    "sample differently. Does removing the mean still remove it?",
)
def any_bn_above(layers):
    return ["bn" in layers[i:] for i in linear_layers(layers)]


@exercise.mistake(
    ko="bn을 선형 층의 앞에서 찾았습니다. 앞에 있는 bn이 뒤에 더해질 편향을 지울 수 있나요?",
    en="You look for the bn before the linear layer. Can it remove a bias that is added after it?",
    anywhere=[False, True],
)
def bn_before_the_layer(layers, anywhere=False):
    return ["bn" in layers[0 if anywhere else max(i - 1, 0) : i] for i in linear_layers(layers)]


@exercise.mistake(
    ko="비선형 함수 다음의 bn도 편향을 지운다고 보았습니다. relu가 0으로 자른 표본에는 편향이 남지 않습니다. "
    "표본마다 다른 것을 평균 하나로 지울 수 있나요?",
    en="You let a bn remove the bias even after a nonlinearity. Samples that relu has cut to 0 show "
    "nothing of the bias. Can one mean remove what differs from sample to sample?",
)
def bn_after_the_nonlinearity(layers):
    return [
        "bn" in layers[i + 1 : i + 2]
        or (layers[i + 1 : i + 2] in (["relu"], ["sigmoid"]) and layers[i + 2 : i + 3] == ["bn"])
        for i in linear_layers(layers)
    ]


@exercise.mistake(
    ko="모두 쓸모없다고 했습니다. bn이 하나도 없는 망을 생각해 보세요.",
    en="You call every bias redundant. Think of a net without any bn.",
)
def every_bias(layers):
    return [True for _ in linear_layers(layers)]


@exercise.mistake(
    ko="쓸모없는 편향이 없다고 했습니다. 층 두 개, linear와 bn만으로 된 망에서 편향을 100만큼 바꾸어 계산해 보세요.",
    en="You call no bias redundant. In a net of two layers, linear and bn, "
    "change the bias by 100 and compute the output.",
)
def no_bias(layers):
    return [False for _ in linear_layers(layers)]


@exercise.mistake(
    ko="참과 거짓이 뒤집혔습니다. 없어도 되는 편향이 True입니다.",
    en="True and False are reversed: True marks a bias that could go.",
)
def says_which_to_keep(layers):
    return [not redundant for redundant in redundant_biases(layers)]


@exercise.mistake(
    ko="값은 맞고 순서가 거꾸로입니다. 첫 층의 답이 먼저입니다.",
    en="The values are right, in reverse order: the first layer's comes first.",
)
def reversed_order(layers):
    return redundant_biases(layers)[::-1]


@exercise.mistake(
    ko="모든 층에 하나씩 답했습니다. 편향이 있는 층은 linear뿐입니다.",
    en="You answer for every layer. Only the linear ones have a bias.",
)
def one_for_every_layer(layers):
    redundant = iter(redundant_biases(layers))
    return [next(redundant) if kind == "linear" else False for kind in layers]
