"""Figure 1 of Ioffe & Szegedy 2015 on MNIST: three layers of 100 sigmoids, with and without BN.

Section 4.1 of the paper: fully connected, 100 activations a hidden layer, small random Gaussian
weights, 60 examples a mini-batch, 50,000 steps, cross-entropy. The paper does not state the
learning rate nor how small the weights are: so every learning rate is run for both nets, and
`init_and_rate.py` varies the weights. Stored a run: test accuracy, mean training loss, and the
15th, 50th and 85th percentiles of the inputs to the sigmoids of the last hidden layer.

    python experiments/mnist_sigmoids.py --workers 2     about an hour of one core
"""

import torch
from harness import main
from torch import nn
from training import accuracy, batches, fully_connected, images, when_to_look

BATCH = 60
INIT_STD = 0.1
LEARNING_RATES = [0.1, 0.3, 1.0, 3.0, 10.0]
PROBES = 1000  # fixed training images whose percentiles are followed


def configurations(small: bool) -> list[dict]:
    seeds, rates, steps = ([0], [1.0], 200) if small else (range(5), LEARNING_RATES, 50_000)
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
    steps = configuration["steps"]
    looks = when_to_look(steps)
    result = {"steps": looks, "test_accuracy": [], "train_loss": [], "percentiles": []}
    result |= {"width": [], "median_change": []}
    losses, medians = [], None
    order = batches(len(data["x_train"]), BATCH, steps, configuration["seed"], device)
    for step, chosen in enumerate(order, start=1):
        loss = nn.functional.cross_entropy(net(data["x_train"][chosen]), data["y_train"][chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if step in looks:
            result["test_accuracy"].append(accuracy(net, data["x_test"], data["y_test"]))
            result["train_loss"].append(torch.stack(losses).mean().item())
            losses.clear()
            low, middle, high = sigmoid_inputs(net, data["x_train"][:PROBES])
            result["percentiles"].append([low[0].item(), middle[0].item(), high[0].item()])
            result["width"].append((high - low).mean().item())
            change = 0.0 if medians is None else (middle - medians).abs().mean().item()
            result["median_change"].append(change)
            medians = middle
    return result


@torch.no_grad()
def sigmoid_inputs(net: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    """The 15th, 50th and 85th percentiles over x of the inputs to the last hidden layer's sigmoids.

    With BN the layers use the statistics of x, as in training, and keep none of them.
    """
    for layer in net[:-2]:
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            x = nn.functional.batch_norm(
                x, None, None, layer.weight, layer.bias, training=True, eps=layer.eps
            )
        else:
            x = layer(x)
    return torch.quantile(x, torch.tensor([0.15, 0.5, 0.85], device=x.device), dim=0)


if __name__ == "__main__":
    main(configurations, run)
