"""The sync report on timelines whose numbers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.errors import InputError
from cli.sync_report import Stream, streams_of, sync_report
from cli.timeline import read_timeline
from sensors.rig import Modality, Rig, Sensor, Stamp, Sync
from tests.unit.cli.lake_builders import EPOCH_NS

MS = 1_000_000
LIDAR_NS = EPOCH_NS + 100 * MS * np.arange(10, dtype=np.int64)


def rig(delay_ns: int, tolerance_ns: int) -> Rig:
    def sensor(name: str, modality: Modality, delay: int) -> Sensor:
        return Sensor(name, modality, 10.0, Sync(Stamp.MIDDLE, delay, tolerance_ns, 25 * MS, required=True))

    return Rig("rig-1", "lidar_top", (sensor("lidar_top", Modality.LIDAR, 0), sensor("cam", Modality.CAMERA, delay_ns)))


def timeline() -> dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """A camera 30 ms late whose frame 4 is 10 ms later still, and whose frame 7 was dropped."""
    camera = LIDAR_NS + 30 * MS
    camera[4] += 10 * MS
    return {"cam": np.delete(camera, 7), "lidar_top": LIDAR_NS}


def test_without_a_rig_the_delay_is_estimated() -> None:
    report = sync_report(streams_of(timeline()))
    camera = report.sensors[0]
    assert (report.reference, report.anchors, report.complete) == ("lidar_top", 10, 9)
    assert (camera.matched, camera.outside_tolerance, camera.no_frame) == (9, 1, 0)
    assert (camera.expected_delay_ns, camera.tolerance_ns, camera.estimated_delay_ns) == (0, 50 * MS, 30 * MS)
    assert camera.residuals is not None
    assert (camera.residuals.p50_ns, camera.residuals.p95_ns, camera.residuals.max_ns) == (30 * MS, 40 * MS, 40 * MS)
    assert (camera.clock.gaps, camera.clock.max_gap_ns, camera.clock.period_p50_ns) == (1, 200 * MS, 100 * MS)


def test_a_rig_takes_the_delay_out_of_the_residual() -> None:
    camera = sync_report(streams_of(timeline()), rig(30 * MS, 5 * MS)).sensors[0]
    assert camera.residuals is not None
    assert (camera.residuals.p50_ns, camera.residuals.max_ns) == (0, 0)
    assert (camera.matched, camera.outside_tolerance) == (8, 2)


def test_the_reference_can_be_chosen() -> None:
    report = sync_report(streams_of(timeline()), reference="cam")
    assert (report.reference, report.anchors) == ("cam", 9)
    with pytest.raises(InputError, match="'radar' is none of the streams"):
        sync_report(streams_of(timeline()), reference="radar")


def test_nothing_to_compare_and_stamps_out_of_range_are_said() -> None:
    with pytest.raises(InputError, match="no stream"):
        sync_report(())
    far = np.array([9 * 10**18], dtype=np.int64)
    with pytest.raises(InputError, match="cannot be compared"):
        sync_report((Stream("lidar", far, far),))


def test_csv_and_parquet_give_the_same_stamps_to_the_nanosecond(tmp_path: Path) -> None:
    rows = [(sensor, int(stamp)) for sensor, stamps in timeline().items() for stamp in stamps + 1]
    (tmp_path / "t.csv").write_text("sensor,stamp_ns\n" + "".join(f"{sensor},{stamp}\n" for sensor, stamp in rows))
    pq.write_table(pa.table({"sensor": [r[0] for r in rows], "stamp_ns": [r[1] for r in rows]}), tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        found = {stream.sensor: stream.stamps_ns for stream in read_timeline(tmp_path / name).streams}
        assert found["lidar_top"].tolist() == (LIDAR_NS + 1).tolist()
        assert len(found["cam"]) == 9


@pytest.mark.parametrize(
    ("name", "text", "cause"),
    [
        ("t.csv", "sensor,stamp\na,1\n", "is no timeline"),
        ("t.csv", "sensor,stamp_ns\na,1.5\n", "is no timeline"),
        ("t.csv", "sensor,stamp_ns\na,\n", "without a sensor or a stamp"),
        ("t.txt", "x", "no recording or timeline"),
    ],
)
def test_bad_tables_are_said(tmp_path: Path, name: str, text: str, cause: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=cause):
        read_timeline(tmp_path / name)


def test_a_parquet_of_float_stamps_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"sensor": ["a"], "stamp_ns": [1.5e18]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="stamp_ns is double") as caught:
        read_timeline(tmp_path / "t.parquet")
    assert caught.value.hint == "stamps are integer nanoseconds: a float has lost them"


def test_absent_input_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_timeline(tmp_path / "none.csv")
    with pytest.raises(InputError, match="holds no MODALITY"):
        read_timeline(tmp_path)
