import numpy as np


def by_jacobian(x, dy, p):
    m, features = x.shape
    y, dx = np.empty(x.shape), np.empty(x.shape)
    centre = np.eye(m) - 1 / m
    for j in range(features):
        d = centre @ x[:, j]
        if np.isinf(p):
            k = np.argmax(np.abs(d))
            s = abs(d[k])
            ds = np.zeros(m)
            ds[k] = np.sign(d[k])
        else:
            s = np.mean(np.abs(d) ** p) ** (1 / p)
            ds = np.abs(d) ** (p - 1) * np.sign(d) * s ** (1 - p) / m
        jacobian = (np.eye(m) / s - np.outer(d, ds) / s**2) @ centre
        y[:, j], dx[:, j] = d / s, jacobian.T @ dy[:, j]
    return y, dx


def by_central_differences(x, dy, p):
    def forward(x):
        d = np.abs(x - x.mean(axis=0))
        s = d.max(axis=0) if p == np.inf else np.power(np.power(d, p).mean(axis=0), 1 / p)
        return (x - x.mean(axis=0)) / s

    dx = np.empty(x.shape)
    for i, j in np.ndindex(x.shape):
        slopes = []
        for h in (2e-4, 1e-4):  # two steps, so that the leading error can be taken out
            step = np.zeros(x.shape)
            step[i, j] = h * np.std(x[:, j])
            difference = (forward(x + step) - forward(x - step)) / (2 * step[i, j])
            slopes.append(np.sum(dy * difference))
        dx[i, j] = (4 * slopes[1] - slopes[0]) / 3
    return [forward(x), dx]


def node_by_node(x, dy, p):
    mean = x.mean(axis=0, keepdims=True)
    d = x - mean
    s = np.linalg.norm(d, ord=p, axis=0)
    if p != np.inf:
        s = s / len(x) ** (1 / p)
    y = d / s
    d_through_y = dy / s
    ds = -np.sum(dy * d, axis=0) / s**2
    if p == np.inf:
        rows = np.argmax(np.abs(d), axis=0)
        columns = np.arange(d.shape[1])
        d_through_s = np.zeros_like(d)
        d_through_s[rows, columns] = np.sign(d[rows, columns]) * ds
    else:
        d_through_s = ds * np.sign(d) * np.abs(y) ** (p - 1) / len(x)
    dd = d_through_y + d_through_s
    dmean = -dd.sum(axis=0)
    return y, dd + dmean / len(x)
