"""6.4 Which noise is this?"""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def noise_source(layer, features):
    """Find out which noise a layer adds in training, from its outputs alone.

    layer     layer(x, rng) -> y: a layer in training mode; x and y (N, features), any N > 1.
              What it draws, it draws from rng: the same x and two generators of one seed give
              the same y. Dropout drops each value with probability 1/4: ask with some rows, and
              with more than two, of which batch normalization makes -1 and 1 whatever they are.
    features  number of features, at least 6
    Dropout noise: y depends on the generator. Batch noise: a sample's output depends on which
    other samples are in the batch.
    Returns "dropout", "batch", "both" or "none".
    """
    x, other = np.random.default_rng(0).normal(size=(2, 16, features))
    other[:8] = x[:8]
    y = layer(x, np.random.default_rng(1))
    has_dropout = not np.allclose(y, layer(x, np.random.default_rng(2)))
    has_batch = not np.allclose(y[:8], layer(other, np.random.default_rng(1))[:8])
    if has_dropout:
        return "both" if has_batch else "dropout"
    return "batch" if has_batch else "none"


def affine(gamma, beta):
    return lambda x, rng: gamma * x + beta


def batch_norm(gamma, beta):
    def apply(x, rng):
        return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) + beta

    return apply


def layer_norm(gamma, beta):
    def apply(x, rng):
        deviation = x - x.mean(axis=1, keepdims=True)
        return gamma * deviation / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5) + beta

    return apply


def dropout(gamma, beta):
    return lambda x, rng: np.where(rng.random(x.shape) < 0.25, 0.0, x / 0.75)


def chain(rng, features, *makers):
    """One layer made of several. Its name is what a check shows."""
    parts = [make(rng.uniform(0.5, 2, features), rng.normal(1, 1, features)) for make in makers]

    def layer(x, rng):
        for part in parts:
            x = part(x, rng)
        return x

    layer.__name__ = ", ".join(make.__name__ for make in makers)
    return layer


def cases(rng):
    for number, makers in enumerate(
        [
            (affine,),
            (batch_norm,),
            (dropout,),
            (layer_norm,),
            (dropout, batch_norm),
            (batch_norm, dropout),
            (dropout, layer_norm),
            (affine, batch_norm),
        ]
    ):
        features = 6 + number
        yield chain(rng, features, *makers), features


exercise = Exercise(
    id="bn-or-dropout",
    chapter=6,
    number=4,
    difficulty=3,
    title=Text(ko="이 잡음은 어디서 오는가", en="Where does this noise come from?"),
    solution=noise_source,
    cases=cases,
    hints=[
        Text(
            ko="잡음의 출처가 둘이므로 실험도 둘입니다. 한 실험에서는 한 가지만 바꾸고 나머지는 그대로 두세요.",
            en="There are two sources of noise, so there are two experiments. "
            "In each, change one thing and hold the rest still.",
        ),
        Text(
            ko="드롭아웃의 잡음은 시드를 고정하면 사라집니다. 배치 정규화의 잡음은 시드를 고정해도 남습니다. "
            "그 잡음은 같은 배치에 누가 함께 있는지에서 옵니다.",
            en="Fix the seed and dropout's noise is gone. Batch norm's noise stays: "
            "it comes from who else is in the batch.",
        ),
        Text(
            ko="표본 몇 개는 그대로 두고 나머지 표본만 다른 값으로 바꾸세요. 그리고 그대로 둔 표본의 출력을 보세요. "
            "표본이 둘뿐이면 배치 정규화의 출력은 언제나 -1과 1이므로 셋 이상을 쓰세요.",
            en="Keep some samples, replace the others by different values, and look at the outputs of "
            "the samples you kept. Take three or more: two always become -1 and 1.",
        ),
    ],
)

NAMES = {(0, 0): "none", (1, 0): "dropout", (0, 1): "batch", (1, 1): "both"}


def probe(features):
    return np.random.default_rng(5).normal(size=(16, features))


def depends_on_the_seed(layer, features):
    x = probe(features)
    first, second = (layer(x, np.random.default_rng(seed)) for seed in (1, 2))
    return not np.allclose(first, second)


