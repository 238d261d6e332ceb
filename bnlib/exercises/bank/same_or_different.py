"""11.5 Which norms are the same on which shapes."""

from itertools import combinations

from ..exercise import Exercise
from ..language import Text


def same_or_different(first, second, shape, num_groups):
    """Whether two norms give the same result for every x of this shape.

    first, second  each one of "batch", "layer", "instance", "group"
    shape          (N, C, H, W); num_groups divides C
    All have gamma = 1, beta = 0, the same tiny eps, and training statistics; one value alone
    becomes 0. "layer" normalizes over the whole sample: C, H and W.
    Returns True or False.
    """
    N, C, H, W = shape
    sizes = {"sample": N, "group": num_groups, "channel": C // num_groups, "place": H * W}
    together = {
        "batch": {"sample", "place"},
        "layer": {"group", "channel", "place"},
        "instance": {"place"},
        "group": {"channel", "place"},
    }
    differing = together[first] ^ together[second]
    return all(sizes[axis] == 1 for axis in differing)


SHAPES = [
    ((2, 1, 1, 2), 1),
    ((1, 4, 2, 3), 2),
    ((3, 3, 1, 2), 3),
    ((2, 6, 3, 1), 1),
    ((4, 4, 2, 3), 2),
    ((2, 6, 1, 1), 3),
    ((1, 3, 1, 1), 3),
]


def cases(rng):
    for shape, num_groups in SHAPES:
        for first, second in combinations(["batch", "layer", "instance", "group"], 2):
            yield first, second, shape, num_groups
    yield "group", "batch", (1, 3, 2, 2), 3
    yield "layer", "layer", (2, 3, 2, 2), 3


exercise = Exercise(
    id="same-or-different",
    chapter=11,
    number=5,
    difficulty=3,
    title=Text(ko="같은가, 다른가", en="Same or different"),
    solution=same_or_different,
    cases=cases,
    hints=[
        Text(
            ko="정규화마다 어떤 값들이 통계량을 함께 쓰는지 적어 보세요. 두 정규화에서 그 묶음이 같으면 결과도 같습니다.",
            en="For each norm, write down which values share their statistics. "
            "Two norms agree when they make the same bundles.",
        ),
        Text(
            ko="채널 축을 그룹 번호와 그룹 안 번호로 나누면, 모든 정규화가 네 축 가운데 몇 개를 고르는 일이 됩니다.",
            en="Split the channel axis into the group's number and the number inside it: "
            "then every norm is a choice among four axes.",
        ),
        Text(
            ko="크기가 1인 축은 골라도 고르지 않아도 묶음이 같습니다. "
            "N = 1이면 어떤 두 정규화가 같아지나요? H = W = 1이면 어떤가요?",
            en="An axis of size 1 makes the same bundles whether it is chosen or not. "
            "Which norms meet when N = 1? And when H = W = 1?",
        ),
    ],
)


def agree(first, second, shape, num_groups, **other):
    """The solution, with another belief about what some norms take together."""
    N, C, H, W = shape
    sizes = {"sample": N, "group": num_groups, "channel": C // num_groups, "place": H * W}
    together = {
        "batch": {"sample", "place"},
        "layer": {"group", "channel", "place"},
        "instance": {"place"},
        "group": {"channel", "place"},
    } | other
    return all(sizes[axis] == 1 for axis in together[first] ^ together[second])


@exercise.mistake(
    ko="이름이 같을 때만 같다고 했습니다. 이름이 달라도 같은 계산을 하는 모양이 있습니다. "
    "채널이 하나뿐이면 층 정규화와 인스턴스 정규화는 어떻게 다른가요?",
    en="You say same only for equal names. Some shapes make different names compute the same. "
    "With a single channel, how do layer and instance normalization differ?",
)
def compares_the_names(first, second, shape, num_groups):
    return first == second


@exercise.mistake(
    ko="G = 1이면 층 정규화, G = C이면 인스턴스 정규화라는 것은 맞습니다. 그런데 그룹 정규화만 살폈습니다. "
    "표본이 하나뿐일 때 배치 정규화는 무엇과 같아지나요?",
    en="G = 1 is layer and G = C is instance normalization: right. But only group normalization is "
    "looked at. What does batch normalization become when there is a single sample?",
)
def looks_at_groups_only(first, second, shape, num_groups):
    others = {first, second} - {"group"}
    if first == second or (others == {"layer"} and num_groups == 1):
        return True
    return "group" in (first, second) and others == {"instance"} and num_groups == shape[1]


@exercise.mistake(
    ko="G의 두 끝이 바뀌었습니다. G는 그룹의 개수입니다. G = 1이면 모든 채널이 한 그룹입니다.",
    en="The two ends of G are swapped. G counts groups: with G = 1 all channels are in one.",
)
def reads_groups_as_group_size(first, second, shape, num_groups):
    return agree(first, second, shape, shape[1] // num_groups)


@exercise.mistake(
    ko="층 정규화를 특성 맵마다 하는 것으로 보았습니다. 그것은 인스턴스 정규화입니다. "
    "층 정규화는 표본 하나의 모든 채널을 함께 봅니다.",
    en="Layer normalization is taken to work on each feature map. That is instance normalization; "
    "layer normalization takes all channels of a sample together.",
)
def layer_per_feature_map(first, second, shape, num_groups):
    return agree(first, second, shape, num_groups, layer={"place"})


@exercise.mistake(
    ko="층 정규화가 위치마다 채널만 함께 보는 것으로 계산했습니다. 트랜스포머에서는 그렇지만, "
    "이 문제의 층 정규화는 C, H, W를 모두 함께 봅니다.",
    en="Layer normalization is taken to work on the channels of each position. So it does in a "
    "transformer; here it takes C, H and W together.",
)
def layer_per_position(first, second, shape, num_groups):
    return agree(first, second, shape, num_groups, layer={"group", "channel"})


@exercise.mistake(
    ko="인스턴스 정규화가 원소마다 따로 한다고 보았습니다. 그러면 모든 출력이 0입니다. 인스턴스는 특성 맵 하나입니다.",
    en="Instance normalization is taken to work on single elements; every output would be 0. "
    "An instance is one feature map.",
)
def instance_per_element(first, second, shape, num_groups):
    return agree(first, second, shape, num_groups, instance=set())


@exercise.mistake(
    ko="그룹 정규화가 표본들까지 섞는다고 보았습니다. 그룹 정규화는 표본마다 따로 하고, 그래서 배치 크기를 타지 않습니다.",
    en="Group normalization is taken to mix samples. It works on each sample alone, "
    "which is why the batch size does not matter to it.",
)
def group_mixes_the_samples(first, second, shape, num_groups):
    return agree(first, second, shape, num_groups, group={"sample", "channel", "place"})


@exercise.mistake(
    ko="배치 정규화가 화소 자리마다 통계량을 갖는다고 보았습니다. 합성곱 층의 배치 정규화는 채널마다 하나이고, "
    "표본과 위치를 모두 함께 봅니다.",
    en="Batch normalization is taken to keep statistics for each pixel position. For feature maps it has "
    "one set for each channel and takes samples and positions together.",
)
def batch_per_pixel(first, second, shape, num_groups):
    return agree(first, second, shape, num_groups, batch={"sample"})


@exercise.mistake(
    ko="개수만 비교했습니다. N과 C가 같으면 배치 정규화와 층 정규화는 통계량의 개수도, "
    "통계량 하나를 함께 쓰는 값의 개수도 같습니다. 그런데 같은 값들을 묶나요?",
    en="Only numbers are compared. With N equal to C, batch and layer normalization have equally many "
    "statistics, each shared by equally many values. But do they bundle the same values?",
)
def compares_the_counts(first, second, shape, num_groups):
    samples, channels, *_ = shape
    statistics = {"batch": channels, "layer": samples}
    statistics |= {"instance": samples * channels, "group": samples * num_groups}
    return statistics[first] == statistics[second]


@exercise.mistake(
    ko="채널과 그룹은 맞게 따졌습니다. 표본이 하나뿐인 배치를 살펴보세요. "
    "그때 배치 정규화는 다른 표본을 보지 않습니다.",
    en="Channels and groups are right. Look at a batch of one sample: "
    "batch normalization then sees no other sample either.",
)
def forgets_a_batch_of_one(first, second, shape, num_groups):
    if (first == "batch") != (second == "batch"):
        return False
    return agree(first, second, shape, num_groups)


@exercise.mistake(
    ko="한쪽에만 있는 축이 하나라도 크기 1이면 같다고 했습니다. 다른 축들은 어떤가요? "
    "결과가 같으려면 한쪽에만 있는 축이 모두 문제없어야 합니다.",
    en="You say same as soon as one axis that only one norm uses has size 1. And the others? "
    "Every axis in which the norms differ has to be harmless.",
)
def any_axis_of_one(first, second, shape, num_groups):
    if first == second:
        return True
    N, C, H, W = shape
    sizes = {"sample": N, "group": num_groups, "channel": C // num_groups, "place": H * W}
    together = {
        "batch": {"sample", "place"},
        "layer": {"group", "channel", "place"},
        "instance": {"place"},
        "group": {"channel", "place"},
    }
    return any(sizes[axis] == 1 for axis in together[first] ^ together[second])


@exercise.combine
def combined(
    first,
    second,
    shape,
    num_groups,
    *,
    reads_groups_as_group_size=False,
    layer_per_feature_map=False,
    group_mixes_the_samples=False,
    batch_per_pixel=False,
    forgets_a_batch_of_one=False,
):
    other = {}
    if layer_per_feature_map:
        other["layer"] = {"place"}
    if group_mixes_the_samples:
        other["group"] = {"sample", "channel", "place"}
    if batch_per_pixel:
        other["batch"] = {"sample"}
    if forgets_a_batch_of_one and (first == "batch") != (second == "batch"):
        return False
    groups = shape[1] // num_groups if reads_groups_as_group_size else num_groups
    return agree(first, second, shape, groups, **other)
