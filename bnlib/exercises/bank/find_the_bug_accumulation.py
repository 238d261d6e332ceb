"""12.4 Find the bug: accumulated gradients are not those of the big batch."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def accumulated_gradient(weight, micro_batches, eps):
    """The gradient of one big batch that comes in micro-batches.

        z = x @ weight,    z_hat = (z - mean) / sqrt(var + eps)
        loss = sum((z_hat - target)^2) / (2 N)

    weight         (D, C)
    micro_batches  a list of (x, target), x (n, D) and target (n, C); their sizes n may differ
    N is the number of all samples; mean and var, (C,), are those of all N samples together, and
    var divides by N.
    Returns (D, C): the gradient of loss with respect to weight.
    """
    N = sum(len(x) for x, _ in micro_batches)
    mean = sum((x @ weight).sum(axis=0) for x, _ in micro_batches) / N
    var = sum(((x @ weight - mean) ** 2).sum(axis=0) for x, _ in micro_batches) / N
    std = np.sqrt(var + eps)

    dz_hat_mean = projection = 0.0  # means over all N samples, which the backward pass needs
    for x, target in micro_batches:
        z_hat = (x @ weight - mean) / std
        dz_hat = (z_hat - target) / N
        dz_hat_mean += dz_hat.sum(axis=0) / N
        projection += (dz_hat * z_hat).sum(axis=0) / N

    gradient = np.zeros(weight.shape)
    for x, target in micro_batches:
        z_hat = (x @ weight - mean) / std
        dz_hat = (z_hat - target) / N
        gradient += x.T @ ((dz_hat - dz_hat_mean - z_hat * projection) / std)
    return gradient


def cases(rng):
    weight = np.array([[1.0], [2.0]])
    xs = [np.array([[1.0, 0.0], [2.0, 3.0]]), np.array([[0.0, 4.0], [-1.0, 2.0], [5.0, 1.0]])]
    targets = [np.array([[1.0], [0.0]]), np.array([[2.0], [-1.0], [0.5]])]
    yield weight, xs, targets, 0.1
    for sizes, inputs, outputs in [((4, 4), 3, 2), ((2, 5, 3), 2, 3), ((3, 2, 2, 6), 4, 2)]:
        weight = rng.normal(0, 1, (inputs, outputs))
        means = rng.normal(0.5, 2, (len(sizes), inputs))
        xs = [rng.normal(mean, 1, (n, inputs)) for mean, n in zip(means, sizes, strict=True)]
        yield weight, xs, [rng.normal(0.5, 1, (n, outputs)) for n in sizes], 0.1


def use(answer, weight, xs, targets, eps):
    return answer(weight, list(zip(xs, targets, strict=True)), eps)


def accepts(weight, xs, targets, eps):
    return weight.shape == (xs[0].shape[1], targets[0].shape[1])


exercise = Exercise(
    id="find-the-bug-accumulation",
    chapter=12,
    number=4,
    difficulty=3,
    title=Text(
        ko="버그 찾기: 기울기를 모아도 큰 배치가 되지 않는다",
        en="Find the bug: accumulated gradients do not make a big batch",
    ),
    solution=accumulated_gradient,
    cases=cases,
    use=use,
    accepts=accepts,
    hints=[
        Text(
            ko="마이크로배치를 모두 이어 붙여 한 번에 계산한 값과 견주어 보세요. 어느 줄의 값부터 달라지나요?",
            en="Join all micro-batches and compute at once. From which line on do the values differ?",
        ),
        Text(
            ko="마이크로배치를 두 번 지나가도 됩니다. 첫 번째에는 통계량만 모읍니다. "
            "표본의 수가 다른 마이크로배치를 어떻게 합쳐야 하나요?",
            en="You may go through the micro-batches twice, gathering only statistics the first time. "
            "How do micro-batches of different sizes combine?",
        ),
        Text(
            ko="5장의 역전파에도 배치 평균이 두 개 있습니다. 그 평균들은 표본 몇 개의 평균이어야 하나요?",
            en="The backward pass of chapter 5 holds two batch means as well. "
            "Over how many samples should they run?",
        ),
    ],
)


def gradient_of(weight, x, target, eps, mean=None, var=None):
    """The gradient for one batch, by its own statistics or as if these were constants of it."""
    z = x @ weight
    mean = z.mean(axis=0) if mean is None else mean
    std = np.sqrt((z.var(axis=0) if var is None else var) + eps)
    z_hat = (z - mean) / std
    dz_hat = (z_hat - target) / len(x)
    centred = dz_hat - dz_hat.mean(axis=0) - z_hat * (dz_hat * z_hat).mean(axis=0)
    return x.T @ (centred / std)


def joined(micro_batches):
    return (np.concatenate(parts) for parts in zip(*micro_batches, strict=True))


def backward(weight, micro_batches, eps, mean, var):
    """The gradient of the joined batch, with other statistics in the forward pass."""
    x, target = joined(micro_batches)
    return gradient_of(weight, x, target, eps, mean, var)


@exercise.mistake(
    ko="마이크로배치마다 자기 평균과 분산으로 정규화하고, 그 기울기들을 평균 냈습니다. "
    "배치 정규화가 있으면 손실은 표본마다 나뉘지 않습니다. 통계량은 표본 몇 개에서 나와야 하나요?",
    en="Each micro-batch is normalized by its own mean and variance, and the gradients are averaged. "
    "With batch normalization the loss does not split into samples. "
    "How many samples should the statistics come from?",
)
def own_statistics(weight, micro_batches, eps):
    gradient = np.zeros(weight.shape)
    for x, target in micro_batches:
        z = x @ weight
        std = np.sqrt(z.var(axis=0) + eps)
        z_hat = (z - z.mean(axis=0)) / std
        dz_hat = (z_hat - target) / len(x)
        dz_hat_mean = dz_hat.mean(axis=0)
        projection = (dz_hat * z_hat).mean(axis=0)
        gradient += x.T @ ((dz_hat - dz_hat_mean - z_hat * projection) / std)
    return gradient / len(micro_batches)


exercise.start = own_statistics


@exercise.mistake(
    ko="크기가 다른 마이크로배치의 무게는 맞게 주었습니다. 그런데 통계량은 여전히 마이크로배치마다 따로 구합니다.",
    en="Micro-batches of different sizes get their proper weight now, "
    "but each still has its own statistics.",
)
def own_statistics_weighted(weight, micro_batches, eps):
    total = sum(len(x) for x, _ in micro_batches)
    return sum(gradient_of(weight, x, target, eps) * len(x) / total for x, target in micro_batches)


@exercise.mistake(
    ko="마이크로배치마다 자기 통계량을 쓰고, 기울기를 평균 내지 않고 더했습니다. 두 가지가 큰 배치와 다릅니다.",
    en="Each micro-batch has its own statistics, and the gradients are summed, not averaged. "
    "Both differ from the big batch.",
)
def own_statistics_summed(weight, micro_batches, eps):
    return sum(gradient_of(weight, x, target, eps) for x, target in micro_batches)


@exercise.mistake(
    ko="순전파는 맞습니다. 역전파에서 통계량을 상수로 보았습니다. 평균과 분산도 weight로 계산한 값입니다.",
    en="The forward pass is right. Backward, the statistics are treated as constants, "
    "but mean and variance are computed from weight too.",
)
def statistics_are_constants(weight, micro_batches, eps):
    x, target = joined(micro_batches)
    z = x @ weight
    std = np.sqrt(z.var(axis=0) + eps)
    z_hat = (z - z.mean(axis=0)) / std
    return x.T @ ((z_hat - target) / len(x) / std)


@exercise.mistake(
    ko="순전파는 맞습니다. 역전파에 나오는 두 평균을 마이크로배치 안에서만 구했습니다. "
    "한 표본이 공통의 평균을 움직이면 다른 마이크로배치의 출력도 바뀝니다.",
    en="The forward pass is right. Backward, the two means run over one micro-batch only, but a sample "
    "that moves the common mean changes the output of the other micro-batches too.",
)
def backward_means_stay_local(weight, micro_batches, eps):
    z = np.concatenate([x @ weight for x, _ in micro_batches])
    return sum(
        gradient_of(weight, x, target, eps, z.mean(axis=0), z.var(axis=0)) * len(x) / len(z)
        for x, target in micro_batches
    )


@exercise.mistake(
    ko="평균은 맞습니다. 분산으로는 마이크로배치들의 분산을 평균 냈습니다. "
    "마이크로배치의 평균들이 서로 다른 만큼이 빠져서 분산이 작습니다.",
    en="The mean is right. The variance is an average of the micro-batches' variances; "
    "it leaves out how far their means lie apart, and is too small.",
)
def averages_the_variances(weight, micro_batches, eps):
    zs = [x @ weight for x, _ in micro_batches]
    sizes = [len(z) for z in zs]
    var = np.average([z.var(axis=0) for z in zs], axis=0, weights=sizes)
    return backward(weight, micro_batches, eps, np.concatenate(zs).mean(axis=0), var)


@exercise.mistake(
    ko="마이크로배치의 평균들을 그대로 평균 냈습니다. 표본 2개의 평균과 3개의 평균은 무게가 다릅니다.",
    en="The micro-batches' means are averaged as they are. "
    "A mean of 2 samples and one of 3 do not weigh the same.",
)
def averages_the_means(weight, micro_batches, eps):
    zs = [x @ weight for x, _ in micro_batches]
    mean = np.mean([z.mean(axis=0) for z in zs], axis=0)
    var = ((np.concatenate(zs) - mean) ** 2).mean(axis=0)
    return backward(weight, micro_batches, eps, mean, var)


@exercise.mistake(
    ko="통계량은 첫 마이크로배치의 것을 모두에게 썼습니다. 나머지 표본도 통계량에 들어가야 합니다.",
    en="The first micro-batch's statistics serve all of them. The other samples count too.",
    last=[False, True],
)
def statistics_of_one_micro_batch(weight, micro_batches, eps, last):
    z = micro_batches[-1 if last else 0][0] @ weight
    return backward(weight, micro_batches, eps, z.mean(axis=0), z.var(axis=0))


@exercise.mistake(
    ko="방향은 맞지만 길이가 다릅니다. 손실의 1/N을 빠뜨렸습니다. 모든 표본을 두 번씩 넣으면 기울기는 그대로여야 합니다.",
    en="The direction is right, the length is not: the 1/N of the loss is missing. "
    "With every sample given twice the gradient should stay the same.",
)
def forgets_one_over_n(weight, micro_batches, eps):
    total = sum(len(x) for x, _ in micro_batches)
    return accumulated_gradient(weight, micro_batches, eps) * total


@exercise.mistake(
    ko="방향은 맞지만 너무 짧습니다. N으로 나눈 다음 마이크로배치의 수로 또 나누었습니다.",
    en="The direction is right, but it is too short: after 1/N you divide by the number of "
    "micro-batches once more.",
)
def divides_twice(weight, micro_batches, eps):
    return accumulated_gradient(weight, micro_batches, eps) / len(micro_batches)


@exercise.mistake(
    ko="통계량은 모두의 것인데, 손실을 마이크로배치마다 평균 낸 다음 다시 평균 냈습니다. "
    "작은 마이크로배치의 표본이 무겁게 세어집니다.",
    en="The statistics are common, but the loss is averaged in each micro-batch and then over them, "
    "so the samples of a small micro-batch count for more.",
)
def weighs_micro_batches_equally(weight, micro_batches, eps):
    x, target = joined(micro_batches)
    z = x @ weight
    std = np.sqrt(z.var(axis=0) + eps)
    z_hat = (z - z.mean(axis=0)) / std
    sizes = [len(part) for part, _ in micro_batches]
    share = np.repeat([1 / (size * len(sizes)) for size in sizes], sizes)[:, None]
    dz_hat = (z_hat - target) * share
    centred = dz_hat - dz_hat.mean(axis=0) - z_hat * (dz_hat * z_hat).mean(axis=0)
    return x.T @ (centred / std)


@exercise.combine
def combined(
    weight,
    micro_batches,
    eps,
    *,
    averages_the_means=False,
    averages_the_variances=False,
    statistics_are_constants=False,
    forgets_one_over_n=False,
):
    x, target = joined(micro_batches)
    zs = [part @ weight for part, _ in micro_batches]
    z, sizes = np.concatenate(zs), [len(z) for z in zs]
    mean = np.mean([z.mean(axis=0) for z in zs], axis=0) if averages_the_means else z.mean(axis=0)
    var = ((z - mean) ** 2).mean(axis=0)
    if averages_the_variances:
        var = np.average([z.var(axis=0) for z in zs], axis=0, weights=sizes)
    z_hat = (z - mean) / np.sqrt(var + eps)
    dz_hat = (z_hat - target) / (1 if forgets_one_over_n else len(z))
    if not statistics_are_constants:
        dz_hat = dz_hat - dz_hat.mean(axis=0) - z_hat * (dz_hat * z_hat).mean(axis=0)
    return x.T @ (dz_hat / np.sqrt(var + eps))
