"""Six classic mistakes, each put into bnlib and caught by the test that is there to catch it.

A mutation replaces `bnlib.functional.batch_norm` by the textbook chain of operations with one line
wrong. The same chain with no line wrong passes every test named here, so a failure is the doing
of the mutation. The tests are the suite's own, called as pytest calls them.
"""

from functools import partial

import pytest
import test_moduleinfo
import test_nn
import torch
from torch import nn
from torch.autograd.gradcheck import GradcheckError

from bnlib import functional as F
from bnlib import nn as bnn

buffers_follow_torch = partial(
    test_nn.test_buffers_follow_torch, affine=True, track_running_stats=True, momentum=0.3
)
matches_float64 = partial(test_moduleinfo.test_matches_float64, dtype=torch.float64, training=True)

CAUGHT_BY = {
    "biased running variance": buffers_follow_torch,
    "eps outside the root": partial(matches_float64, nn.BatchNorm2d),
    "statistics detached from the gradient": partial(
        test_moduleinfo.test_gradients_of_both_orders, nn.BatchNorm1d, training=True
    ),
    "momentum reversed": buffers_follow_torch,
    "per-activation statistics in conv": test_nn.test_one_scale_and_one_statistic_per_channel,
    "running variance starting at 0": test_nn.test_initial_statistics,
}


def textbook_batch_norm(mistake, calls):
    """batch_norm as a chain of torch operations, with `mistake` made, or none if it is None."""

    def batch_norm(
        input,
        running_mean,
        running_var,
        weight=None,
        bias=None,
        training=False,
        momentum=0.1,
        eps=1e-5,
    ):
        calls.append(mistake)
        per_channel = partial(torch.reshape, shape=(-1, *[1] * (input.ndim - 2)))
        axes = (0, *range(2, input.ndim))
        if mistake == "per-activation statistics in conv":
            axes = (0,)
        if training:
            mean = input.mean(axes, keepdim=True)
            var = input.var(axes, correction=0, keepdim=True)
            if mistake == "statistics detached from the gradient":
                mean, var = mean.detach(), var.detach()
        else:
            mean, var = per_channel(running_mean), per_channel(running_var)
        if training and running_mean is not None and input.numel():
            count = input.numel() / mean.numel()
            unbiased = var if mistake == "biased running variance" else var * count / (count - 1)
            weight_of_new = 1 - momentum if mistake == "momentum reversed" else momentum
            for buffer, new in (running_mean, mean), (running_var, unbiased):
                new = new.detach().reshape(len(buffer), -1).mean(1)
                buffer.lerp_(new.to(buffer.dtype), weight_of_new)
        std = var.sqrt() + eps if mistake == "eps outside the root" else (var + eps).sqrt()
        y = (input - mean) / std
        y = y if weight is None else y * per_channel(weight)
        return y if bias is None else y + per_channel(bias)

    return batch_norm


def apply(mistake, monkeypatch):
    """Make the mistake in bnlib; return the list of the calls it got."""
    calls = []
    monkeypatch.setattr(F, "batch_norm", textbook_batch_norm(mistake, calls))
    if mistake == "running variance starting at 0":

        def reset_running_stats(self):
            calls.append(mistake)
            if self.track_running_stats:
                self.running_mean.zero_()
                self.running_var.zero_()
                self.num_batches_tracked.zero_()

        monkeypatch.setattr(bnn._BatchNorm, "reset_running_stats", reset_running_stats, False)
    return calls


# The inputs of PyTorch's database include an empty batch, of which torch.var warns.
pytestmark = pytest.mark.filterwarnings("ignore:.*degrees of freedom")


@pytest.mark.parametrize("mistake", CAUGHT_BY)
def test_without_the_mistake_the_check_passes(mistake, monkeypatch):
    calls = apply(None, monkeypatch)
    CAUGHT_BY[mistake]()
    assert calls


@pytest.mark.parametrize("mistake", CAUGHT_BY)
def test_the_mistake_is_caught(mistake, monkeypatch):
    calls = apply(mistake, monkeypatch)
    with pytest.raises((AssertionError, GradcheckError)):
        CAUGHT_BY[mistake]()
    assert calls
