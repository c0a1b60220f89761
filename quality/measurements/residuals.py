"""Summary of the residuals of a sensor's matches, shared by audits, reports and metrics."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from sensors.stamps import percentile


class Residuals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes of the residuals of a sensor's matches, |stamp - anchor - expected delay|, in ns; nearest-rank percentiles."""

    matches: int
    p50_ns: int
    p95_ns: int
    max_ns: int

    @classmethod
    def of(cls, residuals_ns: npt.ArrayLike) -> Residuals | None:
        """Summarise signed residuals (N,) int64, in any order; None where there are none."""
        sizes = np.abs(np.asarray(residuals_ns, dtype=np.int64))
        if sizes.size == 0:
            return None
        return cls(sizes.size, percentile(sizes, 50), percentile(sizes, 95), int(sizes.max()))


class ToleratedResiduals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Residuals together with the sensor's tolerance."""

    sizes: Residuals
    tolerance_ns: int

    @property
    def tolerances(self) -> float:
        """The largest residual in units of the tolerance."""
        return in_tolerances(self.sizes.max_ns, self.tolerance_ns)


def in_tolerances(residual_ns: int, tolerance_ns: int) -> float:
    """The size of a residual in units of the tolerance; infinite if it exceeds a tolerance of 0."""
    if tolerance_ns == 0:
        return 0.0 if residual_ns == 0 else float("inf")
    return residual_ns / tolerance_ns
