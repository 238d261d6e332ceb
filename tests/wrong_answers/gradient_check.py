import numpy as np


def compares_the_first_entries(forward, backward, rng):
    dy, x = rng.normal(size=(5, 3)), rng.normal(1, 2, (5, 3))
    inputs = [x, rng.uniform(0.5, 2, 3), rng.normal(size=3)]
    errors = []
    for values, returned in zip(inputs, backward(dy, *inputs), strict=True):
        first, found = (0,) * values.ndim, []
        for move in (1e-5, -2e-5):
            values[first] += move
            found.append((dy * forward(*inputs)).sum())
        values[first] += 1e-5
        numerical = (found[0] - found[1]) / 2e-5
        size = abs(returned[first]) + abs(numerical)
        errors.append(abs(returned[first] - numerical) / size)
    return max(errors)


def joins_the_three_gradients(forward, backward, rng):
    dy, x = rng.normal(size=(5, 3)), rng.normal(1, 2, (5, 3))
    inputs = [x, rng.uniform(0.5, 2, 3), rng.normal(size=3)]
    returned = np.concatenate([part.ravel() for part in backward(dy, *inputs)])
    numerical = []
    for values in inputs:
        for index in np.ndindex(values.shape):
            found = []
            for move in (1e-5, -2e-5):
                values[index] += move
                found.append((dy * forward(*inputs)).sum())
            values[index] += 1e-5
            numerical.append((found[0] - found[1]) / 2e-5)
    size = np.linalg.norm(returned) + np.linalg.norm(numerical)
    return np.linalg.norm(returned - numerical) / size
