"""Times and sizes as text for tables, charts and pages."""

from __future__ import annotations

from datetime import UTC, datetime

from sensors.time_units import NS_PER_S


def ms(value_ns: int | None) -> str:
    """Nanoseconds as milliseconds: 3 decimals below 1 ms, else 1; '–' for None."""
    if value_ns is None:
        return "–"
    if abs(value_ns) < 500:
        return "0.0"
    value = value_ns / 1e6
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.1f}"


def utc(at_ns: int | None) -> str:
    """Nanoseconds since the epoch as UTC to the millisecond; '–' for None."""
    if at_ns is None:
        return "–"
    seconds, rest_ns = divmod(at_ns, NS_PER_S)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError):
        return f"{at_ns} ns"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{rest_ns // 1_000_000:03d}Z"


def size(value_bytes: float) -> str:
    """Bytes in the largest unit that keeps at least one whole digit."""
    value = float(value_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"
