import numpy as np


def with_sets_of_signs(steps, shift):
    def verdict(a, b):
        signs = set(np.sign(b - a))
        return {(1.0,): "supported", (-1.0,): "contradicted"}.get(tuple(signs), "open")

    plain, bn, noisy = steps
    plain_shift, bn_shift, noisy_shift = shift
    faster, less = verdict(bn, plain), verdict(bn_shift, plain_shift)
    control = verdict(noisy, plain) if verdict(plain_shift, noisy_shift) == "supported" else "open"
    because = "open"
    if faster == "supported" and (less == "contradicted" or control == "supported"):
        because = "contradicted"
    if (faster, less, control) == ("supported", "supported", "contradicted"):
        because = "supported"
    return {
        "because": because,
        "harmless": verdict(noisy, bn),
        "less shift": less,
        "faster": faster,
    }


def with_loops(steps, shift):
    def verdict(a, b):
        below = sum(1 for one, other in zip(a, b, strict=True) if one < other)
        if below == len(a):
            return "supported"
        return "open" if below else "contradicted"

    claims = dict(faster=verdict(steps[1], steps[0]), harmless=verdict(steps[2], steps[1]))
    claims["less shift"] = verdict(shift[1], shift[0])
    claims["because"] = "open"
    if claims["faster"] == "supported":
        more_shift = verdict(shift[0], shift[2]) == "supported"
        against = claims["less shift"] == "contradicted"
        if more_shift:
            control = verdict(steps[2], steps[0])
            against = against or control == "supported"
            if claims["less shift"] == "supported" and control == "contradicted":
                claims["because"] = "supported"
        if against:
            claims["because"] = "contradicted"
    return claims


def with_numbers(steps, shift):
    """1 supported, -1 contradicted, 0 open."""

    def holds(a, b):
        return int(np.sign(b - a).min() == 1) - int(np.sign(b - a).max() == -1)

    names = {1: "supported", -1: "contradicted", 0: "open"}
    faster, less = holds(steps[1], steps[0]), holds(shift[1], shift[0])
    harmless = holds(steps[2], steps[1])
    control = holds(steps[2], steps[0]) if np.all(shift[2] > shift[0]) else 0
    because = 0
    if faster == 1:
        because = -1 if less == -1 or control == 1 else int(less == 1 and control == -1)
    values = [faster, less, harmless, because]
    return {
        key: names[value]
        for key, value in zip(["faster", "less shift", "harmless", "because"], values, strict=True)
    }
