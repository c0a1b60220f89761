"""Speed and memory of planning scenes: from metadata alone, no payload is read.

    python -m bench.match_planning [--quick]

A drive of 6 cameras at 12 Hz, a lidar at 20 Hz, 5 radars at 13 Hz and poses at 100 Hz is planned from its frame index to
the rows that the workers read (`plan_scenes`, `cut`, `window_tables`). Time is user CPU time, of all threads. Then a day at
15 TB, about 150 million frame records, goes through `bench.match_stream` in a process of its own.
"""

from __future__ import annotations

import argparse
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.console import Console

from bench.figures import PROJECT, FiguresError, Measurement, Report, console_table, markdown_table, measurement_table
from bench.match_stream import MatchStream, StreamTerms
from lake.tables.schemas import FRAME_INDEX
from scenes.plan.match_plan import plan_scenes
from scenes.plan.window_table import scene_bytes, window_tables
from scenes.plan.windows import cut
from sensors.rig import Modality, Rig
from sensors.time_units import NS_PER_S

NAME = "match"
START_NS = 1_700_000_000_123_456_789
JITTER_NS = 100_000
ROUNDS = 5
DRIVE_S = 4200  # 1.08 million frames
DAY_RECORDS = 150_000_000
SLICE_S = 60
FEWER = 50  # --quick plans a fiftieth
BRACKET_NS = 50_000_000
RATES_HZ = {
    **{f"camera_{number}": 12 for number in range(6)},
    "lidar": 20,
    "pose": 100,
    **{f"radar_{number}": 13 for number in range(5)},
}
MESSAGE_BYTES = {Modality.CAMERA: 140_000, Modality.LIDAR: 690_000, Modality.POSE: 700, Modality.RADAR: 4_000}
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drive:
    """The output of `inspect` for a drive."""

    index: pa.Table
    poses: pa.Table
    seconds: int


class StreamedDay(msgspec.Struct, frozen=True, kw_only=True):
    """What it took to match the stamps of a day as they came. `growth_mb`: after the first hundredth; `held`: stamps, at most."""

    records: int
    seconds: float
    peak_rss_mb: float
    growth_mb: float
    anchors: int
    held: int


