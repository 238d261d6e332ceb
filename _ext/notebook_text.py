"""Print a notebook as text, for `git diff` (see .gitattributes and CONTRIBUTING.md)."""

import hashlib
import json
import sys
from pathlib import Path

PICTURES = ("image/", "application/vnd.bnlib.narrow+")  # for a page, and for phones


def as_text(notebook: dict) -> str:
    parts = []
    for cell in notebook["cells"]:
        tags = " ".join(cell["metadata"].get("tags", []))
        parts.append(f"--- {cell['cell_type']} {cell.get('id', '')} [{tags}]")
        parts.append("".join(cell["source"]))
        words = cell["metadata"].get("figure")
        if words:
            parts.append(json.dumps(words, ensure_ascii=False, indent=1))
        parts += [output_text(output) for output in cell.get("outputs", [])]
    return "\n".join(parts) + "\n"


def output_text(output: dict) -> str:
    """What an output says; a picture is its first hash digits, so that a change shows."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    lines = ["".join(data.get("text/plain", ""))]
    for kind in sorted(data):
        if kind.startswith(PICTURES):
            lines.append(f"picture {hashlib.sha256(data[kind].encode()).hexdigest()[:12]}")
    return "\n".join(f"> {line}" for part in lines for line in part.splitlines())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Usage: python _ext/notebook_text.py NOTEBOOK")
    print(as_text(json.loads(Path(sys.argv[1]).read_text("utf-8"))), end="")
