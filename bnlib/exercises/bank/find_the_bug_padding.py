"""12.3 Find the bug: adding an empty step changes every output."""

import numpy as np

from ..exercise import Exercise
from ..language import Text


def batch_norm_padded(x, lengths, gamma, beta, eps):
    """Batch normalization of sequences that were filled up with zeros to equal length.

        y = gamma * (x - mean) / sqrt(var + eps) + beta    where t < lengths[n], and 0 elsewhere

    x        (N, T, C): sequence n is real for t < lengths[n] and padding, zeros, from there on;
             real values may be 0 as well
    lengths  (N,): integers from 1 to T
    gamma    (C,); beta (C,)
    mean and var, (C,), come from the real positions of all sequences together; var divides by
    their number n, not n - 1.
    Returns y, shaped like x.
    """
    real = np.arange(x.shape[1]) < lengths[:, None]
    mean = x[real].mean(axis=0)
    var = x[real].var(axis=0)
    y = gamma * (x - mean) / np.sqrt(var + eps) + beta
    return np.where(real[:, :, None], y, 0)


def cases(rng):
    x = np.array([[[1.0, 40.0], [3.0, 10.0], [0.0, 0.0]], [[5.0, 20.0], [0.0, 0.0], [0.0, 0.0]]])
    yield x, np.array([2, 1]), np.array([2.0, 0.5]), np.array([1.0, -1.0]), 0.5
    for lengths, steps, channels in [
        ([3, 5, 2], 6, 2),
        ([4, 1], 4, 3),
        ([2, 3, 4, 4], 5, 3),
        ([3, 3], 3, 2),
    ]:
        x = np.maximum(rng.normal(1, 2, (len(lengths), steps, channels)), 0)  # as after a ReLU
        x[0, 1] = 0  # a real position, all zeros
        x[np.arange(steps) >= np.array(lengths)[:, None]] = 0
        gamma, beta = rng.normal(1.5, 0.3, channels), rng.normal(0.5, 1, channels)
        yield x, np.array(lengths), gamma, beta, 0.1


def accepts(x, lengths, gamma, beta, eps):
    return len(x) == len(lengths) and max(lengths) <= x.shape[1]


exercise = Exercise(
    id="find-the-bug-padding",
    chapter=12,
    number=3,
    difficulty=2,
    title=Text(
        ko="버그 찾기: 빈 스텝 하나가 모든 출력을 바꾼다",
        en="Find the bug: one empty step changes every output",
    ),
    solution=batch_norm_padded,
    cases=cases,
    accepts=accepts,
    hints=[
        Text(
            ko="모든 시퀀스의 끝에 0을 한 스텝 더 붙여 보세요. 실제 위치의 출력은 그대로여야 합니다.",
            en="Append one more step of zeros to every sequence. "
            "The outputs at real positions should stay as they are.",
        ),
        Text(
            ko="위치마다 실제인지 알려 주는 (N, T) 모양의 bool 배열을 lengths로 만들 수 있습니다. "
            "그 배열로 x를 골라내면 (실제 위치의 수, C) 모양이 됩니다.",
            en="lengths gives you a boolean array of shape (N, T) that says which positions are real. "
            "Indexing x with it leaves an array of shape (number of real positions, C).",
        ),
    ],
)


def real_positions(x, lengths):
    return np.arange(x.shape[1]) < np.reshape(lengths, (-1, 1))


def normalize(x, lengths, gamma, beta, eps, mean, var):
    y = gamma * (x - mean) / np.sqrt(var + eps) + beta
    return y * real_positions(x, lengths)[:, :, None]


@exercise.mistake(
    ko="패딩까지 세어 통계량을 구했고, 패딩 자리의 출력도 0이 아닙니다. "
    "시퀀스 하나가 길어지면 나머지의 패딩이 늘고, 그만큼 평균이 0 쪽으로 끌려갑니다.",
    en="The padding counts in the statistics, and its own output is not 0 either. "
    "When one sequence is longer, the others get more padding, and the mean is pulled toward 0.",
)
def counts_the_padding(x, lengths, gamma, beta, eps):
    mean = x.mean(axis=(0, 1))
    var = x.var(axis=(0, 1))
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


