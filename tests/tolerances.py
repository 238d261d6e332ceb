"""The one table of tolerances, each with its reason: what a norm's output may err by, per dtype.

u is the unit roundoff of a dtype: storing a real number in it errs by at most u of that number.
kappa = |mean| / std of the values that share statistics: subtracting the mean from them magnifies
the error of the mean by kappa, so the bounds grow with it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """Bounds for one dtype of input and output, against float64 on the same (rounded) inputs."""

    unit_roundoff: float
    forward_per_max_y: float  # times max|y|
    forward_per_kappa: float  # times kappa; absolute, since x_hat is of order 1
    gradient: float  # relative: times max|dx|; for dgamma and dbeta times the sum of |terms|
    gradient_per_kappa: float
    reason: str

    def forward_bound(self, max_abs_y: float, kappa: float = 0.0) -> float:
        """Largest allowed |y - y_exact|."""
        return self.forward_per_max_y * max_abs_y + self.forward_per_kappa * kappa

    def gradient_bound(self, max_abs_gradient: float, kappa: float = 0.0) -> float:
        """Largest allowed |dx - dx_exact|."""
        return (self.gradient + self.gradient_per_kappa * kappa) * max_abs_gradient


U64, U32, U16, UB16 = 2.0**-53, 2.0**-24, 2.0**-11, 2.0**-8

TOLERANCES = {
    "float64": Tolerance(
        unit_roundoff=U64,
        forward_per_max_y=1e-12,
        forward_per_kappa=0.0,
        gradient=1e-12,
        gradient_per_kappa=0.0,
        reason="what bnlib promises: 9,000 roundings, more than pairwise sums ever collect; "
        "no kappa, since the mean is corrected for its own rounding",
    ),
    "float32": Tolerance(
        unit_roundoff=U32,
        forward_per_max_y=8 * U32,
        forward_per_kappa=2 * U32,
        gradient=16 * U32,
        gradient_per_kappa=2 * U32,
        reason="what bnlib.functional promises: a handful of roundings per output in fp32, and a "
        "mean that is itself rounded to fp32 (u * |mean|, which is u * kappa after dividing by "
        "std)",
    ),
    "float16": Tolerance(
        unit_roundoff=U16,
        forward_per_max_y=U16 + 8 * U32,
        forward_per_kappa=2 * U32,
        gradient=U16 + 16 * U32,
        gradient_per_kappa=2 * U32,
        reason="computed as float32 (or wider) from the stored halves, then rounded once to fp16 "
        "(draw dy so that dx is of order 1: below 6e-5 fp16 has fewer digits)",
    ),
    "bfloat16": Tolerance(
        unit_roundoff=UB16,
        forward_per_max_y=UB16 + 8 * U32,
        forward_per_kappa=2 * U32,
        gradient=UB16 + 16 * U32,
        gradient_per_kappa=2 * U32,
        reason="computed as float32 (or wider) from the stored values, then rounded once to bf16",
    ),
}


@dataclass(frozen=True)
class CentralDifference:
    """(f(x + step) - f(x - step)) / (2 * step) in float64, for x of order 1."""

    step: float
    relative: float  # times max|gradient|
    reason: str


CENTRAL_DIFFERENCE = CentralDifference(
    step=2.0**-17,
    relative=1e-7,
    reason="truncation is about step**2 = 6e-11 times the third derivative, rounding about "
    "U64 / step = 1e-11 times |f|; the rest is headroom for derivatives of order 100, "
    "and any wrong term is larger than 1e-3",
)
