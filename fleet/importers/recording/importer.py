"""Any recording with all topics in it (MCAP, ROS 1 bag, ROS 2 SQLite bag, or a folder of those) as a drive.

One pass over the recording; each sensor has its own writer, so memory holds one chunk of the recording and one of each sensor.
A sensor whose messages do not stand in the order of their log times is written once more, in that order.

- The rig assigns topics to sensors (`topic` in calibration.json); without a rig, sensors are inferred from names and types,
  with mountings from `/tf_static` and lenses from `CameraInfo`, where the recording has them.
- ROS 1 messages become the ROS 2 messages of the same name; values are unchanged, `Header.seq` has no counterpart and is dropped.
- `sensor_msgs/Image` becomes PNG with the same pixels, 8 or 16 bit. Poses without velocity become Odometry with zero twist.
- A header stamp of 0 was never set: the log time replaces it. Other stamps are unchanged, including those of another clock.
- Of a truncated recording, every intact message is imported.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from fleet import Progress, silent
from fleet.drive_folder import DriveFolder, write_calibration, write_manifest
from fleet.drive_layout import claim
from fleet.errors import SourceError
from fleet.importers.import_findings import ImportFindings
from fleet.importers.new_folder import into_new_folder
from fleet.importers.recording.census import Census
from fleet.importers.recording.frames import LANDED_AS, landed
from fleet.importers.recording.log_order import put_in_log_order
from fleet.importers.recording.rig import RecordedCalibration, infer_rig
from fleet.importers.source import ImportResult
from fleet.mcap_writer import SensorStream, StreamWriter
from fleet.recordings.files import RecordingFile, recording_files
from fleet.recordings.stamp_streams import FaultNotes, no_topic
from fleet.recordings.topics import SensorTopic, TopicMap
from lake.landing import DriveId
from sensors.clocks.domains import difference_name, logged_domains
from sensors.container.recorded import ROS1, ContainerFault, Recorded
from sensors.decode.raw_image import RAW_IMAGE
from sensors.errors import DecodeError
from sensors.rig import Rig, TimeBase
from sensors.stamps import date_of, plausible
from sensors.time_units import NS_PER_S

RECORDER = "scenelake-import-recording"
RECORDER_VERSION = "1"
SEGMENT_NS = 60 * NS_PER_S  # an object is a unit of parallel work
REPORT_BYTES = 1024 * 1024
LATE_LOG_NS = 10 * NS_PER_S  # longer than the transport of a message ever takes


@into_new_folder
def import_drive(
    src: Path, out: Path, vehicle_id: str, drive_id: str, progress: Progress | None = None, rig: Rig | None = None
) -> ImportResult:
    """Write the recording `src` as a drive; see `fleet.importers.registry.RigImporter`."""
    drive = DriveId(vehicle_id, drive_id)
    files, notes = recording_files(src)
    topics = TopicMap(rig)
    claim(out)
    with ExitStack() as stack:
        taking = _Taking(out, topics, stack, infers=rig is None)
        for file in files:
            taking.take(file, progress or silent)
        taking.finish()
    taking.order()
    sensors = [census for census in taking.sensors.values() if census.stamps]
    if not sensors:
        lost = [
            f"{name}: {census.lost} messages cannot be converted: {census.first_lost}" for name, census in taking.sensors.items()
        ]
        raise SourceError(no_topic(src, topics, lost))
    inferred: tuple[str, ...] = ()
    given = rig
    if rig is None:
        rig, inferred = infer_rig(sensors, taking.calibration)
    rig, dated = _time_base(sensors, rig, given=given is not None)
    write_calibration(out, rig.to_dict())
    findings = ImportFindings()
    for word in (*notes, *taking.faults.words()):  # files that are missing, and damage: nothing counts what was in them
        findings.lose(None, None, word)
    findings += inferred
    for name, census in taking.sensors.items():
        findings += census.words(None if given is None or name not in given else given[name].period_ns)
        if census.lost:
            findings.record_loss(name, census.lost, f"{census.lost} messages could not be converted: {census.first_lost}")
    _left_out(topics, findings)
    findings += [*dated, *_clocks(sensors, rig), *_converted(sensors), *topics.left_out()]
    write_manifest(out, drive, RECORDER, RECORDER_VERSION, findings.losses)
    return ImportResult(DriveFolder.load(out), tuple(findings))


def _left_out(topics: TopicMap, findings: ImportFindings) -> None:
    """Record what is lost with whole topics. `topics.left_out` has the words on those that have messages."""
    lost = topics.lost()
    for entry in lost:
        findings.record_loss(entry.sensor, entry.messages, entry.words)
    for name in topics.absent():
        if all(entry.sensor != name for entry in lost):
            findings.lose(name, None, f"{name}: the recording has no message of it")


class _Taking:
    """The single pass: every message goes to the writer and the census of its sensor."""

    def __init__(self, out: Path, topics: TopicMap, stack: ExitStack, *, infers: bool) -> None:
        self._infers = infers  # a given rig contains the mountings
        self.calibration = RecordedCalibration()
        self._out, self._topics, self._stack = out, topics, stack
        self._writers: dict[str, StreamWriter] = {}
        self._streams: dict[str, SensorStream] = {}
        self.sensors: dict[str, Census] = {}
        self.faults = FaultNotes()

    def take(self, file: RecordingFile, progress: Progress) -> None:
        done = reported = 0
        for item in file.read():
            if isinstance(item, ContainerFault):
                self.faults.add(file.path.name, item)
                continue
            self.faults.see(item)
            self._take(item)
            done += len(item.data)
            if done - reported >= REPORT_BYTES:
                reported = done
                progress(file.path.name, min(done, file.size_bytes), file.size_bytes)
        progress(file.path.name, file.size_bytes, file.size_bytes)

    def _take(self, message: Recorded) -> None:
        if self._infers and self.calibration.take(message):
            return
        source = self._topics.source(message)
        if source is not None:
            self._message(source, message)

    def finish(self) -> None:
        for writer in self._writers.values():
            writer.finish()

    def order(self) -> None:
        """Put the messages of every sensor in the order of their log times; all files are written."""
        for name, stream in self._streams.items():
            if self.sensors[name].late:
                put_in_log_order(self._out, stream, SEGMENT_NS)

    def _message(self, source: SensorTopic, message: Recorded) -> None:
        census = self.sensors.setdefault(source.sensor, Census(source))
        landing_type = LANDED_AS.get(source.message_type, source.message_type)
        try:
            taken = landed(message)
        except DecodeError as error:
            census.lose(error)
            return
        if source.sensor not in self._writers:
            stream = self._streams[source.sensor] = SensorStream(source.sensor, source.modality, landing_type)
            self._writers[source.sensor] = self._stack.enter_context(closing(StreamWriter(self._out, stream, SEGMENT_NS)))
        self._writers[source.sensor].add(taken.frame)
        census.unset += taken.unset
        census.see(taken.frame, landing_type)


def _time_base(sensors: list[Census], rig: Rig, *, given: bool) -> tuple[Rig, list[str]]:
    """The rig with the time base that the recording shows, and what to know of it. A simulator counts from its start: all stamps
    agree with each other and with their log times, and none is a date. A rig that was given stays as it is."""
    undated = [census for census in sensors if not plausible(census.first_ns)]
    if not undated or rig.time_base is TimeBase.OTHER:
        return rig, []
    first = min(undated, key=lambda census: census.first_ns)
    read = f"stamps of {first.source.sensor} begin at {first.first_ns} ns, which reads as {date_of(first.first_ns)}"
    agree = all(abs(census.log_lag_ns) <= LATE_LOG_NS for census in sensors)
    if len(undated) < len(sensors) or not agree:
        return rig, [f"{read}, and those of other sensors or the log times do not: its clock was never set (CLK005, CLK007)"]
    why = f"{read}, a date before 2000 as of a simulator; all stamps agree with each other and with log times"
    if given:
        return rig, [f"{why}: the pipeline refuses them (CLK005) unless the rig has `time_base: other`"]
    return replace(rig, time_base=TimeBase.OTHER), [f"{why}, so the rig says `time_base: other`"]


def _clocks(sensors: list[Census], rig: Rig) -> list[str]:
    """Findings on log times far from the stamps, and on sensors whose stamps come from a clock other than the reference's."""
    notes = []
    lags_ns = {census.source.sensor: census.log_lag_ns for census in sensors}
    home = lags_ns.get(rig.reference, next(iter(lags_ns.values())))
    if abs(home) > LATE_LOG_NS:
        reason = f" ({known})" if (known := difference_name(home)) else ""
        notes.append(
            f"log times lie {_duration(home)} {'after' if home > 0 else 'before'} the stamps of {rig.reference}: played back and "
            f"recorded again, or stamped by another clock{reason}; both are kept"
        )
    domains = logged_domains({name: _measures_ns(rig, name) - lag_ns for name, lag_ns in lags_ns.items()}, rig.reference)
    for domain in domains[1:]:
        first = next(census for census in sensors if census.source.sensor == domain.sensors[0])
        reason = f" ({known})" if (known := difference_name(domain.at_ns)) else ""
        where = "ahead of" if domain.at_ns > 0 else "behind"
        notes.append(
            f"{', '.join(domain.sensors)}: stamps are {_duration(domain.at_ns)} {where} those of {rig.reference} (they begin at "
            f"{first.stamps_ns[0]} ns): another clock{reason}; kept as they are, so none of its frames match"
        )
    return notes


def _measures_ns(rig: Rig, name: str) -> int:
    return rig[name].measures_ns if name in rig else 0


def _duration(time_ns: int) -> str:
    seconds = abs(time_ns) / 1e9
    return f"{seconds:,.1f} s" + (f" ({seconds / 86400:.1f} days)" if seconds >= 86400 else "")


def _converted(sensors: list[Census]) -> list[str]:
    notes = []
    if any(census.source.encoding == ROS1 for census in sensors):
        notes.append("ROS 1 messages were written as ROS 2 CDR: values are unchanged, Header.seq is dropped")
    raw = [census.source.sensor for census in sensors if census.source.message_type == RAW_IMAGE]
    if raw:
        notes.append(f"raw images were written as PNG with the same pixels: {', '.join(raw)}")
    posed = [
        census.source.sensor for census in sensors if census.source.message_type in LANDED_AS and census.source.sensor not in raw
    ]
    if posed:
        notes.append(f"poses were written as Odometry with zero twist, without their covariance: {', '.join(posed)}")
    return notes
