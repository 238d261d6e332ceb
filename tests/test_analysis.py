"""The measures of `bnlib.analysis` against closed forms, and the model left as it was found."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from bnlib import analysis, exercises
from bnlib import nn as bnn
from bnlib.exercises.bank.activation_drift import activation_drift as drift_and_noise

ETAS = [0.05, 0.3, 0.11]
LANDSCAPE = [
    analysis.loss_along_gradient,
    analysis.gradient_predictiveness,
    analysis.effective_smoothness,
]


class Bowl(nn.Module):
    """L = w A w / 2 - b w, once `quadratic` has taken its output."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.5, -0.7, 2.0], dtype=torch.float64))

    def forward(self, x):
        return self.w


A = torch.tensor([[4.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 2.0]], dtype=torch.float64)
b = torch.tensor([0.3, -2.0, 1.0], dtype=torch.float64)


def quadratic(w, hessian):
    return w @ hessian @ w / 2 - b @ w


@pytest.fixture
def bowl():
    return Bowl(), quadratic, (None, A)


@pytest.fixture
def convnet():
    """Batch norm, dropout and a frozen layer, in training mode, with gradients left over."""
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(36, 5),
        bnn.BatchNorm1d(5),
        nn.Linear(5, 3),
    )
    model[5].requires_grad_(False)
    batch = torch.randn(7, 2, 5, 5) + 1, torch.tensor([0, 1, 2, 2, 1, 0, 1])
    cross_entropy(model(batch[0]), batch[1]).backward()
    return model, cross_entropy, batch


def state(model):
    """Everything that must stay: values, gradients, modes, and the global random numbers."""
    return (
        {name: tensor.tolist() for name, tensor in model.state_dict().items()},
        {
            name: p.grad if p.grad is None else p.grad.tolist()
            for name, p in model.named_parameters()
        },
        [
            (m.training, *(p.requires_grad for p in m.parameters(recurse=False)))
            for m in model.modules()
        ],
        torch.get_rng_state().tolist(),
    )


def every_measure(model, loss, batch):
    yield lambda: analysis.internal_covariate_shift(model, loss, batch, "7", 0.1)
    for measure in LANDSCAPE:
        yield lambda measure=measure: measure(model, loss, batch, ETAS)


# ------------------------------------------------------------------------------------ the landscape


def test_loss_along_the_gradient_of_a_quadratic(bowl):
    w = bowl[0].w.detach()
    g = A @ w - b
    expected = [(quadratic(w, A) - eta * g @ g + eta**2 * (g @ A @ g) / 2).item() for eta in ETAS]
    assert analysis.loss_along_gradient(*bowl, ETAS) == pytest.approx(expected, rel=1e-13)
    assert analysis.loss_along_gradient(*bowl, [0]) == [pytest.approx(quadratic(w, A).item())]


def test_predictiveness_and_smoothness_of_a_quadratic(bowl):
    g = A @ bowl[0].w.detach() - b
    stretch = ((A @ g).norm() / g.norm()).item()
    distances = analysis.gradient_predictiveness(*bowl, ETAS)
    assert distances == pytest.approx([eta * (A @ g).norm().item() for eta in ETAS], rel=1e-13)
    assert analysis.effective_smoothness(*bowl, ETAS) == pytest.approx(stretch, rel=1e-13)
    assert stretch < torch.linalg.eigvalsh(A)[-1].item()


def test_smoothness_along_an_eigenvector_is_its_eigenvalue(bowl):
    values, vectors = torch.linalg.eigh(A)
    bottom = torch.linalg.solve(A, b)
    for value, vector in zip(values, vectors.T, strict=True):
        bowl[0].w.data = bottom + vector
        assert analysis.effective_smoothness(*bowl, ETAS) == pytest.approx(value.item(), rel=1e-12)


def test_smoothness_is_the_largest_over_the_steps():
    """L = w^4 / 4 at w = 1: the change per distance is 3 - 3 eta + eta^2, largest at small eta."""
    model = Bowl()
    model.w.data = torch.ones(1, dtype=torch.float64)
    beta = analysis.effective_smoothness(model, lambda w, _: (w**4).sum() / 4, (None, None), ETAS)
    assert beta == pytest.approx(3 - 3 * 0.05 + 0.05**2, rel=1e-12)


def test_smoothness_at_a_stationary_point_is_nan(bowl):
    bowl[0].w.data.zero_()
    loss = lambda w, _: w @ A @ w / 2  # noqa: E731
    assert math.isnan(analysis.effective_smoothness(bowl[0], loss, (None, None), ETAS))


