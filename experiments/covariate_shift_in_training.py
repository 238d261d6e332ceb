"""Internal covariate shift of every layer over training, after Santurkar et al. 2018, Figure 3.

The deep linear net and the convolutional one of `noisy_batch_norm.py`. At looks during training, on
the batch of the step and before it is taken, each layer's weights have a gradient G, and a gradient
G' on the same batch once the layers below have made their step (`internal_covariate_shift`). Stored
for all layers but the lowest, which has none below: ||G - G'||, their cosine and ||G||, with the
mean training loss since the last look.

Every arm runs at the learning rate that `noisy_batch_norm.py` runs with five seeds, and batch norm
also at that of the plain net.

    python experiments/covariate_shift_in_training.py     about three minutes of one core
    python experiments/covariate_shift_in_training.py --full     wider, deeper, longer: for a GPU
"""

import torch
from harness import main
from noisy_batch_norm import FULL_NETS, NETS, build, mini_batches, spec_of
from torch import nn
from training import when_to_look

from bnlib.analysis import internal_covariate_shift

LOOKS = 10
SETTINGS = [  # net, arm, learning rates
    ("linear", "plain", [0.01]),
    ("linear", "batch norm", [0.03, 0.01]),
    ("vgg", "plain", [0.1]),
    ("vgg", "batch norm", [1.0, 0.1]),
]


def configurations(small: bool) -> list[dict]:
    return [
        {"net": net, "arm": arm, "learning_rate": rate, "seed": seed}
        | {"size": "usual", "steps": 3 if small else NETS[net].steps}
        for seed in range(1 if small else 5)
        for net, arm, rates in SETTINGS
        for rate in (rates[:1] if small else rates)
    ]


def full_configurations() -> list[dict]:
    return [
        {**configuration, "size": "full", "steps": FULL_NETS[configuration["net"]].steps}
        for configuration in configurations(small=False)
    ]


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    rate, cross_entropy = configuration["learning_rate"], nn.functional.cross_entropy
    net = build(spec_of(configuration), configuration["arm"]).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    weighted = [n for n, m in net.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    looks = when_to_look(configuration["steps"], LOOKS)
    result = {"steps": looks, "train_loss": [], "distance": [], "cosine": [], "norm": []}
    losses = []
    for step, batch in enumerate(mini_batches(configuration, device), start=1):
        if step in looks:
            shifts = [
                internal_covariate_shift(net, cross_entropy, batch, name, rate)
                for name in weighted[1:]
            ]
            result["distance"].append([shift.distance for shift in shifts])
            result["cosine"].append([shift.cosine for shift in shifts])
            result["norm"].append([shift.norm_before for shift in shifts])
        x, y = batch
        loss = cross_entropy(net(x), y)
        losses.append(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in looks:
            result["train_loss"].append(torch.stack(losses).mean().item())
            losses.clear()
    return result


if __name__ == "__main__":
    main(configurations, run, full=full_configurations)
