"""Cut the solution's bodies away: what remains is what a reader starts from."""

from __future__ import annotations

import ast
import textwrap


def cut(source: str, body: str = "raise NotImplementedError") -> str:
    """The function or class in `source` with signatures and docstrings, and `body` for bodies."""
    lines = source.splitlines()
    definition = ast.parse(source).body[0]
    if not isinstance(definition, ast.ClassDef):
        return _head(definition, lines, body)
    parts = [_head(definition, lines, "")]
    parts += [_head(method, lines, body) for method in definition.body if _is_public(method)]
    return "\n\n".join(parts)


def _is_public(node: ast.stmt) -> bool:
    """Helpers of a class are part of the solution; __init__ and its like are part of the task."""
    return isinstance(node, ast.FunctionDef) and (
        not node.name.startswith("_") or node.name.endswith("__")
    )


def body_of(source: str) -> str:
    """The statements of the function in `source`, not indented."""
    source = textwrap.dedent(source)
    first = ast.parse(source).body[0].body[0]
    return textwrap.dedent("\n".join(source.splitlines()[first.lineno - 1 :]))


def _head(node: ast.FunctionDef | ast.ClassDef, lines: list[str], body: str) -> str:
    """From the first decorator to the docstring, and what stands for the body."""
    first = min(line.lineno for line in [node, *node.decorator_list])
    inside = node.body[0]
    last = inside.end_lineno if ast.get_docstring(node) is not None else inside.lineno - 1
    body = textwrap.indent(body, " " * inside.col_offset)
    return "\n".join([*lines[first - 1 : last], body]).rstrip()
