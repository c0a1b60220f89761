"""What a soak shows: the promised figures, the table of the curves, and what they make of a year."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.figures import Measurement, Report, markdown_table, measurement_table
from bench.soak_lake.curves import CURVES, Sample, table
from bench.soak_lake.fleet import DRIVES_PER_DAY

SECTION = "soak_lake"
YEAR_DRIVES = 365 * DRIVES_PER_DAY
_GB = 1e9
CONTINUED = [curve for curve in CURVES if curve.unit in ("ms CPU", "kB", "s CPU") or curve.title == "metadata after maintenance"]


def report(samples: Sequence[Sample], growth: float) -> Report:
    """The figures of a soak and the section of the document. `growth`: of a publication, by `publish_growth`."""
    first, last = samples[0], samples[-1]
    written = [sample.commit_bytes for sample in samples[1:] or samples]
    middle = statistics.median(written)
    spread = max(abs(one / middle - 1) for one in written)
    found = (
        Measurement("soak.publish_growth", growth, "x that in a lake of 100 drives", False, 1.2),
        Measurement("soak.publish_cpu_ms", last.publish_cpu_ms, "ms", False),
        Measurement("soak.commit_metadata_spread", spread, "of the median day's", False, 0.2),
        Measurement("soak.commit_metadata_kb", middle / 1e3, "kB", False),
        Measurement("soak.kept_metadata_kb", _slope_of(samples, lambda sample: sample.kept_bytes / 1e3), "kB a drive", False),
        Measurement("soak.maintain_cpu_ms", 1e3 * last.maintenance_cpu_s / DRIVES_PER_DAY, "ms a drive", False),
        Measurement("soak.metadata_gb", max(sample.written_bytes for sample in samples) / _GB, "GB", False, 1.0),
        Measurement("soak.plan_cpu_s", last.plan_cpu_ms / 1e3, "s", False, 0.2),
        Measurement("soak.audit_day_s", last.audit_s, "s", False, 60),
        Measurement("soak.audit_day_mb", last.audit_mb, "MB", False, 500),
        Measurement("soak.audit_memory_growth", last.audit_mb / first.audit_mb, "x the first day's", False, 1.1),
        Measurement("soak.recall_s", last.recall_s, "s", False, 2.0),
    )
    picture = "![The growth curves of the soak](soak-lake.svg)"
    return Report(found, {SECTION: "\n\n".join((measurement_table(found), table(samples), picture, year(samples)))})


def year(samples: Sequence[Sample]) -> str:
    """A year of 336 drives a day, continued from the second half of the soak by the least-squares slope of each cost."""
    rows = []
    for curve in CONTINUED:
        title, unit, value = curve.title, curve.unit, curve.value
        slope = _slope_of(samples, value)
        now = value(samples[-1])
        after = now + slope * (YEAR_DRIVES - samples[-1].drives)
        rows.append((f"{title}, {unit}", f"{now:,.3g}", f"{1e3 * slope:+.3g}", f"{after:,.3g}"))
    header = ("cost", f"at {samples[-1].drives:,} drives", "a thousand drives more", f"after a year, {YEAR_DRIVES:,} drives")
    return f"Continued in a straight line from the second half of the soak:\n\n{markdown_table(header, rows)}"


def _slope_of(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """What one more drive adds, in the second half of the soak."""
    half = samples[len(samples) // 2 :]
    return _slope([sample.drives for sample in half], [value(sample) for sample in half])


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Slope of the least-squares line; 0 where there is only one point."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((one - mean_x) ** 2 for one in x)
    return sum((one - mean_x) * (other - mean_y) for one, other in zip(x, y, strict=True)) / spread if spread else 0.0
