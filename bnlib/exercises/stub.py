"""Cut the solution's bodies away: what remains is what a reader starts from."""

from __future__ import annotations

import ast


def cut(source: str) -> str:
    """The function or class in `source` with signatures and docstrings, and no bodies."""
    lines = source.splitlines()
    definition = ast.parse(source).body[0]
    if not isinstance(definition, ast.ClassDef):
        return _head(definition, lines)
    parts = [_head(definition, lines, end="")]
    parts += [_head(method, lines) for method in definition.body if _is_public(method)]
    return "\n\n".join(parts)


def _is_public(node: ast.stmt) -> bool:
    """Helpers of a class are part of the solution; __init__ and its like are part of the task."""
    return isinstance(node, ast.FunctionDef) and (
        not node.name.startswith("_") or node.name.endswith("__")
    )


def _head(node: ast.FunctionDef | ast.ClassDef, lines: list[str], end: str | None = None) -> str:
    """From the first decorator to the docstring, and what stands for the body."""
    first = min(line.lineno for line in [node, *node.decorator_list])
    body = node.body[0]
    last = body.end_lineno if ast.get_docstring(node) is not None else body.lineno - 1
    if end is None:
        end = " " * body.col_offset + "raise NotImplementedError"
    return "\n".join([*lines[first - 1 : last], end]).rstrip()
