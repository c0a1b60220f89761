"""Whole recordings (MCAP, ROS 1 bag, ROS 2 SQLite bag) as one stream of stamps per sensor."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fleet.errors import SourceError
from fleet.recordings.files import recording_files
from fleet.recordings.topics import READ_TYPES, TopicMap
from sensors.container.recorded import ROS1, ContainerFault, Recorded
from sensors.decode.messages import peek_stamp_ns
from sensors.decode.ros1 import peek_ros1_stamp_ns
from sensors.errors import DecodeError
from sensors.rig import Modality, Rig
from sensors.stamps import Nanoseconds

MAX_FAULTS_LISTED = 20


@dataclass(frozen=True, slots=True, eq=False)
class StampStream:
    """One sensor's frames in the order in which they were logged: header stamps and log times, (N,) int64 each.

    `modality` is the rig's, else that of the message type; None if unknown.
    """

    sensor: str
    modality: Modality | None
    stamps_ns: Nanoseconds
    log_ns: Nanoseconds


def stamp_streams(path: Path, rig: Rig | None) -> tuple[tuple[StampStream, ...], tuple[str, ...]]:
    """The stamps of every sensor of a recording, and notes for its user. Header stamps alone are read, no payload.

    With a rig the streams are its sensors that have frames, in the rig's order; else every topic whose type has a
    decoder, named by its topic, in the order of names. A message whose stamp was never set (0) has its log time instead; one
    whose stamp cannot be read is left out; both are noted.

    Raises:
        SourceError: Not a supported recording, or no usable topic in it.
    """
    files, notes = recording_files(path)
    topics, faults = TopicMap(rig), FaultNotes()
    stamps: dict[str, tuple[array[int], array[int]]] = {}
    unset: Counter[str] = Counter()
    unreadable: Counter[str] = Counter()
    for file in files:
        for item in file.read():
            if isinstance(item, ContainerFault):
                faults.add(file.path.name, item)
                continue
            faults.see(item)
            source = topics.source(item)
            if source is None:
                continue
            try:
                stamp_ns = header_stamp_ns(item)
            except DecodeError:
                unreadable[source.sensor] += 1
                continue
            unset[source.sensor] += stamp_ns == 0
            of_sensor = stamps.setdefault(source.sensor, (array("q"), array("q")))
            of_sensor[0].append(stamp_ns or item.log_ns)
            of_sensor[1].append(item.log_ns)
    unusable = [f"{name}: {count} messages have no readable stamp and are left out" for name, count in unreadable.items()]
    if not stamps:
        raise SourceError(no_topic(path, topics, unusable))
    modality = {source.sensor: source.modality for source in topics.sources}
    order = sorted(stamps) if rig is None else [sensor.name for sensor in rig.sensors if sensor.name in stamps]
    found = tuple(StampStream(name, modality[name], *(np.array(values, np.int64) for values in stamps[name])) for name in order)
    flaws = [f"{name}: {count} stamps were never set (0); the log time is taken" for name, count in unset.items() if count]
    flaws += unusable
    flaws += [f"{name}: the recording has no message of it" for name in topics.absent()]
    return found, (*notes, *faults.words(), *flaws, *topics.left_out())


def header_stamp_ns(message: Recorded) -> int:
    """The stamp in the header of a message of a supported type.

    Raises:
        DecodeError: It has no readable stamp.
    """
    return (peek_ros1_stamp_ns if message.encoding == ROS1 else peek_stamp_ns)(message.data)


class FaultNotes:
    """Notes on the flaws of a recording's files: the first are listed, the rest counted."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._more = 0
        self._salvaged = 0

    def add(self, file: str, fault: ContainerFault) -> None:
        """Record a flaw."""
        if len(self._words) < MAX_FAULTS_LISTED:
            self._words.append(f"{file}: {fault.kind} at {fault.offset}: {fault.message}")
        else:
            self._more += 1

    def see(self, message: Recorded) -> None:
        """Count a salvaged message."""
        self._salvaged += message.salvaged

    def words(self) -> tuple[str, ...]:
        """All notes."""
        more = [f"and {self._more} more faults"] if self._more else []
        saved = [f"{self._salvaged} messages were salvaged from a chunk that is cut; no checksum covers them"]
        return (*self._words, *more, *(saved if self._salvaged else []))


def no_topic(path: Path, topics: TopicMap, unusable: Sequence[str]) -> str:
    """Why a recording is unusable, and the remedy; `unusable`: the problems of messages on supported topics."""
    left_out: Sequence[str] = (*unusable, *topics.left_out())
    if not left_out:
        return f"{path} holds no message; was it recorded, and copied completely?"
    return (
        f"{path} holds no usable topic: {'; '.join(left_out[:10])}. The supported types are {', '.join(sorted(READ_TYPES))}; "
        "record the drivers' decoded topics, or name the topics in a rig (--rig)"
    )
