"""nbval for the chapters: the arithmetic of `make notebooks`, which stored them; and pictures too.

nbval leaves pictures out, and it does not know the sliders' frames, which are in the notebook's
metadata. Both are compared here, byte by byte, except on a GPU, whose last digits are others.
"""

import base64
import hashlib
import os
import sys
from pathlib import Path

import pytest
import torch

from bnlib.figures import NARROW

sys.path.insert(0, str(Path(__file__).parent.parent / "_ext"))
from execute import SAME_ARITHMETIC, WIDGET_STATE

os.environ.update(SAME_ARITHMETIC, PYTHONHASHSEED="0")
HASH_OF_FRAMES = """
import hashlib as _hashlib, ipywidgets as _widgets
_frames = [w.value for w in _widgets.widget._instances.values() if isinstance(w, _widgets.Image)]
print(_hashlib.sha256(b"".join(_frames)).hexdigest())
"""


def pytest_collectstart(collector):
    if not hasattr(collector, "skip_compare"):
        return
    if torch.cuda.is_available():
        collector.skip_compare += (f"{NARROW}png", f"{NARROW}jpeg")
        return
    pictures = ("image/png", "image/jpeg")
    collector.skip_compare = tuple(k for k in collector.skip_compare if k not in pictures)
    cells = collector.collect
    collector.collect = lambda: [*cells(), Frames.from_parent(collector, name="slider frames")]


class Frames(pytest.Item):
    """Whether the sliders' frames, drawn again by the cells before, are the stored ones."""

    def runtest(self):
        widgets = self.parent.nb.metadata.get("widgets", {})
        models = widgets.get(WIDGET_STATE, {}).get("state", {}).values()
        stored = [
            base64.b64decode(buffer["data"])
            for model in models
            if model["model_name"] == "ImageModel"
            for buffer in model["buffers"]
        ]
        drawn = printed(self.parent.kernel, HASH_OF_FRAMES).strip()
        assert drawn == hashlib.sha256(b"".join(stored)).hexdigest(), (
            f"{self.parent.name}: the frames of a slider are others than the {len(stored)} stored"
        )


def printed(kernel, code: str) -> str:
    asked, text = kernel.execute_cell_input(code), ""
    while True:
        message = kernel.get_message("iopub", timeout=60)
        if message["parent_header"].get("msg_id") != asked:
            continue
        if message["msg_type"] == "stream":
            text += message["content"]["text"]
        if message["content"].get("execution_state") == "idle":
            return text
