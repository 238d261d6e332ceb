import numpy as np


class ByMerging:
    def __init__(self, num_features):
        self.state = 0, np.zeros(num_features), np.zeros(num_features)

    def update(self, x):
        n, mean, m2 = self.state
        delta = x.astype(float) - mean
        self.state = n + 1, mean + delta / (n + 1), m2 + delta**2 * n / (n + 1)

    def statistics(self):
        n, mean, m2 = self.state
        return mean, m2 / n


class InPlace:
    def __init__(self, num_features):
        self.seen = 0
        self.mean, self.variance = np.zeros((2, num_features))

    def update(self, x):
        self.seen += 1
        old = np.subtract(x, self.mean, dtype=np.float64)
        self.mean += old / self.seen
        new = x - self.mean
        self.variance += (old * new - self.variance) / self.seen

    def statistics(self):
        return [self.mean, self.variance]


class ShiftedSums:
    """Sums of x minus the first sample: its squares are harmless."""

    def __init__(self, num_features):
        self.first = None
        self.n, self.total, self.squares = 0, np.zeros(num_features), np.zeros(num_features)

    def update(self, x):
        x = np.asarray(x, dtype=np.float64)
        if self.first is None:
            self.first = x.copy()
        self.n += 1
        self.total = self.total + (x - self.first)
        self.squares = self.squares + (x - self.first) ** 2

    def statistics(self):
        mean = self.total / self.n
        return self.first + mean, self.squares / self.n - mean**2
