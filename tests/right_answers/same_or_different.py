import numpy as np


def by_trying(first, second, shape, num_groups):
    x = np.random.default_rng(0).normal(size=shape)
    return bool(np.allclose(_normalize(first, x, num_groups), _normalize(second, x, num_groups)))


def _normalize(name, x, num_groups):
    N, C, H, W = x.shape
    x = x.reshape(N, num_groups, C // num_groups, H, W)
    axes = {"batch": (0, 3, 4), "layer": (1, 2, 3, 4), "instance": (3, 4), "group": (2, 3, 4)}[name]
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-12)


def by_bundles(first, second, shape, num_groups):
    """Number the bundles, and see whether both norms pair the same values."""
    n, c, *_ = np.indices(shape)
    number = {
        "batch": c,
        "layer": n,
        "instance": n * shape[1] + c,
        "group": n * num_groups + c // (shape[1] // num_groups),
    }
    a, b = number[first].ravel(), number[second].ravel()
    return np.array_equal(a[:, None] == a, b[:, None] == b)


def by_cases(first, second, shape, num_groups):
    N, C, *_ = shape
    pair = frozenset([first, second])
    return {
        frozenset(["layer", "instance"]): C == 1,
        frozenset(["layer", "group"]): num_groups == 1,
        frozenset(["instance", "group"]): num_groups == C,
        frozenset(["batch", "instance"]): N == 1,
        frozenset(["batch", "group"]): N == 1 and num_groups == C,
        frozenset(["batch", "layer"]): N == 1 and C == 1,
    }.get(pair, True)
