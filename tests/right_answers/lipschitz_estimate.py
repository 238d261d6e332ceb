from itertools import combinations as _combinations

import numpy as np


def loop(f, points):
    steepest = 0.0
    for i in range(len(points)):
        for j in range(i + 1, len(points)):
            distance = sum((a - b) ** 2 for a, b in zip(points[i], points[j], strict=True)) ** 0.5
            steepest = max(steepest, abs(f(points[i]) - f(points[j])) / distance)
    return steepest


def by_combinations(f, points):
    pairs = _combinations(points, 2)
    return np.max([abs(f(a) - f(b)) / np.sqrt((a - b) @ (a - b)) for a, b in pairs])


def ignoring_nan(f, points):
    values = np.apply_along_axis(f, 1, points)
    with np.errstate(invalid="ignore"):
        slopes = np.abs(np.subtract.outer(values, values)) / np.sqrt(
            np.square(points[:, None, :] - points[None, :, :]).sum(-1)
        )
    return float(np.nanmax(slopes))


def through_the_gram_matrix(f, points):
    centred = points - points.mean(axis=0)
    gram = centred @ centred.T
    rows, columns = np.triu_indices(len(points), k=1)
    squares = gram[rows, rows] + gram[columns, columns] - 2 * gram[rows, columns]
    values = np.array([float(f(point)) for point in points])
    return np.sqrt(np.max((values[rows] - values[columns]) ** 2 / squares))
