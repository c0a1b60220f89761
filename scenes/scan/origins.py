"""Where the messages of an object come from: topic, type and frame of each, and which of them are not the sensor's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import NamedTuple

from scenes.documents import MessageOrigin, ObjectReport
from sensors.decode.cdr import Bytes, CdrReader
from sensors.decode.messages import ODOMETRY, message_header
from sensors.errors import DecodeError
from sensors.rig import Rig

MAX_ORIGINS = 20  # of one object; the rest is counted as one
LONGEST_NAME = 200  # of what is kept of a topic or a frame
NAMES_AT = 12  # behind encapsulation and stamp
OTHER_ORIGINS = "other topics or frames"


class _Origin(NamedTuple):
    topic: str
    message_type: str
    frame_id: str | None
    child_frame_id: str | None


class MessageOrigins:
    """Counts the messages of one object by origin. What it holds is bounded, whatever the messages contain."""

    def __init__(self) -> None:
        self._counts: Counter[_Origin] = Counter()
        # Of the message before: nearly every message of a sensor repeats these bytes.
        self._topic, self._type, self._names, self._names_end = "", "", b"", NAMES_AT
        self._origin: _Origin | None = None

    def take(self, topic: str, message_type: str, cdr: Bytes) -> None:
        """Count a message whose type is known for the sensor; one whose frame cannot be read counts for its topic alone."""
        same = topic == self._topic and message_type == self._type
        if self._origin is not None and same and bytes(cdr[NAMES_AT : self._names_end]) == self._names:
            self._counts[self._origin] += 1
            return
        origin = self._parsed(topic, message_type, cdr)
        if origin not in self._counts and len(self._counts) >= MAX_ORIGINS:
            origin, self._origin = _Origin(OTHER_ORIGINS, "", None, None), None
        self._counts[origin] += 1

    def counted(self) -> tuple[MessageOrigin, ...]:
        """Every origin with its messages, in the order in which they were met."""
        return tuple(MessageOrigin(*origin, messages=count) for origin, count in self._counts.items())

    def _parsed(self, topic: str, message_type: str, cdr: Bytes) -> _Origin:
        self._origin = None
        try:
            reader = CdrReader(cdr)
            _, frame_id = message_header(reader)
            child_frame_id = reader.string("child_frame_id") if message_type == ODOMETRY else None
        except DecodeError:
            return _Origin(topic[:LONGEST_NAME], message_type, None, None)
        end = len(cdr) - reader.remaining
        self._topic, self._type, self._names, self._names_end = topic, message_type, bytes(cdr[NAMES_AT:end]), end
        child = None if child_frame_id is None else _frame(child_frame_id)
        self._origin = _Origin(topic[:LONGEST_NAME], message_type, _frame(frame_id), child)
        return self._origin


def _frame(name: str) -> str:
    """ROS 1 wrote frames with a leading slash, which tf2 ignores."""
    return name.removeprefix("/")[:LONGEST_NAME]


def foreign_messages(reports: Iterable[ObjectReport], rig: Rig | None) -> dict[str, Mapping[str, int]]:
    """By object key, what the messages that do not belong to its sensor are, in words, and how many; only objects with any.

    A sensor has one topic, one type and one frame in all objects of a drive. Its topic is the one that the rig names, or `/`
    and its own name as in a drive folder. Where the rig names none it may also be, like type and frame, the one that most of its
    messages have, but never that of another sensor.
    """
    homes = {} if rig is None else {one.name: _homes(one.name, one.topic) for one in rig.sensors}
    by_sensor: dict[str, list[ObjectReport]] = {}
    for report in sorted(reports, key=lambda one: one.key):
        by_sensor.setdefault(report.sensor, []).append(report)
    found: dict[str, Mapping[str, int]] = {}
    for sensor, own in by_sensor.items():
        named = rig[sensor].topic if rig is not None and sensor in rig else None
        others = {topic for other, topics in homes.items() if other != sensor for topic in topics}
        expected = _expected([origin for report in own for origin in report.origins], sensor, named, others)
        for report in own:
            words = _foreign(report.origins, expected)
            if words:
                found[report.key] = MappingProxyType(words)
    return found


def _homes(sensor: str, named: str | None) -> Set[str]:
    """The topics that are a sensor's: the one that the rig names, and that of a drive folder."""
    return {f"/{sensor}"[:LONGEST_NAME], *(() if named is None else (named[:LONGEST_NAME],))}


def _expected(origins: Sequence[MessageOrigin], sensor: str, named: str | None, others: Set[str]) -> MessageOrigin:
    homes = _homes(sensor, named)
    topics = {one.topic for one in origins if one.topic in homes or (named is None and one.topic not in others)}
    topic = _most((one.topic, one.messages) for one in origins if one.topic in topics)
    if topic is None:
        topic = named or f"/{sensor}"
    own = [one for one in origins if one.topic == topic] or origins
    message_type = _most((one.message_type, one.messages) for one in own) or ""
    own = [one for one in own if one.message_type == message_type]
    frame_id = _most((one.frame_id, one.messages) for one in own if one.frame_id is not None)
    child_frame_id = _most((one.child_frame_id, one.messages) for one in own if one.child_frame_id is not None)
    return MessageOrigin(topic, message_type, frame_id, child_frame_id, messages=0)


def _most(counted: Iterable[tuple[str | None, int]]) -> str | None:
    """What most messages have; of equally many, what came first."""
    counts: Counter[str | None] = Counter()
    for name, messages in counted:
        counts[name] += messages
    return counts.most_common(1)[0][0] if counts else None


def _foreign(origins: Sequence[MessageOrigin], expected: MessageOrigin) -> dict[str, int]:
    words: Counter[str] = Counter()
    for one in origins:
        problem = _difference(one, expected)
        if problem is not None:
            words[problem] += one.messages
    return dict(words)


def _difference(one: MessageOrigin, expected: MessageOrigin) -> str | None:
    if one.topic != expected.topic:
        return f"topic {one.topic!r} instead of {expected.topic!r}"
    if one.message_type != expected.message_type:
        return f"type {one.message_type} instead of {expected.message_type}"
    if one.frame_id is not None and one.frame_id != expected.frame_id:
        return f"frame {one.frame_id!r} instead of {expected.frame_id!r}"
    if one.child_frame_id is not None and one.child_frame_id != expected.child_frame_id:
        return f"child frame {one.child_frame_id!r} instead of {expected.child_frame_id!r}"
    return None
