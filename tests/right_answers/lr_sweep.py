import math


def with_loops(train, nets, learning_rates, seeds):
    report = {}
    for net in nets:
        best_validation, best_lr, best_test = -1.0, None, None
        for lr in learning_rates:
            validations, tests = [], []
            for seed in seeds:
                validation, test = train(net, lr, seed)
                diverged = math.isnan(validation[-1])
                validations.append(0.0 if diverged else validation[-1])
                tests.append(0.0 if diverged else test[-1])
            mean = sum(validations) / len(seeds)
            if mean > best_validation:
                best_validation, best_lr, best_test = mean, lr, sum(tests) / len(seeds)
        report[net] = (best_lr, best_test)
    return report


def training_again_at_the_best(train, nets, learning_rates, seeds):
    def mean(net, lr, which):
        last = [float(train(net, lr, seed)[which][-1]) for seed in seeds]
        return sum(value for value in last if value == value) / len(last)

    best = {net: max(learning_rates, key=lambda lr, n=net: mean(n, lr, 0)) for net in nets}
    return {net: [lr, mean(net, lr, 1)] for net, lr in best.items()}


def with_sorting(train, nets, learning_rates, seeds):
    answer = {}
    for net in nets:
        scores = []
        for lr in learning_rates:
            pairs = [[curve[-1] for curve in train(net, lr, seed)] for seed in seeds]
            pairs = [(0, 0) if math.isnan(v) else (v, t) for v, t in pairs]
            columns = [math.fsum(column) / len(seeds) for column in zip(*pairs, strict=True)]
            scores.append((*columns, lr))
        _, test, lr = sorted(scores)[-1]
        answer[net] = lr, test
    return answer
