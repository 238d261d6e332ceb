import numpy as np


def by_name(parameters, gradients, learning_rate, decay):
    decayed = {"conv.weight", "fc.weight"}
    return {
        name: (1 - learning_rate * decay * (name in decayed)) * value
        - learning_rate * gradients[name]
        for name, value in parameters.items()
    }


def two_groups(parameters, gradients, learning_rate, decay):
    stepped = {name: value - learning_rate * gradients[name] for name, value in parameters.items()}
    for name, value in parameters.items():
        if np.ndim(value) >= 2:
            stepped[name] = stepped[name] - learning_rate * decay * value
    return stepped


def in_place_on_a_copy(parameters, gradients, learning_rate, decay):
    copies = {name: value.copy() for name, value in parameters.items()}
    for name in ("conv.weight", "fc.weight"):
        copies[name] *= 1 - learning_rate * decay
    for name, copy in copies.items():
        copy -= learning_rate * gradients[name]
    return copies


def not_bn_not_bias(parameters, gradients, learning_rate, decay):
    stepped = dict(parameters)
    for name in parameters:
        is_weight = name.endswith(".weight") and not name.startswith("bn.")
        gradient = gradients[name] + decay * parameters[name] if is_weight else gradients[name]
        stepped[name] = parameters[name] - learning_rate * gradient
    return stepped
