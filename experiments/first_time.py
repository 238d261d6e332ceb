"""When the nets of Figure 1 first reach 95 %, looked at every 25 steps.

`mnist_sigmoids.py` looks at each of its runs at 60 places between 1 and 50,000 steps, which lie up
to 300 steps apart where 95 % is near, and accuracy jitters: a run can have been above the goal and
below it again in between. These are the same nets, seeds and mini-batches from step 500 to 2,000.
Stored a run: test accuracy at every look.

    python experiments/first_time.py --workers 2     about ten minutes of one core
"""

import torch
from harness import main
from mnist_sigmoids import BATCH, INIT_STD
from torch import nn
from training import accuracy, batches, fully_connected, images

LEARNING_RATES = [2.0, 3.0, 5.0, 10.0]
FIRST_LOOK, EVERY = 500, 25


def configurations(small: bool) -> list[dict]:
    seeds, rates, steps = ([0], [3.0], 550) if small else (range(5), LEARNING_RATES, 2000)
    return [
        {"batch_norm": batch_norm, "learning_rate": rate, "seed": seed, "steps": steps}
        for rate in rates
        for seed in seeds
        for batch_norm in (False, True)
    ]


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    data = images("mnist", device)
    widths = [784, 100, 100, 100, 10]
    net = fully_connected(widths, nn.Sigmoid, configuration["batch_norm"], INIT_STD).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=configuration["learning_rate"])
    result = {"steps": [], "test_accuracy": []}
    order = batches(
        len(data["x_train"]), BATCH, configuration["steps"], configuration["seed"], device
    )
    for step, chosen in enumerate(order, start=1):
        loss = nn.functional.cross_entropy(net(data["x_train"][chosen]), data["y_train"][chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step >= FIRST_LOOK and step % EVERY == 0:
            result["steps"].append(step)
            result["test_accuracy"].append(accuracy(net, data["x_test"], data["y_test"]))
    return result


if __name__ == "__main__":
    main(configurations, run)
