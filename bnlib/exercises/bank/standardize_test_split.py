"""1.2 Standardize a test set without looking at it."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def standardize_test_split(x_train, x_test):
    """Standardize a training set, and a test set by the same rule.

    x_train  (N, D): N samples, D features; no column is constant
    x_test   (M, D): the same features, measured later; M may be 1
    Returns z_train of shape (N, D) and z_test of shape (M, D).
    """
    mean = x_train.mean(axis=0)
    std = x_train.std(axis=0)
    return (x_train - mean) / std, (x_test - mean) / std


def cases(rng):
    yield np.array([[1.0, 10.0], [2.0, 30.0], [6.0, 20.0]]), np.array([[4.0, 50.0]])
    for rows, test_rows, columns in [(6, 4, 3), (5, 5, 2), (30, 7, 4), (8, 2, 5)]:
        scale = 10.0 ** rng.uniform(-1, 2, columns)
        train = rng.normal(2 * scale, scale, (rows, columns))
        yield train, rng.normal(3 * scale, 2 * scale, (test_rows, columns))
    yield rng.normal(4, 2, (9, 3)).astype(np.float32), rng.normal(5, 1, (4, 3)).astype(np.float32)


exercise = Exercise(
    id="standardize-test-split",
    chapter=1,
    number=2,
    difficulty=1,
    title=Text(
        ko="시험 데이터를 보지 않고 표준화하기", en="Standardize without seeing the test set"
    ),
    solution=standardize_test_split,
    cases=cases,
    hints=[
        Text(
            ko="시험 표본이 한 개뿐이라고 상상해 보세요. 그 표본의 표준편차는 얼마인가요?",
            en="Imagine a test set of one sample. What is its standard deviation?",
        ),
        Text(
            ko="통계량은 모두 네 개의 배열이 아니라 두 개의 배열입니다. "
            "두 데이터에 같은 평균과 같은 표준편차를 씁니다.",
            en="There are two arrays of statistics, not four: "
            "both sets use the same mean and the same standard deviation.",
        ),
    ],
)


@exercise.mistake(
    ko="학습 데이터는 맞습니다. 시험 데이터는 자기 통계량으로 표준화했습니다. "
    "그러면 두 데이터에서 같은 값이 다른 수가 됩니다. 시험 표본이 하나면 어떻게 되나요?",
    en="The training set is right. The test set is standardized by its own statistics, "
    "so the same value becomes two different numbers. What happens to a single test sample?",
)
def fits_on_test(x_train, x_test):
    return (
        (x_train - x_train.mean(axis=0)) / x_train.std(axis=0),
        (x_test - x_test.mean(axis=0)) / x_test.std(axis=0),
    )


@exercise.mistake(
    ko="학습 데이터와 시험 데이터를 합쳐서 통계량을 구했습니다. "
    "시험 데이터의 정보가 학습으로 샙니다(leakage).",
    en="The statistics come from both sets joined, "
    "so the test set leaks into what the model is trained on.",
)
def fits_on_both(x_train, x_test):
    both = np.concatenate([x_train, x_test])
    return (x_train - both.mean(axis=0)) / both.std(axis=0), (
        x_test - both.mean(axis=0)
    ) / both.std(axis=0)


@exercise.mistake(
    ko="두 데이터 모두 시험 데이터의 통계량으로 표준화했습니다. 방향이 반대입니다.",
    en="Both sets are standardized by the test set's statistics. It is the other way round.",
)
def uses_test_statistics(x_train, x_test):
    mean, std = x_test.mean(axis=0), x_test.std(axis=0)
    return (x_train - mean) / std, (x_test - mean) / std


@exercise.mistake(
    ko="학습 데이터는 맞습니다. 시험 데이터는 그대로 돌려주었습니다. "
    "모델은 표준화된 입력만 배웠습니다.",
    en="The training set is right. The test set comes back as it was, "
    "but the model has only ever seen standardized inputs.",
)
def leaves_test_raw(x_train, x_test):
    return (x_train - x_train.mean(axis=0)) / x_train.std(axis=0), x_test


@exercise.mistake(
    ko="시험 데이터에서 평균은 학습 데이터의 것을 썼지만 표준편차는 시험 데이터의 것을 썼습니다.",
    en="For the test set the mean comes from the training set, "
    "but the standard deviation from the test set.",
)
def scales_by_test(x_train, x_test):
    mean = x_train.mean(axis=0)
    return (x_train - mean) / x_train.std(axis=0), (x_test - mean) / x_test.std(axis=0)


@exercise.mistake(
    ko="값은 맞습니다. 돌려주는 순서가 바뀌었습니다. 학습 데이터가 먼저입니다.",
    en="The values are right, returned in the wrong order: the training set comes first.",
)
def swaps_the_results(x_train, x_test):
    z_train, z_test = standardize_test_split(x_train, x_test)
    return z_test, z_train


@exercise.mistake(
    ko="표준편차를 구할 때 N이 아니라 N-1로 나누었습니다(ddof=1). "
    "표준화한 학습 데이터의 표준편차를 재 보세요. 정확히 1인가요?",
    en="The standard deviation divides by N-1 instead of N (ddof=1). "
    "Measure the standard deviation of the standardized training set: is it exactly 1?",
)
def ddof_1(x_train, x_test):
    mean, std = x_train.mean(axis=0), x_train.std(axis=0, ddof=1)
    return (x_train - mean) / std, (x_test - mean) / std


@exercise.combine
def combined(
    x_train,
    x_test,
    *,
    fits_on_both=False,
    uses_test_statistics=False,
    ddof_1=False,
    fits_on_test=False,
    leaves_test_raw=False,
    swaps_the_results=False,
):
    def scale(x, seen):
        return (x - seen.mean(axis=0)) / seen.std(axis=0, ddof=int(ddof_1))

    both = np.concatenate([x_train, x_test])
    seen = both if fits_on_both else x_test if uses_test_statistics else x_train
    z_train, z_test = scale(x_train, seen), scale(x_test, x_test if fits_on_test else seen)
    z_test = x_test if leaves_test_raw else z_test
    return (z_test, z_train) if swaps_the_results else (z_train, z_test)
