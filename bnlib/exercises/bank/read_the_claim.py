"""9.3 What do the measurements say?"""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def read_the_claim(steps, shift):
    """Which claims about batch norm a set of runs supports.

    steps  (3, S): training steps to a fixed accuracy; one row for each net: plain, batch norm,
           batch norm followed by noise; one column for each seed, shared by the three nets
    shift  (3, S): the internal covariate shift in the same runs
    A comparison of two nets is "supported" if it holds for every seed, "contradicted" if the
    opposite holds for every seed, and "open" otherwise. A tie counts for neither.
    Returns a dict with the verdict on each claim:
    "faster"      batch norm needs fewer steps than plain
    "less shift"  batch norm has less shift than plain
    "harmless"    shift does not slow a net down: batch norm needs fewer steps with the noise
                  than without
    "because"     batch norm is faster because it has less shift. The noise puts shift back:
        supported     "faster" and "less shift" are supported, and the noisy net, which has more
                      shift than plain for every seed, needs more steps than plain for every seed
        contradicted  "faster" is supported without the cause: "less shift" is contradicted, or
                      the noisy net has more shift than plain for every seed and yet needs fewer
                      steps than plain for every seed
        open          otherwise
    """

    def verdict(smaller, larger):
        if np.all(smaller < larger):
            return "supported"
        return "contradicted" if np.all(smaller > larger) else "open"

    claims = {
        "faster": verdict(steps[1], steps[0]),
        "less shift": verdict(shift[1], shift[0]),
        "harmless": verdict(steps[2], steps[1]),
        "because": "open",
    }
    noisy_is_faster = "open"
    if verdict(shift[0], shift[2]) == "supported":
        noisy_is_faster = verdict(steps[2], steps[0])
    if claims["faster"] == "supported":
        if claims["less shift"] == "contradicted" or noisy_is_faster == "supported":
            claims["because"] = "contradicted"
        elif claims["less shift"] == "supported" and noisy_is_faster == "contradicted":
            claims["because"] = "supported"
    return claims


def measured(rng, levels, seeds):
    """Three nets around their levels. Nets at one level differ now this way, now that way.

    A seed that is slow for one net is slow for all, so the ranges of the nets overlap.
    """
    signs = np.array([[1, -1, 1, -1, 1], [-1, 1, -1, 1, 1], [-1, -1, 1, 1, -1]])
    wobble = np.resize(signs, (3, 5))[:, np.arange(seeds) % 5] * rng.uniform(0.05, 0.1, (3, seeds))
    wobble[:, rng.integers(seeds)] *= 3
    of_the_seed = rng.uniform(0, 4, seeds)
    hundreds = np.round(100 * (np.array(levels)[:, None] + wobble + of_the_seed))
    return 3 * hundreds + np.arange(3)[:, None]  # no ties: the remainder of 3 tells the net


def cases(rng):
    for seeds, steps, shift in [
        (5, (3, 1, 2), (1, 1, 4)),  # still faster, with the noise and without less shift
        (5, (3, 1, 4), (3, 1, 5)),  # what the published explanation predicts
        (6, (3, 1, 2), (1, 2, 4)),  # faster with more shift
        (5, (3, 1, 4), (4, 1, 3)),  # the noise does not bring the shift back above plain
        (7, (3, 1, 2), (4, 1, 3)),
        (5, (2, 2, 2), (3, 1, 5)),  # no gain to explain
        (5, (3, 1, 1), (3, 1, 5)),
        (6, (1, 3, 4), (3, 1, 5)),  # slower
        (5, (3, 1, 3), (3, 1, 5)),
        (5, (3, 2, 1), (3, 1, 5)),
        (7, (3, 1, 4), (2, 2, 4)),
        (5, (3, 1, 4), (3, 1, 3)),
        (5, (3, 1, 4), (1, 2, 4)),  # more shift, though the noise slows it down
        (6, (3, 1, 4), (4, 3, 1)),  # the noise brings no shift at all
    ]:
        yield measured(rng, steps, seeds), measured(rng, shift, seeds) / 1000


def has_no_ties(steps, shift):
    """Rounding an example must not make two nets equal."""
    return all(len(set(column)) == 3 for column in [*np.transpose(steps), *np.transpose(shift)])


