"""Run an exercise's cell for the page: what Jupyter does with a cell, in the page's worker."""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import traceback
from html import escape

import numpy as np

from . import check, messages
from .checker import Result, name_error
from .language import Text, set_language

FILENAME = "<exercise>"
PRINTED_CHARACTERS = 10_000


class BoundedOutput(io.StringIO):
    """Keeps the first characters and drops the rest: an answer may print without end."""

    def write(self, text: str) -> int:
        super().write(text[: max(0, PRINTED_CHARACTERS - self.tell())])
        return len(text)


def run_cell(code: str, language: str) -> dict[str, str | None]:
    """Run `code` and return what the page shows: state, mistake, html and printed text.

    The last line's value is the answer, as in a notebook. `np` and `check` are there already.
    """
    set_language(language)
    # Tracebacks read the source through linecache; without an mtime it is never looked up on disk.
    linecache.cache[FILENAME] = (len(code), None, code.splitlines(keepends=True), FILENAME)
    printed = BoundedOutput()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        result = evaluate(code)
    if not isinstance(result, Result):
        result = Result(False, "nothing_checked", messages.NOTHING_CHECKED)
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
    except SyntaxError as error:
        text = messages.SYNTAX_ERROR.format(line=error.lineno, error=name_error(error))
        return Result(False, "syntax_error", text)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    try:
        exec(compile(tree, FILENAME, "exec"), namespace)
        if last is not None:
            return eval(compile(ast.Expression(last.value), FILENAME, "eval"), namespace)
    except BaseException as error:
        return Result(False, "raised", describe_error(error))
    return None


def describe_error(error: BaseException) -> Text:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == FILENAME]
    return messages.RAISED.format(line=lines[-1] if lines else "?", error=name_error(error))
