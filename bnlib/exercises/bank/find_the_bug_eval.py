"""12.1 Find the bug: the accuracy depends on the batch size."""

import numpy as np

from ...reference import BatchNorm
from ..exercise import Exercise
from ..language import Text


class Classifier:
    """Batch normalization and a linear layer, with torch's two modes."""

    def __init__(self, weight, running_mean, running_var, training):
        self.norm = BatchNorm(len(weight), momentum=0.5)
        self.norm.running_mean, self.norm.running_var = running_mean, running_var
        self.norm.training = training
        self.weight = weight

    @property
    def training(self):
        return self.norm.training

    @training.setter
    def training(self, mode):
        self.norm.training = bool(mode)

    def train(self, mode=True):
        self.training = mode
        return self

    def eval(self):
        return self.train(False)

    def predict(self, x):
        normalized, _ = self.norm.forward(x)
        return np.argmax(normalized @ self.weight, axis=1)


def evaluate(model, batches):
    """The accuracy of a model on a test set: the fraction of samples it labels right.

    model    model.predict(x) gives labels (n,) for samples x (n, D). model.training is True or
             False; model.train() and model.eval() set it. While it is True, predict normalizes
             by the batch it gets, and moves the running statistics in model.norm.
    batches  a list of (x, labels); the last batch may be smaller
    Returns a number from 0 to 1. The model comes out as it went in: its mode, its statistics.
    """
    was_training = model.training
    model.eval()
    right = samples = 0
    for x, labels in batches:
        right += np.sum(model.predict(x) == labels)
        samples += len(labels)
    if was_training:
        model.train()
    return right / samples


def use(answer, samples, labels, weight, running_mean, running_var, training):
    model = Classifier(weight, running_mean, running_var, training)
    return {
        "accuracy": answer(model, list(zip(samples, labels, strict=True))),
        "training": model.training,
        "running_mean": model.norm.running_mean,
        "running_var": model.norm.running_var,
    }


def cases(rng):
    for sizes, features, classes, training in [
        ((4, 2), 2, 2, True),
        ((5, 5, 3), 3, 3, True),
        ((6, 2), 2, 3, False),
        ((7, 6, 4), 4, 4, True),
    ]:
        weight = rng.normal(0, 1, (features, classes))
        mean, var = rng.normal(0, 2, features), rng.uniform(0.5, 4, features)
        batches = [labelled(rng, size, weight, mean, var) for size in sizes]
        samples, labels = (list(parts) for parts in zip(*batches, strict=True))
        yield samples, labels, weight, mean, var, training


def accepts(samples, labels, weight, running_mean, running_var, training):
    return False  # a smaller model would need other labels


def labelled(rng, size, weight, mean, var):
    """A batch from one corner of the data, so that its own statistics mislead; 1 label in 4 wrong."""
    x = rng.normal(mean + rng.choice([-1, 1], len(mean)) * np.sqrt(var), np.sqrt(var))
    x = rng.normal(x, 0.7 * np.sqrt(var), (size, len(mean)))
    labels = np.argmax((x - mean) / np.sqrt(var + 1e-5) @ weight, axis=1)
    wrong = rng.random(size) < 0.25
    return x, np.where(wrong, (labels + 1) % weight.shape[1], labels)


exercise = Exercise(
    id="find-the-bug-eval",
    chapter=12,
    number=1,
    difficulty=1,
    title=Text(
        ko="버그 찾기: 배치 크기에 따라 달라지는 정확도",
        en="Find the bug: an accuracy that depends on the batch size",
    ),
    solution=evaluate,
    cases=cases,
    use=use,
    accepts=accepts,
    hints=[
        Text(
            ko="같은 표본을 다른 표본들과 함께 넣으면 예측이 바뀌나요? 바뀐다면 모델은 어떤 통계량을 쓰고 있나요?",
            en="Does the prediction for a sample change with the company it comes in? "
            "If so, which statistics is the model using?",
        ),
        Text(
            ko="평가하기 전과 후에 model.training과 model.norm.running_mean을 출력해 보세요. 무엇이 달라졌나요?",
            en="Print model.training and model.norm.running_mean before and after the evaluation. "
            "What has changed?",
        ),
    ],
)


@exercise.mistake(
    ko="모델이 학습 모드인 채로 예측합니다. 시험 배치의 통계량으로 정규화하므로 표본의 예측이 함께 온 표본에 따라 달라지고, "
    "평가할 때마다 이동 통계량까지 시험 데이터 쪽으로 움직입니다.",
    en="The model predicts in training mode. It normalizes by the test batch, so a prediction depends "
    "on the other samples, and every evaluation drags the running statistics toward the test set.",
)
def never_leaves_training_mode(model, batches):
    right = samples = 0
    for x, labels in batches:
        right += np.sum(model.predict(x) == labels)
        samples += len(labels)
    return right / samples


exercise.start = never_leaves_training_mode


