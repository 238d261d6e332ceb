from math import prod as _prod

import numpy as np


def in_copies(shape, itemsize):
    copy = 2 * _prod(shape) * itemsize
    return 1.5 * copy, 2.5 * copy


def pass_by_pass(shape, itemsize):
    array = itemsize
    for length in shape:
        array *= length
    forward = [("read", "x"), ("read", "x"), ("write", "y")]
    backward = [("read", "x"), ("read", "dy"), ("read", "x"), ("read", "dy"), ("write", "dx")]
    return [array * len(forward), array * len(backward)]


def from_an_array(shape, itemsize):
    size = np.broadcast_to(np.int8(0), shape).size * itemsize
    return np.array([3, 5]) * size
