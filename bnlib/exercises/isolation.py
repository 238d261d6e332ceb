"""Run a check where nothing that an answer does can reach the reader's session.

On Linux the check runs in a forked child process and only its result comes back. A child can be
killed: that ends loops which catch every exception, calls that never return to Python, crashes,
and answers that take all the memory. A fork, unlike a fresh process, knows the reader's closures,
and the reader's own variables stay as they are. macOS forbids much after a fork, Windows and the
page have none: there an alarm interrupts the answer where it can, and the page's worker is ended
by the page.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from .time_limit import OutOfTime, time_limit

GRACE = 0.5  # seconds in which a child that was interrupted may still say where it was
MEMORY = 2 * 2**30  # bytes that a check may take beyond what the session already has


class Crashed(Exception):
    """The child ended without a result."""


def isolated(function: Callable[[], Any], seconds: float) -> Any:
    """`function()`, in a child process where that is safe.

    Returns its value, which has to be one that pickles.
    Raises OutOfTime after `seconds`, and Crashed if the child dies.
    """
    if can_fork():
        return run_in_child(function, seconds)
    with time_limit(seconds):
        return function()


def can_fork() -> bool:
    """A child cannot use a CUDA device that its parent has opened."""
    torch = sys.modules.get("torch")
    return sys.platform == "linux" and not (torch and torch.cuda.is_initialized())


def run_in_child(function: Callable[[], Any], seconds: float) -> Any:
    receiver, sender = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of threads. Other threads' locks do not matter to a child that only
        # computes; NumPy's OpenBLAS prepares for forks, and torch is told to use one thread.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        child(function, sender, seconds)
    os.close(sender)
    try:
        data = read_message(receiver, time.monotonic() + seconds + GRACE)
    finally:
        os.close(receiver)
        for kill in (os.killpg, os.kill):  # its group: the answer may have started processes
            with contextlib.suppress(ProcessLookupError):
                kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    kind, value = pickle.loads(data)
    if kind == "out of time":
        error = OutOfTime()
        error.line = value
        raise error
    if kind == "failed":
        raise RuntimeError(f"the check itself failed:\n{value}")
    return value


def read_message(receiver: int, end: float) -> bytes:
    """What the child sends: the number of bytes, then the bytes. Its children may keep the pipe."""
    data = b""
    while len(data) < 8 or len(data) < 8 + int.from_bytes(data[:8]):
        ready, _, _ = select.select([receiver], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            raise OutOfTime
        part = os.read(receiver, 2**16)
        if not part:
            raise Crashed
        data += part
    return data[8:]


def child(
    function: Callable[[], Any],
    sender: int,
    seconds: float,
    *,
    leave: Callable[[int], Any] = os._exit,  # bound now: an answer may replace os._exit
) -> None:
    """Run `function`, send what it returns, and end the process."""
    try:
        keep_to_itself()
        try:
            with time_limit(seconds):
                message = ("value", function())
        except OutOfTime as error:
            message = ("out of time", error.line)
        except Exception:
            message = ("failed", traceback.format_exc())
        data = pickle.dumps(message)
        data = len(data).to_bytes(8) + data
        while data:
            data = data[os.write(sender, data) :]
    finally:
        leave(0)


def keep_to_itself() -> None:
    """No terminal, no keyboard, no more memory than MEMORY."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)  # the parent's OpenMP threads are not in the child
    with contextlib.suppress(OSError, ValueError):  # no /proc, or a stricter limit already
        limit_memory()


def limit_memory() -> None:
    import resource  # not on every system

    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, most))
