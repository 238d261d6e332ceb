"""7.5 Carry momentum from one framework to another."""

from ..exercise import Exercise
from ..language import Text


def convert_momentum(momentum, source, target, updates=1):
    """The momentum that gives another framework's running statistics the same memory.

    momentum  the value used in the source, between 0 and 1
    source    "new" if it is the weight of the new batch (torch), "old" if it is the weight of
              the running value (Keras, Flax, ONNX); target the same for the value wanted
    updates   how many updates the source makes while the target makes one, such as 4 where
              four micro-batches become one batch, or 0.5 where the target updates twice as often
    After those updates the old running value must have the same weight in both.
    Returns a number.
    """
    old_weight = (1 - momentum if source == "new" else momentum) ** updates
    return 1 - old_weight if target == "new" else old_weight


def cases(rng):
    yield 0.1, "new", "old"
    yield 0.99, "old", "new"
    yield 0.1, "new", "new"
    yield 0.9, "old", "old", 4
    for source, target, updates in [
        ("new", "old", 4),
        ("new", "new", 8),
        ("old", "new", 0.5),
        ("old", "new", 3),
        ("new", "new", 0.25),
        ("old", "old", 0.2),
    ]:
        yield float(rng.uniform(0.05, 0.45)), source, target, updates


exercise = Exercise(
    id="momentum-convert",
    chapter=7,
    number=5,
    difficulty=3,
    title=Text(ko="momentum을 다른 프레임워크로 옮기기", en="Carry momentum to another framework"),
    solution=convert_momentum,
    cases=cases,
    hints=[
        Text(
            ko="두 약속에 모두 들어 있는 양 하나로 바꾸어 생각하세요. 갱신 한 번 뒤에 옛 값이 얼마나 남나요?",
            en="Think in one quantity that both conventions contain: "
            "how much of the old value is left after an update?",
        ),
        Text(
            ko="갱신을 두 번 하면 옛 값은 남은 것에서 다시 그만큼만 남습니다. 더하기인가요, 곱하기인가요?",
            en="After a second update, that share of what was left is left. "
            "Is this adding or multiplying?",
        ),
        Text(
            ko="세 단계로 쓰세요. 옛 값의 비중으로 바꾸고, updates번의 갱신으로 늘리고, 목표의 약속으로 되돌립니다.",
            en="Write three steps: turn it into the weight of the old value, stretch that over "
            "the updates, and turn it into the target's convention.",
        ),
    ],
)


def old_weight(momentum, convention):
    return 1 - momentum if convention == "new" else momentum


def as_momentum(weight, convention):
    return 1 - weight if convention == "new" else weight


@exercise.mistake(
    ko="약속을 바꾸지 않았습니다. torch의 0.1을 Keras에 그대로 넣으면 배치 하나가 이동 통계량의 90 %를 바꿉니다.",
    en="The convention is not changed. torch's 0.1 put into Keras as it is lets a single batch "
    "replace 90 % of the running statistics.",
    assumes=["the source's", "new", "old"],
)
def keeps_the_convention(momentum, source, target, updates=1, assumes="new"):
    convention = source if assumes == "the source's" else assumes
    return as_momentum(old_weight(momentum, convention) ** updates, convention)


@exercise.mistake(
    ko="두 약속이 같을 때에도 뒤집었습니다. torch에서 torch로 옮길 때 momentum은 어떻게 되어야 하나요?",
    en="The convention is flipped even where both are the same. "
    "What should happen to the momentum on the way from torch to torch?",
)
def always_flips(momentum, source, target, updates=1):
    flipped = "old" if source == "new" else "new"
    return as_momentum(old_weight(momentum, source) ** updates, flipped)


@exercise.mistake(
    ko="1에서 momentum을 뺀 값입니다. 두 약속이 다르고 갱신 횟수가 같을 때는 맞습니다. 나머지 경우에는 어떤가요?",
    en="This is 1 minus the momentum. It is right where the conventions differ and the updates "
    "are as many. What about the other cases?",
)
def one_minus_momentum(momentum, source, target, updates=1):
    return 1 - momentum


@exercise.mistake(
    ko="약속은 맞게 바꾸었습니다. updates를 쓰지 않았습니다. 갱신 횟수가 4분의 1이 되면 기억이 네 배 길어집니다.",
    en="The conventions are right, but updates is not used. "
    "With a quarter of the updates the memory becomes four times as long.",
)
def ignores_updates(momentum, source, target, updates=1):
    return convert_momentum(momentum, source, target)


@exercise.mistake(
    ko="새 값의 비중에 updates를 곱했습니다. momentum이 작을 때는 비슷하지만, 0.3을 네 번 더하면 1을 넘습니다. "
    "두 번째 갱신은 첫 번째 갱신의 결과도 줄입니다.",
    en="The weight of the new value is multiplied by updates. For small momentum that is close, "
    "but four times 0.3 exceeds 1. The second update also shrinks what the first has added.",
)
def multiplies(momentum, source, target, updates=1):
    return as_momentum(1 - updates * (1 - old_weight(momentum, source)), target)


@exercise.mistake(
    ko="새 값의 비중을 거듭제곱했습니다. 갱신을 되풀이할 때 거듭 곱해지는 것은 어느 값의 비중인가요?",
    en="The weight of the new value is raised to a power. "
    "When updates follow one another, whose weight is multiplied again and again?",
)
def powers_of_the_new_weight(momentum, source, target, updates=1):
    return as_momentum(1 - (1 - old_weight(momentum, source)) ** updates, target)


@exercise.mistake(
    ko="updates의 방향이 거꾸로입니다. 원래 쪽에서 네 번 갱신하는 동안 목표 쪽은 한 번만 갱신합니다. "
    "한 번에 더 많이 잊어야 하나요, 더 적게 잊어야 하나요?",
    en="updates works the wrong way. While the source updates four times, the target does so once. "
    "Must that one update forget more, or less?",
)
def inverts_updates(momentum, source, target, updates=1):
    return convert_momentum(momentum, source, target, 1 / updates)


@exercise.mistake(
    ko="옛 값의 비중을 updates로 나누거나 거기에 updates를 곱했습니다. 갱신을 이어서 하면 비중은 자기 자신과 거듭 곱해집니다.",
    en="The weight of the old value is divided or multiplied by updates. "
    "Updates in a row multiply a weight by itself.",
    multiplies=[False, True],
)
def scales_the_old_weight(momentum, source, target, updates=1, multiplies=False):
    return as_momentum(
        old_weight(momentum, source) * (updates if multiplies else 1 / updates), target
    )


@exercise.combine
def combined(
    momentum,
    source,
    target,
    updates=1,
    *,
    keeps_the_convention=False,
    always_flips=False,
    multiplies=False,
    powers_of_the_new_weight=False,
    scales_the_old_weight=False,
    inverts_updates=False,
):
    if always_flips:
        target = "old" if source == "new" else "new"
    if keeps_the_convention:
        target = source
    weight = old_weight(momentum, source)
    updates = 1 / updates if inverts_updates else updates
    if multiplies:
        weight = 1 - updates * (1 - weight)
    elif powers_of_the_new_weight:
        weight = 1 - (1 - weight) ** updates
    elif scales_the_old_weight:
        weight = weight / updates
    else:
        weight = weight**updates
    return as_momentum(weight, target)
