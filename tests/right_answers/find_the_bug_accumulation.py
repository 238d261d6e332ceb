import numpy as np


def joined(weight, micro_batches, eps):
    x, target = (np.concatenate(parts) for parts in zip(*micro_batches, strict=True))
    z = x @ weight
    inv_std = 1 / np.sqrt(z.var(axis=0) + eps)
    z_hat = (z - z.mean(axis=0)) * inv_std
    d = (z_hat - target) / len(x)
    return x.T @ (inv_std * (d - d.mean(axis=0) - z_hat * (d * z_hat).mean(axis=0)))


def merged_statistics(weight, micro_batches, eps):
    count, mean, m2 = 0, 0.0, 0.0
    for x, _ in micro_batches:
        z = x @ weight
        difference = z.mean(axis=0) - mean
        m2 = m2 + len(z) * z.var(axis=0) + difference**2 * count * len(z) / (count + len(z))
        count += len(z)
        mean = mean + difference * len(z) / count
    inv_std = 1 / np.sqrt(m2 / count + eps)

    parts = [(x, (x @ weight - mean) * inv_std, target) for x, target in micro_batches]
    sum_d = sum((z_hat - target).sum(axis=0) for _, z_hat, target in parts)
    sum_d_z_hat = sum(((z_hat - target) * z_hat).sum(axis=0) for _, z_hat, target in parts)
    gradient = 0
    for x, z_hat, target in parts:
        d = z_hat - target - sum_d / count - z_hat * sum_d_z_hat / count
        gradient = gradient + x.T @ (d * inv_std) / count
    return gradient


def projected_at_the_end(weight, micro_batches, eps):
    """Collect sums that do not need the statistics yet, and subtract at the end."""
    N = sum(len(x) for x, _ in micro_batches)
    mean_x = sum(x.sum(axis=0) for x, _ in micro_batches) / N
    mean_target = sum(t.sum(axis=0) for _, t in micro_batches) / N
    scatter = sum((x - mean_x).T @ (x - mean_x) for x, _ in micro_batches) / N
    cross = sum((x - mean_x).T @ (t - mean_target) for x, t in micro_batches) / N
    var = np.einsum("dc,de,ec->c", weight, scatter, weight)
    std = np.sqrt(var + eps)
    along = scatter @ weight / std  # mean of (x - mean_x) z_hat
    dz_hat_along = var / std**2 - np.einsum("dc,dc->c", weight, cross) / std
    return (along - cross - along * dz_hat_along) / std
