"""bnlib: batch normalization in layers, each readable on its own, each the next one's oracle.

    reference, whitening      the formulas in readable NumPy
    functional, nn            the same for torch, as drop-ins; kernels: fused, on a GPU (Triton)
    inference                 population statistics, folding
    analysis, inspect         measures of training; a check-up of a torch model's norm layers
    exercises                 the book's exercises, and a name for each mistake
    explore, figures, flow    sliders, the book's look, the graph of batch norm
    data                      digits, MNIST, Fashion-MNIST

Modules are imported by name. bnlib, reference, whitening, exercises and data import NumPy alone;
the rest needs an extra: bnlib[torch] for functional to inspect, bnlib[figures] for explore, figures
and flow, bnlib[data] to load data sets.
"""

__version__ = "0.1.0"
