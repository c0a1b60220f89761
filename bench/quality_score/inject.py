"""Puts faults into a finished drive folder, so that recorded data, too, have faults of known kind and size.

Of a generated drive, the result is the drive that the generator makes with the same faults. Log times stay as they were
recorded, except where they are the fault.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from fleet.drive_folder import read_manifest, write_calibration, write_manifest
from fleet.drive_layout import listed_files
from fleet.encode import encode_fix, encode_image, encode_imu, encode_points, encode_pose
from fleet.fault_kinds import FaultKind
from fleet.faults import Fault
from fleet.file_faults import apply_file_fault
from fleet.mcap_writer import RecordedFrame, SensorStream, write_stream
from fleet.synthetic.damage import damaged, declared, renamed, topic_of
from fleet.synthetic.miscalibration import miscalibrated
from fleet.synthetic.schedule import Shot, with_faults
from fleet.synthetic.spec import FaultPlan
from lake.landing import CALIBRATION, MANIFEST, DriveId
from sensors.container.mcap import scan
from sensors.container.recorded import StoredMessage
from sensors.decode.cdr import CdrReader
from sensors.decode.images import PNG_MAGIC
from sensors.decode.messages import FIX, IMAGE, IMU, ODOMETRY, POINT_CLOUD, decode, message_header
from sensors.decode.points import PointCloud, point_fields
from sensors.rig import Rig, Sensor
from sensors.time_units import NS_PER_S

STAMP = struct.Struct("<iI")  # seconds and nanoseconds, behind the encapsulation of every message
STAMP_AT = 4


@dataclass(frozen=True, slots=True)
class Injection:
    """The faults to put into a recording; as `FaultPlan`."""

    faults: tuple[Fault, ...]
    start_ns: int
    duration_ns: int
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Message:
    """A recorded message, and how its payload is decoded and encoded."""

    message_type: str
    log_ns: int
    cdr: bytes

    @property
    def stamp_ns(self) -> int:
        sec, nanosec = STAMP.unpack_from(self.cdr, STAMP_AT)
        return int(sec) * NS_PER_S + int(nanosec)

    def payload(self) -> Any:
        """What `fleet.synthetic.damage` damages: image bytes, points, a pose, or a sample."""
        found = decode(self.message_type, self.cdr)
        return _PAYLOADS[self.message_type](found)

    def encoded(self, payload: Any) -> bytes:
        """The message with another payload."""
        reader = CdrReader(self.cdr)
        _, frame_id = message_header(reader)
        stamp_ns = self.stamp_ns
        if self.message_type == IMAGE:
            return encode_image(stamp_ns, frame_id, "png" if payload.startswith(PNG_MAGIC) else "jpeg", payload)
        if self.message_type == POINT_CLOUD:
            return encode_points(stamp_ns, frame_id, point_fields(payload.dtype), payload)
        if self.message_type == ODOMETRY:
            return encode_pose(stamp_ns, payload, frame_id, reader.string("child_frame_id"))
        if self.message_type == IMU:
            return encode_imu(stamp_ns, payload[:3], payload[3:], frame_id)
        return encode_fix(stamp_ns, payload[0], payload[1], payload[2], frame_id)


def inject(source: Path, out: Path, drive: DriveId, plan: FaultPlan, latency_ns: int = 0) -> None:
    """Write the drive of the folder `source` to the new folder `out`, with the faults of `plan`.

    `latency_ns` is added to all log times first: importers of datasets, which have none, set them to the stamps, and they then
    bear no witness.

    Raises:
        SpecError: A fault cannot be applied to the drive.
    """
    document = json.loads((source / CALIBRATION).read_bytes())
    rig, manifest = Rig.from_dict(document), read_manifest(source, drive)
    if manifest is None:
        raise ValueError(f"{source} has no manifest")
    touched = {fault.sensor for fault in plan.faults}
    for name in listed_files(source):
        if name in (CALIBRATION, MANIFEST):
            continue
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        if name.split("/")[1] not in touched and not latency_ns:
            os.link(source / name, out / name)
    for sensor in rig.sensors:
        if sensor.name in touched or latency_ns:
            _rewrite(source, out, sensor, plan, latency_ns)
    for fault in plan.faults:
        document = miscalibrated(document, rig, fault)
    write_calibration(out, document)
    write_manifest(out, drive, manifest.recorder, manifest.recorder_version, manifest.losses)
    for fault in plan.faults:
        if fault.kind.on_files:
            apply_file_fault(out, fault, drive, rig)


def _rewrite(source: Path, out: Path, sensor: Sensor, plan: FaultPlan, latency_ns: int) -> None:
    """The files of one sensor, each with its frames after the faults; none for a file without any left."""
    folder = Path(sensor.modality.value) / sensor.name
    paths = sorted((source / folder).glob("*.mcap"))
    own = [fault.kind for fault in plan.faults if fault.sensor == sensor.name]
    if not latency_ns and all(kind.on_files or kind.on_calibration for kind in own):
        for path in paths:
            shutil.copyfile(path, out / folder / path.name)
        return
    messages = [list(_messages(path)) for path in paths]
    every = [message for of_file in messages for message in of_file]
    clean = [Shot(index, one.stamp_ns, one.stamp_ns, one.log_ns + latency_ns) for index, one in enumerate(every)]
    shots = with_faults(clean, sensor, plan)
    frames = iter(list(_frames(every, shots, sensor, plan)))
    for of_file in messages:
        kept = [frame for _, frame in zip(of_file, frames, strict=False) if frame is not None]
        if kept:
            stream = SensorStream(sensor.name, sensor.modality, of_file[0].message_type)
            write_stream(out, declared(stream, plan), kept)


def _messages(path: Path) -> Iterator[_Message]:
    with path.open("rb") as stream:
        for item in scan(stream):
            if not isinstance(item, StoredMessage):
                raise ValueError(f"{path} is damaged: {item.message}")
            yield _Message(item.message_type, item.log_ns, bytes(item.data))


def _frames(
    messages: Sequence[_Message], shots: Sequence[Shot], sensor: Sensor, plan: FaultPlan
) -> Iterator[RecordedFrame | None]:
    """The frame of each shot, None if it is not recorded; only frames whose payload may change are decoded."""
    before = None
    for message, shot in zip(messages, shots, strict=True):
        if not shot.recorded:
            yield None
            continue
        cdr = message.cdr
        if any(not _of_time(plan.faults[index]) for index in shot.faults) or _repeats(plan, sensor):
            payload = message.payload()
            changed = damaged(payload, shot, sensor.name, plan, before)
            before = changed
            if changed is not payload:
                cdr = message.encoded(changed)
        cdr = cdr[:STAMP_AT] + STAMP.pack(*divmod(shot.stamp_ns, NS_PER_S)) + cdr[STAMP_AT + STAMP.size :]
        yield RecordedFrame(shot.stamp_ns, shot.log_ns, renamed(cdr, shot, plan), topic_of(shot, plan))


def _of_time(fault: Fault) -> bool:
    """Whether a fault changes no payload."""
    return fault.offset_ns is not None or fault.kind in _NO_PAYLOAD


def _repeats(plan: FaultPlan, sensor: Sensor) -> bool:
    return any(fault.kind is FaultKind.REPEAT_CONTENT and fault.sensor == sensor.name for fault in plan.faults)


def _points(cloud: PointCloud) -> Any:
    """The points (N,) as a packed structured array."""
    kinds = [(one.name, cloud.column(one.name).dtype, (one.count,) if one.count > 1 else ()) for one in cloud.fields]
    points = np.empty(cloud.num_points, dtype=np.dtype(cast(Any, kinds)))
    for name, *_ in kinds:
        points[name] = cloud.column(name)
    return points


_PAYLOADS: dict[str, Callable[[Any], Any]] = {
    IMAGE: lambda image: bytes(image.data),
    POINT_CLOUD: _points,
    ODOMETRY: lambda sample: sample.odom_SE3_ego,
    IMU: lambda sample: np.array([*sample.angular_velocity_rad_s, *sample.linear_acceleration_m_s2]),
    FIX: lambda fix: (fix.latitude_deg, fix.longitude_deg, fix.altitude_m),
}
_NO_PAYLOAD = frozenset(
    {
        FaultKind.DEAD_SENSOR,
        FaultKind.DROP_FRAMES,
        FaultKind.DUPLICATE_STAMPS,
        FaultKind.LATE_FRAMES,
        FaultKind.LOG_PACE,
        FaultKind.CLOCK_DRIFT,
        FaultKind.CLOCK_UNIT,
        FaultKind.UNKNOWN_MESSAGE_TYPE,
        FaultKind.WRONG_FRAME,
        FaultKind.SECOND_TOPIC,
    }
)
