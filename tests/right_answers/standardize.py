import numpy as np


def loop(x):
    columns = []
    for column in x.T:
        mean = sum(column) / len(column)
        variance = sum((value - mean) ** 2 for value in column) / len(column)
        columns.append([(value - mean) / variance**0.5 for value in column])
    return np.array(columns).T


def einsum(x):
    centred = x - np.einsum("nd->d", x) / len(x)
    return centred / np.sqrt(np.einsum("nd,nd->d", centred, centred) / len(x))


def through_the_transpose(x):
    rows = x.T.copy()
    rows -= rows.mean(axis=1, keepdims=True)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T * np.sqrt(len(x))


def as_lists(x):
    return loop(x).tolist()


def in_float32(x):
    z = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    z /= np.sqrt((z * z).mean(axis=0))
    return z.astype(x.dtype)
