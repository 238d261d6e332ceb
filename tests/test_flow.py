"""bnlib.flow: its values and gradients are the reference's, and the picture leaves nothing out."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

from bnlib import reference
from bnlib.flow import _number, batch_norm_values, draw

NAMES = ["x", "gamma", "beta", "mean", "centred", "squared"]
NAMES += ["var", "std", "inv_std", "x_hat", "scaled", "y"]
SHARED = ("mean", "var", "std", "inv_std", "gamma", "beta")
EPS = 0.01


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    plt.close("all")
    yield
    plt.close("all")


def example(features=3):
    """x, gamma, beta, dy; with features=None, one feature without an axis for it."""
    random = np.random.default_rng(4)
    sizes = () if features is None else (features,)
    x, dy = random.normal(2.0, 3.0, (2, 5, *sizes))
    return x, random.normal(1.5, 0.3, sizes), random.normal(-0.5, 0.3, sizes), dy


@pytest.fixture(params=[None, 1, 3], ids=["(N,)", "(N, 1)", "(N, C)"])
def case(request):
    return example(request.param)


def as_columns(x, gamma, beta, dy):
    """The same example in the shapes that the reference takes."""
    columns = x.reshape(len(x), -1)
    return columns, gamma.reshape(-1), beta.reshape(-1), dy.reshape(columns.shape)


def test_values_are_the_references(case):
    x, gamma, beta, _ = as_columns(*case)
    y, cache = reference.batch_norm(x, gamma, beta, EPS)
    expected = {"y": y, "gamma": gamma, "beta": beta, "x": x, "x_hat": cache.normalized.x_hat}
    expected |= {name: getattr(cache.normalized, name) for name in ("mean", "var", "inv_std")}
    expected |= {"centred": x - x.mean(0), "squared": (x - x.mean(0)) ** 2}
    expected |= {"std": np.sqrt(x.var(0) + EPS), "scaled": gamma * cache.normalized.x_hat}
    nodes = batch_norm_values(*case[:3], eps=EPS)
    assert list(nodes) == NAMES and set(expected) == set(NAMES)
    for name, node in nodes.items():
        assert node.name == name and node.gradient is None and node.parts == {}
        shape = case[0].shape[1:] if name in SHARED else case[0].shape
        assert node.value.shape == shape, name
        np.testing.assert_allclose(node.value.ravel(), expected[name].ravel(), 1e-12, 1e-14)


def test_gradients_of_the_leaves_are_the_references(case):
    x, gamma, beta, dy = as_columns(*case)
    _, cache = reference.batch_norm(x, gamma, beta, EPS)
    nodes = batch_norm_values(*case[:3], EPS, case[3])
    expected = reference.batch_norm_backward(dy, cache)
    for name, gradient in zip(("x", "gamma", "beta"), expected, strict=True):
        assert nodes[name].gradient.shape == nodes[name].value.shape
        np.testing.assert_allclose(nodes[name].gradient.ravel(), gradient.ravel(), 1e-12, 1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_of_every_node_is_what_nudging_it_does(case, name):
    """Central differences: nudge one value of one node, and recompute only what depends on it."""
    x, gamma, beta, dy = case
    nodes = batch_norm_values(x, gamma, beta, EPS, dy)

    def loss(changed):
        v = {key: node.value for key, node in nodes.items()} | {name: changed}
        for key, formula in FORMULAS.items():
            if key != name:
                v[key] = formula(v)
        return (v["y"] * dy).sum()

    value, step = nodes[name].value, 1e-5
    measured = np.empty(value.shape)
    for index in np.ndindex(value.shape):
        nudge = np.zeros(value.shape)
        nudge[index] = step
        measured[index] = (loss(value + nudge) - loss(value - nudge)) / (2 * step)
    np.testing.assert_allclose(nodes[name].gradient, measured, rtol=1e-7, atol=1e-8)


FORMULAS = {
    "mean": lambda v: v["x"].mean(0),
    "centred": lambda v: v["x"] - v["mean"],
    "squared": lambda v: v["centred"] ** 2,
    "var": lambda v: v["squared"].mean(0),
    "std": lambda v: (v["var"] + EPS) ** 0.5,
    "inv_std": lambda v: v["std"] ** -1.0,
    "x_hat": lambda v: v["centred"] * v["inv_std"],
    "scaled": lambda v: v["x_hat"] * v["gamma"],
    "y": lambda v: v["scaled"] + v["beta"],
}


def test_parts_add_up_to_the_gradient(case):
    nodes = batch_norm_values(*case[:3], EPS, case[3])
    assert nodes["y"].parts == {} and nodes["y"].gradient is not case[3]
    for name in set(NAMES) - {"y"}:
        users = [other for other in NAMES if name in nodes[other].inputs]
        assert list(nodes[name].parts) in (["direct", "mean", "variance"], users[::-1]), name
        np.testing.assert_allclose(sum(nodes[name].parts.values()), nodes[name].gradient, 1e-13)


def test_the_three_paths_are_the_three_terms(case):
    x, gamma, beta, dy = case
    nodes = batch_norm_values(x, gamma, beta, EPS, dy)
    dx_hat, x_hat, inv_std = dy * gamma, nodes["x_hat"].value, nodes["inv_std"].value
    terms = {
        "direct": dx_hat * inv_std,
        "mean": -dx_hat.mean(0) * inv_std + 0 * x,
        "variance": -x_hat * (dx_hat * x_hat).mean(0) * inv_std,
    }
    assert list(nodes["x"].parts) == list(terms)
    for path, term in terms.items():
        np.testing.assert_allclose(nodes["x"].parts[path], term, 1e-12, 1e-14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": 3.0}, r"x: expected values in shape \(N, C\) or \(N,\), got shape \(\)"),
        ({"x": np.ones((2, 3, 4))}, r"x: expected .* got shape \(2, 3, 4\)"),
        ({"x": np.ones((0, 3))}, r"x: expected values"),
        ({"gamma": np.ones(2)}, r"gamma: expected shape \(3,\), got \(2,\)"),
        ({"beta": 1.0}, r"beta: expected shape \(3,\), got \(\)"),
        ({"eps": -1e-5}, r"eps: expected a number >= 0, got -1e-05"),
        ({"eps": None}, r"eps: expected a number >= 0, got None"),
        ({"dy": np.ones((5, 1))}, r"dy: expected shape \(5, 3\), got \(5, 1\)"),
    ],
)
def test_arguments_that_do_not_fit(change, message):
    arguments = dict(zip(("x", "gamma", "beta", "dy"), example(), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        batch_norm_values(**arguments)


# -------------------------------------------------------------------------------------- the drawing


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_node_is_drawn_with_formula_shape_and_numbers(case):
    nodes = batch_norm_values(*case[:3], EPS, case[3])
    written = texts(draw(nodes, title="Forward"))
    assert "Forward" in written and "gradient" not in written
    for node in nodes.values():
        assert {node.name, f"${node.symbol}$", str(node.value.shape)} <= set(written)
        assert _number(node.value.ravel()[0], node.value) in written
    assert len(draw(nodes).axes[0].patches) == 12 + 13  # boxes, and an arrow for every input


def test_gradients_only_where_asked(case):
    nodes = batch_norm_values(*case[:3], EPS, case[3])
    assert texts(draw(nodes, gradients=["y", "scaled", "x_hat"])).count("gradient") == 3
    everything = texts(draw(nodes, gradients=nodes))
    assert everything.count("gradient") == 12
    assert {"direct", "mean", "variance", "squared", "x_hat"} <= set(everything)
    assert _number(nodes["x"].gradient.ravel()[0], nodes["x"].gradient) in everything


def test_nothing_moves_from_frame_to_frame():
    nodes = batch_norm_values(*example(None)[:3], EPS, example(None)[3])

    def places(figure):
        named = [text for text in figure.axes[0].texts if text.get_text() in NAMES]
        return [text.get_position() for text in named if text.get_weight() == "bold"]

    plain, full = draw(nodes), draw(nodes, gradients=nodes, highlight="var")
    assert places(plain) == places(full) and len(places(plain)) == 12
    assert tuple(plain.get_size_inches()) == tuple(full.get_size_inches())


def test_highlight_marks_one_box():
    nodes = batch_norm_values(*example()[:3], EPS)
    widths = [patch.get_linewidth() for patch in draw(nodes, highlight="std").axes[0].patches]
    assert widths.count(max(widths)) == 1 and max(widths) > 2
    assert len({patch.get_linewidth() for patch in draw(nodes).axes[0].patches}) == 2


def test_texts_keep_inside_the_figure_and_large_enough():
    x, gamma, beta, dy = example(None)
    with plt.style.context("bnlib.book"), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw(batch_norm_values(-x / 40, gamma, beta, EPS, dy), gradients=NAMES)
        figure.canvas.draw()
    assert figure.get_size_inches()[0] < 6.2
    whole = figure.bbox
    for text in figure.axes[0].texts:
        place = text.get_window_extent()
        assert text.get_fontsize() >= 9
        assert whole.x0 <= place.x0 and place.x1 <= whole.x1
        assert whole.y0 <= place.y0 and place.y1 <= whole.y1


def test_names_that_are_no_node_and_gradients_that_are_not_there():
    nodes = batch_norm_values(*example()[:3])
    with pytest.raises(ValueError, match=r"expected names among x, gamma.* got \['z'\]"):
        draw(nodes, highlight="z")
    with pytest.raises(ValueError, match=r"got \['sigma'\]"):
        draw(nodes, gradients=["sigma"])
    with pytest.raises(ValueError, match="gradients: there are none"):
        draw(nodes, gradients=["x"])


@pytest.mark.parametrize(
    ("number", "among", "text"),
    [
        (2.0, [2.0, -3.0], "2"),
        (-1.346, [-1.346, 2.0], "−1.35"),
        (12.34, [12.34], "12.3"),
        (-123.4, [-123.4], "−123"),
        (-0.05, [-0.05, 0.5], "−0.05"),
        (-0.0322, [-0.0322], "−.032"),
        (1e-17, [1e-17, 1.5], "0.00"),
        (-2e-6, [-2e-6], "−2e−6"),
        (3.2e9, [3.2e9], "3e9"),
        (0.0, [0.0, 0.0], "0"),
        (np.nan, [np.nan], "nan"),
    ],
)
def test_numbers_are_short(number, among, text):
    assert _number(number, np.array(among)) == text
