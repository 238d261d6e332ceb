import numpy as np


def loop(x, num_groups, gamma, beta, eps):
    samples, channels = x.shape[:2]
    if channels % num_groups != 0:
        raise ValueError("num_groups must divide the channels")
    size = channels // num_groups
    y = np.empty_like(x)
    for n in range(samples):
        for first in range(0, channels, size):
            group = x[n, first : first + size]
            x_hat = (group - group.mean()) / np.sqrt(group.var() + eps)
            for i in range(size):
                y[n, first + i] = gamma[first + i] * x_hat[i] + beta[first + i]
    return y


def equal_parts(x, num_groups, gamma, beta, eps):
    parts = np.split(x, num_groups, axis=1)  # raises ValueError unless they are equal
    axes = (1, 2, 3)
    x_hat = [
        (part - part.mean(axes, keepdims=True)) / np.sqrt(part.var(axes, keepdims=True) + eps)
        for part in parts
    ]
    return np.concatenate(x_hat, axis=1) * gamma.reshape(-1, 1, 1) + beta.reshape(-1, 1, 1)


def flat_rows(x, num_groups, gamma, beta, eps):
    assert_divides = x.shape[1] % num_groups == 0
    if not assert_divides:
        raise ValueError(num_groups)
    rows = x.reshape(x.shape[0] * num_groups, -1)
    centred = rows - rows.mean(1, keepdims=True)
    x_hat = centred / np.sqrt(np.mean(centred * centred, 1, keepdims=True) + eps)
    return np.einsum("nchw,c->nchw", x_hat.reshape(x.shape), gamma) + beta[None, :, None, None]


def by_membership(x, num_groups, gamma, beta, eps):
    channels = x.shape[1]
    if channels % num_groups:
        raise ValueError
    group_of = np.arange(channels) // (channels // num_groups)
    same = (group_of[:, None] == group_of).astype(float)
    same /= same.sum(axis=1, keepdims=True)
    mean = np.einsum("ck,nk->nc", same, x.mean(axis=(2, 3)))[:, :, None, None]
    var = np.einsum("ck,nk->nc", same, ((x - mean) ** 2).mean(axis=(2, 3)))[:, :, None, None]
    return gamma[:, None, None] * (x - mean) / np.sqrt(var + eps) + beta[:, None, None]
