import numpy as np


def with_loops(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    new_w, new_b = [], []
    for c in range(len(b)):
        std = (running_var[c] + eps) ** 0.5
        new_w.append([weight * gamma[c] / std for weight in w[c]])
        new_b.append(gamma[c] * (b[c] - running_mean[c]) / std + beta[c])
    return new_w, new_b


def with_a_diagonal_matrix(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    scale = np.diag(gamma) @ np.diag(1 / np.sqrt(running_var + eps))
    return scale @ w, scale @ b + (beta - scale @ running_mean)


def by_probing(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    """A linear map is known from what it does to 0 and to the unit vectors."""

    def both_layers(x):
        y = x @ w.T.astype(float) + b
        return gamma * (y - running_mean) / np.sqrt(running_var + eps) + beta

    inputs = w.shape[1]
    offset = both_layers(np.zeros((1, inputs)))[0]
    return (both_layers(np.eye(inputs)) - offset).T, offset


def through_the_transpose(w, b, gamma, beta, running_mean, running_var, eps=1e-5):
    scale = np.divide(gamma, np.sqrt(np.add(running_var, eps)))
    return [(w.T * scale).T, b * scale + (beta - running_mean * scale)]
