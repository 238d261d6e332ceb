"""A finer grid for ten sigmoid layers: how well can they be tuned without BN?

In `init_and_rate.py` the best place of the ten-layer net without BN lies at the edge of a coarse
grid, so that its neighbours might be better. Here they are run, for both nets: five standard
deviations of the initial weights around that place, three learning rates, 2,000 steps of 60.

    python experiments/ten_layers.py     about ten minutes of one core
"""

import init_and_rate
from harness import main

INIT_STDS = [0.3, 0.4, 0.5, 0.6, 0.8]
LEARNING_RATES = [0.1, 0.3, 1.0]


def configurations(small: bool) -> list[dict]:
    if small:
        stds, rates, seeds, steps = [0.5], [0.3], [0], 60
    else:
        stds, rates, seeds, steps = INIT_STDS, LEARNING_RATES, range(5), 2000
    return [
        {"depth": 10, "init_std": std, "learning_rate": rate}
        | {"batch_norm": batch_norm, "seed": seed, "steps": steps}
        for seed in seeds
        for std in stds
        for rate in rates
        for batch_norm in (False, True)
    ]


def run(configuration: dict, device: str) -> dict:
    return init_and_rate.run(configuration, device)


if __name__ == "__main__":
    main(configurations, run)
