"""8.2 Count what a network learns."""

from ..exercise import Exercise
from ..language import Text


def count_parameters(layers):
    """Count what a convolutional network learns, and what its batch norms merely keep.

    layers  list of tuples, in order:
            ("conv", channels_in, channels_out, k)   a convolution with k x k kernels
            ("bn", channels, height, width)          batch norm of feature maps of this size
    A convolution has a bias, unless batch norm comes directly after it.
    Returns two integers: how many numbers are learned (weights, biases, gamma, beta), and how
    many numbers running_mean and running_var hold.
    """
    learned = kept = 0
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if layer[0] == "conv":
            _, channels_in, channels_out, k = layer
            has_bias = following is None or following[0] != "bn"
            learned += channels_out * (channels_in * k * k + has_bias)
        else:
            learned += 2 * layer[1]
            kept += 2 * layer[1]
    return learned, kept


def cases(rng):
    yield ([("bn", 3, 2, 5)],)
    yield ([("conv", 3, 4, 5)],)
    yield ([("conv", 1, 16, 3), ("bn", 16, 28, 27)],)
    for depth in (2, 4, 3):
        layers, channels, size = [], int(rng.integers(1, 4)), int(rng.integers(20, 40))
        for _ in range(depth):
            wider, k = channels + int(rng.integers(3, 20)), int(rng.choice([3, 5, 7]))
            layers.append(("conv", channels, wider, k))
            channels, size = wider, size - k + 1
            if rng.random() < 0.7:
                layers.append(("bn", channels, size, size + 1))
        yield ([("bn", layers[0][1], 40, 41), *layers, ("conv", channels, 10, 1)],)


exercise = Exercise(
    id="count-parameters",
    chapter=8,
    number=2,
    difficulty=1,
    title=Text(ko="파라미터 세기", en="Count the parameters"),
    solution=count_parameters,
    cases=cases,
    hints=[
        Text(
            ko="배치 정규화가 채널마다 무엇을 몇 개 지니는지 적어 보세요. 학습하는 것이 둘, 학습하지 않는 것이 둘입니다.",
            en="Write down what batch norm holds for one channel: two things that are learned, "
            "two that are not.",
        ),
        Text(
            ko="합성곱의 커널 하나는 모든 입력 채널을 덮습니다. 그런 커널이 출력 채널마다 하나씩 있습니다.",
            en="One kernel of a convolution spans all input channels, "
            "and there is one for every output channel.",
        ),
    ],
)


def count(layers, per_bn=lambda c, h, w: (2 * c, 2 * c), area=lambda k: k * k, bias=None):
    """The solution, with its three rules open to change."""
    learned = kept = 0
    for layer, following in zip(layers, [*layers[1:], ("end",)], strict=True):
        if layer[0] == "conv":
            _, channels_in, channels_out, k = layer
            has_bias = following[0] != "bn" if bias is None else bias
            learned += channels_out * (channels_in * area(k) + has_bias)
        else:
            of_gamma_and_beta, of_statistics = per_bn(*layer[1:])
            learned += of_gamma_and_beta
            kept += of_statistics
    return learned, kept


@exercise.mistake(
    ko="gamma와 beta를 화소마다 세었습니다. 한 특성 맵의 모든 위치는 gamma 하나를 함께 씁니다. "
    "그림이 두 배로 커지면 파라미터도 늘어나야 하나요?",
    en="gamma and beta are counted for every pixel. "
    "All positions of a feature map share one gamma. "
    "Should a larger image mean more parameters?",
    statistics=["per channel", "per pixel"],
)
def gamma_for_every_pixel(layers, statistics="per channel"):
    def per_bn(c, h, w):
        return 2 * c * h * w, 2 * c * (h * w if statistics == "per pixel" else 1)

    return count(layers, per_bn)


@exercise.mistake(
    ko="running_mean과 running_var를 학습하는 수에 넣었습니다. 이 둘은 기울기를 받지 않습니다. "
    "지나가는 배치에서 기록만 합니다.",
    en="running_mean and running_var are counted as learned. They get no gradient: "
    "they only record what passes by.",
    kept=["both", "none"],
)
def learns_the_statistics(layers, kept="both"):
    return count(layers, lambda c, h, w: (4 * c, 2 * c if kept == "both" else 0))


@exercise.mistake(
    ko="배치 정규화 바로 앞의 합성곱에도 편향을 세었습니다. 그 편향은 평균을 뺄 때 사라지고, beta가 그 일을 합니다.",
    en="A bias is counted for convolutions directly before batch norm. "
    "Subtracting the mean removes it, and beta does its work.",
)
def keeps_the_redundant_bias(layers):
    return count(layers, bias=True)


@exercise.mistake(
    ko="모든 합성곱에서 편향을 뺐습니다. 바로 뒤에 배치 정규화가 없는 합성곱은 편향이 필요합니다.",
    en="No convolution has a bias here. One that batch norm does not follow directly needs it.",
)
def drops_every_bias(layers):
    return count(layers, bias=False)


@exercise.mistake(
    ko="배치 정규화에서 채널마다 하나만 세었습니다. 스케일을 하는 gamma와 이동을 하는 beta가 있습니다.",
    en="Only one number is counted for each channel of batch norm. "
    "There is gamma for the scale and beta for the shift.",
)
def forgets_beta(layers):
    return count(layers, lambda c, h, w: (c, 2 * c))


@exercise.mistake(
    ko="이동 통계량을 채널마다 하나만 세었습니다. 평균과 분산이 따로 있습니다.",
    en="Only one running statistic is counted for each channel. There is a mean and a variance.",
)
def forgets_a_statistic(layers):
    return count(layers, lambda c, h, w: (2 * c, c))


@exercise.mistake(
    ko="합성곱의 커널에서 한 변만 세었습니다. 커널은 가로와 세로가 있습니다.",
    en="Only one side of the kernel is counted. A kernel has a height and a width.",
)
def counts_one_side_of_the_kernel(layers):
    return count(layers, area=lambda k: k)


@exercise.mistake(
    ko="배치 정규화 층마다 gamma 하나와 beta 하나만 두었습니다. 채널마다 하나씩 있습니다.",
    en="Each batch norm layer gets a single gamma and a single beta. Every channel has its own.",
    statistics=["per channel", "per layer"],
)
def one_gamma_for_the_layer(layers, statistics="per channel"):
    return count(layers, lambda c, h, w: (2, 2 * c if statistics == "per channel" else 2))


@exercise.combine
def combined(
    layers,
    *,
    one_gamma_for_the_layer=False,
    gamma_for_every_pixel=False,
    forgets_beta=False,
    forgets_a_statistic=False,
    learns_the_statistics=False,
    keeps_the_redundant_bias=False,
    drops_every_bias=False,
    counts_one_side_of_the_kernel=False,
):
    def per_bn(c, h, w):
        gammas = 1 if one_gamma_for_the_layer else c * h * w if gamma_for_every_pixel else c
        kept = c if forgets_a_statistic else 2 * c
        learned = gammas if forgets_beta else 2 * gammas
        return learned + kept * learns_the_statistics, kept

    bias = True if keeps_the_redundant_bias else False if drops_every_bias else None
    area = (lambda k: k) if counts_one_side_of_the_kernel else (lambda k: k * k)
    return count(layers, per_bn, area, bias)
