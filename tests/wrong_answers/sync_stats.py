import numpy as np

from bnlib.exercises.bank.sync_stats import sync_stats as _sync_stats


def takes_nan_for_empty(counts, means, variances):
    filled = ~np.isnan(means).any(axis=1)
    return _sync_stats(np.maximum(counts, 1)[filled], means[filled], variances[filled])
