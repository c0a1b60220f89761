"""Samples of the vehicle's motion from pose, IMU and GNSS objects: small enough to be read for a whole drive."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from sensors.decode.cdr import Bytes
from sensors.decode.messages import MessageMemory, decode_fix, decode_imu, pose_values
from sensors.rig import Modality


def _schema(*names: str) -> pa.Schema:
    values = [pa.field(name, pa.float64(), nullable=False) for name in names]
    return pa.schema([pa.field("stamp_ns", pa.int64(), nullable=False), *values])


POSES = _schema("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")
INERTIAL = _schema("wx_rad_s", "wy_rad_s", "wz_rad_s", "ax_m_s2", "ay_m_s2", "az_m_s2")
FIXES = _schema("latitude_deg", "longitude_deg", "altitude_m", "status")
NO_SAMPLES = POSES.empty_table()  # of most objects: making one takes longer than reading all of the object's messages


def _pose(cdr: Bytes, memory: MessageMemory) -> Sequence[float]:
    return pose_values(cdr, memory)[1]


def _inertial(cdr: Bytes, memory: MessageMemory) -> Sequence[float]:
    sample = decode_imu(cdr, memory)
    return (*sample.angular_velocity_rad_s, *sample.linear_acceleration_m_s2)


def _fix(cdr: Bytes, memory: MessageMemory) -> Sequence[float]:
    fix = decode_fix(cdr, memory)
    return fix.latitude_deg, fix.longitude_deg, fix.altitude_m, float(fix.status)


_KINDS: dict[Modality, tuple[pa.Schema, Callable[[Bytes, MessageMemory], Sequence[float]]]] = {
    Modality.POSE: (POSES, _pose),
    Modality.IMU: (INERTIAL, _inertial),
    Modality.GNSS: (FIXES, _fix),
}
MOTION = frozenset(_KINDS)


class MotionSamples:
    """Samples of one object of a modality of `MOTION`, in its order."""

    def __init__(self, modality: Modality) -> None:
        self._schema, self._read = _KINDS[modality]
        self._stamps_ns, self._values = array("q"), array("d")
        self._memory = MessageMemory()

    def take(self, stamp_ns: int, cdr: Bytes) -> None:
        """Read one message.

        Raises:
            DecodeError: It does not decode; nothing of it is kept.
        """
        self._values.extend(self._read(cdr, self._memory))
        self._stamps_ns.append(stamp_ns)

    def table(self) -> pa.Table:
        """All samples: `stamp_ns` and the values of the schema."""
        values = np.asarray(self._values, dtype=np.float64).reshape(-1, len(self._schema) - 1)
        columns = [pa.array(np.asarray(self._stamps_ns, dtype=np.int64)), *(pa.array(column) for column in values.T)]
        return pa.Table.from_arrays(columns, schema=self._schema)
