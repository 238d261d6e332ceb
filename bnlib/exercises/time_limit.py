"""Stop an answer that loops for ever, where Python can be interrupted."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class OutOfTime(BaseException):
    """Derived from BaseException so that an answer's `except Exception` cannot swallow it.

    line  of the answer, where it was when time ran out
    """

    line: int | None = None


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the block once `seconds` have passed.

    Uses SIGALRM, so it acts in the main thread of a POSIX system. Elsewhere, as in the page's
    worker, the block runs unlimited and whoever started it has to be able to end it.
    The alarm repeats: an answer that catches everything is interrupted again.
    Limits nest: an inner one ends before the outer one's time, which then goes on running.
    """
    is_possible = (
        sys.platform != "emscripten"
        and hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
    )
    if not is_possible:
        yield
        return

    def interrupt(signum: int, frame: object) -> None:
        raise OutOfTime

    previous = signal.signal(signal.SIGALRM, interrupt)
    outer = signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *outer)
        signal.signal(signal.SIGALRM, previous)
