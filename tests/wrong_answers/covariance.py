import numpy as np


class KeepsEverything:
    def __init__(self, num_features):
        self.rows = np.empty((0, num_features))

    def update(self, x):
        self.rows = np.vstack([self.rows, x])

    def covariance(self):
        return np.cov(self.rows, rowvar=False, bias=True)


class KeepsBatches:
    def __init__(self, num_features):
        self.state = {"batches": []}

    def update(self, x):
        self.state["batches"].append(x.tolist())

    def covariance(self):
        x = np.concatenate(self.state["batches"])
        return (x - x.mean(axis=0)).T @ (x - x.mean(axis=0)) / len(x)


class NeedsTwoRowsAtFirst:
    def __init__(self, num_features):
        self.count = 0

    def update(self, x):
        mean, scatter = x.mean(axis=0), 0
        if len(x) > 1 or not self.count:
            scatter = np.cov(x, rowvar=False) * (len(x) - 1)
        if self.count:
            shift = mean - self.mean
            total = self.count + len(x)
            scatter = self.scatter + scatter
            scatter = scatter + np.outer(shift, shift) * self.count * len(x) / total
            mean = self.mean + shift * len(x) / total
        self.mean, self.scatter, self.count = mean, scatter, self.count + len(x)

    def covariance(self):
        return self.scatter / self.count


class KeepsBatchesInSlots:
    __slots__ = ("_rows",)

    def __init__(self, num_features):
        self._rows = np.empty((0, num_features))

    def update(self, x):
        self._rows = np.vstack([self._rows, x])

    def covariance(self):
        return np.cov(self._rows, rowvar=False, bias=True).reshape(2 * self._rows.shape[1:])
