import numpy as np


def takes_the_upper_median(curves, steps_per_epoch, target):
    below = np.maximum.accumulate(curves, axis=-1) < target
    epochs = 1.0 + below.sum(axis=-1)
    epochs[below.all(axis=-1)] = np.inf
    times = np.sort(epochs, axis=-1)[..., epochs.shape[-1] // 2].min(axis=-1) * steps_per_epoch
    return [*times, times[0] / times[1]]
