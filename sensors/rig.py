"""The rig: which sensors a vehicle carries, where they sit, and how their clocks relate (`calibration.json`).

The sync terms follow promise P4: a match is the frame nearest to `anchor + expected_delay_ns`, within `tolerance_ns`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from sensors.errors import RigError
from sensors.geometry import SE3
from sensors.policy import DEFAULT_POLICY, Policy
from sensors.time_units import NS_PER_S

DEFAULT_WARN_RESIDUAL_NS = 25_000_000


class Modality(StrEnum):
    """The kind of a sensor; also the folder of its objects in the raw bucket."""

    LIDAR = "lidar"
    CAMERA = "camera"
    RADAR = "radar"
    POSE = "pose"
    IMU = "imu"
    GNSS = "gnss"

    @property
    def in_scene(self) -> bool:
        """Whether frames of this kind are stored in a scene; the others only support it (pose is interpolated)."""
        return self in (Modality.LIDAR, Modality.CAMERA, Modality.RADAR)


class TimeBase(StrEnum):
    """What the stamps of a rig count.

    `utc`: nanoseconds since 1970, leap seconds left out, so that each is a date. `other`: nanoseconds since another instant,
    the same one for all sensors, as a simulator's clock, the uptime of a vehicle that has no other, or the dates of a dataset
    that were shifted. Then a stamp is judged by the drive's own start and end, and by the other sensors.
    """

    UTC = "utc"
    OTHER = "other"


class Stamp(StrEnum):
    """Which instant of a measurement its stamp denotes."""

    START = "start"
    MIDDLE = "middle"
    END = "end"


@dataclass(frozen=True, slots=True)
class Sync:
    """How a sensor's stamps relate to the anchor's (P4). `required`: a scene without this sensor is incomplete.

    `sweeps`: the number of consecutive frames in a scene, the matched one being the last. `compensated`: whether the source
    has moved the points of a frame to its stamp already. `flash`: whether a lidar measures all points at one instant.
    """

    stamp: Stamp
    expected_delay_ns: int
    tolerance_ns: int
    warn_residual_ns: int
    required: bool
    sweeps: int = 1
    compensated: bool = False
    flash: bool = False


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """Pinhole camera with optional plumb-bob distortion (k1, k2, p1, p2, k3), in pixels of the full image."""

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    distortion: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Sensor:
    """One device. `ego_SE3_sensor` maps sensor to ego coordinates; None where the source has no calibration.

    `topic`: the topic of its messages in a recording that holds several sensors; None where each has files of its own.
    """

    name: str
    modality: Modality
    rate_hz: float
    sync: Sync
    ego_SE3_sensor: SE3 | None = None
    intrinsics: Intrinsics | None = None
    topic: str | None = None

    @property
    def period_ns(self) -> int:
        """Nominal time between two frames."""
        return round(NS_PER_S / self.rate_hz)

    @property
    def measures_ns(self) -> int:
        """From the stamp to the end of the measurement: a sweep takes a period, an exposure nothing that log times could show."""
        if self.modality is not Modality.LIDAR or self.sync.flash:
            return 0
        return {Stamp.START: self.period_ns, Stamp.MIDDLE: self.period_ns // 2, Stamp.END: 0}[self.sync.stamp]


@dataclass(frozen=True, slots=True)
class Rig:
    """All sensors of a vehicle, the one that scenes are anchored to, and the policy for its scenes.

    `ground_z_m`: height of the ground under the vehicle in the ego frame; None where the source does not state it. `time_base`:
    what stamps count.
    """

    rig_id: str
    reference: str
    sensors: tuple[Sensor, ...]
    policy: Policy = DEFAULT_POLICY
    ground_z_m: float | None = None
    time_base: TimeBase = TimeBase.UTC

    def __post_init__(self) -> None:
        names = [sensor.name for sensor in self.sensors]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise RigError(f"rig {self.rig_id}: sensor named twice: {', '.join(doubled)}")
        if self.reference not in names:
            raise RigError(f"rig {self.rig_id}: reference {self.reference!r} is none of its sensors ({', '.join(names)})")
        if not self[self.reference].modality.in_scene:
            raise RigError(f"rig {self.rig_id}: reference {self.reference!r} must be a lidar, camera or radar")

    def __getitem__(self, name: str) -> Sensor:
        """The sensor called `name`.

        Raises:
            KeyError: The rig has no such sensor.
        """
        for sensor in self.sensors:
            if sensor.name == name:
                return sensor
        raise KeyError(name)

    def __contains__(self, name: str) -> bool:
        return any(sensor.name == name for sensor in self.sensors)

    @property
    def critical(self) -> frozenset[str]:
        """The required sensors, and the reference."""
        return frozenset(sensor.name for sensor in self.sensors if sensor.sync.required) | {self.reference}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Build a rig from a `calibration.json` document that already satisfies its JSON Schema.

        Raises:
            RigError: The document satisfies the schema but contradicts itself: a sensor named twice, a reference that
                is no sensor, a rotation that is no unit quaternion, a principal point outside the image.
        """
        return cls(
            rig_id=document["rig_id"],
            reference=document["reference"],
            sensors=tuple(_sensor(entry) for entry in document["sensors"]),
            policy=Policy.from_dict(document.get("policy", {})),
            ground_z_m=document.get("ground_z_m"),
            time_base=TimeBase(document.get("time_base", TimeBase.UTC)),
        )

    def to_dict(self) -> dict[str, Any]:
        """The `calibration.json` document; `Rig.from_dict` reads it back to an equal rig."""
        document: dict[str, Any] = {
            "schema_version": 1,
            "rig_id": self.rig_id,
            "reference": self.reference,
            "sensors": [_sensor_document(sensor) for sensor in self.sensors],
            "policy": self.policy.to_dict(),
        }
        if self.ground_z_m is not None:
            document["ground_z_m"] = self.ground_z_m
        if self.time_base is not TimeBase.UTC:
            document["time_base"] = self.time_base.value
        return document


