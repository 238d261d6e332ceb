import numpy as np


def by_rules(before, after, layer):
    covariate = internal = noise = False
    if before["source"] != after["source"]:
        covariate = noise = True
    if before["batch"] != after["batch"]:
        noise = True
    if layer != 0 and after["step"] > before["step"]:
        internal = True
    return [covariate, internal, noise]


def by_samples(before, after, layer):
    samples = [(moment["source"], moment["batch"]) for moment in (before, after)]
    updates = abs(after["step"] - before["step"]) * layer
    return before["source"] not in after["source"], bool(updates), len(set(samples)) == 2


def as_an_array(before, after, layer):
    same_source, same_batch, same_step = (
        before[key] == after[key] for key in ("source", "batch", "step")
    )
    return np.array(
        [not same_source, not (same_step or layer == 0), not (same_source and same_batch)]
    )
