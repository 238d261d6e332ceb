import numpy as np


class KeepsAll:
    def __init__(self, num_features):
        self.samples = []

    def update(self, x):
        self.samples.append(np.array(x, dtype=np.float64))

    def statistics(self):
        return np.mean(self.samples, axis=0), np.var(self.samples, axis=0)
