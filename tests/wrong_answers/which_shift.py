from bnlib.exercises.bank.which_shift import which_shift as _which_shift


def _kinds(before, after, layer, covariate, noise):
    return covariate, layer > 0 and before["step"] != after["step"], noise


def compares_with_train(before, after, layer):
    noise = before["source"] != after["source"] or before["batch"] != after["batch"]
    return _kinds(before, after, layer, after["source"] != "train", noise)


def expects_the_next_batch(before, after, layer):
    moved = before["source"] != after["source"]
    noise = moved or after["batch"] > before["batch"]
    return _kinds(before, after, layer, moved, noise)


def finds_noise_where_it_finds_nothing(before, after, layer):
    covariate, internal, noise = _which_shift(before, after, layer)
    return covariate, internal, noise or not internal
