"""Assigns the topics of a recording to sensors: by a rig, or without one by name and message type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fleet.errors import SourceError
from sensors.container.recorded import CDR, ROS1, Recorded
from sensors.decode.camera_info import CAMERA_INFO
from sensors.decode.messages import FIX, IMAGE, IMU, ODOMETRY, POINT_CLOUD
from sensors.decode.raw_image import RAW_IMAGE
from sensors.decode.ros1 import POSE_STAMPED, POSE_WITH_COVARIANCE, TRANSFORM_STAMPED
from sensors.decode.transforms import TRANSFORMS
from sensors.rig import Modality, Rig, Sensor

READ_TYPES: Mapping[str, tuple[Modality, ...]] = MappingProxyType(
    {
        POINT_CLOUD: (Modality.LIDAR, Modality.RADAR),
        IMAGE: (Modality.CAMERA, Modality.RADAR),
        RAW_IMAGE: (Modality.CAMERA, Modality.RADAR),
        ODOMETRY: (Modality.POSE,),
        POSE_STAMPED: (Modality.POSE,),
        POSE_WITH_COVARIANCE: (Modality.POSE,),
        TRANSFORM_STAMPED: (Modality.POSE,),
        IMU: (Modality.IMU,),
        FIX: (Modality.GNSS,),
    }
)
"""The possible modalities of a message type; the first is the default."""

NO_FRAMES: Mapping[str, str] = MappingProxyType(
    {
        CAMERA_INFO: "it describes a lens: `drive import recording` reads it where no rig is given",
        TRANSFORMS: "it places frames: `drive import recording` reads /tf_static where no rig is given, and no moving ones",
    }
)
"""Types that the importer reads although they are no frames of a sensor, and what they are."""

MAX_SENSORS = 256  # as in the calibration's schema
MAX_TOPICS = 4096
LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class SensorTopic:
    """A sensor, and the topic and message type that its frames come from."""

    sensor: str
    modality: Modality
    topic: str
    message_type: str
    encoding: str


@dataclass(frozen=True, slots=True)
class LostMessages:
    """Messages that hold frames and are left out. `sensor`: None where no sensor of the drive has their topic."""

    sensor: str | None
    messages: int
    words: str


class TopicMap:
    """Assigns the messages of a recording to sensors one by one; messages of no sensor are counted."""

    def __init__(self, rig: Rig | None) -> None:
        """Take the topics from a rig; a sensor without one has the topic `/` and its name, as in a drive folder's files.

        Raises:
            SourceError: Two sensors of the rig have the same topic.
        """
        self._rig: dict[str, Sensor] | None = None if rig is None else _by_topic(rig)
        self._sources: dict[tuple[str, str, str], SensorTopic | None] = {}
        self._why: dict[tuple[str, str, str], str] = {}
        self._beyond: set[tuple[str, str, str]] = set()
        self._left_out: Counter[tuple[str, str, str]] = Counter()

    @property
    def sources(self) -> tuple[SensorTopic, ...]:
        """The sensors found so far, in the order of their first messages."""
        return tuple(source for source in self._sources.values() if source is not None)

    def source(self, message: Recorded) -> SensorTopic | None:
        """The sensor of a message; None if it is left out."""
        key = message.topic, message.message_type, message.encoding
        if key not in self._sources:
            if len(self._sources) >= MAX_TOPICS:
                key = ("other topics", "", "")
                self._sources.setdefault(key, None)
                self._why[key] = f"more than {MAX_TOPICS} topics"
            else:
                self._sources[key] = self._assign(key)
        found = self._sources[key]
        if found is None:
            self._left_out[key] += 1
        return found

    def left_out(self) -> tuple[str, ...]:
        """Text on what was left out: each topic with its type, count and reason; most messages first."""
        return tuple(self._words(key, count) for key, count in self._left_out.most_common())

    def lost(self) -> tuple[LostMessages, ...]:
        """What of `left_out` are frames: messages on the topic of a sensor, and those of sensors beyond the limit."""
        sensors = {topic: sensor.name for topic, sensor in (self._rig or {}).items()}
        sensors |= {source.topic: source.sensor for source in self.sources}
        return tuple(
            LostMessages(sensors.get(key[0]), count, self._words(key, count))
            for key, count in self._left_out.most_common()
            if key in self._beyond or (key[0] in sensors and key[1] not in NO_FRAMES)
        )

    def _words(self, key: tuple[str, str, str], count: int) -> str:
        topic, message_type, encoding = key
        return (
            f"{topic or 'a topic without name'} ({message_type or 'of no stated type'}, {encoding or 'of no stated encoding'}): "
            f"{count} messages left out, {self._why[key]}"
        )

    def absent(self) -> tuple[str, ...]:
        """Sensors of the rig without any message."""
        met = {source.sensor for source in self.sources}
        return tuple(sensor.name for sensor in (self._rig or {}).values() if sensor.name not in met)

    def _assign(self, key: tuple[str, str, str]) -> SensorTopic | None:
        topic, message_type, encoding = key
        possible = READ_TYPES.get(message_type)
        if message_type in NO_FRAMES and topic not in (self._rig or {}):
            self._why[key] = NO_FRAMES[message_type]
        elif self._rig is not None and topic not in self._rig:
            self._why[key] = "the rig names no sensor with this topic"
        elif possible is None:
            self._why[key] = "there is no decoder for this type"
        elif encoding not in (CDR, ROS1):
            self._why[key] = "only cdr and ros1 are decoded"
        elif any(source.topic == topic for source in self.sources):
            self._why[key] = "the topic has another type or encoding already"
        elif self._rig is None:
            if len(self.sources) < MAX_SENSORS:
                return SensorTopic(self._name(topic), _inferred(topic, possible), topic, message_type, encoding)
            self._why[key] = f"more than {MAX_SENSORS} sensors; name those that matter in a rig"
            self._beyond.add(key)
        elif self._rig[topic].modality in possible:
            return SensorTopic(self._rig[topic].name, self._rig[topic].modality, topic, message_type, encoding)
        else:
            self._why[key] = f"the rig says that it is a {self._rig[topic].modality}"
        return None

    def _name(self, topic: str) -> str:
        """A unique id derived from the topic."""
        base = re.sub(r"[^a-z0-9_-]+", "_", topic.lower()).strip("_-")[:LONGEST_NAME] or "sensor"
        taken = {source.sensor for source in self.sources}
        name, number = base, 2
        while name in taken:
            suffix = f"_{number}"
            name, number = base[: LONGEST_NAME - len(suffix)] + suffix, number + 1
        return name


def _by_topic(rig: Rig) -> dict[str, Sensor]:
    sensors: dict[str, Sensor] = {}
    for sensor in rig.sensors:
        other = sensors.setdefault(sensor.topic or f"/{sensor.name}", sensor)
        if other is not sensor:
            raise SourceError(
                f"rig {rig.rig_id}: {other.name} and {sensor.name} have the same topic {sensor.topic!r}; give each its own"
            )
    return sensors


def _inferred(topic: str, possible: tuple[Modality, ...]) -> Modality:
    return Modality.RADAR if Modality.RADAR in possible and "radar" in topic.lower() else possible[0]
