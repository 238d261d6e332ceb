from bnlib.exercises.bank.residual_gamma import backward as _backward


def ignores_eps(dy, x, w, gamma, eps=1e-5):
    return _backward(dy, x, w, gamma)