exercise = Exercise(
    id="read-the-claim",
    chapter=9,
    number=3,
    difficulty=3,
    title=Text(ko="측정은 무엇을 말하는가", en="What do the measurements say?"),
    solution=read_the_claim,
    cases=cases,
    accepts=has_no_ties,
    hints=[
        Text(
            ko="두 행을 받아 세 판정 가운데 하나를 돌려주는 작은 함수를 먼저 만드세요. 비교는 열마다, 곧 같은 시드끼리 합니다.",
            en="Write a small function first that takes two rows and returns one of the three "
            "verdicts. "
            "It compares column by column: each seed with itself.",
        ),
        Text(
            ko="앞의 세 주장은 그 함수를 한 번씩 부르면 됩니다. 어느 행이 어느 망인지 적어 두세요.",
            en="The first three claims are one call each. Note down which row is which net.",
        ),
        Text(
            ko="because에는 원인과 결과가 함께 있어야 하고, 원인을 없앴을 때 결과도 사라져야 합니다. "
            "잡음이 변화를 정말로 되살렸는지부터 확인하세요.",
            en="For because, cause and effect must both be there, and undoing the cause must "
            "undo the "
            "effect. Check first whether the noise really has put the shift back.",
        ),
    ],
)


def every_seed(smaller, larger):
    if np.all(smaller < larger):
        return "supported"
    return "contradicted" if np.all(smaller > larger) else "open"


def why_faster(faster, less_shift, shift_is_back, noisy_is_faster):
    if faster != "supported":
        return "open"
    if less_shift == "contradicted" or (shift_is_back and noisy_is_faster == "supported"):
        return "contradicted"
    is_undone = shift_is_back and noisy_is_faster == "contradicted"
    return "supported" if less_shift == "supported" and is_undone else "open"


def judge(steps, shift, verdict=every_seed):
    """The solution with another way to compare two nets."""
    faster, less_shift = verdict(steps[1], steps[0]), verdict(shift[1], shift[0])
    shift_is_back = verdict(shift[0], shift[2]) == "supported"
    return {
        "faster": faster,
        "less shift": less_shift,
        "harmless": verdict(steps[2], steps[1]),
        "because": why_faster(faster, less_shift, shift_is_back, verdict(steps[2], steps[0])),
    }


@exercise.mistake(
    ko="둘이 함께 나타나면 원인이라고 보았습니다. 더 빠르고 변화도 작다는 것만으로는 하나가 다른 하나의 원인인지 알 수 없습니다. "
    "셋째 망은 무엇을 시험하려고 있나요?",
    en="Faster and less shift together are taken for cause and effect. "
    "Two things that go together need not depend on each other. "
    "What is the third net there to test?",
)
def correlation_is_enough(steps, shift):
    claims = judge(steps, shift)
    because = claims["less shift"] if claims["faster"] == "supported" else "open"
    return {**claims, "because": because}


@exercise.mistake(
    ko="시드의 평균을 비교했습니다. 평균은 거의 언제나 어느 한쪽이 작습니다. "
    "시드마다 결과가 엇갈릴 때도 그렇게 말할 수 있나요?",
    en="The means over seeds are compared, and one of two means is nearly always smaller. "
    "Can that be said when the seeds disagree?",
)
def compares_means(steps, shift):
    return judge(
        steps,
        shift,
        lambda smaller, larger: every_seed(smaller.mean(), larger.mean()),
    )


@exercise.mistake(
    ko="시드의 다수결로 판정했습니다. 동전을 다섯 번 던져도 앞면이 세 번 이상 나올 확률은 절반입니다.",
    en="The majority of the seeds decides. Toss a coin five times, "
    "and three or more heads come up in half of all cases.",
)
def majority_of_seeds(steps, shift):
    def verdict(smaller, larger):
        share = np.mean(smaller < larger)
        return "supported" if share > 0.5 else "contradicted" if share < 0.5 else "open"

    return judge(steps, shift, verdict)


@exercise.mistake(
    ko="첫 시드만 보았습니다. 나머지 열도 같은 말을 하나요?",
    en="Only the first seed is read. Do the other columns say the same?",
)
def first_seed_only(steps, shift):
    return judge(steps[:, :1], shift[:, :1])


@exercise.mistake(
    ko="두 망의 범위가 겹치면 판정하지 않았습니다. 시드 하나가 모든 망에서 느리면 범위는 겹쳐도, "
    "같은 시드끼리 견준 차이는 뚜렷할 수 있습니다. 열은 짝입니다.",
    en="Where the ranges of two nets overlap, no verdict is given. "
    "A seed that is slow for all nets "
    "makes ranges overlap while each seed still shows the difference. The columns are pairs.",
)
def compares_ranges(steps, shift):
    def verdict(smaller, larger):
        if smaller.max() < larger.min():
            return "supported"
        return "contradicted" if smaller.min() > larger.max() else "open"

    return judge(steps, shift, verdict)