exercise.start = counts_the_padding


@exercise.mistake(
    ko="패딩 자리의 출력은 0이 되었습니다. 그런데 통계량에는 여전히 패딩이 들어 있습니다.",
    en="The padding comes out as 0 now, but it still counts in the statistics.",
)
def padding_in_the_statistics(x, lengths, gamma, beta, eps):
    return normalize(x, lengths, gamma, beta, eps, x.mean(axis=(0, 1)), x.var(axis=(0, 1)))


@exercise.mistake(
    ko="실제 위치의 출력은 맞습니다. 패딩 자리가 0이 아닙니다. 다음 층이 그 값을 진짜로 여깁니다.",
    en="The real positions are right. The padding does not come out as 0, "
    "and the next layer takes it for data.",
)
def leaves_the_padding(x, lengths, gamma, beta, eps):
    values = x[real_positions(x, lengths)]
    return gamma * (x - values.mean(axis=0)) / np.sqrt(values.var(axis=0) + eps) + beta


@exercise.mistake(
    ko="패딩을 합에서 뺐지만 나눌 때는 N·T로 나누었습니다. 0을 더하는 것은 문제가 아닙니다. 세는 것이 문제입니다.",
    en="The sums leave the padding out, but you divide by N·T. "
    "Adding zeros does no harm; counting them does.",
)
def divides_by_all_positions(x, lengths, gamma, beta, eps):
    real = real_positions(x, lengths)[:, :, None]
    positions = x.shape[0] * x.shape[1]
    mean = (x * real).sum(axis=(0, 1)) / positions
    var = ((x - mean) ** 2 * real).sum(axis=(0, 1)) / positions
    return normalize(x, lengths, gamma, beta, eps, mean, var)


@exercise.mistake(
    ko="평균은 맞습니다. 분산에는 패딩이 들어 있습니다. 평균을 빼고 나면 패딩은 0이 아닙니다. 얼마가 되나요?",
    en="The mean is right, the variance counts the padding. "
    "Once the mean is subtracted, padding is no longer 0. What is it?",
    divides_by_the_real=[True, False],
)
def padding_in_the_variance(x, lengths, gamma, beta, eps, divides_by_the_real):
    real = real_positions(x, lengths)
    mean = x[real].mean(axis=0)
    count = real.sum() if divides_by_the_real else real.size
    var = ((x - mean) ** 2).sum(axis=(0, 1)) / count
    return normalize(x, lengths, gamma, beta, eps, mean, var)


@exercise.mistake(
    ko="시퀀스마다 평균과 분산을 구한 다음 그대로 평균 냈습니다. 짧은 시퀀스의 한 스텝이 긴 시퀀스의 한 스텝보다 "
    "무겁게 세어지고, 시퀀스의 평균들이 서로 다른 만큼이 분산에서 빠집니다.",
    en="Mean and variance are taken for each sequence and then averaged. A step of a short sequence "
    "counts for more, and the variance leaves out how far the sequences' means lie apart.",
)
def averages_the_sequences(x, lengths, gamma, beta, eps):
    parts = [row[:length] for row, length in zip(x, lengths, strict=True)]
    mean = np.mean([part.mean(axis=0) for part in parts], axis=0)
    var = np.mean([part.var(axis=0) for part in parts], axis=0)
    return normalize(x, lengths, gamma, beta, eps, mean, var)


