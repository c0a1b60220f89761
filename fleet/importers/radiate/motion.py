"""GPS, IMU and the pose derived from them, from RADIATE's `GPS_IMU_Twist` files."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fleet.encode import encode_fix, encode_imu, encode_pose
from fleet.errors import SourceError
from fleet.importers.import_findings import ImportFindings
from fleet.importers.radiate.index import IndexedFrame, read_index
from fleet.importers.source import RowFaults, position, read_text_lines, rigid
from fleet.mcap_writer import RecordedFrame, SensorStream, write_stream
from sensors.decode.messages import FIX, IMU, ODOMETRY
from sensors.geometry import SE3, metres_per_degree
from sensors.rig import Modality

NAME = "GPS_IMU_Twist"
POSITION_LINE, QUATERNION_LINE, GYRO_LINE, ACCELERATION_LINE = 0, 4, 5, 6

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MotionSample:
    """One file: latitude and longitude in degrees, altitude in metres; quaternion xyzw; gyroscope; accelerometer."""

    stamp_ns: int
    position: Floats
    quaternion_xyzw: Floats
    gyro: Floats
    acceleration: Floats


def read_motion(src: Path, findings: ImportFindings, faults: RowFaults) -> list[MotionSample]:
    """All samples in the order of the index, less those that are noted in `faults`; none, and a finding, without an index.

    Raises:
        SourceError: As `read_index`.

    """
    if not (src / f"{NAME}.txt").is_file():
        words = f"{NAME}: not in the source, so there is no pose"
        files = sum(1 for _ in (src / NAME).glob("*.txt"))
        findings.lose(None, files, f"{words}; {files} files have no index") if files else findings.append(words)
        return []
    read = [_sample(row, faults) for row in read_index(src, NAME, None, ".txt", findings, faults).frames]
    samples = [sample for sample in read if sample is not None]
    if repeated := _repeated(samples):
        findings.append(f"{NAME}: {repeated} of {len(samples)} samples repeat stamp and position of the one before; kept")
    findings.append(f"{NAME}: units of gyroscope and accelerometer are not stated; taken as rad/s and m/s² without gravity")
    findings.append(f"{NAME}: the pose is the position in metres from the first one, and the quaternion as it is")
    return samples


def write_motion(out: Path, samples: list[MotionSample]) -> None:
    """Write the sensors `gnss`, `imu` and `pose`; nothing if there are no samples."""
    if not samples:
        return
    origin = samples[0].position
    north_m, east_m = metres_per_degree(float(origin[0]))
    fixes, inertial, poses = [], [], []
    for sample in samples:
        at_ns = sample.stamp_ns
        latitude, longitude, altitude = (float(value) for value in sample.position)
        place_m = ((longitude - origin[1]) * east_m, (latitude - origin[0]) * north_m, altitude - origin[2])
        x, y, z, w = sample.quaternion_xyzw
        fixes.append(RecordedFrame(at_ns, at_ns, encode_fix(at_ns, latitude, longitude, altitude)))
        inertial.append(RecordedFrame(at_ns, at_ns, encode_imu(at_ns, sample.gyro, sample.acceleration)))
        poses.append(RecordedFrame(at_ns, at_ns, encode_pose(at_ns, SE3.from_wxyz(place_m, (w, x, y, z)))))
    write_stream(out, SensorStream("gnss", Modality.GNSS, FIX), fixes)
    write_stream(out, SensorStream("imu", Modality.IMU, IMU), inertial)
    write_stream(out, SensorStream("pose", Modality.POSE, ODOMETRY), poses)


def _sample(row: IndexedFrame, faults: RowFaults) -> MotionSample | None:
    lines = faults.attempt(read_text_lines, row.path)
    if lines is None:
        return None
    place = faults.attempt(_position, row.path, lines)
    quaternion_xyzw = faults.attempt(_quaternion, row.path, lines)
    gyro, acceleration = (faults.attempt(_numbers, row.path, lines, line, 3) for line in (GYRO_LINE, ACCELERATION_LINE))
    if place is None or quaternion_xyzw is None or gyro is None or acceleration is None:
        return None
    return MotionSample(row.stamp_ns, place, quaternion_xyzw, gyro, acceleration)


def _position(path: Path, lines: list[str]) -> Floats:
    values = _numbers(path, lines, POSITION_LINE, 3)
    try:
        return np.array(position(*values.tolist()))
    except ValueError as error:
        raise SourceError(f"{path}, line {POSITION_LINE + 1}: {error}") from error


def _quaternion(path: Path, lines: list[str]) -> Floats:
    values = _numbers(path, lines, QUATERNION_LINE, 4)
    x, y, z, w = values.tolist()
    try:
        rigid((0.0, 0.0, 0.0), (w, x, y, z))
    except ValueError as error:
        raise SourceError(f"{path}, line {QUATERNION_LINE + 1}: {error}") from error
    return values


def _repeated(samples: list[MotionSample]) -> int:
    return sum(
        before.stamp_ns == after.stamp_ns and np.array_equal(before.position, after.position)
        for before, after in itertools.pairwise(samples)
    )


def _numbers(path: Path, lines: list[str], line: int, count: int) -> Floats:
    try:
        values = np.array([float(value) for value in lines[line].split(",")])
    except (IndexError, ValueError) as error:
        raise SourceError(f"{path}, line {line + 1}: is not {count} numbers: {error}") from error
    if values.shape != (count,) or not np.isfinite(values).all():
        raise SourceError(f"{path}, line {line + 1}: holds {lines[line][:80]!r} instead of {count} numbers")
    return values
