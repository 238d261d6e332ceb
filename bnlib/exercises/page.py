"""Run an exercise's cell for the page: what Jupyter does with a cell, in the page's worker."""

from __future__ import annotations

import ast
import contextlib
import linecache
import traceback
from html import escape

import numpy as np

from . import check, messages
from .guard import Guard
from .language import Text, set_language
from .result import Result
from .running import BoundedOutput, name_error
from .showing import unmarked

FILENAME = "<exercise>"


def run_cell(code: str, language: str) -> dict[str, str | None]:
    """Run `code` and return what the page shows: state, mistake, html and printed text.

    The last line's value is the answer, as in a notebook. `np` and `check` are there already.
    """
    set_language(language)
    # Tracebacks read the source through linecache; without an mtime it is never looked up on disk.
    linecache.cache[FILENAME] = (len(code), None, code.splitlines(keepends=True), FILENAME)
    printed = BoundedOutput()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), Guard(True):
        result = evaluate(code)
    if type(result) is not Result:  # isinstance would ask the object itself
        result = Result(False, "nothing_checked", messages.NOTHING_CHECKED)
    set_language(language)
    return {
        "state": result.state,
        "mistake": result.mistake,
        "html": result._repr_html_(),
        "printed": escape(printed.getvalue()),
    }


def evaluate(code: str) -> object:
    """The value of the last expression, or a Result that says why there is none."""
    namespace = {"__name__": "__main__", "np": np, "check": check}
    try:
        tree = ast.parse(code, FILENAME)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        statements = compile(tree, FILENAME, "exec")
        expression = last and compile(ast.Expression(last.value), FILENAME, "eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return describe_syntax_error(error, code)
    try:
        exec(statements, namespace)
        return eval(expression, namespace) if expression else None
    except BaseException as error:
        return Result(False, "raised", describe_error(error))


def describe_syntax_error(error: Exception, code: str) -> Result:
    """Which line cannot be read, and the line itself with a mark below the place."""
    line = getattr(error, "lineno", None) or 1
    reason = getattr(error, "msg", None) or name_error(error)
    text = messages.SYNTAX_ERROR.format(line=line, error=f"{type(error).__name__}: {reason}")
    lines = code.splitlines()
    if not 0 < line <= len(lines):
        return Result(False, "syntax_error", text)
    column = max((getattr(error, "offset", None) or 1) - 1, 0)
    shown = unmarked(f"{lines[line - 1][:200]}\n{' ' * min(column, 200)}^")
    return Result(False, "syntax_error", text, ((messages.LINE.format(line=line), shown),))


def describe_error(error: BaseException) -> Text:
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == FILENAME]
    return messages.RAISED.format(line=lines[-1] if lines else "?", error=name_error(error))
