"""Measures of training: how far a step moves the layers, and how rough the loss is along it.

All take a model, a loss and a batch (x, y), and look at L(w) = loss(model(x), y) as a function of
the parameters w that require a gradient. They compute with copies: parameters, buffers, gradients
and modes of the model and the batch stay as they are, also after an error. Every evaluation starts
from the same buffers and batch and draws the same random numbers, so dropout or noise does not
count as a change.
A model in training mode normalizes by the batch, as in the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

Loss = Callable[[Tensor, Tensor], Tensor]
Batch = tuple[Tensor, Tensor]
Parameters = dict[str, Tensor]


class CovariateShift(NamedTuple):
    """What `internal_covariate_shift` returns."""

    distance: float  # ||G - G'||
    cosine: float  # between G and G'; NaN if either is 0
    norm_before: float  # ||G||
    norm_after: float  # ||G'||


class Drift(NamedTuple):
    """What `activation_drift` returns: two distances in standard deviations of `before`."""

    mean: float
    std: float


def internal_covariate_shift(
    model: nn.Module, loss: Loss, batch: Batch, layer: str, learning_rate: float
) -> CovariateShift:
    """How far a layer's gradient moves because the layers below it have made their step.

        G  = dL/dW_i (W_1, ..., W_k)
        G' = dL/dW_i (W_1', ..., W_(i-1)', W_i, ..., W_k)     W_j' = W_j - learning_rate * dL/dW_j

    layer          name of the submodule whose parameters are W_i, as in `model.named_modules()`;
                   below it are the parameters that `model.named_parameters()` lists earlier, which
                   must therefore go from the input to the output (as in nn.Sequential)
    learning_rate  of one step of gradient descent on the same batch
    Returns the Euclidean distance of G and G', their cosine and their norms. The lowest layer,
    which has nothing below it, has distance 0.
    Raises ValueError if layer is unknown or has no parameters, or if learning_rate is negative.
    Source: Santurkar et al. 2018, Definition 2.1.
    """
    objective = _Objective(model, loss, batch)
    names = list(objective.parameters)
    own = [name for name in names if name.startswith(f"{layer}.")]
    if not own:
        parents = (name.split(".")[:-1] for name in names)
        known = sorted({".".join(path[:i]) for path in parents for i in range(1, len(path) + 1)})
        raise ValueError(f"layer: expected one that learns, out of {known}, got {layer!r}")
    (rate,) = _checked("learning_rate", [learning_rate])
    below = names[: names.index(own[0])]
    gradient = objective.gradient(objective.parameters)
    lower_layers_moved = objective.parameters | {
        name: objective.parameters[name] - rate * gradient[name] for name in below
    }
    before = _flat(gradient, own)
    after = _flat(objective.gradient(lower_layers_moved), own)
    norms = before.norm().item(), after.norm().item()
    product = math.prod(norms)
    cosine = (before @ after).item() / product if product else math.nan
    return CovariateShift((before - after).norm().item(), cosine, *norms)


def activation_drift(before: Tensor, after: Tensor) -> Drift:
    """How far the distribution of each feature moves, averaged over the features.

        mean = mean over features of |mean(after) - mean(before)| / std(before)
        std  = mean over features of |std(after)  - std(before)|  / std(before)

    before, after  (N, C) or (N, C, *spatial): a layer's inputs in two states of the layers below,
                   for the same samples; or for other samples, to see the sampling noise
    Standard deviations divide by the number of values. A feature that has not moved counts as 0;
    one that was constant and has moved makes the average infinite.
    Raises TypeError for what is no tensor, ValueError if there are fewer than two dimensions, the
    numbers of features differ, or one of the two is empty.
    Source: `mean` is the distance of chapter 3, exercise activation-drift.
    """
    for name, given in (("before", before), ("after", after)):
        if not isinstance(given, Tensor):
            raise TypeError(f"{name}: expected a torch.Tensor, got {type(given).__name__}")
    shaped = min(before.ndim, after.ndim) >= 2 and before.shape[1] == after.shape[1]
    if not shaped or 0 in (*before.shape, *after.shape):
        raise ValueError(
            "before, after: expected (N, C) or (N, C, *spatial) with the same C and no size of 0, "
            f"got {tuple(before.shape)} and {tuple(after.shape)}"
        )
    old, new = (x.detach().double().transpose(0, 1).flatten(1) for x in (before, after))
    origin = old[:, :1]  # values from here are exactly 0 in a feature that never varies
    old, new = old - origin, new - origin
    spread = old.std(1, correction=0)
    moves = new.mean(1) - old.mean(1), new.std(1, correction=0) - spread
    return Drift(*(torch.where(m == 0, 0, m.abs() / spread).mean().item() for m in moves))


def loss_along_gradient(
    model: nn.Module, loss: Loss, batch: Batch, step_sizes: Sequence[float]
) -> list[float]:
    """The loss at the end of gradient steps of several sizes.

        L(w - eta * g),   g = dL/dw (w)

    step_sizes  the etas, numbers >= 0; 0 gives the loss where the model stands
    Returns a loss for each of them. Raises ValueError for other step sizes.
    Source: Santurkar et al. 2018, Figure 4(a).
    """
    etas = _checked("step_sizes", step_sizes)
    objective = _Objective(model, loss, batch)
    g = objective.gradient(objective.parameters)
    with torch.inference_mode(False), torch.no_grad():
        return [objective(objective.stepped(g, eta)).item() for eta in etas]


def gradient_predictiveness(
    model: nn.Module, loss: Loss, batch: Batch, step_sizes: Sequence[float]
) -> list[float]:
    """How far the gradient is, at the end of a step, from the one that the step was taken on.

        ||dL/dw (w - eta * g) - g||,   g = dL/dw (w)

    step_sizes  the etas, numbers >= 0
    Returns a Euclidean distance for each of them; smaller is more predictive.
    Raises ValueError for other step sizes.
    Source: Santurkar et al. 2018, Figure 4(b).
    """
    etas = _checked("step_sizes", step_sizes)
    return _changes_of_gradient(_Objective(model, loss, batch), etas)[0]


def effective_smoothness(
    model: nn.Module, loss: Loss, batch: Batch, step_sizes: Sequence[float]
) -> float:
    """The largest change of the gradient per distance moved along it: an effective beta.

        max over eta of ||dL/dw (w - eta * g) - g|| / ||eta * g||,   g = dL/dw (w)

    step_sizes  the etas, at least one, all > 0
    For L = c |w|^2 / 2 it is c. At a stationary point, where g = 0, it is NaN.
    Raises ValueError for other step sizes.
    Source: Santurkar et al. 2018, Figure 4(c).
    """
    etas = _checked("step_sizes", step_sizes)
    if not etas or 0 in etas:
        raise ValueError(f"step_sizes: expected at least one number, all > 0, got {etas}")
    distances, length = _changes_of_gradient(_Objective(model, loss, batch), etas)
    if length == 0:
        return math.nan
    return max(distance / (eta * length) for distance, eta in zip(distances, etas, strict=True))


class _Objective:
    """The loss on one batch as a function of the parameters, by name; the model stays as it is."""

    def __init__(self, model: nn.Module, loss: Loss, batch: Batch) -> None:
        self.model, self.loss, self.batch = model, loss, batch
        named = dict(model.named_parameters())
        self.parameters = {n: p.detach() for n, p in named.items() if p.requires_grad}
        self.frozen = {n: p.detach() for n, p in named.items() if not p.requires_grad}
        if not self.parameters:
            raise ValueError("model: expected parameters that require a gradient, got none")

    def __call__(self, parameters: Parameters) -> Tensor:
        # A forward may write to any of these: batch norm, Embedding(max_norm=1), relu_ of x.
        others = self.frozen | dict(self.model.named_buffers())
        state = parameters | {name: tensor.clone() for name, tensor in others.items()}
        x, y = tree_map_only(Tensor, Tensor.clone, tuple(self.batch))
        cuda = [p.device for p in parameters.values() if p.is_cuda]
        with torch.random.fork_rng(devices=sorted(set(cuda), key=str)):
            return self.loss(torch.func.functional_call(self.model, state, (x,)), y)

    def gradient(self, parameters: Parameters) -> Parameters:
        with torch.inference_mode(False), torch.enable_grad():
            leaves = {name: p.detach().clone().requires_grad_() for name, p in parameters.items()}
            slopes = torch.autograd.grad(
                self(leaves), list(leaves.values()), materialize_grads=True
            )
        return dict(zip(leaves, slopes, strict=True))

    def stepped(self, gradient: Parameters, eta: float) -> Parameters:
        return {name: p - eta * gradient[name] for name, p in self.parameters.items()}


def _changes_of_gradient(objective: _Objective, etas: list[float]) -> tuple[list[float], float]:
    """||dL/dw (w - eta * g) - g|| for each eta, and ||g||."""
    gradient = objective.gradient(objective.parameters)
    g = _flat(gradient, gradient)
    moved = (_flat(objective.gradient(objective.stepped(gradient, eta)), gradient) for eta in etas)
    return [(m - g).norm().item() for m in moved], g.norm().item()


def _flat(tensors: Parameters, names: Sequence[str]) -> Tensor:
    """One float64 vector: a square of float32 may underflow."""
    return torch.cat([tensors[name].double().flatten() for name in names])


def _checked(argument: str, values: Sequence[float]) -> list[float]:
    numbers = [float(value) for value in values]
    if not all(0 <= number < math.inf for number in numbers):
        raise ValueError(f"{argument}: expected finite numbers >= 0, got {numbers}")
    return numbers
