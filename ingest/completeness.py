"""Has everything landed that the manifest names?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lake.documents import Manifest


class Lack(StrEnum):
    """Why an object counts as missing."""

    ABSENT = "absent"
    SIZE_DIFFERS = "size_differs"


@dataclass(frozen=True, slots=True)
class Missing:
    """One object that the drive still waits for. `expected_bytes` is None for the calibration, whose size no manifest tells."""

    key: str
    lack: Lack
    expected_bytes: int | None
    found_bytes: int | None


def missing_objects(manifest: Manifest, sizes_bytes: Mapping[str, int]) -> tuple[Missing, ...]:
    """What `manifest` names and `sizes_bytes` (key to size of every landed object) does not hold, in the manifest's order.

    The calibration comes first. Objects that the manifest does not name do not matter here. A size that differs is an
    older or an unfinished version of the object: checksums are compared later, by whoever reads the bytes.
    """
    found = []
    if manifest.drive.calibration_key not in sizes_bytes:
        found.append(Missing(manifest.drive.calibration_key, Lack.ABSENT, None, None))
    for entry in manifest.objects:
        size_bytes = sizes_bytes.get(entry.key)
        if size_bytes is None:
            found.append(Missing(entry.key, Lack.ABSENT, entry.size_bytes, None))
        elif size_bytes != entry.size_bytes:
            found.append(Missing(entry.key, Lack.SIZE_DIFFERS, entry.size_bytes, size_bytes))
    return tuple(found)
