import numpy as np


def _verdict(smaller, larger):
    if np.all(smaller < larger):
        return "supported"
    return "contradicted" if np.all(smaller > larger) else "open"


def _claims(steps, shift, because):
    claims = {
        "faster": _verdict(steps[1], steps[0]),
        "less shift": _verdict(shift[1], shift[0]),
        "harmless": _verdict(steps[2], steps[1]),
    }
    is_faster = claims["faster"] == "supported"
    return claims | {"because": because(claims["less shift"]) if is_faster else "open"}


def needs_no_less_shift(steps, shift):
    back, noisy = _verdict(shift[0], shift[2]), _verdict(steps[2], steps[0])
    if back != "supported" or noisy == "open":
        return _claims(steps, shift, lambda less_shift: "open")
    if noisy == "supported":
        return _claims(steps, shift, lambda less_shift: "contradicted")
    supported = {"supported": "supported"}
    return _claims(steps, shift, lambda less_shift: supported.get(less_shift, "open"))
