"""Keys of the raw bucket: `{vehicle}/{drive}/{modality}/{sensor}/{start_ns}.mcap`, `…/calibration.json`, `…/manifest.json`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lake.errors import LandingError

MODALITIES = ("lidar", "camera", "radar", "pose", "imu", "gnss")
MAX_START_NS = 2**63 - 1  # 19 digits exceed int64
MAX_KEY_BYTES = 1024  # Amazon S3 User Guide, "Object key naming guidelines"
MANIFEST = "manifest.json"
CALIBRATION = "calibration.json"

_ID = r"[a-z0-9][a-z0-9_-]{0,62}"
_IDENTIFIER = re.compile(_ID)
_SENSOR_OBJECT = re.compile(
    rf"(?P<vehicle>{_ID})/(?P<drive>{_ID})/(?P<modality>{'|'.join(MODALITIES)})/(?P<sensor>{_ID})/(?P<start>[0-9]{{19}})\.mcap"
)
_DOCUMENT = re.compile(rf"(?P<vehicle>{_ID})/(?P<drive>{_ID})/(?P<name>manifest|calibration)\.json")


@dataclass(frozen=True, slots=True, order=True)
class DriveId:
    """One recording session of one vehicle.

    Raises:
        LandingError: An id does not match `[a-z0-9][a-z0-9_-]{0,62}`.
    """

    vehicle_id: str
    drive_id: str

    def __post_init__(self) -> None:
        for name, value in (("vehicle", self.vehicle_id), ("drive", self.drive_id)):
            if _IDENTIFIER.fullmatch(value) is None:
                raise LandingError(f"{name} id {value!r} must match {_ID}")

    def __str__(self) -> str:
        return f"{self.vehicle_id}/{self.drive_id}"

    @property
    def prefix(self) -> str:
        """Prefix of the drive's objects in the raw bucket, with a trailing slash."""
        return f"{self}/"

    @property
    def manifest_key(self) -> str:
        """Key of the drive's manifest."""
        return f"{self}/{MANIFEST}"

    @property
    def calibration_key(self) -> str:
        """Key of the drive's calibration."""
        return f"{self}/{CALIBRATION}"


@dataclass(frozen=True, slots=True)
class SensorKey:
    """Key of one raw file: one sensor, one stretch of time that begins at `start_ns`."""

    drive: DriveId
    modality: str
    sensor: str
    start_ns: int

    def __str__(self) -> str:
        return f"{self.drive}/{self.modality}/{self.sensor}/{self.start_ns:019d}.mcap"


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """Key of a drive's `manifest.json` or `calibration.json`."""

    drive: DriveId
    name: str

    def __str__(self) -> str:
        return f"{self.drive}/{self.name}"


RawKey = SensorKey | DocumentKey


def parse_raw_key(key: str) -> RawKey:
    """Read a (decoded) object key of the raw bucket.

    Raises:
        LandingError: The key does not follow the landing layout; the message names the expected form.
    """
    if len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise LandingError(f"key of more than {MAX_KEY_BYTES} bytes")
    if match := _SENSOR_OBJECT.fullmatch(key):
        start_ns = int(match["start"])
        if start_ns > MAX_START_NS:
            raise LandingError(f"key {key!r} starts at {start_ns} ns, beyond {MAX_START_NS} ns (int64)")
        return SensorKey(DriveId(match["vehicle"], match["drive"]), match["modality"], match["sensor"], start_ns)
    if match := _DOCUMENT.fullmatch(key):
        return DocumentKey(DriveId(match["vehicle"], match["drive"]), f"{match['name']}.json")
    raise LandingError(
        f"key {key!r} is none of VEHICLE/DRIVE/MODALITY/SENSOR/START_NS.mcap (19 digits; modality one of "
        f"{', '.join(MODALITIES)}), VEHICLE/DRIVE/{CALIBRATION}, VEHICLE/DRIVE/{MANIFEST}"
    )


def drive_of_prefix(key: str) -> DriveId | None:
    """The drive under whose prefix a key lies, whether or not the rest of it follows the layout."""
    vehicle_id, _, rest = key.partition("/")
    drive_id, slash, _ = rest.partition("/")
    try:
        return DriveId(vehicle_id, drive_id) if slash else None
    except LandingError:
        return None


def sensor_of(key: str) -> str | None:
    """The sensor that an object's key names; None if the key does not follow the layout."""
    parsed = parse_raw_key(key)
    return parsed.sensor if isinstance(parsed, SensorKey) else None
