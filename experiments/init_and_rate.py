"""How far the initial weights and the learning rate may be off, with and without BN, on MNIST.

The net of `mnist_sigmoids.py` (three layers of 100 sigmoids) and one of ten layers, from Gaussian
weights of four sizes, at four learning rates, 2,000 steps of 60 images. Both nets get the same
grid, so each can be compared at its own best place. Stored a run: test accuracy over the steps.

    python experiments/init_and_rate.py --workers 2     about half an hour of one core
"""

import torch
from harness import main
from torch import nn
from training import accuracy, batches, fully_connected, images, when_to_look

BATCH = 60
DEPTHS = [3, 10]
INIT_STDS = [0.01, 0.1, 0.3, 1.0]
LEARNING_RATES = [0.3, 1.0, 3.0, 10.0]


def configurations(small: bool) -> list[dict]:
    if small:
        depths, stds, rates, seeds, steps = [3, 10], [0.1], [1.0], [0], 60
    else:
        depths, stds, rates, seeds, steps = DEPTHS, INIT_STDS, LEARNING_RATES, range(5), 2000
    return [
        {"depth": depth, "init_std": std, "learning_rate": rate}
        | {"batch_norm": batch_norm, "seed": seed, "steps": steps}
        for depth in depths
        for seed in seeds
        for std in stds
        for rate in rates
        for batch_norm in (False, True)
    ]


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    data = images("mnist", device)
    widths = [784, *[100] * configuration["depth"], 10]
    batch_norm, init_std = configuration["batch_norm"], configuration["init_std"]
    net = fully_connected(widths, nn.Sigmoid, batch_norm, init_std).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=configuration["learning_rate"])
    steps = configuration["steps"]
    looks, accuracies = when_to_look(steps, 10), []
    order = batches(len(data["x_train"]), BATCH, steps, configuration["seed"], device)
    for step, chosen in enumerate(order, start=1):
        loss = nn.functional.cross_entropy(net(data["x_train"][chosen]), data["y_train"][chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in looks:
            accuracies.append(accuracy(net, data["x_test"], data["y_test"]))
    return {"steps": looks, "test_accuracy": accuracies}


if __name__ == "__main__":
    main(configurations, run)
