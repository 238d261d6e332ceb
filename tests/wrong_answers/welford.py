import numpy as np
import torch


class KeepsAll:
    def __init__(self, num_features):
        self.samples = []

    def update(self, x):
        self.samples.append(np.array(x, dtype=np.float64))

    def statistics(self):
        return np.mean(self.samples, axis=0), np.var(self.samples, axis=0)


class KeepsAllInItsClass:
    samples = []  # noqa: RUF012 (what is to be caught)

    def __init__(self, num_features):
        self.samples.clear()

    def update(self, x):
        self.samples.append(np.array(x, dtype=np.float64))

    def statistics(self):
        return np.mean(self.samples, axis=0), np.var(self.samples, axis=0)


_samples = []


class KeepsAllInAVariable:
    def __init__(self, num_features):
        _samples.clear()

    def update(self, x):
        _samples.append(np.array(x, dtype=np.float64))

    def statistics(self):
        return np.mean(_samples, axis=0), np.var(_samples, axis=0)


class KeepsAllInATensor:
    def __init__(self, num_features):
        self.samples = torch.empty(0, num_features, dtype=torch.float64)

    def update(self, x):
        self.samples = torch.cat([self.samples, torch.as_tensor(x, dtype=torch.float64)[None]])

    def statistics(self):
        return self.samples.mean(0), self.samples.var(0, unbiased=False)
