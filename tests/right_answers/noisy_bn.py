import numpy as np


def with_a_helper(batches, gamma, beta, rng):
    def one_step(x):
        n, c = x.shape
        centred = x - x.mean(axis=0, keepdims=True)
        y = centred * (gamma / np.sqrt((centred**2).mean(axis=0) + 1e-5)) + beta
        mean, std = rng.uniform(-0.5, 0.5, size=c), rng.uniform(1, 1.25, size=c)
        shift = rng.normal(loc=mean, scale=0.1, size=(n, c))
        return y * rng.normal(loc=std, scale=0.1, size=(n, c)) + shift

    return tuple(map(one_step, batches))


def drawing_one_number_at_a_time(batches, gamma, beta, rng):
    outputs = []
    for x in batches:
        n, c = x.shape
        means = [rng.uniform(-0.5, 0.5) for _ in range(c)]
        stds = [rng.uniform(1.0, 1.25) for _ in range(c)]
        shift = [[rng.normal(means[j], 0.1) for j in range(c)] for _ in range(n)]
        scale = [[rng.normal(stds[j], 0.1) for j in range(c)] for _ in range(n)]
        y = np.empty((n, c))
        for j in range(c):
            column = x[:, j]
            std = (((column - column.mean()) ** 2).mean() + 1e-5) ** 0.5
            for i in range(n):
                y_hat = gamma[j] * (column[i] - column.mean()) / std + beta[j]
                y[i, j] = scale[i][j] * y_hat + shift[i][j]
        outputs.append(y)
    return outputs


def with_standard_draws(batches, gamma, beta, rng):
    outputs = [None] * len(batches)
    for step, x in enumerate(batches):
        mean = rng.random(len(gamma)) - 0.5
        std = 1 + rng.random(len(gamma)) / 4
        shift = mean + 0.1 * rng.standard_normal(x.shape)
        scale = std + 0.1 * rng.standard_normal(x.shape)
        x_hat = (x - x.mean(0)) * (x.var(0) + 1e-5) ** -0.5
        outputs[step] = np.multiply(scale, x_hat * gamma + beta) + shift
    return np.array(outputs)
