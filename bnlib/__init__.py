"""bnlib: batch normalization in layers, each readable on its own, each the next one's oracle.

Importing bnlib, bnlib.reference, bnlib.whitening and bnlib.exercises needs NumPy alone.
The torch layers (bnlib.functional, bnlib.nn, bnlib.inference) and the check-up of a torch model
(bnlib.inspect) are imported by name.
"""

__version__ = "0.1.0"
