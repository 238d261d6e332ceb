"""6.3 How many times faster, honestly."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def speedup(curves, steps_per_epoch, target):
    """How many times fewer steps the second net needs, each net at its own best learning rate.

    curves           (2, R, S, E): accuracy of two nets at R learning rates with S seeds at the
                     end of each of E epochs
    steps_per_epoch  (2,): steps in an epoch of each net; their batch sizes may differ
    target           the accuracy to reach
    A run's time is the number of steps until the end of the first epoch with an accuracy of
    `target` or more, infinite if there is none. A learning rate's time is the median over the
    seeds, and a net's time is that of its fastest learning rate.
    Returns the first net's time, the second net's time, and the first divided by the second.
    """
    reached = curves >= target
    epochs = np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1, np.inf)
    first, second = np.median(epochs, axis=-1).min(axis=-1) * steps_per_epoch
    return first, second, first / second


def cases(rng):
    typical = [[0.5, 0.7, 0.9], [0.4, 0.6, 0.8], [0.3, 0.9, 0.8]]
    lucky_once = [[0.9, 0.9, 0.9], [0.1, 0.1, 0.1], [0.1, 0.1, 0.1]]
    never = [[0.1, 0.1, 0.1]] * 3
    early_but_low = [[0.8, 0.7, 0.7], [0.9, 0.7, 0.7], [0.2, 0.3, 0.8]]
    late_but_high = [[0.7, 0.7, 0.9], [0.6, 0.7, 0.9], [0.5, 0.6, 0.9]]
    yield (
        np.array([[typical, lucky_once, never], [late_but_high, late_but_high, early_but_low]]),
        np.array([100, 50]),
        0.8,
    )
    for rates, seeds, epochs, steps in [
        (4, 3, 8, [20, 30]),
        (3, 5, 12, [50, 10]),
        (5, 3, 6, [7, 4]),
        (4, 5, 10, [15, 15]),
        (3, 4, 9, [25, 20]),
    ]:
        # The faster a learning rate, the lower it ends; a run may end below the target.
        speed = np.array([0.2, 0.5])[:, None, None, None] * rng.uniform(0.5, 3, (2, rates, 1, 1))
        top = rng.uniform(0.75, 1.0, (2, rates, seeds, 1)) - 0.1 * speed
        speed = speed * rng.uniform(0.5, 1.5, (2, rates, seeds, 1))
        curves = top * (1 - np.exp(-speed * np.arange(1, epochs + 1)))
        curves += rng.normal(0, 0.03, curves.shape)
        yield np.clip(curves, 0, 1), np.array(steps), 0.72
    never = np.clip(rng.normal(0.4, 0.1, (2, 2, 3, 5)), 0, 0.69)
    never[1, 0, :, 2:] += 0.3
    yield never, np.array([40, 25]), 0.7


exercise = Exercise(
    id="steps-to-accuracy",
    chapter=6,
    number=3,
    difficulty=2,
    title=Text(ko="정말 몇 배 빠른가", en="How many times faster, honestly"),
    solution=speedup,
    cases=cases,
    hints=[
        Text(
            ko="실행 하나에서 시작하세요. 정확도 배열에서 목표를 처음 넘긴 자리는 몇 번째 에포크의 끝인가요? "
            "한 번도 넘지 못하면 어떻게 되나요?",
            en="Start with one run. The first place at or above the target is the end of which "
            "epoch? "
            "And what if there is no such place?",
        ),
        Text(
            ko="그다음은 축의 순서입니다. 에포크 축을 없애고, 시드 축은 중앙값으로, 학습률 축은 최솟값으로 없앱니다. "
            "망 축은 끝까지 남습니다.",
            en="Then the axes go one by one: epochs first, the seeds by their median, "
            "the learning rates by their minimum. The axis of the nets stays to the end.",
        ),
    ],
)


def epochs_to_target(curves, target):
    reached = curves >= target
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1.0, np.inf)


def times_and_ratio(epochs, steps_per_epoch):
    first, second = epochs * steps_per_epoch
    return first, second, first / second


@exercise.mistake(
    ko="두 망을 같은 학습률에서 비교했습니다. 한쪽에 알맞은 학습률이 다른 쪽에는 너무 작거나 클 수 있습니다. "
    "논문의 14배도 서로 다른 학습률에서 나온 수입니다.",
    en="Both nets are compared at one learning rate. A rate that suits one may be far too small "
    "or too large for the other. The paper's factor of 14, too, lies between different rates.",
    rate=["first", "last", "best of the first net", "best of the second net", "largest ratio"],
)
def one_learning_rate(curves, steps_per_epoch, target, rate="first"):
    epochs = np.median(epochs_to_target(curves, target), axis=-1)
    chosen = {
        "first": 0,
        "last": -1,
        "best of the first net": epochs[0].argmin(),
        "best of the second net": epochs[1].argmin(),
        "largest ratio": np.nan_to_num(epochs[0] / epochs[1], nan=0.0, posinf=np.inf).argmax(),
    }[rate]
    return times_and_ratio(epochs[:, chosen], steps_per_epoch)


@exercise.mistake(
    ko="스텝이 아니라 에포크를 셌습니다. 두 망의 배치 크기가 다르면 한 에포크에 든 갱신 횟수도 다릅니다.",
    en="You count epochs, not steps. With different batch sizes an epoch holds "
    "different numbers of updates.",
)
def counts_epochs(curves, steps_per_epoch, target):
    return speedup(curves, np.ones(2), target)


@exercise.mistake(
    ko="첫 시드만 보았습니다. 시드 하나의 결과는 우연일 수 있습니다. 나머지 시드도 같은 말을 하나요?",
    en="Only the first seed is used. One seed may be luck: do the others say the same?",
)
def first_seed_only(curves, steps_per_epoch, target):
    return speedup(curves[:, :, :1], steps_per_epoch, target)


@exercise.mistake(
    ko="시드마다 걸린 시간 가운데 가장 짧은 것을 골랐습니다. 운이 가장 좋은 실행이 아니라 보통의 실행이 필요합니다.",
    en="Among the seeds you take the shortest time. "
    "What is wanted is the typical run, not the luckiest.",
)
def luckiest_seed(curves, steps_per_epoch, target):
    epochs = epochs_to_target(curves, target).min(axis=(1, 2))
    return times_and_ratio(epochs, steps_per_epoch)


@exercise.mistake(
    ko="정확도 곡선을 시드끼리 먼저 평균하고, 그 곡선이 목표를 넘는 때를 찾았습니다. "
    "평균 곡선은 어느 실행의 것도 아닙니다. 실행마다 시간을 먼저 구하세요.",
    en="The curves are averaged over seeds first, and the time is read off the mean curve, "
    "which no run ever followed. Find each run's time first.",
)
def averages_the_curves(curves, steps_per_epoch, target):
    return speedup(curves.mean(axis=2, keepdims=True), steps_per_epoch, target)


@exercise.mistake(
    ko="중앙값이 아니라 평균을 썼습니다. 한 시드라도 목표에 닿지 못하면 그 학습률의 시간이 무한대가 됩니다.",
    en="You take the mean over seeds, not the median. "
    "A single seed that never arrives then makes the time of its learning rate infinite.",
)
def mean_over_seeds(curves, steps_per_epoch, target):
    epochs = epochs_to_target(curves, target).mean(axis=-1).min(axis=-1)
    return times_and_ratio(epochs, steps_per_epoch)


@exercise.mistake(
    ko="목표에 닿지 못한 실행이 가장 빠른 실행이 되었습니다. "
    "모두 False인 배열에서 argmax가 무엇을 돌려주는지 확인해 보세요.",
    en="A run that never reaches the target has become the fastest of all. "
    "Check what argmax returns for an array that is False throughout.",
)
def failures_count_as_fast(curves, steps_per_epoch, target):
    epochs = np.median((curves >= target).argmax(axis=-1) + 1, axis=-1).min(axis=-1)
    return times_and_ratio(epochs, steps_per_epoch)


@exercise.mistake(
    ko="목표에 닿지 못한 실행을 빼고 중앙값을 구했습니다. 실패한 실행이 많을수록 시간이 짧아 보입니다.",
    en="Runs that never reach the target are left out before the median. "
    "The more runs fail, the shorter the time looks.",
)
def drops_failed_runs(curves, steps_per_epoch, target):
    epochs = epochs_to_target(curves, target)
    typical = np.nanmedian(np.where(np.isinf(epochs), np.nan, epochs), axis=-1)
    fastest = np.where(np.isnan(typical), np.inf, typical).min(axis=-1)
    return times_and_ratio(fastest, steps_per_epoch)


@exercise.mistake(
    ko="에포크를 0부터 셌습니다. 첫 에포크의 끝에서 목표를 넘긴 실행은 몇 스텝을 했나요?",
    en="The epochs are counted from 0. "
    "A run that reaches the target at the end of its first epoch has made how many steps?",
)
def counts_from_zero(curves, steps_per_epoch, target):
    epochs = np.median(epochs_to_target(curves, target) - 1, axis=-1).min(axis=-1)
    return times_and_ratio(epochs, steps_per_epoch)


@exercise.mistake(
    ko="두 시간은 맞습니다. 나눗셈이 거꾸로입니다. 둘째 망이 더 빠르면 비는 1보다 커야 합니다.",
    en="Both times are right, but the ratio is upside down: "
    "if the second net is faster, it should exceed 1.",
)
def ratio_upside_down(curves, steps_per_epoch, target):
    first, second, ratio = speedup(curves, steps_per_epoch, target)
    return first, second, 1 / ratio


@exercise.mistake(
    ko="학습률을 마지막 정확도로 골랐습니다. 끝에 가장 높은 학습률이 목표에 가장 먼저 닿는 것은 아닙니다.",
    en="The learning rate is chosen by its final accuracy. "
    "The one that ends highest need not be the first to reach the target.",
)
def chooses_by_final_accuracy(curves, steps_per_epoch, target):
    best = curves[..., -1].mean(axis=-1).argmax(axis=-1)
    epochs = np.median(epochs_to_target(curves, target), axis=-1)[[0, 1], best]
    return times_and_ratio(epochs, steps_per_epoch)


@exercise.combine
def combined(
    curves,
    steps_per_epoch,
    target,
    *,
    averages_the_curves=False,
    first_seed_only=False,
    failures_count_as_fast=False,
    luckiest_seed=False,
    mean_over_seeds=False,
    one_learning_rate=False,
    counts_epochs=False,
    counts_from_zero=False,
    ratio_upside_down=False,
):
    if averages_the_curves:
        curves = curves.mean(axis=2, keepdims=True)
    if first_seed_only:
        curves = curves[:, :, :1]
    epochs = epochs_to_target(curves, target) - counts_from_zero
    if failures_count_as_fast:
        epochs[np.isinf(epochs)] = 1 - counts_from_zero
    over_seeds = np.min if luckiest_seed else np.mean if mean_over_seeds else np.median
    of_each_rate = over_seeds(epochs, axis=-1)
    fastest = of_each_rate[:, 0] if one_learning_rate else of_each_rate.min(axis=-1)
    first, second, ratio = times_and_ratio(fastest, 1 if counts_epochs else steps_per_epoch)
    return first, second, 1 / ratio if ratio_upside_down else ratio
