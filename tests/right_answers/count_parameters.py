import numpy as np


def layer_by_layer(layers):
    learned, kept = 0, 0
    for i in range(len(layers)):
        kind, *sizes = layers[i]
        if kind == "bn":
            learned += sizes[0] + sizes[0]
            kept += sizes[0] + sizes[0]
        if kind == "conv":
            learned += sizes[0] * sizes[1] * sizes[2] ** 2
            if i + 1 == len(layers) or layers[i + 1][0] == "conv":
                learned += sizes[1]
    return learned, kept


def from_the_end(layers):
    learned = kept = 0
    previous = "end"
    for kind, first, second, third in reversed(layers):
        if kind == "conv":
            learned += first * second * third * third
            learned += second if previous != "bn" else 0
        else:
            learned, kept = learned + 2 * first, kept + 2 * first
        previous = kind
    return [learned, kept]


def with_shapes(layers):
    arrays, buffers = [], []
    kinds = [kind for kind, *_ in layers] + [""]
    for (kind, a, b, c), following in zip(layers, kinds[1:], strict=True):
        if kind == "conv":
            arrays.append((b, a, c, c))
            if following != "bn":
                arrays.append((b,))
        else:
            arrays += [(a,), (a,)]
            buffers += [(a,), (a,)]
    return tuple(sum(int(np.prod(shape)) for shape in group) for group in (arrays, buffers))
