"""Put Python and NumPy back as they were, whatever an answer did to them.

In a notebook an answer usually runs in a process of its own (see isolation.py); in the page it
shares one with the checker and with every later answer, so nothing may be left behind.
"""

from __future__ import annotations

import builtins
import gc
import math
import random
import sys
import warnings
from typing import Any

import numpy as np

# As they are when bnlib is imported: an answer may have spoiled them long before it is checked.
NAMESPACES = [
    (prefix, vars(module), {k: v for k, v in vars(module).items() if not k.startswith("_")})
    for prefix, module in [
        ("np.", np),
        ("np.linalg.", np.linalg),
        ("np.random.", np.random),
        ("np.fft.", np.fft),
        ("math.", math),
    ]
]
BUILTINS = vars(builtins)

STATES = [
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (np.geterr, lambda state: np.seterr(**state)),
    (np.get_printoptions, lambda state: np.set_printoptions(**state)),
    # A debugger or profiler written in C cannot be set again from Python: leave it where it is.
    (sys.gettrace, lambda state: sys.gettrace() is state or sys.settrace(state)),
    (sys.getprofile, lambda state: sys.getprofile() is state or sys.setprofile(state)),
    (gc.isenabled, lambda was_enabled: gc.enable() if was_enabled else gc.disable()),
    (lambda: warnings.filters[:], lambda state: warnings.filters.__setitem__(slice(None), state)),
]
# Reading these takes a tenth of a millisecond: once a check, not once an input.
RANDOM_STATES = [
    (np.random.get_state, np.random.set_state),
    (random.getstate, random.setstate),
]


class Guard:
    """A block after which functions, streams and settings are as before.

    with_random  random states too
    replaced     the names of functions that the block replaced, or found replaced
    """

    def __init__(self, with_random: bool = False) -> None:
        self.state_functions = STATES + RANDOM_STATES if with_random else STATES

    def __enter__(self) -> Guard:
        self.replaced: list[str] = []
        self.builtins = BUILTINS.copy()
        self.streams = sys.stdin, sys.stdout, sys.stderr
        self.states = [read() for read, _ in self.state_functions]
        BUILTINS["input"] = no_input
        return self

    def __exit__(self, *exception: Any) -> None:
        # No builtin is called before all are back: `len` may have been replaced too.
        BUILTINS["input"] = self.builtins["input"]
        for name, value in self.builtins.items():
            if BUILTINS.get(name) is not value:
                BUILTINS[name] = value
                self.replaced.append(name)
        for name in BUILTINS.keys() - self.builtins.keys():
            del BUILTINS[name]
        self.replaced += restore_numpy()
        sys.stdin, sys.stdout, sys.stderr = self.streams
        for (_, write), state in zip(self.state_functions, self.states, strict=True):
            write(state)


class NoGuard:
    """For code of our own."""

    replaced: tuple[str, ...] = ()

    def __enter__(self) -> NoGuard:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass


class OriginalNumpy:
    """A block in which NumPy is as it was imported; what the session replaced comes back after."""

    def __enter__(self) -> None:
        self.found = [
            (namespace, name, namespace[name])
            for _, namespace, originals in NAMESPACES
            for name, value in originals.items()
            if name in namespace and namespace[name] is not value
        ]
        restore_numpy()

    def __exit__(self, *exception: Any) -> None:
        for namespace, name, value in self.found:
            namespace[name] = value


def restore_numpy() -> list[str]:
    """Undo replacements in NumPy and math, and return their names."""
    replaced = []
    for prefix, namespace, originals in NAMESPACES:
        for name, value in originals.items():
            if namespace.get(name) is not value:
                namespace[name] = value
                replaced.append(prefix + name)
    return replaced


def no_input(prompt: object = "", /) -> str:
    raise EOFError("input() has no one to ask while an answer is checked")
