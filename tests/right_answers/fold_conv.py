import numpy as np


def with_loops(w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False):
    new_w, new_b = w.copy(), []
    for c in range(len(gamma)):
        std = np.sqrt(running_var[c] + eps)
        kernel = new_w[:, c] if transposed else new_w[c]
        kernel *= gamma[c] / std
        bias = b[c] if b is not None else 0.0
        new_b.append(gamma[c] * (bias - running_mean[c]) / std + beta[c])
    return new_w, new_b


def with_einsum(w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False):
    scale = gamma * (running_var + eps) ** -0.5
    b = np.zeros_like(gamma) if b is None else b
    formula = "iohw,o->iohw" if transposed else "oihw,o->oihw"
    return np.einsum(formula, w, scale), b * scale + (beta - running_mean * scale)


def by_swapping_axes(w, b, gamma, beta, running_mean, running_var, eps=1e-5, transposed=False):
    if transposed:
        swapped = w.swapaxes(0, 1)
        rest = (gamma, beta, running_mean, running_var, eps)
        new_w, new_b = by_swapping_axes(swapped, b, *rest)
        return new_w.swapaxes(0, 1), new_b
    inv_std = 1.0 / np.sqrt(running_var + eps)
    new_w = ((w.T * gamma) * inv_std).T
    new_b = beta - running_mean * gamma * inv_std
    return new_w, new_b if b is None else new_b + b * gamma * inv_std
