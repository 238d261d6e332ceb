"""What the batch norms of Keras, Flax and ONNX do with one small batch: their defaults, measured.

    pip install keras jax flax onnx        in an environment of its own: the book needs none of them
    python benchmarks/conventions.py       prints the table, writes results/conventions.json

Each library's layer is built with its defaults and fed the batch [[0], [4]] once in training mode:
one feature, mean 2, variance 4 (divided by N) or 8 (by N - 1). What it then stores and what it puts
out show which value momentum weighs, which variance is stored and which one normalizes. Chapter 7
does the same with torch and bnlib, live. A library that is not installed keeps its recorded row.
"""

import importlib.metadata
import json
import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # that environment need not have bnlib
from bnlib._provenance import provenance

RESULT = Path(__file__).parent / "results" / "conventions.json"
BATCH = np.array([[0], [4]], dtype=np.float32)


def keras() -> dict:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    from keras.layers import BatchNormalization

    layer = BatchNormalization()
    layer.build(BATCH.shape)
    initial = layer.moving_variance.numpy()
    y = layer(BATCH, training=True)
    return row(layer.momentum, layer.epsilon, initial, layer.moving_mean, layer.moving_variance, y)


def flax() -> dict:
    from flax import nnx

    layer = nnx.BatchNorm(1, rngs=nnx.Rngs(0))
    initial = np.array(layer.var[...])
    layer.train()
    y = layer(BATCH)
    return row(layer.momentum, layer.epsilon, initial, layer.mean[...], layer.var[...], y)


def onnx() -> dict:
    """The operator has no state: running statistics are inputs, here 0 and 1, and outputs."""
    import onnx
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    schema = onnx.defs.get_schema("BatchNormalization")
    default = {name: a.default_value.f for name, a in schema.attributes.items()}
    inputs = {"x": BATCH} | {
        name: np.full(1, value, np.float32)
        for name, value in {"scale": 1, "bias": 0, "mean": 0, "var": 1}.items()
    }
    outputs = ["y", "running_mean", "running_var"]
    node = helper.make_node("BatchNormalization", [*inputs], outputs, training_mode=1)
    values = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names]
        for names in (inputs, outputs)
    ]
    version = schema.since_version
    graph = helper.make_graph([node], "one", *values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    y, mean, var = ReferenceEvaluator(model).run(None, inputs)
    return row(default["momentum"], default["epsilon"], None, mean, var, y) | {"operator": version}


def row(momentum, eps, initial_var, mean, var, y) -> dict:
    """The defaults, and what one batch left behind."""
    return {
        "momentum": round(momentum, 6),
        "eps": round(eps, 9),
        "initial_var": None if initial_var is None else float(initial_var[0]),
        "running_mean": round(float(np.asarray(mean)[0]), 6),
        "running_var": round(float(np.asarray(var)[0]), 6),
        "output_of_4": round(float(np.asarray(y)[1, 0]), 6),
    }


def main() -> None:
    rows = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else {}
    measured = False
    for measure in (keras, flax, onnx):
        try:
            version = importlib.metadata.version(measure.__name__)
        except importlib.metadata.PackageNotFoundError:
            print(f"{measure.__name__:6} not installed")
            continue
        rows[measure.__name__] = {"version": version} | measure()
        print(f"{measure.__name__:6}", rows[measure.__name__])
        measured = True
    if measured:
        report = provenance() | {"batch": BATCH.tolist(), "rows": rows}
        RESULT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
