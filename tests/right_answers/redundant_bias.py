import numpy as np


def by_regular_words(layers):
    """Between a redundant bias and its bn there are only linear layers."""
    answers = []
    for i, kind in enumerate(layers):
        if kind == "linear":
            above = [other for other in layers[i:] if other != "linear"]
            answers.append(bool(above) and above[0] == "bn")
    return answers


def forwards(layers):
    answers, waiting = [], []
    for kind in layers:
        if kind == "linear":
            waiting.append(len(answers))
            answers.append(False)
        else:
            for i in waiting:
                answers[i] = kind == "bn"
            waiting = []
    return np.array(answers)


def by_trying(layers):
    """Build the net, change each bias in turn and see whether the output moves."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(3, 3)) for _ in layers]
    u = rng.normal(size=(8, 3))

    def output(bias_at=None):
        x = u
        for i, kind in enumerate(layers):
            if kind == "linear":
                x = x @ weights[i] + 0.1 + 0.7 * (i == bias_at)
            elif kind == "bn":
                x = 0.5 + 2 * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
            else:
                x = np.logaddexp(0, x) if kind == "relu" else 1 / (1 + np.exp(-x))
        return x  # a smooth relu: with the sharp one a feature may be 0 for every sample

    before = output()
    return [
        bool(np.allclose(before, output(i), rtol=1e-9, atol=1e-9))
        for i, kind in enumerate(layers)
        if kind == "linear"
    ]


def recursively(layers):
    def is_removed(above):
        return above[:1] == ["bn"] or (above[:1] == ["linear"] and is_removed(above[1:]))

    return tuple(is_removed(layers[i + 1 :]) for i, kind in enumerate(layers) if kind == "linear")