def _sensor(entry: Mapping[str, Any]) -> Sensor:
    name, modality, rate_hz = entry["name"], Modality(entry["modality"]), float(entry["rate_hz"])
    sync = entry["sync"]
    tolerance_ns = sync.get("tolerance_ns")
    return Sensor(
        name=name,
        modality=modality,
        rate_hz=rate_hz,
        sync=Sync(
            stamp=Stamp(sync["stamp"]),
            expected_delay_ns=sync["expected_delay_ns"],
            tolerance_ns=round(NS_PER_S / rate_hz / 2) if tolerance_ns is None else tolerance_ns,
            warn_residual_ns=sync.get("warn_residual_ns", DEFAULT_WARN_RESIDUAL_NS),
            required=sync["required"],
            sweeps=sync.get("sweeps", 1),
            compensated=sync.get("compensated", False),
            flash=sync.get("flash", False),
        ),
        ego_SE3_sensor=_pose(name, entry.get("ego_SE3_sensor")),
        intrinsics=_intrinsics(name, entry.get("intrinsics")),
        topic=entry.get("topic"),
    )


def _pose(name: str, entry: Mapping[str, Any] | None) -> SE3 | None:
    if entry is None:
        return None
    try:
        return SE3.from_wxyz(entry["translation_m"], entry["rotation_wxyz"])
    except ValueError as error:
        raise RigError(f"sensor {name}: ego_SE3_sensor: {error}") from error


def _intrinsics(name: str, entry: Mapping[str, Any] | None) -> Intrinsics | None:
    if entry is None:
        return None
    intrinsics = Intrinsics(
        width_px=entry["width_px"],
        height_px=entry["height_px"],
        fx_px=entry["fx_px"],
        fy_px=entry["fy_px"],
        cx_px=entry["cx_px"],
        cy_px=entry["cy_px"],
        distortion=tuple(entry.get("distortion", ())),
    )
    inside = 0 <= intrinsics.cx_px <= intrinsics.width_px and 0 <= intrinsics.cy_px <= intrinsics.height_px
    if not inside:
        raise RigError(
            f"sensor {name}: principal point ({intrinsics.cx_px}, {intrinsics.cy_px}) px lies outside its "
            f"{intrinsics.width_px}x{intrinsics.height_px} px image"
        )
    if not all(math.isfinite(value) for value in (intrinsics.fx_px, intrinsics.fy_px, *intrinsics.distortion)):
        raise RigError(f"sensor {name}: intrinsics hold a value that is not finite")
    return intrinsics


def _sensor_document(sensor: Sensor) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": sensor.name,
        "modality": sensor.modality.value,
        "rate_hz": sensor.rate_hz,
        "sync": asdict(sensor.sync) | {"stamp": sensor.sync.stamp.value},
        "ego_SE3_sensor": None,
    }
    if sensor.topic is not None:
        document["topic"] = sensor.topic
    if sensor.ego_SE3_sensor is not None:
        document["ego_SE3_sensor"] = {
            "translation_m": [float(value) for value in sensor.ego_SE3_sensor.translation_m],
            "rotation_wxyz": [float(value) for value in sensor.ego_SE3_sensor.wxyz],
        }
    if sensor.intrinsics is not None:
        document["intrinsics"] = asdict(sensor.intrinsics) | {"distortion": list(sensor.intrinsics.distortion)}
    return document
