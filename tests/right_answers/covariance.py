import numpy as np


class SampleBySample:
    """Welford's recurrence; covariance() hands out the array that it goes on changing."""

    def __init__(self, num_features):
        self.count = 0
        self.mean = np.zeros(num_features)
        self.result = np.zeros((num_features, num_features))

    def update(self, x):
        for row in x:
            self.count += 1
            before = row - self.mean
            self.mean += before / self.count
            self.result *= (self.count - 1) / self.count
            self.result += np.outer(before, row - self.mean) / self.count

    def covariance(self):
        return self.result


class RelativeToTheFirstSample:
    """Sums of products, as it should not be done, but around a point that is near the data."""

    def __init__(self, num_features):
        self.origin = None
        self.sum, self.products, self.count = 0, 0, 0

    def update(self, x):
        if self.origin is None:
            self.origin = x[0].copy()
        near = x - self.origin
        self.sum = self.sum + near.sum(axis=0)
        self.products = self.products + np.einsum("ni,nj->ij", near, near)
        self.count += len(x)

    def covariance(self):
        mean = self.sum / self.count
        return (self.products / self.count - np.outer(mean, mean)).tolist()


class ByWeights:
    """The covariance itself as the state: within the parts, and between them."""

    def __init__(self, num_features):
        self.count, self.mean, self.cov = 0, np.zeros(num_features), np.zeros((num_features,) * 2)

    def update(self, x):
        new = len(x) / (self.count + len(x))
        deviation = x - x.mean(0)
        shift = (x.mean(0) - self.mean)[:, None]
        within = (1 - new) * self.cov + new * (deviation.T @ deviation) / len(x)
        self.cov = within + new * (1 - new) * (shift @ shift.T)
        self.mean = (1 - new) * self.mean + new * x.mean(0)
        self.count += len(x)

    def covariance(self):
        return self.cov
