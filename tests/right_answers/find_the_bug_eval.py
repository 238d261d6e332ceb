import numpy as np


def with_finally(model, batches):
    mode = model.training
    model.eval()
    try:
        hits = [model.predict(x) == labels for x, labels in batches]
    finally:
        (model.train if mode else model.eval)()
    return np.concatenate(hits).mean()


def sample_by_sample(model, batches):
    mode = model.training
    model.eval()
    hits = []
    for x, labels in batches:
        for sample, label in zip(x, labels, strict=True):
            hits.append(int(model.predict(sample[None])[0]) == label)
    if mode:
        model.train()
    return sum(hits) / len(hits)


def weighted_mean(model, batches):
    was_training, _ = model.training, model.eval()
    accuracies = [np.mean(model.predict(x) == labels) for x, labels in batches]
    if was_training:
        model.train()
    return np.average(accuracies, weights=[len(labels) for _, labels in batches])


def all_at_once(model, batches):
    x, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    was_training = model.training
    model.eval()
    predicted = model.predict(x)
    if was_training is True:
        model.train()
    return np.count_nonzero(predicted == labels) / len(labels)


def with_torchs_idiom(model, batches):
    was_training = model.training
    model.eval()
    found = [(model.predict(x) == labels) for x, labels in batches]
    model.train(was_training)
    return float(np.concatenate(found).mean())


def with_the_mode_set(model, batches):
    was_training, model.training = model.training, False
    right = sum(int((model.predict(x) == labels).sum()) for x, labels in batches)
    model.training = was_training
    return right / sum(len(labels) for _, labels in batches)
