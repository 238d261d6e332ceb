import numpy as np


def in_closed_form(u, target, bias, learning_rate, steps, through_mean):
    """x_hat never changes, so the bias moves by the same amount at every step."""
    error = u - u.mean(axis=0) - target
    move = np.zeros_like(bias) if through_mean else learning_rate * target.mean(axis=0)
    biases = bias + np.arange(steps + 1)[:, np.newaxis] * move
    return biases, np.full(steps + 1, (error**2).sum() / (2 * len(u)))


def by_the_chain_rule(u, target, bias, learning_rate, steps, through_mean):
    samples = len(u)
    centre = np.eye(samples) - 1 / samples if through_mean else np.eye(samples)
    history = []
    b = bias.copy()
    for step in range(steps + 1):
        x_hat = (u + b) - (u + b).mean(axis=0)
        history.append((b.copy(), 0.5 * np.mean(np.sum((x_hat - target) ** 2, axis=1))))
        if step < steps:
            dx = centre.T @ ((x_hat - target) / samples)
            b -= learning_rate * dx.sum(axis=0)
    biases, losses = zip(*history, strict=True)
    return list(biases), list(losses)


def preallocated(u, target, bias, learning_rate, steps, through_mean):
    biases = np.empty((steps + 1, u.shape[1]))
    losses = np.empty(steps + 1)
    biases[0] = bias
    for t in range(steps + 1):
        x = u + biases[t]
        error = x - np.mean(x, axis=0, keepdims=True) - target
        losses[t] = np.linalg.norm(error) ** 2 / len(u) / 2
        if t < steps:
            gradient = 0.0 if through_mean else np.einsum("nd->d", error) / len(u)
            biases[t + 1] = biases[t] - learning_rate * gradient
    return biases, losses


def by_central_differences(u, target, bias, learning_rate, steps, through_mean):
    def loss(b, subtracted):
        x = u + b
        mean = x.mean(axis=0) if subtracted is None else subtracted
        return ((x - mean - target) ** 2).sum() / 2 / len(u)

    biases, losses = [bias], [loss(bias, None)]
    for _ in range(steps):
        b = biases[-1]
        mean = None if through_mean else (u + b).mean(axis=0)
        nudges = 0.5 * np.eye(len(b))  # a quadratic has no truncation error
        gradient = np.array([loss(b + nudge, mean) - loss(b - nudge, mean) for nudge in nudges])
        biases.append(b - learning_rate * gradient)
        losses.append(loss(biases[-1], None))
    return np.stack(biases), np.array(losses)
