"""2.3 A bias that grows while the loss stands still."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def train_bias(u, target, bias, learning_rate, steps, through_mean):
    """Train the bias of a layer that removes the mean of its output.

        x = u + bias
        x_hat = x - mean(x),                        mean over the N samples, anew at every step
        loss = sum((x_hat - target)^2) / (2 N),     the sum over samples and features
        bias <- bias - learning_rate * gradient

    u, target      (N, D): N samples, D features
    bias           (D,): where it starts; learning_rate: a number
    steps          how often it is updated
    through_mean   True: the gradient of the loss as it is written above
                   False: the gradient that takes mean(x) for a constant, as if it did not
                   depend on the bias
    Returns the biases (steps + 1, D) and the losses (steps + 1,), from before the first step to
    after the last.
    """
    biases, losses = [], []
    for _ in range(steps + 1):
        x = u + bias
        error = x - x.mean(axis=0) - target
        biases.append(bias)
        losses.append((error**2).sum() / (2 * len(u)))
        if through_mean:
            error = error - error.mean(axis=0)
        bias = bias - learning_rate * error.mean(axis=0)
    return np.array(biases), np.array(losses)


def cases(rng):
    u, target = np.array([[1.0], [2.0], [6.0]]), np.array([[3.0], [1.0], [5.0]])
    yield u, target, np.array([1.0]), 0.5, 2, False
    yield u, target, np.array([1.0]), 0.5, 2, True
    for rows, columns, steps in [(4, 3, 1), (7, 2, 4), (5, 4, 3)]:
        u = rng.normal(2, 1, (rows, columns))
        target = rng.normal(-1, 2, (rows, columns))
        for through_mean in (False, True):
            yield u, target, rng.normal(1, 1, columns), rng.uniform(0.1, 0.4), steps, through_mean


exercise = Exercise(
    id="bias-explodes",
    chapter=2,
    number=3,
    difficulty=2,
    title=Text(ko="끝없이 커지는 편향", en="The bias that explodes"),
    solution=train_bias,
    cases=cases,
    hints=[
        Text(
            ko="x_hat에서 편향이 정말로 남아 있는지 식으로 써 보세요. 모든 표본에 같은 수를 더한 다음 "
            "평균을 뺍니다.",
            en="Write out whether x_hat still contains the bias at all: "
            "the same number is added to every sample, then the mean is removed.",
        ),
        Text(
            ko="평균이 상수라면 편향은 x_hat의 모든 표본을 똑같이 밀어 올립니다. "
            "그때의 기울기는 오차의 평균입니다.",
            en="If the mean were a constant, the bias would lift x_hat of every sample alike, "
            "and the gradient would be the mean of the errors.",
        ),
        Text(
            ko="평균까지 거쳐 온 기울기가 얼마인지는 첫 번째 힌트에 답이 있습니다.",
            en="What the gradient through the mean comes to follows from the first hint.",
        ),
    ],
)


def train(u, target, bias, learning_rate, steps, gradient, forward=None, loss_scale=0.5):
    """The loop of the solution, with a part replaced."""
    biases, losses = [], []
    for _ in range(steps + 1):
        x = u + bias
        error = (forward(x) if forward else x - x.mean(axis=0)) - target
        biases.append(bias)
        losses.append(loss_scale * (error**2).sum() / len(u))
        bias = bias - learning_rate * gradient(error)
    return np.array(biases), np.array(losses)


def mean_as_constant(error):
    return error.mean(axis=0)


def through_the_mean(error):
    return np.zeros(error.shape[1])


def either(through_mean):
    return through_the_mean if through_mean else mean_as_constant


@exercise.mistake(
    ko="through_mean이 False인데도 편향이 움직이지 않습니다. 평균까지 미분했거나, 새 편향을 다음 스텝에 쓰지 않았습니다. "
    "이 문제는 평균을 상수로 잘못 보았을 때 일어나는 일을 보려는 것입니다.",
    en="The bias never moves, even where through_mean is False. Either you differentiate through the "
    "mean, or the next step does not use the new bias. The point is to see what happens when the "
    "mean is taken, wrongly, for a constant.",
)
def mean_always_in_the_gradient(u, target, bias, learning_rate, steps, through_mean):
    return train(u, target, bias, learning_rate, steps, through_the_mean)


@exercise.mistake(
    ko="through_mean이 True인데도 평균을 상수로 보았습니다. 편향을 조금 바꾸어 손실을 다시 계산해 보세요. "
    "손실이 변하나요? 그렇다면 기울기는 얼마여야 하나요?",
    en="The mean is taken for a constant even where through_mean is True. "
    "Change the bias a little and compute the loss again. Does it change? "
    "So what is the gradient?",
)
def mean_never_in_the_gradient(u, target, bias, learning_rate, steps, through_mean):
    return train(u, target, bias, learning_rate, steps, mean_as_constant)


@exercise.mistake(
    ko="두 경우가 서로 바뀌었습니다. 편향이 끝없이 커지는 쪽은 평균을 상수로 볼 때입니다.",
    en="The two cases are swapped. The bias runs away where the mean is taken for a constant.",
)
def flag_reversed(u, target, bias, learning_rate, steps, through_mean):
    return train(u, target, bias, learning_rate, steps, either(not through_mean))


@exercise.mistake(
    ko="평균을 처음에 한 번만 구했습니다. 그러면 손실이 줄어듭니다. "
    "층은 스텝마다 지금의 x에서 평균을 다시 구합니다. 상수로 보는 것은 기울기뿐입니다.",
    en="The mean is computed once, at the start, so the loss goes down. "
    "The layer takes the mean of the present x at every step; only the gradient treats it "
    "as a constant.",
)
def mean_computed_once(u, target, bias, learning_rate, steps, through_mean):
    start = (u + bias).mean(axis=0)
    return train(u, target, bias, learning_rate, steps, either(through_mean), lambda x: x - start)


@exercise.mistake(
    ko="평균을 빼지 않았습니다. 그러면 편향이 목표에 맞추어 가고 손실이 줄어듭니다. 보통의 층입니다.",
    en="The mean is not removed. The bias then fits the target and the loss goes down, "
    "as in an ordinary layer.",
)
def forgets_the_mean(u, target, bias, learning_rate, steps, through_mean):
    return train(u, target, bias, learning_rate, steps, either(through_mean), lambda x: x)


@exercise.mistake(
    ko="부호가 반대입니다. 경사 하강법은 기울기의 반대쪽으로 갑니다.",
    en="The sign is wrong: gradient descent goes against the gradient.",
)
def climbs(u, target, bias, learning_rate, steps, through_mean):
    return train(u, target, bias, -learning_rate, steps, either(through_mean))


@exercise.mistake(
    ko="기울기를 표본마다 더하기만 했습니다. 손실에 있는 1/N은 기울기에도 있어야 합니다. "
    "표본을 두 배로 복사하면 손실은 그대로입니다. 기울기는 어떤가요?",
    en="The gradient is summed over the samples, but the 1/N of the loss belongs to it as well. "
    "Copy every sample twice: the loss stays the same. Does your gradient?",
)
def gradient_without_one_over_n(u, target, bias, learning_rate, steps, through_mean):
    return train(u, target, bias, learning_rate * len(u), steps, either(through_mean))


@exercise.mistake(
    ko="편향은 맞습니다. 손실의 크기가 다릅니다. 손실은 제곱 오차를 표본과 특성에 걸쳐 모두 더한 다음 "
    "2N으로 나눈 것입니다.",
    en="The biases are right, the losses are off by a factor: "
    "the squares are summed over samples and features, then divided by 2N.",
    kind=["no half", "not divided", "mean over features"],
)
def loss_scaled_otherwise(u, target, bias, learning_rate, steps, through_mean, kind="no half"):
    samples, features = u.shape
    scale = {"no half": 1.0, "not divided": samples / 2, "mean over features": 0.5 / features}
    return train(
        u, target, bias, learning_rate, steps, either(through_mean), loss_scale=scale[kind]
    )


@exercise.mistake(
    ko="값은 맞는데 시작값이 빠졌습니다. 첫 스텝 전의 편향과 손실도 넣어야 모두 steps + 1개입니다.",
    en="The values are right, but the start is missing: with the bias and loss before the first "
    "step there are steps + 1 of each.",
)
def leaves_out_the_start(u, target, bias, learning_rate, steps, through_mean):
    biases, losses = train_bias(u, target, bias, learning_rate, steps, through_mean)
    return biases[1:], losses[1:]


@exercise.mistake(
    ko="값은 맞는데 마지막이 빠졌습니다. 마지막 스텝 뒤의 편향과 손실도 넣어야 모두 steps + 1개입니다.",
    en="The values are right, but the end is missing: with the bias and loss after the last step "
    "there are steps + 1 of each.",
)
def leaves_out_the_end(u, target, bias, learning_rate, steps, through_mean):
    biases, losses = train_bias(u, target, bias, learning_rate, steps, through_mean)
    return biases[:-1], losses[:-1]


@exercise.mistake(
    ko="손실은 맞습니다. 그런데 편향의 행이 모두 똑같이 맨 나중의 편향입니다. 같은 배열을 거듭 넣고 그 배열을 제자리에서 바꾸면 "
    "먼저 넣은 행도 함께 바뀝니다. 넣을 때의 값을 남기려면 무엇을 넣어야 하나요?",
    en="The losses are right, but every row of the biases is the latest one. When one array is put in "
    "again and again and changed in place, the rows put in earlier change with it. "
    "What has to be put in to keep the values of the moment?",
    moves_on=[False, True],
)
def keeps_one_array(u, target, bias, learning_rate, steps, through_mean, moves_on):
    """moves_on: the array is changed once more after it was put in for the last time."""
    losses = train_bias(u, target, bias, learning_rate, steps, through_mean)[1]
    biases, _ = train_bias(u, target, bias, learning_rate, steps + moves_on, through_mean)
    return np.repeat(biases[-1:], steps + 1, axis=0), losses


@exercise.combine
def combined(
    u,
    target,
    bias,
    learning_rate,
    steps,
    through_mean,
    *,
    mean_always_in_the_gradient=False,
    mean_never_in_the_gradient=False,
    flag_reversed=False,
    forgets_the_mean=False,
    climbs=False,
    gradient_without_one_over_n=False,
    loss_scaled_otherwise=False,
    leaves_out_the_start=False,
):
    through = through_mean != flag_reversed
    if mean_always_in_the_gradient or mean_never_in_the_gradient:
        through = mean_always_in_the_gradient
    step = learning_rate * (len(u) if gradient_without_one_over_n else 1) * (-1 if climbs else 1)
    biases, losses = train(
        u,
        target,
        bias,
        step,
        steps,
        either(through),
        forward=(lambda x: x) if forgets_the_mean else None,
        loss_scale=1.0 if loss_scaled_otherwise else 0.5,
    )
    return (biases[1:], losses[1:]) if leaves_out_the_start else (biases, losses)