@exercise.mistake(
    ko="시드가 엇갈리는 비교를 모두 반박된 것으로 읽었습니다. 증거가 없는 것과 반대 증거가 있는 것은 다릅니다.",
    en="Every comparison on which the seeds disagree is read as contradicted. "
    "No evidence for a claim is not evidence against it.",
)
def open_means_no(steps, shift):
    def verdict(smaller, larger):
        return "supported" if np.all(smaller < larger) else "contradicted"

    return judge(steps, shift, verdict)


@exercise.mistake(
    ko="because가 반박되자 harmless를 지지된 것으로 판정했습니다. 빠른 까닭이 변화의 감소가 아니더라도, "
    "변화가 해로울 수는 있습니다. 잡음을 넣은 망과 넣지 않은 망을 견주어 보세요.",
    en="As because is contradicted, harmless is called supported. Even if less shift is not why "
    "batch norm is faster, shift may still do harm. Compare the nets with and without the noise.",
)
def one_is_wrong_so_the_other_is_right(steps, shift):
    claims = judge(steps, shift)
    if claims["because"] == "contradicted":
        claims["harmless"] = "supported"
    return claims


@exercise.mistake(
    ko="because에서 잡음을 넣은 망을 배치 정규화 망과 견주었습니다. 조금 느려진 것으로는 부족합니다. "
    "이득이 사라졌는지 보려면 어느 망과 견주어야 하나요?",
    en="For because, the noisy net is compared with the batch norm net. A little slower is not "
    "enough. To see whether the gain is gone, which net must it be compared with?",
)
def expects_no_slowdown(steps, shift):
    claims = judge(steps, shift)
    shift_is_back = every_seed(shift[0], shift[2]) == "supported"
    because = why_faster(claims["faster"], claims["less shift"], shift_is_back, claims["harmless"])
    return {**claims, "because": because}


@exercise.mistake(
    ko="잡음이 변화를 되살렸는지 확인하지 않았습니다. 잡음을 넣은 망의 변화가 보통 망보다 작으면 "
    "이 실험으로는 because에 대해 아무 말도 할 수 없습니다.",
    en="Whether the noise has put the shift back is not checked. If the noisy net has less shift "
    "than the plain one, the experiment says nothing about because.",
)
def trusts_the_noise(steps, shift):
    claims = judge(steps, shift)
    noisy_is_faster = every_seed(steps[2], steps[0])
    because = why_faster(claims["faster"], claims["less shift"], True, noisy_is_faster)
    return {**claims, "because": because}


@exercise.mistake(
    ko="harmless에서 잡음을 넣은 망을 보통 망과 견주었습니다. 그러면 배치 정규화의 이득까지 함께 잽니다. "
    "잡음 하나만 다른 두 망은 어느 것인가요?",
    en="For harmless, the noisy net is compared with the plain one, which counts the gain of batch "
    "norm as well. Which two nets differ by the noise alone?",
)
def harmless_against_plain(steps, shift):
    return {**judge(steps, shift), "harmless": every_seed(steps[2], steps[0])}


@exercise.combine
def combined(
    steps,
    shift,
    *,
    first_seed_only=False,
    open_means_no=False,
    correlation_is_enough=False,
    trusts_the_noise=False,
    expects_no_slowdown=False,
    one_is_wrong_so_the_other_is_right=False,
    harmless_against_plain=False,
):
    if first_seed_only:
        steps, shift = steps[:, :1], shift[:, :1]

    def verdict(smaller, larger):
        found = every_seed(smaller, larger)
        return "contradicted" if open_means_no and found == "open" else found

    claims = judge(steps, shift, verdict)
    shift_is_back = trusts_the_noise or verdict(shift[0], shift[2]) == "supported"
    noisy_is_faster = verdict(steps[2], steps[1 if expects_no_slowdown else 0])
    claims["because"] = why_faster(
        claims["faster"], claims["less shift"], shift_is_back, noisy_is_faster
    )
    if correlation_is_enough:
        claims["because"] = claims["less shift"] if claims["faster"] == "supported" else "open"
    if harmless_against_plain:
        claims["harmless"] = verdict(steps[2], steps[0])
    if one_is_wrong_so_the_other_is_right and claims["because"] == "contradicted":
        claims["harmless"] = "supported"
    return claims
