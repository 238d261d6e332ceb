import copy
import math

import numpy as np


def flattened(gradient, weights, layer, lr, batches, step):
    slopes = gradient(weights, batches[step])
    new_weights = [
        weights[i] - lr * slopes[i] if i < layer else weights[i] for i in range(len(weights))
    ]
    g = slopes[layer].ravel()
    g_prime = gradient(new_weights, batches[step])[layer].ravel()
    return [
        ((g - g_prime) @ (g - g_prime)) ** 0.5,
        g @ g_prime / ((g @ g) * (g_prime @ g_prime)) ** 0.5,
    ]


def on_a_deep_copy(gradient, weights, layer, lr, batches, step):
    moved = copy.deepcopy(weights)
    before = gradient(weights, batches[step])
    for number in range(layer):
        moved[number] -= lr * before[number]
    g, h = before[layer], gradient(moved, batches[step])[layer]
    unit_g, unit_h = g / np.linalg.norm(g), h / np.linalg.norm(h)
    return np.linalg.norm(g - h, "fro"), np.einsum("ij,ij->", unit_g, unit_h)


def with_loops(gradient, weights, layer, lr, batches, step):
    g = gradient(weights, batches[step])
    below = []
    while len(below) < layer:
        below.append(np.subtract(weights[len(below)], np.multiply(lr, g[len(below)])))
    h = gradient(below + list(weights[layer:]), batches[step])[layer].tolist()
    g = g[layer].tolist()
    pairs = [
        (a, b) for row, other in zip(g, h, strict=True) for a, b in zip(row, other, strict=True)
    ]
    dot = math.fsum(a * b for a, b in pairs)
    squares = math.fsum(a * a for a, _ in pairs), math.fsum(b * b for _, b in pairs)
    return math.dist(*zip(*pairs, strict=True)), dot / math.sqrt(squares[0] * squares[1])