def test_a_frozen_parameter_makes_no_step():
    """L = |W2 W1 x - y|^2 with W1 frozen is a quadratic in W2 alone."""
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    model[0].weight.data = torch.tensor([[2.0, 1.0]], dtype=torch.float64)
    model[0].requires_grad_(False)
    x, y = torch.tensor([[1.0, 3.0]], dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    beta = analysis.effective_smoothness(model, mse_loss, (x, y), ETAS)
    assert beta == pytest.approx(2 * 5**2, rel=1e-12)


# ------------------------------------------------------------------------- internal covariate shift


def two_linear_layers():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 2, bias=False)).double()
    x, y = torch.randn(5, 3, dtype=torch.float64) + 0.4, torch.randn(5, 2, dtype=torch.float64)
    return model, mse_loss, (x, y)


def gradients(w1, w2, x, y):
    """Of mean((x w1' w2' - y)^2) by hand."""
    error = 2 * (x @ w1.T @ w2.T - y) / y.numel()
    return (error @ w2).T @ x, error.T @ (x @ w1.T)


def test_shift_of_two_linear_layers():
    model, loss, (x, y) = two_linear_layers()
    w1, w2 = (layer.weight.detach() for layer in model)
    below, before = gradients(w1, w2, x, y)
    _, after = gradients(w1 - 0.2 * below, w2, x, y)
    found = analysis.internal_covariate_shift(model, loss, (x, y), "1", 0.2)
    cosine = (before * after).sum() / (before.norm() * after.norm())
    expected = (before - after).norm(), cosine, before.norm(), after.norm()
    assert found == pytest.approx([value.item() for value in expected], rel=1e-12)
    assert found.distance > 0.01 and found.cosine < 0.999


