"""3.3 Three reasons why a layer's inputs change."""

from ..exercise import Exercise
from ..language import Text


def which_shift(before, after, layer):
    """Which of three things made a layer's inputs change between two entries of a training log?

    before, after  one entry each, as a dict:
                   "source"  where the mini-batch was drawn from: the name of a data set
                   "batch"   the number of the mini-batch within that source
                   "step"    how many updates the parameters of all layers had had by then
    layer          0: the first layer, whose inputs are the data; 1: the one above it; ...
    Returns three bools, True for each that played a part:
        covariate_shift           the data come from another source
        internal_covariate_shift  the parameters of a layer below were updated in between
        sampling_noise            other samples were drawn
    """
    covariate_shift = before["source"] != after["source"]
    internal_covariate_shift = layer > 0 and before["step"] != after["step"]
    sampling_noise = covariate_shift or before["batch"] != after["batch"]
    return covariate_shift, internal_covariate_shift, sampling_noise


def cases(rng):
    batch, step = (int(number) for number in rng.integers(2, 90, 2))
    start = entry("train", batch, step)
    # the same batch, before and after an update
    yield entry("night", batch, step), entry("night", batch, step + 1), 2
    yield start, entry("train", batch + 1, step), 1  # two batches, nothing learned in between
    yield start, entry("test", batch, step), 3  # the net is done; its users' data differ
    yield start, entry("train", batch - 1, step + 1), 1  # what a training log usually compares
    yield start, entry("train", batch + 1, step + 1), 0  # the same, seen from the first layer
    yield start, entry("night", batch + 7, step + 40), 2  # training goes on with other data
    yield start, entry("train", batch, step + 1), 0  # the first case, seen from the first layer


def entry(source, batch, step):
    return {"source": source, "batch": batch, "step": step}


exercise = Exercise(
    id="which-shift",
    chapter=3,
    number=3,
    difficulty=1,
    title=Text(ko="무엇이 변했을까: 여섯 상황", en="What has changed? Six situations"),
    solution=which_shift,
    cases=cases,
    hints=[
        Text(
            ko="세 질문은 서로 따로입니다. 답이 동시에 여럿일 수 있고 하나도 없을 수도 있습니다.",
            en="The three questions are separate: several can be answered yes at once, or none.",
        ),
        Text(
            ko="첫 층 아래에는 파라미터가 없습니다. 그 층의 입력을 움직일 수 있는 것은 무엇인가요?",
            en="There are no parameters below the first layer. What can move its inputs?",
        ),
        Text(
            ko="train의 3번 배치와 test의 3번 배치는 같은 표본인가요?",
            en="Are batch 3 of train and batch 3 of test the same samples?",
        ),
    ],
)


@exercise.mistake(
    ko="미니배치가 달라진 것을 내부 공변량 변화(internal covariate shift)라고 했습니다. 흔한 오해입니다. "
    "파라미터를 하나도 바꾸지 않고 두 배치를 넣어 보세요. 층의 입력이 달라진 까닭은 무엇인가요?",
    en="You call it internal covariate shift when the mini-batches differ: a common misconception. "
    "Feed two batches through a net whose parameters stay as they are. "
    "Why do a layer's inputs differ?",
    also_noise=[True, False],
)
def batches_are_internal(before, after, layer, also_noise=True):
    covariate, _, noise = which_shift(before, after, layer)
    return covariate, noise, noise and also_noise


@exercise.mistake(
    ko="공변량 변화와 내부 공변량 변화가 서로 바뀌었습니다. '내부'는 망의 안에서, "
    "곧 아래층의 파라미터가 바뀌어서 생긴 변화라는 뜻입니다.",
    en="Covariate shift and internal covariate shift are swapped. 'Internal' means that the cause "
    "lies inside the net: parameters of the layers below.",
)
def swaps_the_shifts(before, after, layer):
    covariate, internal, noise = which_shift(before, after, layer)
    return internal, covariate, noise


@exercise.mistake(
    ko="첫 층에도 내부 공변량 변화가 있다고 했습니다. 첫 층의 입력은 데이터 그 자체입니다. "
    "그 아래에서 갱신된 파라미터가 있나요?",
    en="You find internal covariate shift in the first layer too. Its inputs are the data "
    "themselves. Which parameters below it could have been updated?",
)
def forgets_the_first_layer(before, after, layer):
    covariate, _, noise = which_shift(before, after, layer)
    return covariate, before["step"] != after["step"], noise


