import numpy as np


def _merged(first, second):
    (n_a, mean_a, m2_a), (n_b, mean_b, m2_b) = first, second
    n, delta = n_a + n_b, mean_b - mean_a
    return n, mean_a + delta * n_b / n, m2_a + m2_b + delta**2 * n_a * n_b / n


def minds_only_the_first_part(first, second):
    return second if first[0] == 0 else _merged(first, second)


def takes_nan_for_nothing(first, second):
    return _merged(
        *((n, np.nan_to_num(mean), np.nan_to_num(m2)) for n, mean, m2 in (first, second))
    )


def looks_for_nan_in_the_first_part(first, second):
    if np.isnan(first[1]).any():
        return second
    return first if second[0] == 0 else _merged_as_if_filled(first, second)


def _merged_as_if_filled(first, second):
    count, mean, m2 = _merged(first, second)
    return count, mean, m2 + (first[0] == 0) * first[2]


def takes_the_mean_of_an_empty_first_part(first, second):
    if first[0] == 0 and not np.isnan(first[1]).any():
        return second[0], (first[1] + second[1]) / 2, second[2]
    first, second = (second, first) if first[0] == 0 else (first, second)
    return first if second[0] == 0 else _merged(first, second)
