def sees_one_layer_past_a_linear(layers):
    pairs = [layers[i + 1 : i + 3] for i in range(len(layers))]
    return [
        "bn" in pair[:1] or pair == ["linear", "bn"]
        for kind, pair in zip(layers, pairs, strict=True)
        if kind == "linear"
    ]