@exercise.mistake(
    ko="배치 번호만 비교했습니다. 번호는 데이터마다 따로 셉니다. "
    "train의 3번 배치와 test의 3번 배치는 다른 표본입니다.",
    en="Only the batch numbers are compared, but each source counts its own: "
    "batch 3 of train and batch 3 of test are different samples.",
)
def compares_numbers_only(before, after, layer):
    covariate, internal, _ = which_shift(before, after, layer)
    return covariate, internal, before["batch"] != after["batch"]


@exercise.mistake(
    ko="표본 잡음을 데이터의 출처가 같을 때만 셌습니다. 출처가 달라지면 표본도 다른 표본입니다. "
    "두 원인이 함께 일어납니다.",
    en="Sampling noise is counted only within one source. Another source means other samples too: "
    "both causes act at once.",
)
def no_noise_between_sources(before, after, layer):
    covariate, internal, noise = which_shift(before, after, layer)
    return covariate, internal, noise and not covariate


@exercise.mistake(
    ko="원인을 하나만 골랐습니다. 학습 기록의 이웃한 두 줄에서는 표본도 바뀌고 파라미터도 바뀝니다. "
    "세 질문에 따로따로 답해 보세요.",
    en="Only one cause is picked. Between two lines of a training log both the samples and the "
    "parameters change. Answer the three questions separately.",
    order=[(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0), (2, 1, 0)],
)
def picks_one_cause(before, after, layer, order=(0, 1, 2)):
    causes = which_shift(before, after, layer)
    first = next((cause for cause in order if causes[cause]), None)
    return tuple(cause == first for cause in range(3))


@exercise.mistake(
    ko="배치가 같을 때만 내부 공변량 변화를 셌습니다. 재려면 배치를 같게 두는 것이 맞습니다. "
    "그러나 배치가 바뀌는 동안에도 아래층의 파라미터는 갱신되었습니다.",
    en="Internal covariate shift is counted only on the same batch. To measure it you do keep the "
    "batch fixed, but it takes place while batches change as well.",
)
def internal_needs_the_same_batch(before, after, layer):
    covariate, internal, noise = which_shift(before, after, layer)
    return covariate, internal and not noise, noise


@exercise.mistake(
    ko="데이터의 출처가 바뀐 것도 내부 공변량 변화로 셌습니다. 층의 입력 분포가 달라진 것은 맞지만 "
    "원인이 망의 밖에 있습니다.",
    en="A new source is counted as internal covariate shift too. The distribution of the layer's "
    "inputs does change, but the cause lies outside the net.",
)
def new_source_is_internal(before, after, layer):
    covariate, internal, noise = which_shift(before, after, layer)
    return covariate, internal or covariate, noise


@exercise.mistake(
    ko="파라미터가 바뀐 것도 공변량 변화로 셌습니다. 층의 입력 분포가 달라진 것은 맞지만 "
    "데이터는 같은 곳에서 왔습니다.",
    en="An update of the parameters is counted as covariate shift too. The distribution of the "
    "layer's inputs does change, but the data come from the same place.",
)
def internal_is_covariate(before, after, layer):
    covariate, internal, noise = which_shift(before, after, layer)
    return covariate or internal, internal, noise


@exercise.mistake(
    ko="새 배치를 뽑기만 해도 공변량 변화라고 했습니다. 두 배치는 같은 분포에서 나왔습니다. "
    "분포가 달라졌나요, 아니면 뽑힌 표본이 달라졌나요?",
    en="Any new batch is called covariate shift. Both batches come from the same distribution. "
    "Did the distribution change, or just the samples drawn from it?",
    also_noise=[True, False],
)
def batches_are_covariate(before, after, layer, also_noise=True):
    _, internal, noise = which_shift(before, after, layer)
    return noise, internal, noise and also_noise


@exercise.combine
def combined(
    before,
    after,
    layer,
    *,
    batches_are_internal=False,
    forgets_the_first_layer=False,
    compares_numbers_only=False,
    no_noise_between_sources=False,
    swaps_the_shifts=False,
):
    covariate = before["source"] != after["source"]
    same_number = before["batch"] == after["batch"]
    noise = not same_number or (covariate and not compares_numbers_only)
    internal = before["step"] != after["step"] and (layer > 0 or forgets_the_first_layer)
    if batches_are_internal:
        internal = noise
    noise = noise and not (covariate and no_noise_between_sources)
    return (internal, covariate, noise) if swaps_the_shifts else (covariate, internal, noise)
