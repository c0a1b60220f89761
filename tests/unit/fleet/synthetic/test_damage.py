"""Faults of signals change a payload as their text specifies, by the given size, and nothing else."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fleet.drive_folder import DriveFolder
from fleet.errors import SpecError
from fleet.fault_kinds import SIZES, FaultKind
from fleet.faults import Fault
from fleet.synthetic.damage import CLOUD_DAMAGE, IMAGE_DAMAGE, MOTION_DAMAGE, damaged, damaged_cloud
from fleet.synthetic.generate import generate, simulator
from fleet.synthetic.image_files import FILE_DAMAGE
from fleet.synthetic.schedule import Shot, shots_of
from fleet.synthetic.spec import DriveSpec, RigOptions
from fleet.synthetic.vehicle import build_rig
from fleet.synthetic.world import World
from sensors.container.mcap import scan
from sensors.container.recorded import StoredMessage
from sensors.decode.images import inspect_image
from sensors.decode.messages import decode_image
from sensors.decode.png import png_size
from sensors.errors import DecodeError
from sensors.measure.image import ImageMetrics, measure_image
from tests.unit.fleet.landed_drives import truth_faults

RIG = RigOptions(
    cameras=("camera_front",), width_px=320, height_px=180, lidar_rings=16, lidar_columns=180, radar_states=True, imu_noise=False
)


def spec_of(*faults: str) -> DriveSpec:
    return DriveSpec("car-1", "d-1", seed=3, duration_s=1.0, rig=RIG, faults=tuple(map(Fault.parse, faults)))


def payloads(sensor: str, *faults: str) -> tuple[list[Any], list[Any], list[Shot]]:
    """Payloads of a sensor without and with faults, and its shots."""
    spec = spec_of(*faults)
    rig = build_rig(spec.rig)
    source = simulator(rig[sensor], World(spec.seed, spec.duration_s), spec)
    shots = [shot for shot in shots_of(rig[sensor], spec) if shot.recorded]
    clean = [source.measure(shot) for shot in shots]
    broken: list[Any] = []
    for payload, shot in zip(clean, shots, strict=True):
        broken.append(damaged(payload, shot, sensor, spec, broken[-1] if broken else None))
    return clean, broken, shots


def stored_messages(folder: DriveFolder, modality: str, sensor: str) -> list[StoredMessage]:
    found = []
    for path in sorted((folder.path / modality / sensor).iterdir()):
        with path.open("rb") as stream:
            found += [item for item in scan(stream) if isinstance(item, StoredMessage)]
    return found


def luma(jpeg: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))


def metrics(jpeg: bytes) -> ImageMetrics:
    return measure_image(np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")))


def test_each_kind_of_payload_fault_is_applied_by_one_module() -> None:
    groups = (FILE_DAMAGE, IMAGE_DAMAGE, CLOUD_DAMAGE, MOTION_DAMAGE)
    assert sum(map(len, groups)) == len(frozenset().union(*groups))
    sized = {kind for kind in FaultKind if kind.size is not None}
    assert {kind.size for kind in sized} == set(SIZES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blur:camera_front:0:0.1", "PX must be 0.01 to 50, got 0"),
        ("drop_rings:lidar_top:1.5", "COUNT must be a whole number from 1 to 10000, got 1.5"),
        ("clock_unit:pose:12", "POWER must be a whole number from 1 to 9"),
        ("pose_jump:pose:x:1", "'x' is not a number"),
        ("pose_jump:pose:1", "write pose_jump:SENSOR:M:AFTER_S"),
        ("gyro_bias:imu:nan", "RAD_S must be"),
    ],
)
def test_sizes_without_sense_are_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Fault.parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind.size is not None])
def test_a_sized_fault_reads_back_from_its_text(kind: FaultKind) -> None:
    values = {"SENSOR": "s", "SHARE": "0.5", "FRAMES": "1,2", "AFTER_S": "1.500000000", "NS": "5", str(kind.size): "2"}
    text = ":".join([kind.value, *(values[name] for name, _ in kind.parts)])
    fault = Fault.parse(text)
    assert fault.size == 2.0
    assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("fault", "sensor"), [("blur:lidar_top:2", "camera"), ("pose_jump:imu:1:0", "pose"), ("ghosts:camera_front:0.5", "radar")]
)
def test_a_fault_of_another_sensor_is_refused(fault: str, sensor: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=f"is not a {sensor}"):
        generate(spec_of(fault), tmp_path / "drive")


def test_ghosts_need_states(tmp_path: Path) -> None:
    spec = DriveSpec("car-1", "d-1", duration_s=1.0, faults=(Fault.parse("ghosts:radar_front:0.5"),))
    with pytest.raises(SpecError, match="radar_states"):
        generate(spec, tmp_path / "drive")


def test_images_change_by_the_size_that_was_asked_for() -> None:
    clean, blank, _ = payloads("camera_front", "blank_image:camera_front:4:2")
    assert [n for n, (a, b) in enumerate(zip(clean, blank, strict=True)) if a != b] == [2]
    assert metrics(blank[2]).contrast <= 6
    _, white, _ = payloads("camera_front", "overexpose:camera_front:0.5")
    assert min(metrics(jpeg).bright_share for jpeg in white) > 0.42
    _, black, _ = payloads("camera_front", "underexpose:camera_front:0.8")
    assert min(metrics(jpeg).dark_share for jpeg in black) > 0.7
    sharp, blurred, _ = payloads("camera_front", "blur:camera_front:2.0")
    for before, after in zip(sharp, blurred, strict=True):
        assert (metrics(after).blur_px or 0) > 1.5 * (metrics(before).blur_px or 0)


def test_colours_change_as_the_fault_says() -> None:
    clean, green, _ = payloads("camera_front", "lose_chroma:camera_front:2")
    assert [n for n, (a, b) in enumerate(zip(clean, green, strict=True)) if a != b] == [2]
    assert metrics(green[2]).colour > 80
    _, grey, _ = payloads("camera_front", "grey_image:camera_front")
    assert max(metrics(jpeg).chroma_spread for jpeg in grey) < 0.2 < 2.0 < metrics(clean[0]).chroma_spread
    _, tinted, _ = payloads("camera_front", "tint:camera_front:40")
    for before, after in zip(map(metrics, clean), map(metrics, tinted), strict=True):
        assert math.hypot(after.mean_cb - before.mean_cb, after.mean_cr - before.mean_cr) == pytest.approx(40, abs=4)
    _, unfilled, _ = payloads("camera_front", "unfill_image:camera_front:0.25")
    for jpeg in unfilled:
        assert metrics(jpeg).flat_share == pytest.approx(0.25, abs=8 / 180)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_shortened_image_ends_in_order_and_lacks_data(share: float) -> None:
    clean, short, _ = payloads("camera_front", f"shorten_jpeg:camera_front:{share}:2,3")
    assert [n for n, (a, b) in enumerate(zip(clean, short, strict=True)) if a != b] == [2, 3]
    assert short[2].endswith(b"\xff\xd9")
    assert len(clean[2]) - len(short[2]) == pytest.approx(share * len(clean[2]), rel=0.2)
    with pytest.raises(DecodeError, match="premature end"):
        inspect_image(short[2])


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_zeros_in_the_middle_of_an_image_leave_its_length_and_ends(share: float) -> None:
    clean, zeroed, _ = payloads("camera_front", f"zero_jpeg:camera_front:{share}:2")
    assert [n for n, (a, b) in enumerate(zip(clean, zeroed, strict=True)) if a != b] == [2]
    before, after = (np.frombuffer(images[2], np.uint8) for images in (clean, zeroed))
    changed = np.flatnonzero(before != after)
    assert len(before) == len(after)
    assert changed[-1] - changed[0] == pytest.approx(share * len(before), rel=0.1)
    assert not after[changed].any()
    assert (changed[0] + changed[-1]) / 2 > len(before) / 2, "behind the header, in the middle of what is coded"


@pytest.mark.parametrize(("share", "rows"), [(0.05, 171), (0.5, 90), (1.0, 0), (1e-9, 179)])
def test_a_short_png_is_whole_but_for_its_last_rows(share: float, rows: int) -> None:
    _, short, _ = payloads("camera_front", f"shorten_png:camera_front:{share}:2")
    assert png_size(short[2]) == (320, 180)
    with pytest.raises(DecodeError, match=rf": {rows * (1 + 3 * 320)} bytes of pixels where its header implies {180 * 961}"):
        inspect_image(short[2])


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_what_blocks_a_lens_stays_where_it_is(share: float) -> None:
    clean, covered, shots = payloads("camera_front", f"block_image:camera_front:{share}:0.5")
    late = [n for n, shot in enumerate(shots) if shot.faults]
    assert late == [n for n, shot in enumerate(shots) if shot.true_ns >= spec_of().start_ns + 500_000_000]
    mud = [np.abs(luma(covered[n]).astype(int) - 50) < 6 for n in late]
    third = 180 * 2 // 3
    assert np.logical_and.reduce(mud)[third:].mean() == pytest.approx(share, abs=0.08)
    assert all(clean[n] == covered[n] for n in range(late[0]))


def test_clouds_change_by_the_size_that_was_asked_for() -> None:
    clean, dropped, _ = payloads("lidar_top", "drop_points:lidar_top:0.3")
    assert [len(after) for after in dropped] == [len(before) - round(0.3 * len(before)) for before in clean]
    _, zeros, _ = payloads("lidar_top", "zero_points:lidar_top:0.3:4")
    assert [int((cloud["x"] == 0).sum()) for cloud in zeros][4] == round(0.3 * len(clean[4]))
    _, blocked, _ = payloads("lidar_top", "block_sector:lidar_top:40")
    for before, after in zip(clean, blocked, strict=True):
        azimuth = np.sort(np.degrees(np.arctan2(after["y"], after["x"])))
        assert np.diff(azimuth, append=azimuth[0] + 360).max() == pytest.approx(40, abs=3)
        assert len(after) < len(before)
    _, ringless, _ = payloads("lidar_top", "drop_rings:lidar_top:3")
    gone = [set(before["ring"].tolist()) - set(after["ring"].tolist()) for before, after in zip(clean, ringless, strict=True)]
    assert len(gone[0]) == 3
    assert all(rings == gone[0] for rings in gone)
    _, faded, shots = payloads("lidar_top", "fade_intensity:lidar_top:0.5")
    left = [float((after["intensity"] / before["intensity"]).mean()) for before, after in zip(clean, faded, strict=True)]
    assert left == pytest.approx([1 - 0.5 * (shot.true_ns - spec_of().start_ns) / 1e9 for shot in shots], abs=1e-3)
    nameless = payloads("lidar_top", "rename_x:lidar_top:4")[1]
    assert [n for n, cloud in enumerate(nameless) if cloud.dtype.names[0] == "X"] == [4]
    assert nameless[4].tobytes() == clean[4].tobytes()


@pytest.mark.parametrize("times", [0.0, 0.001, -1.0])
def test_point_times_are_multiplied(times: float) -> None:
    clean, scaled, _ = payloads("lidar_top", f"scale_times:lidar_top:{times}:4")
    assert scaled[4]["t"].tolist() == np.rint(clean[4]["t"] * times).tolist()
    assert scaled[4][["x", "ring"]].tolist() == clean[4][["x", "ring"]].tolist()
    assert scaled[3] is clean[3]


def test_float_times_are_multiplied_from_the_first_on_and_clouds_without_times_stay() -> None:
    fault, rng = Fault.parse("scale_times:lidar:0.5"), np.random.default_rng(0)
    points = np.array([(1.0, 100.0), (2.0, 100.5)], dtype=[("x", "f4"), ("timestamp", "f8")])
    assert damaged_cloud(points, fault, rng, 0.0)["timestamp"].tolist() == [100.0, 100.25]
    assert damaged_cloud(points[["x"]], fault, rng, 0.0) is not None


def test_scans_change_by_the_size_that_was_asked_for() -> None:
    clean, full, _ = payloads("radar_front", "full_list:radar_front:64:1,2")
    assert [len(scan) for scan in full][:4] == [len(clean[0]), 64, 64, len(clean[3])]
    _, haunted, _ = payloads("radar_front", "ghosts:radar_front:0.5")
    assert all((scan["invalid_state"] != 0).sum() == round(0.5 * len(scan)) for scan in haunted)
    _, empty, _ = payloads("radar_front", "empty_scan:radar_front:3")
    assert [len(scan) == 0 for scan in empty].index(True) == 3


@pytest.mark.parametrize("sensor", ["camera_front", "lidar_top", "radar_front"])
def test_repeated_content_is_that_of_the_frame_before(sensor: str) -> None:
    clean, repeated, _ = payloads(sensor, f"repeat_content:{sensor}:2,3")
    same = [bytes(memoryview(after)) == bytes(memoryview(clean[1])) for after in repeated]
    assert [n for n, one in enumerate(same) if one] == [1, 2, 3]


def test_motion_changes_by_the_size_that_was_asked_for() -> None:
    clean, jumped, shots = payloads("pose", "pose_jump:pose:1.5:0.5")
    apart = [float(np.linalg.norm(a.translation_m - b.translation_m)) for a, b in zip(clean, jumped, strict=True)]
    assert apart == pytest.approx([1.5 if shot.faults else 0.0 for shot in shots])
    _, scaled, _ = payloads("pose", "pose_scale:pose:2")
    np.testing.assert_allclose([p.translation_m for p in scaled], 2 * np.array([p.translation_m for p in clean]))
    still, biased, _ = payloads("imu", "gyro_bias:imu:0.1", "acceleration_bias:imu:-2")
    np.testing.assert_allclose(np.array(biased) - np.array(still), np.tile([0, 0, 0.1, -2, 0, 0], (len(still), 1)), atol=1e-12)


def test_clocks_step_drift_and_count_otherwise() -> None:
    rig = build_rig(RIG)

    def stamps(*faults: str) -> npt.NDArray[np.int64]:
        return np.array([shot.stamp_ns for shot in shots_of(rig["camera_front"], spec_of(*faults))])

    clean, start_ns = stamps(), spec_of().start_ns
    stepped = stamps("clock_step:camera_front:-5000:0.5")
    assert (stepped - clean).tolist() == [0 if ns < start_ns + 500_000_000 else -5000 for ns in clean.tolist()]
    drifted = stamps("clock_drift:camera_front:100")
    np.testing.assert_allclose(drifted - clean, (clean - start_ns) * 1e-4, atol=1)
    assert stamps("clock_unit:camera_front:3").tolist() == (clean // 1000).tolist()


def test_a_wrong_frame_changes_the_name_and_nothing_else(tmp_path: Path) -> None:
    clean, wrong = (
        [item.data.tobytes() for item in stored_messages(generate(spec_of(*faults), tmp_path / name), "camera", "camera_front")]
        for name, faults in (("clean", ()), ("wrong", ("wrong_frame:camera_front:2",)))
    )
    assert [number for number, (one, other) in enumerate(zip(clean, wrong, strict=True)) if one != other] == [2]
    assert decode_image(wrong[2]).frame_id == "x" * len("camera_front")
    assert wrong[2].replace(b"x" * len("camera_front"), b"camera_front") == clean[2]


def test_a_second_topic_is_recorded_beside_the_first(tmp_path: Path) -> None:
    folder = generate(spec_of("second_topic:camera_front:2,5"), tmp_path / "drive")
    topics = [item.topic for item in stored_messages(folder, "camera", "camera_front")]
    assert [n for n, topic in enumerate(topics) if topic != "/camera_front"] == [2, 5]
    assert set(topics) == {"/camera_front", "/another_device"}


def test_the_truth_tells_kind_size_and_frames(tmp_path: Path) -> None:
    folder = generate(spec_of("drop_points:lidar_top:0.25:3,4", "blur:camera_front:1.5:2", "wrong_count:imu:2"), tmp_path / "d")
    points, blur, count = truth_faults(folder)
    assert (points["kind"], points["sensor"], points["frames"]) == ("drop_points", "lidar_top", [3, 4])
    assert (blur["size"], blur["unit"], blur["frames"]) == (1.5, "PX", [2])
    assert count["manifest_frame_count"] > 0
