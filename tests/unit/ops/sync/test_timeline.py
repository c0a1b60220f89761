"""Reading stamps from tables and folders, good and bad."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.faults import Fault
from fleet.mcap_writer import RecordedFrame, SensorStream, write_stream
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions
from ops.errors import InputError
from ops.sync.answer import InSync
from ops.sync.report import sync_report
from ops.sync.timeline import TableLayout, read_table, read_timeline
from sensors.decode.messages import IMAGE
from sensors.rig import Modality

T0 = 1_533_151_603_504_799_000
ROWS = [(name, T0 + k * 100_000_000 + late) for k in range(50) for name, late in (("lidar", 0), ("cam", 7))]


def write_csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_csv_and_parquet_give_the_same_stamps_to_the_nanosecond(tmp_path: Path) -> None:
    text = "sensor,stamp_ns,log_ns\n" + "".join(f"{sensor},{stamp},{stamp + 5}\n" for sensor, stamp in ROWS)
    columns = {"sensor": [r[0] for r in ROWS], "stamp_ns": [r[1] for r in ROWS], "log_ns": [r[1] + 5 for r in ROWS]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=7)
    write_csv(tmp_path / "t.csv", text)
    for name in ("t.csv", "t.parquet"):
        camera, lidar = read_timeline(tmp_path / name).streams
        assert (camera.sensor, camera.modality, lidar.modality) == ("cam", Modality.CAMERA, Modality.LIDAR)
        assert camera.stamps_ns.tolist() == [stamp for sensor, stamp in ROWS if sensor == "cam"]
        assert camera.log_ns is not None
        assert (camera.log_ns - camera.stamps_ns).tolist() == [5] * 50


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        ("us", str(T0 // 1000)),
        ("us", f"{T0 // 1000}.000"),
        ("s", "1533151603.504799"),
        ("s", "1533151603.504799000"),
        ("ms", "1533151603504.799"),
        ("100ns", str(T0 // 100)),
        ("100ns", f"{T0 // 100}.00"),
    ],
)
def test_units_are_exact(tmp_path: Path, unit: str, written: str) -> None:
    path = write_csv(tmp_path / "t.csv", f"log,channel,t\nx,LIDAR,{written}\n")
    (stream,) = read_table(path, TableLayout(sensor="channel", stamp="t", unit=unit))
    assert stream.stamps_ns.tolist() == [T0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.integers(-4 * 10**18, 4 * 10**18), st.sampled_from([("ns", 0), ("100ns", 2), ("us", 3), ("ms", 6), ("s", 9)]))
def test_every_nanosecond_survives_as_text_in_every_unit(tmp_path: Path, stamp_ns: int, unit: tuple[str, int]) -> None:
    name, digits = unit
    whole, part = divmod(abs(stamp_ns), 10**digits)
    written = ("-" if stamp_ns < 0 else "") + str(whole) + (f".{part:0{digits}d}" if digits else "")
    path = write_csv(tmp_path / "t.csv", f"sensor,stamp_ns\nlidar,{written}\n")
    assert read_table(path, TableLayout(unit=name))[0].stamps_ns.tolist() == [stamp_ns]


def test_any_order_sorts_each_sensor(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", "sensor,stamp_ns\na,3\nb,9\na,1\nb,7\na,2\n")
    assert [one.stamps_ns.tolist() for one in read_table(path)] == [[3, 1, 2], [9, 7]]
    assert [one.stamps_ns.tolist() for one in read_table(path, TableLayout(sort=True))] == [[1, 2, 3], [7, 9]]


@pytest.mark.parametrize(
    ("name", "text", "cause"),
    [
        ("t.csv", "sensor,stamp\na,1\n", "has no column stamp_ns among sensor, stamp"),
        ("t.csv", "", "has no column sensor, stamp_ns"),
        ("t.csv", "sensor,stamp_ns\na,1\nb,1.5\n", "line 3: 'b,1.5' is not a row of sensor,stamp_ns"),
        ("t.csv", "sensor,stamp_ns\na,1\na,2\nbroken\n", "line 4: 'broken' is not a row"),
        (
            "t.csv",
            "sensor,stamp_ns\na,1.7000000000001234e+18\n",
            "written as a float, which holds nanoseconds since 1970 to 256 ns",
        ),
        ("t.csv", "sensor,stamp_ns\na,1\na,twelve\n", "line 3: 'a,twelve' is not a row"),
        ("t.csv", "sensor,stamp_ns\na,1\na,\n", "row 2 has no sensor or no stamp"),
        ("t.csv", "sensor,stamp_ns\na,1\n,5\n", "row 2 has no sensor or no stamp"),
        ("t.csv", "sensor,stamp_ns\na,1\na,9000000000000000000\n", "row 2 has the stamp 9000000000000000000 ns"),
        ("t.csv", "sensor,stamp_ns\na,99999999999999999999\n", "line 2"),
        ("t.parquet", "x", "is not a timeline"),
        ("t.txt", "x", "not a recording or timeline"),
    ],
)
def test_bad_tables_are_reported_with_the_place(tmp_path: Path, name: str, text: str, cause: str) -> None:
    write_csv(tmp_path / name, text)
    with pytest.raises(InputError, match=cause) as caught:
        read_timeline(tmp_path / name)
    assert caught.value.hint


def test_a_stamp_that_is_too_large_hints_at_its_unit(tmp_path: Path) -> None:
    """As of a dataset whose stamps are 100 ns ticks that were written as microseconds: the year 2463."""
    path = write_csv(tmp_path / "t.csv", "sensor,stamp_ns\nlidar,15568475938203752\n")
    with pytest.raises(InputError, match="row 1 has the stamp 15568475938203752 us") as caught:
        read_table(path, TableLayout(unit="us"))
    assert caught.value.hint == "stamps of this size usually count 100ns: --stamp-unit 100ns"


def test_a_parquet_of_float_stamps_or_nulls_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"sensor": ["a"], "stamp_ns": [1.5e18]}), tmp_path / "f.parquet")
    with pytest.raises(InputError, match="stamp_ns is double") as caught:
        read_timeline(tmp_path / "f.parquet")
    assert caught.value.hint == "stamps must be integers: a float loses nanoseconds"
    pq.write_table(pa.table({"sensor": ["a", None], "stamp_ns": [1, 2]}), tmp_path / "n.parquet")
    with pytest.raises(InputError, match="row 2 has no sensor"):
        read_timeline(tmp_path / "n.parquet")


def test_too_many_sensors_are_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", "sensor,stamp_ns\n" + "".join(f"s{n},{n}\n" for n in range(1025)))
    with pytest.raises(InputError, match="names 1025 sensors, more than 1024"):
        read_table(path)


def test_an_empty_table_has_no_stream(tmp_path: Path) -> None:
    assert read_table(write_csv(tmp_path / "t.csv", "sensor,stamp_ns\n")) == ()


def test_memory_is_a_small_multiple_of_the_stamps(tmp_path: Path) -> None:
    rows = 400_000
    stamps = T0 + np.arange(rows, dtype=np.int64) * 1000
    names = pa.array(np.resize(["camera_front_left_wide", "lidar_top"], rows))
    pq.write_table(pa.table({"sensor": names, "stamp_ns": stamps}), tmp_path / "t.parquet")
    tracemalloc.start()
    streams = read_table(tmp_path / "t.parquet")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(one.stamps_ns.size for one in streams) == rows
    assert peak < 6 * stamps.nbytes


def test_absent_input_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_timeline(tmp_path / "none.csv")
    with pytest.raises(InputError, match="holds no MODALITY"):
        read_timeline(tmp_path)


SMALL = RigOptions(cameras=("camera_front",), width_px=16, height_px=16, lidar_rings=2, lidar_columns=8)


def test_a_synthetic_drive_is_in_sync_and_no_rule_objects(tmp_path: Path) -> None:
    generate(DriveSpec("car-1", "d-1", duration_s=12, segment_s=5, rig=SMALL), tmp_path / "drive")
    found = read_timeline(tmp_path / "drive")
    report, _ = sync_report(found.streams, found.rig, None, found.notes)
    assert (report.answer.in_sync, report.findings, report.notes) == (InSync.YES, (), ())
    assert (report.logged, report.anchors, report.complete, len(report.domains)) == (True, 120, 120, 1)
    assert {one.sensor: one.modality for one in report.sensors}["imu"] is Modality.IMU


def test_a_clock_that_is_seconds_off_is_another_domain(tmp_path: Path) -> None:
    fault = Fault.parse("clock_offset:radar_front:18000000000")
    generate(DriveSpec("car-1", "d-1", duration_s=2, rig=SMALL, faults=(fault,)), tmp_path / "drive")
    found = read_timeline(tmp_path / "drive")
    report, _ = sync_report(found.streams, found.rig)
    (off,) = [one for one in report.domains if one.offset_ns]
    assert (off.sensors, off.reason) == (("radar_front",), "GPS time, without leap seconds")
    assert [(one.rule_id, one.sensor) for one in report.findings] == [("CLK007", "radar_front"), ("CMP005", "radar_front")]


def test_rows_are_taken_by_log_time_and_ties_by_position(tmp_path: Path) -> None:
    text = "sensor,stamp_ns,log_ns\na,30,35\na,10,15\na,21,25\na,20,25\n"
    (stream,) = read_table(write_csv(tmp_path / "a.csv", text))
    assert stream.stamps_ns.tolist() == [10, 21, 20, 30]
    assert stream.log_ns is not None and stream.log_ns.tolist() == [15, 25, 25, 35]


def test_log_times_that_are_the_stamps_tell_no_order(tmp_path: Path) -> None:
    (stream,) = read_table(write_csv(tmp_path / "a.csv", "sensor,stamp_ns,log_ns\na,30,30\na,10,10\n"))
    assert stream.stamps_ns.tolist() == [30, 10]


def test_the_order_of_an_object_does_not_matter_to_a_drive_folder(tmp_path: Path) -> None:
    stream = SensorStream("cam", Modality.CAMERA, IMAGE)
    frames = [
        RecordedFrame(10 + n, log_ns, b"\0\1\0\0" + struct.pack("<iI", 0, 10 + n)) for n, log_ns in enumerate((500, 900, 700))
    ]
    write_stream(tmp_path, stream, frames)
    (found,) = read_timeline(tmp_path).streams
    assert found.stamps_ns.tolist() == [10, 12, 11]
