"""6.2 Give both networks a fair chance."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def tune_each(train, nets, learning_rates, seeds):
    """Tune each net's learning rate on validation data, then report its test accuracy.

    train           train(net, lr, seed) -> validation, test: two arrays with the accuracies at
                    every evaluation of one run; nan from where the run diverged
    nets            list of names; learning_rates and seeds: lists of numbers
    A run's result is its accuracy at the last evaluation, or 0 if it diverged. A net's best
    learning rate has the highest mean validation result over all the seeds.
    Returns a dict: net -> (its best learning rate, its mean test result there over all the seeds).
    """
    report = {}
    for net in nets:
        curves = np.array([[train(net, lr, seed) for seed in seeds] for lr in learning_rates])
        validation, test = np.nan_to_num(curves[..., -1]).mean(axis=1).T
        best = validation.argmax()
        report[net] = (learning_rates[best], test[best])
    return report


def recorded_runs(rng, nets, learning_rates, seeds, evaluations, diverging=0.15):
    """A `train` that looks its curves up. Its name is what a check shows: the last accuracies."""
    peaks = rng.uniform(0, len(learning_rates), len(nets))
    curves, rows = {}, []
    for net, peak in zip(nets, peaks, strict=True):
        for position, lr in enumerate(learning_rates):
            level = 0.9 - 0.02 * abs(position - peak)
            late_loss = rng.uniform(0, 0.08)
            for seed in seeds:
                rise = 1 - 0.5 * rng.uniform(0.2, 0.9) ** np.arange(1, evaluations + 1)
                pair = level * rise + rng.normal(0, [[0.03], [0.06]], (2, evaluations))
                pair[:, -1] -= late_loss
                if rng.random() < diverging:
                    pair[:, rng.integers(1, evaluations) :] = np.nan
                curves[net, lr, seed] = pair
                rows.append(f"{net}, lr {lr:g}, seed {seed}: {pair[0, -1]:.3f}, {pair[1, -1]:.3f}")

    def train(net, lr, seed):
        validation, test = curves[net, lr, seed]
        return validation.copy(), test.copy()

    train.__name__ = "\n".join(["train: last validation and test accuracy", *rows])
    return train


def cases(rng):
    nets = ["plain", "batch norm"]
    for learning_rates, seeds, evaluations in [
        ([0.1, 1.0, 5.0], [0, 1], 3),
        ([0.01, 0.1, 0.5, 1.0, 3.0], [3, 4, 5], 5),
        ([0.03, 0.3, 3.0, 30.0], [0, 1, 2, 3, 4], 4),
        ([3.0, 1.0, 0.1, 0.01], [7, 8, 9], 6),
        ([0.1, 0.2, 0.4, 0.8, 1.6, 3.2], [1, 2, 3], 4),
        ([0.5, 0.05, 5.0, 1.5, 0.15], [11, 5, 2, 1], 4),
    ]:
        train = recorded_runs(rng, nets, learning_rates, seeds, evaluations)
        yield train, nets, learning_rates, seeds
    # So many runs diverge that no learning rate is without one.
    seeds = [0, 1, 2, 3, 4]
    yield recorded_runs(rng, nets, [0.1, 1.0, 10.0], seeds, 3, 0.6), nets, [0.1, 1.0, 10.0], seeds


exercise = Exercise(
    id="lr-sweep",
    chapter=6,
    number=2,
    difficulty=2,
    title=Text(ko="두 망에 같은 기회 주기", en="Give both nets a fair chance"),
    solution=tune_each,
    cases=cases,
    hints=[
        Text(
            ko="망 하나로 시작하세요. 학습률마다 시드 모두의 결과를 평균해 수 하나를 만들고, 가장 큰 것을 고릅니다.",
            en="Start with one net: for each learning rate, average the results of all the seeds "
            "into one number, and take the largest.",
        ),
        Text(
            ko="고르는 데 쓰는 데이터와 보고하는 데이터는 다릅니다. nan이 섞인 평균은 무엇이 되는지도 확인하세요.",
            en="The data that choose are not the data that report. "
            "And look at what a mean becomes when one of the values is nan.",
        ),
    ],
)


def run_all(train, nets, learning_rates, seeds):
    """Validation and test accuracies, each (nets, learning rates, seeds, evaluations)."""
    curves = [[[train(net, lr, seed) for seed in seeds] for lr in learning_rates] for net in nets]
    return np.moveaxis(np.array(curves), 3, 0)


def results(train, nets, learning_rates, seeds):
    """Last validation and test accuracies, each (nets, learning rates, seeds); 0 if diverged."""
    return np.nan_to_num(run_all(train, nets, learning_rates, seeds)[..., -1])


def report(nets, learning_rates, score, test):
    """Choose by `score`, report `test`; both (nets, learning rates)."""
    best = score.argmax(axis=1)
    return {net: (learning_rates[i], row[i]) for net, row, i in zip(nets, test, best, strict=True)}


@exercise.mistake(
    ko="모든 망에 같은 학습률을 썼습니다. 한쪽에 맞춘 학습률로 비교하면 그쪽이 이깁니다. "
    "망마다 자기 학습률을 찾아 주세요.",
    en="All nets got the same learning rate. A comparison at a rate that suits one of them "
    "is won by that one: let each net find its own.",
    chosen_by=["all nets", "first net", "last net"],
)
def one_rate_for_all(train, nets, learning_rates, seeds, chosen_by="all nets"):
    validation, test = results(train, nets, learning_rates, seeds).mean(axis=-1)
    score = {
        "all nets": validation.mean(axis=0),
        "first net": validation[0],
        "last net": validation[-1],
    }[chosen_by]
    return report(nets, learning_rates, np.tile(score, (len(nets), 1)), test)


@exercise.mistake(
    ko="학습률을 시험 데이터로 골랐습니다. 그러면 시험 정확도는 고르는 데 쓴 점수이지 새 데이터에서의 성능이 아닙니다.",
    en="The learning rate is chosen on the test data. The test accuracy is then the score "
    "it was picked for, and no longer the performance on new data.",
)
def chooses_on_test(train, nets, learning_rates, seeds):
    _, test = results(train, nets, learning_rates, seeds).mean(axis=-1)
    return report(nets, learning_rates, test, test)


@exercise.mistake(
    ko="학습률은 맞게 골랐습니다. 그런데 보고한 수가 검증 정확도입니다. "
    "여러 학습률 가운데 가장 큰 값을 골랐으므로 실제보다 좋게 보입니다.",
    en="The right learning rates, but the number reported is the validation accuracy. "
    "It was picked as the largest of several, so it flatters.",
)
def reports_validation(train, nets, learning_rates, seeds):
    validation, _ = results(train, nets, learning_rates, seeds).mean(axis=-1)
    return report(nets, learning_rates, validation, validation)


@exercise.mistake(
    ko="마지막 평가가 아니라 학습 도중 가장 좋았던 평가를 썼습니다. "
    "중간에 잠깐 높았다가 발산한 실행은 어떤 결과를 받나요?",
    en="You take the best evaluation of a run instead of its last. "
    "What does a run get that was high for a moment and then diverged?",
    reports=["best", "last"],
)
def takes_the_best_evaluation(train, nets, learning_rates, seeds, reports="best"):
    peaks = np.nanmax(run_all(train, nets, learning_rates, seeds), axis=-1).mean(axis=-1)
    last = results(train, nets, learning_rates, seeds).mean(axis=-1)
    return report(nets, learning_rates, peaks[0], peaks[1] if reports == "best" else last[1])


@exercise.mistake(
    ko="첫 시드 하나로 학습률을 골랐습니다. 시드를 바꾸면 고른 학습률도 바뀔 수 있습니다. 나머지 시드는 어디에 썼나요?",
    en="The learning rate is chosen by the first seed alone. "
    "Another seed might choose another rate. What were the other seeds for?",
    reports=["this seed", "all seeds"],
)
def first_seed_chooses(train, nets, learning_rates, seeds, reports="this seed"):
    validation, test = results(train, nets, learning_rates, seeds)
    reported = test[..., 0] if reports == "this seed" else test.mean(axis=-1)
    return report(nets, learning_rates, validation[..., 0], reported)


@exercise.mistake(
    ko="시드를 평균하지 않고 가장 운이 좋은 시드를 썼습니다. 시드를 많이 돌릴수록 결과가 저절로 좋아집니다.",
    en="You take the luckiest seed instead of the mean over seeds. "
    "The more seeds you run, the better that gets, whatever the net.",
    reports=["best", "mean"],
)
def luckiest_seed(train, nets, learning_rates, seeds, reports="best"):
    validation, test = results(train, nets, learning_rates, seeds)
    reported = test.max(axis=-1) if reports == "best" else test.mean(axis=-1)
    return report(nets, learning_rates, validation.max(axis=-1), reported)


@exercise.mistake(
    ko="발산한 실행을 평균에서 뺐습니다. 열 번 가운데 아홉 번 발산하고 한 번 잘된 학습률은 좋은 학습률인가요?",
    en="Diverged runs are left out of the mean. "
    "Is a learning rate good if nine of ten runs diverge and the tenth does well?",
)
def drops_diverged_runs(train, nets, learning_rates, seeds):
    last = run_all(train, nets, learning_rates, seeds)[..., -1]
    validation, test = np.nan_to_num(np.nanmean(last, axis=-1))
    return report(nets, learning_rates, validation, test)


@exercise.mistake(
    ko="발산한 실행의 nan이 평균으로 번졌습니다. argmax는 nan을 가장 큰 값으로 여깁니다. "
    "그래서 발산한 학습률이 뽑혔습니다.",
    en="The nan of a diverged run spreads into the mean, and argmax takes nan for the largest: "
    "a learning rate that diverges is chosen.",
)
def lets_nan_win(train, nets, learning_rates, seeds):
    validation, test = run_all(train, nets, learning_rates, seeds)[..., -1].mean(axis=-1)
    return report(nets, learning_rates, validation, test)


@exercise.combine
def combined(
    train,
    nets,
    learning_rates,
    seeds,
    *,
    drops_diverged_runs=False,
    luckiest_seed=False,
    first_seed_chooses=False,
    takes_the_best_evaluation=False,
    chooses_on_test=False,
    reports_validation=False,
    one_rate_for_all=False,
):
    curves = run_all(train, nets, learning_rates, seeds)
    runs = np.nanmax(curves, axis=-1) if takes_the_best_evaluation else curves[..., -1]
    if not drops_diverged_runs:
        runs = np.nan_to_num(runs)
    over_seeds = np.max if luckiest_seed else np.nanmean
    chooser, reported = np.nan_to_num(over_seeds(runs, axis=-1))[
        [int(chooses_on_test), int(not reports_validation)]
    ]
    if first_seed_chooses:
        chooser, reported = np.nan_to_num(runs)[
            [int(chooses_on_test), int(not reports_validation)], ..., 0
        ]
    if one_rate_for_all:
        chooser = np.tile(chooser.mean(axis=0), (len(nets), 1))
    return report(nets, learning_rates, chooser, reported)