def test_what_lies_below_is_all_that_moves():
    """The middle of three layers: bias, batch norm and weight below move, the top does not."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Linear(4, 2))
    x, y = torch.randn(6, 3), torch.tensor([0, 1, 1, 0, 1, 0])
    moved = copy.deepcopy(model)
    for net in (model, moved):
        cross_entropy(net(x), y).backward()
    before = torch.cat([p.grad.flatten() for p in model[2].parameters()])
    with torch.no_grad():
        for p in (*moved[0].parameters(), *moved[1].parameters()):
            p -= 0.5 * p.grad
    moved.zero_grad()
    cross_entropy(moved(x), y).backward()
    after = torch.cat([p.grad.flatten() for p in moved[2].parameters()])
    found = analysis.internal_covariate_shift(model, cross_entropy, (x, y), "2", 0.5)
    assert found.distance == pytest.approx((before - after).norm().item(), rel=1e-5)
    assert found.norm_after == pytest.approx(after.norm().item(), rel=1e-5)


@pytest.mark.parametrize(("layer", "rate"), [("0", 0.5), ("7", 0.0)])
def test_without_a_step_below_nothing_shifts(convnet, layer, rate):
    """Dropout draws the same numbers twice, so even here the difference is exactly 0."""
    found = analysis.internal_covariate_shift(*convnet, layer, rate)
    assert found.distance == 0 and found.cosine == pytest.approx(1)
    assert found.norm_before == found.norm_after > 0


def test_cosine_of_a_layer_that_gets_no_gradient_is_nan():
    model, loss, (x, y) = two_linear_layers()
    model[0].weight.data.zero_()
    found = analysis.internal_covariate_shift(model, loss, (x, y), "1", 0.2)
    assert found.norm_before == 0 and math.isnan(found.cosine) and found.distance > 0


# -------------------------------------------------------------------------------------------- drift


def test_drift_is_that_of_chapter_3():
    rng = np.random.default_rng(0)
    layer, weights, batches = next(exercises.find("activation-drift").cases(rng))
    drift, noise = drift_and_noise(layer, weights, batches)
    now, moved, other = (
        torch.tensor(layer(weights[w], batches[n])) for w, n in ((0, 0), (1, 0), (0, 1))
    )
    assert analysis.activation_drift(now, moved).mean == pytest.approx(drift[0], rel=1e-12)
    assert analysis.activation_drift(now, other).mean == pytest.approx(noise[0], rel=1e-12)


def test_drift_of_an_affine_map():
    """x -> 3 x + 2 std(x) on images: mean and spread of a channel each move by 2 of its std."""
    torch.manual_seed(0)
    x = torch.randn(6, 3, 4, 5)
    x -= x.mean((0, 2, 3), keepdim=True)
    x[:, 2] = 0  # a dead unit: constant, and it stays so
    moved = 3 * x + 2 * x.std((0, 2, 3), keepdim=True, correction=0)
    assert analysis.activation_drift(x, moved) == pytest.approx((4 / 3, 4 / 3), rel=1e-6)


# ----------------------------------------------------------------------------------- what stays put


def test_model_is_left_as_found(convnet):
    before = state(convnet[0])
    first = [measure() for measure in every_measure(*convnet)]
    assert state(convnet[0]) == before
    assert [measure() for measure in every_measure(*convnet)] == first


def test_model_is_left_as_found_after_an_error(convnet):
    model, _, batch = convnet
    before, calls = state(model), []

    def breaks_at_the_second_call(output, y):
        calls.append(output)
        if len(calls) % 2 == 0:
            raise RuntimeError("no loss today")
        return cross_entropy(output, y)

    for measure in every_measure(model, breaks_at_the_second_call, batch):
        with pytest.raises(RuntimeError, match="no loss today"):
            measure()
        assert state(model) == before


def test_no_grad_around_it_changes_nothing(convnet):
    expected = [measure() for measure in every_measure(*convnet)]
    with torch.no_grad():
        assert [measure() for measure in every_measure(*convnet)] == expected


class Scribbler(torch.nn.Module):
    """Writes to its input, and, as an embedding with max_norm does, to weights: of both kinds."""

    def __init__(self):
        super().__init__()
        self.learned = torch.nn.Embedding(4, 3, max_norm=1.0)
        self.frozen = torch.nn.Embedding(4, 3, max_norm=1.0).requires_grad_(False)
        for embedding in self.learned, self.frozen:
            embedding.weight.data.fill_(5)

    def forward(self, tokens):
        tokens.add_(1).remainder_(4)
        return self.learned(tokens) + self.frozen(tokens)


def test_what_a_forward_writes_is_undone():
    model, batch = Scribbler(), (torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 2, 0]))
    before, tokens = state(model), batch[0].clone()
    losses = analysis.loss_along_gradient(model, cross_entropy, batch, [0, 0, 0])
    assert losses[0] == losses[1] == losses[2]
    assert state(model) == before and torch.equal(batch[0], tokens)


def test_inference_mode_around_it_changes_nothing(convnet):
    expected = [measure() for measure in every_measure(*convnet)]
    with torch.inference_mode():
        assert [measure() for measure in every_measure(*convnet)] == expected


# ---------------------------------------------------------------------------------------- bad input


def test_a_model_without_parameters_is_refused():
    for measure in every_measure(nn.ReLU(), mse_loss, (torch.ones(2, 1), torch.ones(2, 1))):
        with pytest.raises(ValueError, match="model: expected parameters"):
            measure()


@pytest.mark.parametrize("layer", ["8", "3", "", "conv"])
def test_an_unknown_layer_is_refused(convnet, layer):
    with pytest.raises(ValueError, match=r"layer: expected one that learns, out of \['0'"):
        analysis.internal_covariate_shift(*convnet, layer, 0.1)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_bad_steps_are_refused(convnet, bad):
    with pytest.raises(ValueError, match="learning_rate: expected"):
        analysis.internal_covariate_shift(*convnet, "7", bad)
    for measure in LANDSCAPE:
        with pytest.raises(ValueError, match="step_sizes: expected"):
            measure(*convnet, [0.1, bad])


@pytest.mark.parametrize("etas", [[], [0.1, 0]])
def test_smoothness_needs_a_step(bowl, etas):
    with pytest.raises(ValueError, match="all > 0"):
        analysis.effective_smoothness(*bowl, etas)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e10])
def test_a_constant_feature_has_not_moved(value):
    before, after = (torch.full((n, 2), value, dtype=torch.float64) for n in (1437, 360))
    assert analysis.activation_drift(before, after) == (0, 0)


@pytest.mark.parametrize(("before", "after"), [((3,), (3,)), ((4, 3), (4, 2)), ((0, 3), (4, 3))])
def test_drift_of_other_shapes_is_refused(before, after):
    with pytest.raises(ValueError, match="before, after: expected"):
        analysis.activation_drift(torch.ones(before), torch.ones(after))


def test_drift_of_arrays_is_refused():
    with pytest.raises(TypeError, match=r"after: expected a torch\.Tensor, got ndarray"):
        analysis.activation_drift(torch.ones(4, 3), torch.ones(4, 3).numpy())
