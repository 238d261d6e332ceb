import numpy as np


def vectorized(layer, weights, batches):
    now = np.stack([layer(w, x) for w, x in zip(weights[:-1], batches[:-1], strict=True)])
    updated = np.stack([layer(w, x) for w, x in zip(weights[1:], batches[:-1], strict=True)])
    other = np.stack([layer(w, x) for w, x in zip(weights[:-1], batches[1:], strict=True)])
    scale = now.std(axis=1)
    drift = np.abs(updated.mean(axis=1) - now.mean(axis=1)) / scale
    noise = np.abs(other.mean(axis=1) - now.mean(axis=1)) / scale
    return drift.mean(axis=1), noise.mean(axis=1)


def with_a_list_of_pairs(layer, weights, batches):
    def _distance(a, b):
        spread = np.sqrt(np.mean((a - a.mean(0)) ** 2, 0))
        return float(np.mean(np.abs((b - a).mean(0)) / spread))

    pairs = [
        (
            _distance(layer(w, x), layer(w_next, x)),
            _distance(layer(w, x), layer(w, x_next)),
        )
        for w, w_next, x, x_next in zip(weights, weights[1:], batches, batches[1:], strict=False)
    ]
    drift, noise = zip(*pairs, strict=True)
    return list(drift), list(noise)


def feature_by_feature(layer, weights, batches):
    steps = len(batches) - 1
    result = np.zeros((2, steps))
    for t in range(steps):
        start = layer(weights[t], batches[t])
        ends = [layer(weights[t + 1], batches[t]), layer(weights[t], batches[t + 1])]
        for k, end in enumerate(ends):
            for j in range(start.shape[1]):
                a, b = start[:, j], end[:, j]
                result[k, t] += abs(b.mean() - a.mean()) / a.std() / start.shape[1]
    return result
