"""Execute the chapters that changed, and store outputs that are the same bytes in every run.

python _ext/execute.py                     every chapter whose code, or whose bnlib, changed
python _ext/execute.py chapters/01_*.ipynb just these, changed or not
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

import nbclient
import nbformat
import numpy as np

ROOT = Path(__file__).parent.parent
CHAPTERS = ROOT / "chapters"
KNOWN = ROOT / "_build" / "executed.json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
# Training follows the last bit of a sum, which depends on the number of threads and on the
# instructions a processor has. One thread and AVX2, which all x86 machines of the last decade
# have, give the same sums on each of them.
SAME_ARITHMETIC = {"OMP_NUM_THREADS": "1"}
if platform.machine() in ("x86_64", "AMD64"):
    newer = [
        name
        for name in np.show_config("dicts")["SIMD Extensions"]["found"]
        if "512" in name or name == "X86_V4"
    ]
    SAME_ARITHMETIC |= {
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_CBWR": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": " ".join(newer),
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx2,+fma",
    }
DRAWN_BY = ("numpy", "matplotlib", "pillow", "scikit-learn", "ipywidgets", "torch", "numba")


def execute(path: Path) -> str:
    """The notebook's text after running every cell in a fresh kernel, in its stored form."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    client = nbclient.NotebookClient(
        notebook,
        timeout=300,
        coalesce_streams=True,  # or a slow machine cuts the printed text into more pieces
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute(env={**os.environ, **SAME_ARITHMETIC, "PYTHONHASHSEED": "0"})
    return stored_form(notebook)


def stored_form(notebook: nbformat.NotebookNode) -> str:
    """Drop what differs between runs and machines: timings, versions, random widget ids."""
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("metadata", {}).pop("execution", None)
    text = nbformat.writes(notebook)
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for number, model_id in enumerate(state):  # in the order the widgets were made
        text = text.replace(model_id, f"{number:032x}")
    # Written again, because keys are sorted and the ids are keys.
    return nbformat.writes(nbformat.reads(text, as_version=4)).rstrip("\n") + "\n"


def fingerprint(path: Path) -> str:
    """What a chapter's outputs depend on: its code, bnlib, and the libraries that draw."""
    notebook = json.loads(path.read_text("utf-8"))
    code = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    package = [p.read_text("utf-8") for p in sorted((ROOT / "bnlib").rglob("*.py"))]
    package.append((ROOT / "bnlib" / "book.mplstyle").read_text("utf-8"))
    versions = [f"{name} {importlib.metadata.version(name)}" for name in DRAWN_BY]
    return hashlib.sha256("\0".join([*code, *package, *versions]).encode()).hexdigest()


def main() -> None:
    named = [Path(name).resolve() for name in sys.argv[1:]]
    missing = [str(path) for path in named if not path.is_file()]
    if missing:
        raise SystemExit(f"No such notebook: {', '.join(missing)}")
    known = json.loads(KNOWN.read_text("utf-8")) if KNOWN.exists() else {}
    for path in named or sorted(CHAPTERS.glob("*.ipynb")):
        if not named and known.get(path.name) == fingerprint(path):
            print(f"{path.name}: unchanged")
            continue
        before, after = path.read_text("utf-8"), execute(path)
        if after != before:
            # A new file that replaces the old one: an interrupted run leaves no half notebook.
            unfinished = path.with_suffix(".unfinished")
            unfinished.write_text(after, "utf-8")
            unfinished.replace(path)
        print(f"{path.name}: {'same outputs' if after == before else 'new outputs'}")
        known[path.name] = fingerprint(path)
        KNOWN.parent.mkdir(exist_ok=True)
        KNOWN.write_text(json.dumps(known, indent=1), "utf-8")


if __name__ == "__main__":
    main()
