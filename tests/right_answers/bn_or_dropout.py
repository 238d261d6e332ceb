import numpy as np


def alone_and_in_company(layer, features):
    x = np.random.default_rng(3).normal(2, 3, (40, features))
    random = not np.array_equal(
        layer(x, np.random.default_rng(0)), layer(x, np.random.default_rng(9))
    )
    pair = layer(x[:20], np.random.default_rng(0))
    coupled = not np.allclose(pair, layer(x, np.random.default_rng(0))[:20])
    return {(0, 0): "none", (0, 1): "batch", (1, 0): "dropout", (1, 1): "both"}[random, coupled]


def one_sample_made_large(layer, features):
    x = np.arange(20.0 * features).reshape(20, features) % 7
    y = layer(x, np.random.default_rng(4))
    spoiled = np.vstack([x[:-1], 1e3 + np.zeros(features)])
    batch = np.abs(layer(spoiled, np.random.default_rng(4)) - y)[:-1].max() > 1e-6
    seeds = range(10)
    outputs = [layer(x, np.random.default_rng(seed)) for seed in seeds]
    dropout = any(np.abs(output - outputs[0]).max() > 1e-6 for output in outputs)
    if batch and dropout:
        return "both"
    return "batch" if batch else "dropout" if dropout else "none"


def with_one_generator_used_on(layer, features):
    rng = np.random.default_rng(8)
    x = rng.uniform(-1, 1, (30, features)).astype(np.float32)
    has_dropout = bool(np.ptp([layer(x, rng) for _ in range(5)], axis=0).max() > 1e-4)

    def first_half(second_half):
        together = np.concatenate([x[:15], second_half])
        return layer(together, np.random.default_rng(0))[:15]

    has_batch = bool(np.abs(first_half(x[15:]) - first_half(x[15:] + 5)).max() > 1e-4)
    names = ["none", "dropout", "batch", "both"]
    return names[has_dropout + 2 * has_batch]
