import numpy as np


def from_two_projections(x, eps):
    samples = len(x)
    centre = np.eye(samples) - np.full((samples, samples), 1 / samples)
    centred = centre @ x
    std = np.sqrt(centred @ centred / samples + eps)
    u = centred / np.linalg.norm(centred)
    kept = eps / std**2  # what remains along x_hat
    return (centre - (1 - kept) * u[:, None] * u[None, :]) / std


def entry_by_entry(x, eps):
    n = len(x)
    mean = sum(x) / n
    var = sum((value - mean) ** 2 for value in x) / n
    std = (var + eps) ** 0.5
    rows = []
    for i in range(n):
        rows.append([])
        for j in range(n):
            through_var = (x[i] - mean) * (x[j] - mean) / (var + eps)
            rows[i].append((float(i == j) - (1 + through_var) / n) / std)
    return rows


def column_by_column(x, eps):
    """The backward pass, once for every unit vector dy."""
    inv_std = (np.var(x) + eps) ** -0.5
    x_hat = (x - np.mean(x)) * inv_std
    result = np.empty((x.size, x.size))
    for i in range(x.size):
        dy = np.zeros(x.size)
        dy[i] = 1
        result[i] = inv_std * (dy - dy.mean() - x_hat * (dy * x_hat).mean())
    return result


def by_complex_step(x, eps):
    """Exact to the last digits: no difference is taken."""
    columns = []
    for j in range(len(x)):
        z = x.astype(complex)
        z[j] += 1e-30j
        centred = z - z.mean()
        columns.append((centred / np.sqrt((centred**2).mean() + eps)).imag / 1e-30)
    return np.array(columns).T