@exercise.mistake(
    ko="정확도는 맞습니다. 그런데 모델이 평가 모드로 남았습니다. 평가 뒤에도 학습이 이어진다면, "
    "다음 에포크는 어떤 통계량으로 정규화하나요?",
    en="The accuracy is right, but the model stays in evaluation mode. "
    "If training goes on after this, which statistics does the next epoch normalize by?",
)
def stays_in_evaluation_mode(model, batches):
    model.eval()
    return never_leaves_training_mode(model, batches)


@exercise.mistake(
    ko="정확도는 맞습니다. 그런데 언제나 학습 모드로 끝납니다. 평가 모드로 들어온 모델은 평가 모드로 나가야 합니다.",
    en="The accuracy is right, but the model always ends in training mode. "
    "One that came in evaluation mode should leave in it.",
)
def always_ends_in_training_mode(model, batches):
    model.eval()
    accuracy = never_leaves_training_mode(model, batches)
    model.train()
    return accuracy


@exercise.mistake(
    ko="모드는 맞습니다. 그런데 배치마다 구한 정확도를 그대로 평균 냈습니다. "
    "마지막 배치가 작으면 그 배치의 표본이 다른 표본보다 무겁게 세어집니다.",
    en="The mode is right, but the batches' accuracies are averaged as they are. "
    "When the last batch is smaller, each of its samples counts for more than the others.",
)
def averages_the_batches(model, batches):
    def mean_of_means(model, batches):
        return np.mean([np.mean(model.predict(x) == labels) for x, labels in batches])

    return in_evaluation_mode(mean_of_means, model, batches)


@exercise.mistake(
    ko="모드는 맞습니다. 그런데 마지막 배치의 정확도만 돌려주었습니다.",
    en="The mode is right, but only the last batch's accuracy is returned.",
)
def last_batch_only(model, batches):
    return in_evaluation_mode(never_leaves_training_mode, model, batches[-1:])


@exercise.mistake(
    ko="모드는 맞습니다. 그런데 맞힌 표본의 수를 배치의 수로 나누었습니다. 결과가 1보다 클 수 있나요?",
    en="The mode is right, but the number of right labels is divided by the number of batches. "
    "Can an accuracy be larger than 1?",
)
def divides_by_the_batches(model, batches):
    def right_per_batch(model, batches):
        return sum(np.sum(model.predict(x) == labels) for x, labels in batches) / len(batches)

    return in_evaluation_mode(right_per_batch, model, batches)


@exercise.mistake(
    ko="이동 통계량은 지켰습니다. 그런데 예측은 여전히 시험 배치의 통계량으로 합니다. "
    "통계량을 되돌리는 것으로는 예측이 고쳐지지 않습니다.",
    en="The running statistics are safe, but predictions still use the test batch's own statistics. "
    "Putting the running ones back does not mend them.",
)
def puts_the_statistics_back(model, batches):
    before = model.norm.running_mean, model.norm.running_var
    accuracy = never_leaves_training_mode(model, batches)
    model.norm.running_mean, model.norm.running_var = before
    return accuracy


@exercise.mistake(
    ko="시험 데이터를 배치 하나로 합쳤습니다. 배치 크기를 타지 않게 되었지만, 여전히 시험 데이터의 통계량을 씁니다. "
    "표본이 하나만 들어오면 어떻게 되나요?",
    en="The test set is joined into one batch. The batch size no longer matters, but the statistics are "
    "still the test set's own. What if a single sample comes in?",
)
def joins_the_batches(model, batches):
    x, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return never_leaves_training_mode(model, [(x, labels)])


@exercise.mistake(
    ko="평가 모드로 바꾸는 일이 첫 배치를 예측한 뒤에 일어납니다. 첫 배치는 어떤 통계량으로 정규화했나요?",
    en="The switch to evaluation mode comes after the first batch. Which statistics normalized that one?",
)
def switches_too_late(model, batches):
    was_training = model.training
    right = samples = 0
    for x, labels in batches:
        right += np.sum(model.predict(x) == labels)
        samples += len(labels)
        model.eval()
    if was_training:
        model.train()
    return right / samples


def in_evaluation_mode(accuracy, model, batches):
    was_training = model.training
    model.eval()
    result = accuracy(model, batches)
    if was_training:
        model.train()
    return result


@exercise.combine
def combined(
    model,
    batches,
    *,
    stays_in_evaluation_mode=False,
    always_ends_in_training_mode=False,
    averages_the_batches=False,
    divides_by_the_batches=False,
):
    was_training = model.training
    model.eval()
    right = [np.sum(model.predict(x) == labels) for x, labels in batches]
    sizes = [len(labels) for _, labels in batches]
    if always_ends_in_training_mode or (was_training and not stays_in_evaluation_mode):
        model.train()
    if averages_the_batches:
        return np.mean(np.divide(right, sizes))
    return sum(right) / (len(batches) if divides_by_the_batches else sum(sizes))
