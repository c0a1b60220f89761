"""Statistics of one sensor's messages: stamps, and the state of its payload."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np

from fleet.mcap_writer import RecordedFrame
from fleet.recordings.topics import SensorTopic
from sensors.clocks.bursts import Bursts, bursts_of
from sensors.clocks.time_line import TimeLine, time_line
from sensors.decode.cdr import CdrReader
from sensors.decode.images import read_header
from sensors.decode.jpeg import lacks_huffman_tables
from sensors.decode.messages import decode, decode_image, message_header
from sensors.decode.points import PointCloud
from sensors.errors import DecodeError
from sensors.motion.sweep_times import descends, span_problem
from sensors.rig import Modality, Stamp
from sensors.stamps import Nanoseconds, recording_order, through_float
from sensors.time_units import NS_PER_S

SPAN_SLACK = 0.05  # share of a period by which point times may pass a stamp at an end of the sweep


@dataclass(slots=True)
class Census:
    """One sensor's frames: stamps and log times in file order, statistics of points, and the first problem of each kind.

    `frame_id` is that of the first frame that decodes; `child_frame_id`, of poses: the frame whose pose they are.
    """

    source: SensorTopic
    stamps: array[int] = field(default_factory=lambda: array("q"))
    logs: array[int] = field(default_factory=lambda: array("q"))
    unset: int = 0
    lost: int = 0
    first_lost: str = ""
    undecoded: int = 0
    first_undecoded: str = ""
    points: int = 0
    without_position: int = 0
    time_field: str | None = None
    time_span_ns: tuple[int, int] | None = None
    times_descend: bool = False
    image_size: tuple[str, int, int] | None = None
    without_tables: int = 0
    frame_id: str = ""
    child_frame_id: str = ""

    def lose(self, error: DecodeError) -> None:
        """Count a message that cannot be written."""
        self.first_lost = self.first_lost or str(error)
        self.lost += 1

    def see(self, frame: RecordedFrame, landing_type: str) -> None:
        """Examine a frame that is written. A frame that does not decode is written all the same, for the pipeline to judge."""
        self.stamps.append(frame.stamp_ns)
        self.logs.append(frame.log_ns)
        try:
            if not self.frame_id:
                self._frames(frame)
            decoded = decode(landing_type, frame.cdr)
            if isinstance(decoded, PointCloud):
                self._cloud(decoded)
            elif self.source.modality in (Modality.CAMERA, Modality.RADAR):
                image = decode_image(frame.cdr).data
                self.without_tables += lacks_huffman_tables(image)
                info = read_header(image)
                self.image_size = self.image_size or (info.encoding, info.width_px, info.height_px)
        except DecodeError as error:
            self.first_undecoded = self.first_undecoded or str(error)
            self.undecoded += 1

    @property
    def stamps_ns(self) -> Nanoseconds:
        """Stamps (N,), by log time, ties by position."""
        return np.array(self.stamps, dtype=np.int64)[recording_order(np.array(self.logs, dtype=np.int64))]

    @property
    def late(self) -> int:
        """How many messages stand behind one that was logged later."""
        logs = np.array(self.logs, dtype=np.int64)
        return int(np.count_nonzero(logs < np.maximum.accumulate(logs))) if logs.size else 0

    @property
    def line(self) -> TimeLine:
        """Which frames have stamps that do not fit the others; in the order of `stamps_ns`."""
        stamps_ns, log_ns = self.stamps_ns, np.sort(np.array(self.logs, dtype=np.int64))
        return time_line(stamps_ns, None if np.array_equal(stamps_ns, log_ns) else log_ns)

    @property
    def first_ns(self) -> int:
        """The first stamp that fits the others."""
        return int(self.stamps_ns[~self.line.off].min())

    @property
    def log_lag_ns(self) -> int:
        """Median of log time less stamp."""
        lags = np.sort(np.array(self.logs, dtype=np.int64) - np.array(self.stamps, dtype=np.int64))
        return int(lags[lags.size // 2])

    @property
    def period_ns(self) -> int | None:
        """Median step between different stamps, or between scans that are sent row by row; None if there is only one."""
        if self.bursts is not None:
            return self.bursts.period_ns
        steps = np.sort(np.diff(np.unique(self.stamps_ns)))
        return int(steps[steps.size // 2]) if steps.size else None

    @property
    def bursts(self) -> Bursts | None:
        """The scans of a sensor that sends them row by row; None of one that does not."""
        return bursts_of(self.stamps_ns) if self.source.modality.in_scene else None

    @property
    def stamp(self) -> Stamp | None:
        """The instant that the stamp denotes, by the point times of the first cloud that has some; None if unknown.

        Times before the stamp that go back as the points are stored have the wrong sign, or were sorted: they show nothing.
        """
        if self.time_span_ns is None or self.time_span_ns[0] == self.time_span_ns[1]:
            return None
        low_ns, high_ns = self.time_span_ns
        slack_ns = SPAN_SLACK * (self.period_ns or high_ns - low_ns)
        if low_ns >= -slack_ns:
            return Stamp.START
        if high_ns <= slack_ns:
            return None if self.times_descend else Stamp.END
        return Stamp.MIDDLE

    def words(self, nominal_ns: int | None = None) -> list[str]:
        """The census as findings; `nominal_ns`: the period that a rig declares, for a sensor with a single frame."""
        source, count = self.source, len(self.stamps)
        name = source.sensor
        rate = f", {NS_PER_S / self.period_ns:.2f} Hz" if self.period_ns else ""
        notes = [f"{name}: {count} frames{rate} from {source.topic} ({source.message_type}, {source.encoding})"]
        if self.points:
            share = self.without_position / self.points
            lacking = f"{self.without_position} of {self.points} points ({share:.0%})"
            notes.append(f"{name}: {lacking} have no position ((0,0,0) or not finite); kept")
        if source.modality is Modality.LIDAR and count > self.undecoded:
            notes.append(f"{name}: {self._times(nominal_ns)}")
        if self.image_size is not None:
            notes.append(f"{name}: {self.image_size[0]}, {self.image_size[1]} x {self.image_size[2]} px")
        if self.without_tables:
            notes.append(
                f"{name}: {self.without_tables} of {count} images have no Huffman tables and are no complete JPEG files: "
                "decoders that do not supply the standard tables refuse them; kept as they are"
            )
        if self.unset:
            notes.append(f"{name}: {self.unset} of {count} stamps were never set (0); the log time stands in their place")
        if self.undecoded:
            notes.append(
                f"{name}: {self.undecoded} of {count} frames do not decode and are kept as they are: {self.first_undecoded}"
            )
        if self.lost:
            notes.append(f"{name}: {self.lost} messages cannot be converted and are left out: {self.first_lost}")
        return notes + self._clock()

    def _frames(self, frame: RecordedFrame) -> None:
        reader = CdrReader(frame.cdr)
        _, self.frame_id = message_header(reader)
        if self.source.modality is Modality.POSE:
            self.child_frame_id = reader.string("child_frame_id")

    def _times(self, nominal_ns: int | None) -> str:
        if self.time_field is None or self.time_span_ns is None:
            return "points have no time of their own, so they cannot be motion-compensated"
        low_ms, high_ms = (value / 1e6 for value in self.time_span_ns)
        found = f"point times in {self.time_field!r}, {low_ms:+.2f} to {high_ms:+.2f} ms from the stamp in the first cloud"
        span_ns = self.time_span_ns[1] - self.time_span_ns[0]
        period_ns = self.period_ns or nominal_ns
        problem = None if period_ns is None else span_problem(span_ns, period_ns)
        return found if problem is None else f"{found}; they cannot be used for motion compensation: {problem}"

    def _clock(self) -> list[str]:
        name, notes, stamps_ns = self.source.sensor, [], self.stamps_ns
        if self.late:
            notes.append(
                f"{name}: {self.late} of {len(self.stamps)} messages stand behind one that was logged later; "
                "they were put in the order of their log times"
            )
        bursts = self.bursts
        if bursts is not None:
            notes.append(
                f"{name}: messages come in bursts of {bursts.rows}, {bursts.row_period_ns / 1e6:.3f} ms apart: rows of one scan; "
                "each is kept as a frame of its own, and the rate is that of the scans"
            )
        steps, line = np.diff(stamps_ns), self.line
        doubled = len(self.stamps) - np.unique(stamps_ns).size
        if doubled:
            notes.append(f"{name}: {doubled} of {len(self.stamps)} frames repeat the stamp of another; kept")
        if through_float(stamps_ns[~line.off]):
            notes.append(f"{name}: all stamps are multiples of 256 ns: they went through a float, and are that inexact; kept")
        off = np.flatnonzero(line.off)
        if off.size:
            first = int(off[0])
            notes.append(
                f"{name}: {off.size} of {len(self.stamps)} stamps do not fit the others, the first is {stamps_ns[first]} ns "
                f"(frame {first} by log time); kept, and left out of scenes by the pipeline (CLK011)"
            )
        if (steps < 0).any():
            notes.append(
                f"{name}: stamps step back {int((steps < 0).sum())} times, by {-int(steps.min()) / 1e6:.1f} ms at most; kept"
            )
        return notes

    def _cloud(self, cloud: PointCloud) -> None:
        placed = ~cloud.invalid()
        self.points += cloud.num_points
        self.without_position += int(np.count_nonzero(~placed))
        if self.time_span_ns is None and placed.any():
            times, column = cloud.time_offset_ns(), cloud.time_field()
            if times is not None and column is not None:
                self.time_field = column.name
                self.time_span_ns = int(times[placed].min()), int(times[placed].max())
                self.times_descend = descends(times[placed])