def depends_on_the_others(layer, features, seed=1):
    """Replace all samples but the first eight, and look at those, under another seed if asked."""
    x = probe(features)
    y = layer(x, np.random.default_rng(1))
    x[8:] = 3 - 2 * x[8:] ** 2
    return not np.allclose(y[:8], layer(x, np.random.default_rng(seed))[:8])


@exercise.mistake(
    ko="드롭아웃은 찾았지만 배치의 잡음은 한 번도 찾지 못했습니다. "
    "배치 정규화는 난수를 쓰지 않습니다. 시드 말고 무엇을 바꾸면 한 표본의 출력이 달라지나요? "
    "함께 있는 표본의 순서만 바꾸면 통계량은 그대로입니다. 표본이 둘뿐이면 값이 무엇이든 -1과 1이 됩니다.",
    en="Dropout is found, the noise of the batch never. Batch norm draws no random numbers. "
    "What else, besides the seed, changes one sample's output? "
    "Merely reordering its companions leaves the statistics as they are, "
    "and two samples become -1 and 1 whatever they are.",
)
def misses_the_batch(layer, features):
    return NAMES[depends_on_the_seed(layer, features), False]


@exercise.mistake(
    ko="배치의 잡음은 찾았지만 드롭아웃은 한 번도 찾지 못했습니다. "
    "시드가 같은 생성기를 두 번 쓰면 같은 값이 떨어집니다. 두 호출에서 무엇이 달라야 하나요?",
    en="The noise of the batch is found, dropout never. Two generators with one seed drop "
    "the same values. What must differ between the two calls?",
)
def misses_dropout(layer, features):
    return NAMES[False, depends_on_the_others(layer, features)]


@exercise.mistake(
    ko="드롭아웃만 있는 층을 both라고 했습니다. 다른 표본을 바꾸면서 생성기의 시드까지 바꾸었거나, "
    "쓰던 생성기를 이어서 썼습니다. 두 가지가 함께 바뀌면 어느 쪽 때문인지 알 수 없습니다.",
    en="A layer with dropout alone is called both. While the other samples changed, the "
    "generator changed too: another seed, or one already used. Which of the two did it?",
)
def changes_the_seed_as_well(layer, features):
    has_dropout = depends_on_the_seed(layer, features)
    return NAMES[has_dropout, depends_on_the_others(layer, features, seed=2)]


@exercise.mistake(
    ko="잡음이 둘 다 있는 층에서 하나만 답했습니다. 한 가지를 찾은 뒤에도 다른 하나를 마저 확인하세요.",
    en="A layer with both kinds of noise gets the name of one. "
    "Having found one, go on and look for the other.",
    first=["dropout", "batch"],
)
def stops_at_the_first(layer, features, first="dropout"):
    answer = noise_source(layer, features)
    return first if answer == "both" else answer


@exercise.mistake(
    ko="모든 층에서 배치의 잡음을 찾았습니다. 값을 바꾼 표본의 출력까지 비교했기 때문입니다. "
    "그 표본의 출력은 어느 층에서나 바뀝니다.",
    en="Every layer seems to have batch noise, since the outputs of the samples that you changed "
    "are compared too. Those change in any layer.",
)
def compares_the_changed_samples(layer, features):
    return NAMES[depends_on_the_seed(layer, features), True]


@exercise.mistake(
    ko="층 정규화를 배치의 잡음이라고 하고 배치 정규화는 놓쳤습니다. "
    "한 표본의 다른 특성이 아니라 배치의 다른 표본을 바꾸어야 합니다.",
    en="Layer norm is called batch noise, and batch norm is missed. "
    "Change other samples of the batch, not other features of the same sample.",
)
def changes_other_features(layer, features):
    x = probe(features)
    y = layer(x, np.random.default_rng(1))
    x[:, 3:] = 3 - 2 * x[:, 3:] ** 2
    has_batch = not np.allclose(y[:, :3], layer(x, np.random.default_rng(1))[:, :3])
    return NAMES[depends_on_the_seed(layer, features), has_batch]


@exercise.mistake(
    ko="두 잡음을 모두 가려냈지만 이름이 바뀌었습니다. 시드에 따라 달라지는 쪽이 어느 것인가요?",
    en="Both kinds of noise are told apart, but their names are swapped. "
    "Which of the two depends on the seed?",
)
def swaps_the_names(layer, features):
    answer = noise_source(layer, features)
    return {"dropout": "batch", "batch": "dropout"}.get(answer, answer)