def measure(scratch: Path, *, quick: bool = False) -> Report:
    """Plan a drive under several policies, and stream a day; `scratch` stays empty."""
    del scratch
    drive = made_drive(DRIVE_S // (FEWER if quick else 1))
    frames = len(drive.index)
    policies: Mapping[str, dict[str, Any]] = {
        "every sweep": {},
        "every sweep, exclusive": {"frame_use": "exclusive"},
        "keyframes at 2 Hz": {"keyframe_hz": 2},
        "keyframes at 2 Hz, 10 sweeps": {"keyframe_hz": 2, "sweeps": 10},
        "ROS approximate time": {"matcher": "approximate_time"},
    }
    rates = {name: frames / _planned_s(drive, rig_of(**policy)) for name, policy in policies.items()}
    day = _day(DAY_RECORDS // (FEWER if quick else 1))
    found = (
        Measurement("match.frames_per_s_per_core", rates["every sweep"], "frames/s", True, 1_000_000),
        Measurement("match.day_150m_s", day.seconds, "s", False),
        Measurement("match.day_150m_records_per_s", day.records / day.seconds, "records/s", True, 1_000_000),
        Measurement("match.day_150m_peak_rss_mb", day.peak_rss_mb, "MB", False, 200),
        Measurement("match.day_150m_growth_mb", day.growth_mb, "MB", False, 20),
    )
    by_policy = markdown_table(
        ("policy", f"frames per second and core, of {frames:,}"), [(name, f"{rate:,.0f}") for name, rate in rates.items()]
    )
    streamed = (
        f"The day: {day.records:,} records, {day.anchors:,} anchors, {day.held:,} stamps held at most; growth is what "
        "the process took after the first hundredth."
    )
    return Report(found, {NAME: f"{measurement_table(found)}\n\n{by_policy}\n\n{streamed}"})


def made_drive(seconds: int) -> Drive:
    """A frame index as `inspect` writes it, objects of a minute each."""
    rng = np.random.default_rng(0)
    stamps = {name: _stamps(rate_hz, 0, seconds * rate_hz, rng) for name, rate_hz in RATES_HZ.items()}
    parts = [_index_of(name, stamps[name], RATES_HZ[name]) for name in sorted(stamps)]
    index = pa.concat_tables(parts).combine_chunks()
    numbered = index.add_column(0, FRAME_INDEX.field("frame_id"), pa.array(np.arange(len(index), dtype=np.int64)))
    count = len(stamps["pose"])
    yaw_rad = np.linspace(0.0, 6.0, count)
    flat = np.zeros(count)
    columns = {"x_m": np.arange(count) * 0.1, "y_m": flat, "z_m": flat, "qw": np.cos(yaw_rad / 2)}
    columns |= {"qx": flat, "qy": flat, "qz": np.sin(yaw_rad / 2)}
    return Drive(numbered.cast(FRAME_INDEX), pa.table({"stamp_ns": stamps["pose"], **columns}), seconds)


def rig_of(sweeps: int = 1, **policy: Any) -> Rig:
    """The rig of that drive."""
    sensors = []
    for name, rate_hz in RATES_HZ.items():
        held = sweeps if _modality(name) in (Modality.LIDAR, Modality.RADAR) else 1
        sync = {"stamp": "end", "expected_delay_ns": 0, "required": False, "sweeps": held}
        sensors.append({"name": name, "modality": _modality(name).value, "rate_hz": rate_hz, "sync": sync})
    return Rig.from_dict({"rig_id": "bench", "reference": "lidar", "sensors": sensors, "policy": policy})


def _index_of(name: str, stamps_ns: Ints, rate_hz: int) -> pa.Table:
    count, modality = len(stamps_ns), _modality(name)
    positions = np.arange(count, dtype=np.int64)
    objects = positions // (rate_hz * 60)
    keys = [
        f"vehicle-01/drive-01/{modality}/{name}/{START_NS + minute * 60 * NS_PER_S}.mcap" for minute in range(objects[-1] + 1)
    ]
    size = MESSAGE_BYTES[modality]
    columns: dict[str, pa.Array] = {
        "sensor": pa.repeat(name, count),
        "modality": pa.repeat(modality.value, count),
        "message_type": pa.repeat("sensor_msgs/msg/PointCloud2", count),
        "compression": pa.repeat("", count),
        "key": pa.array(keys).take(pa.array(objects)),
        "stamp_ns": pa.array(stamps_ns),
        "log_ns": pa.array(stamps_ns + 5_000_000),
        "chunk_offset": pa.array(positions * (size + 100)),
        "message_offset": pa.repeat(45, count),
    }
    columns |= {column: pa.repeat(size, count) for column in ("chunk_bytes", "chunk_raw_bytes", "message_bytes")}
    return pa.table({field.name: columns[field.name].cast(field.type) for field in FRAME_INDEX if field.name != "frame_id"})


def _stamps(rate_hz: int, first: int, last: int, rng: np.random.Generator) -> Ints:
    regular = START_NS + np.arange(first, last, dtype=np.int64) * NS_PER_S // rate_hz
    return regular + rng.integers(-JITTER_NS, JITTER_NS, last - first)


def _modality(name: str) -> Modality:
    return Modality(name.partition("_")[0])


def _planned_s(drive: Drive, rig: Rig) -> float:
    """User CPU time from the index to the rows of the last window, the median of several rounds."""

    def plan() -> int:
        scenes = plan_scenes(drive.index, drive.poses, rig, frozenset())
        windows = cut(scenes.anchors_ns, scene_bytes(drive.index, scenes))
        rows = sum(len(table) for tables in window_tables(drive.index, scenes, windows) for table in tables.values())
        if scenes.scenes == 0 or rows < scenes.scenes * len(scenes.sensors):
            raise FiguresError(f"{rows} rows for {scenes.scenes} scenes of {len(scenes.sensors)} sensors")
        return rows

    return statistics.median(_user_s(plan) for _ in range(ROUNDS))


def _user_s(work: Callable[[], object]) -> float:
    began_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime - began_s


def _day(records: int) -> StreamedDay:
    """Run in a process of its own, so that its peak memory is that of the stream alone."""
    command = [sys.executable, "-m", "bench.match_planning", "--stream", str(records)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FiguresError(f"streaming {records} records failed: {done.stderr.strip()[-500:]}")
    return msgspec.json.decode(done.stdout, type=StreamedDay)


def stream_day(records: int) -> StreamedDay:
    """Generate the stamps of one sensor after the other, minute by minute, and match them as they arrive."""
    rig = rig_of()
    terms = {
        sensor.name: StreamTerms(0, 0 if sensor.name == rig.reference else sensor.sync.tolerance_ns)
        for sensor in rig.sensors
        if sensor.modality.in_scene
    }
    stream = MatchStream(rig.reference, terms, pose="pose", pose_bracket_ns=BRACKET_NS)
    rng = np.random.default_rng(0)
    minutes = -(-records // (sum(RATES_HZ.values()) * SLICE_S))
    pushed = anchors = matched = posed = held = 0
    early_mb = 0.0
    began_s = time.monotonic()
    for minute in range(minutes):
        for name, rate_hz in RATES_HZ.items():
            stamps_ns = _stamps(rate_hz, minute * SLICE_S * rate_hz, (minute + 1) * SLICE_S * rate_hz, rng)
            stream.push(name, stamps_ns)
            pushed += len(stamps_ns)
        held = max(held, stream.held)
        for found in (stream.take(), *((stream.finish(),) if minute == minutes - 1 else ())):
            anchors += len(found.anchors)
            matched += int((found.index >= 0).sum())
            posed += int((found.pose_left >= 0).sum())
        if minute == minutes // 100:
            early_mb = _peak_mb()
    if anchors != minutes * SLICE_S * RATES_HZ["lidar"] or matched < 0.99 * anchors * len(terms) or posed < anchors - 2:
        raise FiguresError(f"{anchors} anchors, {matched} matches and {posed} poses of {pushed} records")
    return StreamedDay(
        records=pushed,
        seconds=time.monotonic() - began_s,
        peak_rss_mb=_peak_mb(),
        growth_mb=_peak_mb() - early_mb,
        anchors=anchors,
        held=held,
    )


def _peak_mb() -> float:
    # Not ru_maxrss: across exec it keeps the peak of the process that started this one.
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise FiguresError("/proc/self/status has no VmHWM: peak memory is measured on Linux only")
    return int(found[1]) * 1024 / 1e6


def main() -> int:
    """Measure and print; nothing is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"a {FEWER}th of the records")
    parser.add_argument(
        "--stream", type=int, metavar="RECORDS", help="only stream so many records, and print what that took as JSON"
    )
    arguments = parser.parse_args()
    if arguments.stream is not None:
        sys.stdout.write(msgspec.json.encode(stream_day(arguments.stream)).decode())
        return 0
    report = measure(Path(), quick=arguments.quick)
    Console().print(console_table(report.measurements))
    print(report.sections[NAME])
    return 0


if __name__ == "__main__":
    sys.exit(main())
