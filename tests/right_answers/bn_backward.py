import numpy as np


def collected(dy, x, gamma, eps):
    inv_std = (x.var(axis=0) + eps) ** -0.5
    x_hat = (x - x.mean(axis=0)) * inv_std
    dgamma, dbeta = np.einsum("nc,nc->c", dy, x_hat), np.einsum("nc->c", dy)
    dx = gamma * inv_std / len(x) * (len(x) * dy - dbeta - x_hat * dgamma)
    return dx, dgamma, dbeta


def in_loops(dy, x, gamma, eps):
    samples, features = x.shape
    dx, dgamma, dbeta = np.zeros((samples, features)), np.zeros(features), np.zeros(features)
    for c in range(features):
        values = x[:, c].astype(float)
        mean = sum(values) / samples
        var = sum((value - mean) ** 2 for value in values) / samples
        std = (var + eps) ** 0.5
        for i in range(samples):
            dgamma[c] += dy[i, c] * (values[i] - mean) / std
            dbeta[c] += dy[i, c]
            for j in range(samples):
                moved = (i == j) - 1 / samples
                moved -= (values[i] - mean) * (values[j] - mean) / std**2 / samples
                dx[j, c] += dy[i, c] * gamma[c] * moved / std
    return dx.astype(x.dtype), dgamma.astype(x.dtype), dbeta.astype(x.dtype)


def node_by_node(dy, x, gamma, eps):
    """Every node of the graph, the mean inside the variance among them."""
    n = x.shape[0]
    mu = np.mean(x, axis=0)
    xmu = x - mu
    sq = xmu**2
    var = np.mean(sq, axis=0)
    sqrtvar = np.sqrt(var + eps)
    ivar = 1.0 / sqrtvar
    xhat = xmu * ivar

    dbeta = np.sum(dy, axis=0)
    dgamma = np.sum(dy * xhat, axis=0)
    dxhat = dy * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu = dxhat * ivar
    dsqrtvar = -(sqrtvar**-2) * divar
    dvar = 0.5 / sqrtvar * dsqrtvar
    dsq = np.ones_like(x) / n * dvar
    dxmu = dxmu + 2 * xmu * dsq
    dmu = -np.sum(dxmu, axis=0)
    return [dxmu + dmu / n, dgamma, dbeta]


def by_projection(dy, x, gamma, eps):
    """Matrices that centre, and that remove what lies along x_hat."""
    dy, x, gamma = (array.astype(np.float64) for array in (dy, x, gamma))
    samples = len(x)
    centre = np.eye(samples) - 1 / samples
    columns, dgamma = [], []
    for j in range(x.shape[1]):
        centred = centre @ x[:, j]
        std = np.sqrt(centred @ centred / samples + eps)
        x_hat = centred / std
        jacobian = (centre - np.outer(x_hat, x_hat) / samples) / std
        columns.append(gamma[j] * jacobian.T @ dy[:, j])
        dgamma.append(dy[:, j] @ x_hat)
    return np.column_stack(columns), np.array(dgamma), dy.sum(0)