@exercise.mistake(
    ko="시퀀스마다 자기 통계량으로 정규화했습니다. 배치 정규화는 모든 시퀀스의 실제 위치를 함께 봅니다.",
    en="Each sequence is normalized by its own statistics. "
    "Batch normalization takes the real positions of all sequences together.",
)
def each_sequence_alone(x, lengths, gamma, beta, eps):
    y = np.zeros_like(x)
    for n, length in enumerate(lengths):
        part = x[n, :length]
        x_hat = (part - part.mean(axis=0)) / np.sqrt(part.var(axis=0) + eps)
        y[n, :length] = gamma * x_hat + beta
    return y


@exercise.mistake(
    ko="값이 0인 자리를 패딩으로 보았습니다. ReLU를 지난 값에는 진짜 0이 많습니다. 어디까지가 실제인지는 lengths가 알려 줍니다.",
    en="Zeros are taken for padding. After a ReLU many real values are 0 too; "
    "it is lengths that says where the data end.",
    keeps_the_output=[True, False],
)
def guesses_from_zero_steps(x, lengths, gamma, beta, eps, keeps_the_output):
    real = np.any(x != 0, axis=2)
    y = normalize(x, lengths, gamma, beta, eps, x[real].mean(axis=0), x[real].var(axis=0))
    return y if keeps_the_output else y * real[:, :, None]


@exercise.mistake(
    ko="원소가 0이면 패딩으로 보았습니다. ReLU를 지난 값에는 진짜 0이 많습니다. 어디까지가 실제인지는 lengths가 알려 줍니다.",
    en="Every element that is 0 is taken for padding. After a ReLU many real values are 0 too; "
    "it is lengths that says where the data end.",
    keeps_the_output=[True, False],
)
def guesses_from_zero_elements(x, lengths, gamma, beta, eps, keeps_the_output):
    real = x != 0
    mean = x.mean(axis=(0, 1), where=real)
    y = normalize(x, lengths, gamma, beta, eps, mean, x.var(axis=(0, 1), where=real))
    return y if keeps_the_output else y * real


@exercise.mistake(
    ko="실제 위치를 하나 더 셌습니다. 길이가 2이면 실제 위치는 t = 0과 1입니다.",
    en="One position too many counts as real: length 2 means t = 0 and t = 1.",
)
def one_step_too_many(x, lengths, gamma, beta, eps):
    return batch_norm_padded(x, lengths + 1, gamma, beta, eps)


@exercise.mistake(
    ko="가장 짧은 시퀀스의 길이까지만 보고 통계량을 구했습니다. 긴 시퀀스의 나머지도 실제 데이터입니다.",
    en="The statistics stop at the shortest sequence. The rest of the longer ones is data too.",
)
def stops_at_the_shortest(x, lengths, gamma, beta, eps):
    values = x[:, : min(lengths)].reshape(-1, x.shape[2])
    return normalize(x, lengths, gamma, beta, eps, values.mean(axis=0), values.var(axis=0))


@exercise.mistake(
    ko="분산을 구할 때 실제 위치의 수 n이 아니라 n-1로 나누었습니다(ddof=1).",
    en="The variance divides by n-1 instead of n, the number of real positions (ddof=1).",
)
def ddof_1(x, lengths, gamma, beta, eps):
    values = x[real_positions(x, lengths)]
    mean, var = values.mean(axis=0), values.var(axis=0, ddof=1)
    return normalize(x, lengths, gamma, beta, eps, mean, var)


@exercise.combine
def combined(
    x,
    lengths,
    gamma,
    beta,
    eps,
    *,
    leaves_the_padding=False,
    divides_by_all_positions=False,
    one_step_too_many=False,
    ddof_1=False,
):
    real = real_positions(x, lengths + one_step_too_many)[:, :, None]
    count = x.shape[0] * x.shape[1] if divides_by_all_positions else real.sum()
    mean = (x * real).sum(axis=(0, 1)) / count
    var = ((x - mean) ** 2 * real).sum(axis=(0, 1)) / (count - ddof_1)
    y = gamma * (x - mean) / np.sqrt(var + eps) + beta
    return y if leaves_the_padding else y * real
