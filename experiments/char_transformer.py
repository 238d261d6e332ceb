"""Norms in a small character transformer: LayerNorm, RMSNorm or none, before or after the branch.

Four blocks of causal attention (4 heads) and an MLP (128 hidden units), width 64, context 64, 100
steps of 4 pieces of text with Adam, on `text.txt`, whose last tenth is for validation. A block is
twice

    pre    x + branch(norm(x)), with one more norm before the last linear layer
    post   norm(x + branch(x)), the original transformer's
    none   x + branch(x)

With a warm-up the learning rate grows linearly over the first 30 steps, without one it is constant;
RMSNorm only with one. Four rates for every arm. Stored a run, in nats a character: the mean
training loss of every 10 steps, and the validation loss at the end; and the norm of the gradient
of each block's second MLP matrix in the first step.

    python experiments/char_transformer.py            about eight minutes of one core
    python experiments/char_transformer.py --full     5,000 steps, for a GPU
"""

from pathlib import Path

import torch
from harness import main
from torch import Tensor, nn

TEXT = Path(__file__).with_name("text.txt")
LEARNING_RATES = [0.001, 0.003, 0.01, 0.03]
BLOCKS, WIDTH, HEADS, CONTEXT = 4, 64, 4, 64
BATCH = 4
STEPS = 100
WARM_UP = 30
ARMS = [  # norm, its position, steps of warm-up
    *(("none", "none", warm_up) for warm_up in (0, WARM_UP)),
    *(("layer", position, warm_up) for position in ("pre", "post") for warm_up in (0, WARM_UP)),
    *(("RMS", position, WARM_UP) for position in ("pre", "post")),
]
NORMS = {"layer": nn.LayerNorm, "RMS": nn.RMSNorm}


def configurations(small: bool) -> list[dict]:
    return [
        {"norm": norm, "position": position, "warm_up": warm_up}
        | {"learning_rate": rate, "seed": seed, "steps": 10 if small else STEPS}
        for seed in range(1 if small else 5)
        for rate in (LEARNING_RATES[1:2] if small else LEARNING_RATES)
        for norm, position, warm_up in (ARMS[1::3] if small else ARMS)
    ]


def full_configurations() -> list[dict]:
    return [{**configuration, "steps": 5000} for configuration in configurations(small=False)]


def run(configuration: dict, device: str) -> dict:
    torch.manual_seed(configuration["seed"])
    train, validation, characters = text(device)
    net = Transformer(characters, configuration["norm"], configuration["position"]).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=configuration["learning_rate"])
    result = {"train_loss": [], "validation_loss": []}
    losses = []
    for step in range(1, configuration["steps"] + 1):
        warm = min(1.0, step / max(1, configuration["warm_up"]))
        optimizer.param_groups[0]["lr"] = warm * configuration["learning_rate"]
        loss = cross_entropy(net, pieces(train, BATCH))
        optimizer.zero_grad()
        loss.backward()
        if step == 1:
            result["first_gradients"] = [b.mlp[2].weight.grad.norm().item() for b in net.blocks]
        optimizer.step()
        losses.append(loss.detach())
        if step % 10 == 0:
            result["train_loss"].append(torch.stack(losses[-10:]).mean().item())
    with torch.no_grad():
        result["validation_loss"] = cross_entropy(net, validation).item()
    return result


def text(device: str) -> tuple[Tensor, Tensor, int]:
    """The text as numbers: to train on, to validate on (n, CONTEXT + 1); how many characters."""
    written = TEXT.read_text("ascii").split("\n\n", 1)[1]  # the first paragraph says what it is
    alphabet = sorted(set(written))
    numbers = torch.tensor([alphabet.index(character) for character in written], device=device)
    train, validation = numbers.tensor_split([len(numbers) * 9 // 10])
    return train, validation.unfold(0, CONTEXT + 1, CONTEXT + 1), len(alphabet)


def pieces(numbers: Tensor, count: int) -> Tensor:
    starts = torch.randint(len(numbers) - CONTEXT, (count, 1))
    return numbers[(starts + torch.arange(CONTEXT + 1)).to(numbers.device)]


def cross_entropy(net: nn.Module, chosen: Tensor) -> Tensor:
    """Mean over all characters but the first, each predicted from those before it."""
    return nn.functional.cross_entropy(net(chosen[:, :-1]).flatten(0, 1), chosen[:, 1:].flatten())


class Block(nn.Module):
    """Attention, then an MLP, each as a branch beside a skip connection."""

    def __init__(self, norm: str, position: str) -> None:
        super().__init__()
        self.position = position
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.norms = nn.ModuleList(new_norm(norm) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for branch, norm in zip((self.attention, self.mlp), self.norms, strict=True):
            x = norm(x + branch(x)) if self.position == "post" else x + branch(norm(x))
        return x

    def attention(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1)
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """Logits (n, length, characters) of the next character after each of x (n, length)."""

    def __init__(self, characters: int, norm: str, position: str) -> None:
        super().__init__()
        self.characters = nn.Embedding(characters, WIDTH)
        self.places = nn.Parameter(torch.randn(CONTEXT, WIDTH))
        self.blocks = nn.Sequential(*(Block(norm, position) for _ in range(BLOCKS)))
        self.last_norm = new_norm(norm if position == "pre" else "none")
        self.last = nn.Linear(WIDTH, characters)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.blocks(self.characters(x) + self.places[: x.shape[1]])
        return self.last(self.last_norm(hidden))


def new_norm(name: str) -> nn.Module:
    return NORMS[name](WIDTH) if name in NORMS else nn.Identity()


if __name__ == "__main__":
    main(configurations, run, full=full_configurations)
