import numpy as np


def _standardized(x, constant):
    scale = np.where(constant, 1, x.std(axis=0))
    return np.where(constant, 0, (x - x.mean(axis=0)) / scale)


def compares_the_first_two_rows(x):
    return _standardized(x, x[0] == x[1])


def compares_the_first_and_the_last_row(x):
    return _standardized(x, x[0] == x[-1])


def takes_a_small_relative_std_for_none(x):
    return _standardized(x, x.std(axis=0) <= 3e-15 * abs(x.mean(axis=0)))


def is_close_to_the_first_row(x):
    return _standardized(x, np.isclose(x, x[0], rtol=1e-14, atol=0).all(axis=0))


def takes_a_range_below_1e_12_for_none(x):
    return _standardized(x, np.ptp(x, axis=0) < 1e-12)


def takes_a_range_of_1e_50_for_none(x):
    return _standardized(x, np.ptp(x, axis=0) < 1e-50)
