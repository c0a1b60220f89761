"""Small distances on the WGS 84 ellipsoid."""

from __future__ import annotations

import math

EQUATOR_RADIUS_M = 6_378_137.0  # NIMA TR8350.2, table 3.1
ECCENTRICITY_SQUARED = 6.694379990141e-3  # table 3.3


def metres_per_degree(latitude_deg: float) -> tuple[float, float]:
    """Length of a degree of latitude and of a degree of longitude, on the plane that touches the ellipsoid there.

    From the radii of curvature in the meridian and in the prime vertical (Torge, "Geodesy", section 4.1.2).
    """
    latitude_rad = math.radians(latitude_deg)
    bend = 1.0 - ECCENTRICITY_SQUARED * math.sin(latitude_rad) ** 2
    prime_vertical_m = EQUATOR_RADIUS_M / math.sqrt(bend)
    meridian_m = prime_vertical_m * (1.0 - ECCENTRICITY_SQUARED) / bend
    return math.radians(1.0) * meridian_m, math.radians(1.0) * prime_vertical_m * math.cos(latitude_rad)
