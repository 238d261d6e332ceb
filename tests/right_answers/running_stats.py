import numpy as np


class InPlace:
    def __init__(self, num_features, momentum=0.1):
        self.weight = momentum
        self.running_mean = np.full((num_features,), 0.0)
        self.running_var = np.full((num_features,), 1.0)

    def update(self, x, training):
        if not training:
            return
        n = len(x)
        mean = np.einsum("nc->c", x) / n
        centred = x - mean
        var = np.einsum("nc,nc->c", centred, centred) / (n - 1)
        self.running_mean += self.weight * (mean - self.running_mean)
        self.running_var += self.weight * (var - self.running_var)


class WithLists:
    def __init__(self, num_features, momentum=0.1):
        self.momentum = momentum
        self.running_mean = [0.0] * num_features
        self.running_var = [1.0] * num_features

    def update(self, x, training):
        if training:
            for j, column in enumerate(x.T.tolist()):
                mean = sum(column) / len(column)
                var = sum((value - mean) ** 2 for value in column) / (len(column) - 1)
                self.running_mean[j] = self._mix(self.running_mean[j], mean)
                self.running_var[j] = self._mix(self.running_var[j], var)

    def _mix(self, old, new):
        return old * (1 - self.momentum) + new * self.momentum


class WithTheWholeHistory:
    """Keeps every batch's statistics and weighs them when asked."""

    def __init__(self, num_features, momentum=0.1):
        self.keep = 1 - momentum
        self.statistics = [np.stack([np.zeros(num_features), np.ones(num_features)])]

    def update(self, x, training):
        if training:
            var = x.var(axis=0) * (len(x) / (len(x) - 1))
            self.statistics.append(np.stack([x.mean(axis=0), var]))

    def _weighted(self):
        count = len(self.statistics) - 1
        weights = [(1 - self.keep) * self.keep ** (count - t) for t in range(1, count + 1)]
        return np.tensordot([self.keep**count, *weights], np.array(self.statistics), 1)

    @property
    def running_mean(self):
        return self._weighted()[0]

    @property
    def running_var(self):
        return self._weighted()[1]
