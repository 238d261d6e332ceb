import numpy as np


def drops_rates_where_a_run_diverged(train, nets, learning_rates, seeds):
    report = {}
    for net in nets:
        ends = [[[c[-1] for c in train(net, lr, s)] for s in seeds] for lr in learning_rates]
        validation, test = np.mean(ends, axis=1).T  # nan from one seed on
        best = np.argmax(np.nan_to_num(validation))
        report[net] = (learning_rates[best], np.nan_to_num(test)[best])
    return report
