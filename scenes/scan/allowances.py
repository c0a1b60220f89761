"""What each object of a drive may make of its bytes, from what the manifest declares.

A manifest is a claim, too. So what its frames may take is bounded over the whole drive, and shared out by the frames that the
entries declare: the scan of a drive costs what a drive of that many frames costs, however small its objects are. Nothing here
depends on the order of the scans or on who makes them.
"""

from __future__ import annotations

from collections.abc import Collection

from lake.documents import Manifest
from scenes.scan.motion_samples import MOTION
from sensors.container.allowance import Allowance
from sensors.rig import Modality

FRAMES_PER_FRAME, SPARE_FRAMES = 2, 1000  # an entry may be wrong, and CMP004 says by how much
DRIVE_FRAMES = 20_000_000  # four hours of 1,400 frames a second; their index takes the driver some 3 GB

FRAME_RAW_BYTES = 32 * 1024**2  # a blank image of 8 megapixels takes 24 MB, and compresses to nothing
SAMPLE_RAW_BYTES = 64 * 1024  # a pose, IMU or GNSS message takes less than 1 KB
SPARE_RAW_BYTES = 4 * 1024**2  # definitions
DRIVE_RAW_BYTES = 1024**4  # a quarter of an hour of one processor

# Where no entry declares an object, every four bytes may be a message. Those of IMUs compress to 60 and more.
UNDECLARED = Allowance(messages=SPARE_FRAMES, raw_bytes=256 * 1024**2, stored_bytes_per_message=4)
UNDECLARED_RAW_BYTES = 64 * 1024**3  # of a drive


def allowances(manifest: Manifest | None, keys: Collection[str]) -> dict[str, Allowance]:
    """The allowance of each of the objects `keys` of one drive."""
    declared = {} if manifest is None else {entry.key: entry for entry in manifest.objects}
    frames = sum(entry.frame_count for entry in declared.values())
    raw_bytes = sum(_frame_raw_bytes(entry.modality) * entry.frame_count for entry in declared.values())
    undeclared = sum(key not in declared for key in keys)
    other = Allowance(
        UNDECLARED.messages,
        min(UNDECLARED.raw_bytes, UNDECLARED_RAW_BYTES // max(undeclared, 1)),
        UNDECLARED.stored_bytes_per_message,
    )
    found = {}
    for key in keys:
        entry = declared.get(key)
        if entry is None:
            found[key] = other
            continue
        messages = _share(FRAMES_PER_FRAME * entry.frame_count, FRAMES_PER_FRAME * frames, DRIVE_FRAMES)
        raw = _share(_frame_raw_bytes(entry.modality) * entry.frame_count, raw_bytes, DRIVE_RAW_BYTES)
        found[key] = Allowance(messages + SPARE_FRAMES, raw + SPARE_RAW_BYTES)
    return found


def _frame_raw_bytes(modality: str) -> int:
    return SAMPLE_RAW_BYTES if Modality(modality) in MOTION else FRAME_RAW_BYTES


def _share(wanted: int, total: int, most: int) -> int:
    """`wanted`, or its part of `most` where all together want more."""
    return wanted if total <= most else wanted * most // total
