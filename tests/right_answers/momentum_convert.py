import math


def with_logarithms(momentum, source, target, updates=1):
    log_kept = math.log1p(-momentum) if source == "new" else math.log(momentum)
    log_kept *= updates
    return -math.expm1(log_kept) if target == "new" else math.exp(log_kept)


def with_a_dictionary(momentum, source, target, updates=1):
    kept = {"new": 1 - momentum, "old": momentum}[source]
    kept = pow(kept, updates)
    return {"new": 1 - kept, "old": kept}[target]


def with_a_helper(momentum, source, target, updates=1):
    def other(value, convention):
        return value if convention == "old" else 1.0 - value

    return other(other(momentum, source) ** updates, target)
