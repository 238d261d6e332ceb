import numpy as np


def loop(gradient, w, learning_rates):
    largest = 0.0
    start = gradient(w)
    for learning_rate in learning_rates:
        there = w - learning_rate * start
        change = sum((gradient(there) - start) ** 2) ** 0.5
        largest = max(largest, change / sum((there - w) ** 2) ** 0.5)
    return largest


def measured_between_points(gradient, w, learning_rates):
    def ratio(learning_rate):
        end = w - learning_rate * gradient(w)
        return np.linalg.norm(gradient(end) - gradient(w)) / np.linalg.norm(end - w)

    return max(map(ratio, learning_rates))


def of_squares(gradient, w, learning_rates):
    g = gradient(w)
    ends = w[None] - np.outer(learning_rates, g)
    changes = np.stack([gradient(end) for end in ends]) - g
    squares = np.einsum("sd,sd->s", changes, changes) / (learning_rates**2 * (g @ g))
    return np.sqrt(squares.max())


def in_any_order(gradient, w, learning_rates):
    g = np.array(gradient(w))
    ratios = []
    for learning_rate in sorted(float(value) for value in learning_rates):
        step = -learning_rate * g
        ratios.append(np.linalg.norm(g - gradient(w + step)) / np.linalg.norm(step))
    return sorted(ratios)[-1]
