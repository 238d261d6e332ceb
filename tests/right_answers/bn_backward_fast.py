import numpy as np


def over_a_common_n(dy, x_hat, inv_std, gamma):
    n = dy.shape[0]
    dbeta, dgamma = dy.sum(0), (dy * x_hat).sum(0)
    return (gamma * inv_std / n) * (n * dy - dbeta - x_hat * dgamma)


def with_einsum(dy, x_hat, inv_std, gamma):
    along = np.einsum("nc,nc->c", dy, x_hat) / len(dy)
    centred = dy - np.einsum("nc->c", dy) / len(dy)
    return np.einsum("nc,c,c->nc", centred - x_hat * along, inv_std, gamma)


def in_steps(dy, x_hat, inv_std, gamma):
    dx = dy.copy()
    dx -= dy.mean(axis=0, keepdims=True)
    dx -= x_hat * np.mean(dx * x_hat, axis=0, keepdims=True)
    dx *= inv_std * gamma
    return dx


def sample_by_sample(dy, x_hat, inv_std, gamma):
    n, columns = len(dy), dy.shape[1]
    dx = np.zeros((n, columns))
    for c in range(columns):
        mean = sum(dy[i, c] for i in range(n)) / n
        along = sum(dy[i, c] * x_hat[i, c] for i in range(n)) / n
        for i in range(n):
            dx[i, c] = gamma[c] * inv_std[c] * (dy[i, c] - mean - along * x_hat[i, c])
    return dx.tolist()
