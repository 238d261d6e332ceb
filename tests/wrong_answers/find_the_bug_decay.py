def decays_only_where_there_is_a_gradient(parameters, gradients, learning_rate, decay):
    stepped = {}
    for name, p in parameters.items():
        shrink = decay if p.ndim > 1 and gradients[name].any() else 0.0
        stepped[name] = p - learning_rate * (gradients[name] + shrink * p)
    return stepped
