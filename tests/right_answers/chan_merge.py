import numpy as np


def from_the_joint_mean(first, second):
    parts = [part for part in (first, second) if part[0] > 0]
    count = sum(n for n, _, _ in parts)
    mean = sum(n * mean for n, mean, _ in parts) / count
    return count, mean, sum(m2 + n * (part_mean - mean) ** 2 for n, part_mean, m2 in parts)


def with_nan_cleared(first, second):
    (n_a, mean_a, m2_a), (n_b, mean_b, m2_b) = (
        (n, np.where(n, mean, 0.0), np.where(n, m2, 0.0)) for n, mean, m2 in (first, second)
    )
    n = n_a + n_b
    delta = mean_a - mean_b
    return [n, mean_b + delta * (n_a / n), m2_a + m2_b + delta * delta * (n_a * n_b / n)]


def feature_by_feature(first, second):
    if not first[0]:
        first, second = second, first
    n_a, n_b = first[0], second[0]
    means, m2s = [], []
    for j in range(len(first[1])):
        if n_b == 0:
            means.append(first[1][j])
            m2s.append(first[2][j])
            continue
        delta = second[1][j] - first[1][j]
        means.append(first[1][j] + n_b * delta / (n_a + n_b))
        m2s.append(first[2][j] + second[2][j] + delta**2 / (1 / n_a + 1 / n_b))
    return n_a + n_b, np.array(means), np.array(m2s)


def from_stand_in_samples(first, second):
    """Samples with the same count, mean and m2, computed afresh."""
    stand_ins = [_stand_in(*part) for part in (first, second) if part[0]]
    samples = np.concatenate(stand_ins)
    mean = samples.mean(axis=0)
    return len(samples), mean, ((samples - mean) ** 2).sum(axis=0)


def _stand_in(count, mean, m2):
    if count == 1:
        return mean[None]
    pattern = np.arange(count) - (count - 1) / 2
    pattern = pattern / np.linalg.norm(pattern)
    return mean + pattern[:, None] * np.sqrt(m2)
