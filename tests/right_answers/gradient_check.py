import numpy as np


def one_flat_vector(forward, backward, rng):
    n, c = 6, 2
    sizes = [n * c, n * c + c]
    flat = np.concatenate([rng.normal(size=n * c), [0.7, -1.6], [0.3, 2.0]])
    dy = rng.normal(size=(n, c))

    def _unpack(v):
        x, gamma, beta = np.split(v, sizes)
        return x.reshape(n, c), gamma, beta

    def _loss(v):
        return np.vdot(dy, forward(*_unpack(v)))

    steps = np.eye(flat.size) * 1e-5
    numerical = np.array([(_loss(flat + h) - _loss(flat - h)) / 2e-5 for h in steps])
    worst = 0.0
    for a, b in zip(backward(dy, *_unpack(flat)), _unpack(numerical), strict=True):
        worst = max(worst, np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b)))
    return worst


def five_points(forward, backward, rng):
    """The stencil with an error of step^4, on inputs written down by hand."""
    x = np.array([[0.1, 2.0], [1.5, -1.0], [-0.7, 0.4], [2.2, 1.1]])
    gamma, beta = np.array([1.7, -0.6]), np.array([0.2, 0.9])
    dy = np.array([[1.0, 0.3], [-0.5, 2.0], [0.8, -1.2], [0.1, 0.6]])
    h = 1e-3

    def _derivative(name, index):
        def loss(move):
            inputs = {"x": x.copy(), "gamma": gamma.copy(), "beta": beta.copy()}
            inputs[name][index] += move
            return float(np.sum(dy * forward(**inputs)))

        return (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)

    errors = []
    for name, values, analytic in zip(
        ("x", "gamma", "beta"), (x, gamma, beta), backward(dy, x, gamma, beta), strict=True
    ):
        numerical = np.array(
            [_derivative(name, index) for index in np.ndindex(values.shape)]
        ).reshape(values.shape)
        distance = np.sqrt(((analytic - numerical) ** 2).sum())
        errors.append(distance / (np.sqrt((analytic**2).sum()) + np.sqrt((numerical**2).sum())))
    return np.array(max(errors))


def several_draws(forward, backward, rng):
    """Twice, with other inputs; extrapolated from two steps (Richardson)."""
    worst = 0
    for samples in (3, 4):
        values = [
            rng.normal(2, 1.5, (samples, 2)),
            rng.choice([-1, 1], 2) * rng.uniform(1.2, 3, 2),
            rng.uniform(-1, 1, 2),
        ]
        dy = rng.uniform(-1, 2, (samples, 2))

        def _central(k, index, h, values=values, dy=dy):
            ends = []
            for move in (h, -h):
                moved = [array.copy() for array in values]
                moved[k][index] += move
                ends.append(np.einsum("nc,nc->", dy, forward(*moved)))
            return (ends[0] - ends[1]) / (2 * h)

        for k, returned in enumerate(backward(dy, *values)):
            numerical = np.zeros(values[k].shape)
            for index, _ in np.ndenumerate(values[k]):
                numerical[index] = (4 * _central(k, index, 1e-4) - _central(k, index, 2e-4)) / 3
            size = np.linalg.norm(returned) + np.linalg.norm(numerical)
            worst = max(worst, np.linalg.norm(returned - numerical) / size)
    return worst


def as_an_array_of_one(forward, backward, rng):
    return np.array([several_draws(forward, backward, rng)])
