"""DGP scenes as drives: times in the unit that the files prove, poses of the vehicle, and all anomalies reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet.errors import FleetError, SourceError
from fleet.importers.dgp.importer import import_drive
from fleet.importers.registry import IMPORTERS
from fleet.importers.source import ImportResult
from sensors.decode.messages import decode_image, decode_points, decode_pose
from sensors.rig import Rig, Stamp
from tests.unit.fleet.importers.dgp import dgp_dataset as made
from tests.unit.fleet.landed_drives import messages

Scene = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made.write_dgp(tmp_path / "scene_01")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ImportResult, Rig]:
    src = made.write_dgp(tmp_path_factory.mktemp("dgp") / "scene_01")
    result = IMPORTERS["dgp"](src, src.parent / "out", "car-1", "drive-1")
    return src, result, rig_of(src.parent / "out")


def rig_of(out: Path) -> Rig:
    return Rig.from_dict(json.loads((out / "calibration.json").read_bytes()))


def changed(folder: Path, change: Callable[[Scene], object], out: Path) -> ImportResult:
    """Import the scene with a change to its document."""
    document = made.scene()
    change(document)
    made.write_scene(folder, document)
    return import_drive(folder, out, "car-1", "drive-1")


def losses(result: ImportResult) -> list[tuple[str | None, int | None]]:
    assert result.folder.manifest is not None
    return [(loss.sensor, loss.frames) for loss in result.folder.manifest.losses]


def refused(folder: Path, change: Callable[[Scene], object], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        changed(folder, change, folder.parent / "out")
    assert not (folder.parent / "out").exists()


def test_ticks_written_as_microseconds_are_read_as_ticks(imported: tuple[Path, ImportResult, Rig]) -> None:
    _, result, _ = imported
    lidar = [decode_points(message.data).stamp_ns for message in messages(result.folder, "lidar")]
    assert lidar == [1_556_919_593_820_375_200 + sample * 100_000_000 for sample in range(3)]
    camera = [decode_image(message.data).stamp_ns for message in messages(result.folder, "camera_05")]
    assert camera == [made.ticks(sample, "CAMERA_05") * 100 for sample in range(3)]
    findings = "\n".join(result.findings)
    assert (
        "stamps: written from 2463-05-15T00:38:58.203752Z on, later than any stamp can be; all 9 files are named by" in findings
    )
    assert (
        "Read as ticks: from 2019-05-03T21:39:53.820375Z on; the usual step of LIDAR, written as 1000.0 ms, is 100.00 ms"
        in findings
    )


def test_times_that_can_be_stored_stay_as_written(tmp_path: Path) -> None:
    src = made.write_dgp(tmp_path / "s", ticks_as_us=False)
    result = import_drive(src, tmp_path / "out", "car-1", "drive-1")
    lidar = [decode_points(message.data).stamp_ns for message in messages(result.folder, "lidar")]
    assert lidar == [(made.ticks(sample, "LIDAR") // 10) * 1000 for sample in range(3)]
    assert not any(finding.startswith("stamps: written") for finding in result.findings)


@pytest.mark.parametrize(
    ("rename", "time", "message"),
    [
        ("frame_000.npz", None, "not named by it; times of this scene reach .* later than a stamp can be"),
        ("15569195938203753.npz", None, "is not named by it"),
        (None, "2463-05-15T00:38:58.2037521Z", "is not named by it"),
        (None, "2019-05-03T21:39:53.820375Z", "is not named by it; times of this scene reach 2463-05-15T00:39:00"),
        ("283996800000000000.npz", "9999-07-02T00:00:00Z", "is not named by it"),
        ("4102444800000000.npz", "2100-01-01T00:00:00Z", "no drive's, in microseconds or in ticks of 100 ns"),
    ],
)
def test_late_times_without_the_evidence_are_refused(folder: Path, rename: str | None, time: str | None, message: str) -> None:
    def change(document: Scene) -> None:
        first = document["data"][0]
        if time is not None:
            first["id"]["timestamp"] = time
        if rename is not None:
            old = folder / first["datum"]["point_cloud"]["filename"]
            first["datum"]["point_cloud"]["filename"] = f"point_cloud/LIDAR/{rename}"
            old.rename(old.with_name(rename))

    refused(folder, change, message)


@pytest.mark.parametrize(
    "time",
    ["2463-05-15", "2463-13-15T00:38:58Z", "2463-05-15T00:38:58+01:00", "yesterday", "", "2463-05-15T00:38:58.1234567890Z"],
)
def test_what_is_not_a_time_is_refused(folder: Path, time: str) -> None:
    refused(folder, lambda document: document["data"][4]["id"].update(timestamp=time), "is not a time")


def test_times_before_1970_are_refused(folder: Path) -> None:
    refused(folder, lambda document: document["data"][4]["id"].update(timestamp="1969-12-31T23:59:59Z"), "before 1970")


def test_points_are_float32_of_the_source(imported: tuple[Path, ImportResult, Rig]) -> None:
    _, result, _ = imported
    worst = 0.0
    for sample, message in enumerate(messages(result.folder, "lidar")):
        cloud, source = decode_points(message.data), made.points(sample)
        assert cloud.names == ("x", "y", "z", "intensity") and cloud.num_points == 50 + sample
        np.testing.assert_array_equal(cloud.xyz_m(), source[:, :3].astype(np.float32))
        np.testing.assert_array_equal(cloud.column("intensity"), source[:, 3].astype(np.float32))
        assert cloud.time_offset_ns() is None
        worst = max(worst, float(np.abs(source[:, :3].astype(np.float32) - source[:, :3]).max()))
    assert (
        f"lidar: coordinates rounded from float64 to float32, none by more than {worst * 1e6:.1f} µm (153 points)"
        in result.findings
    )


def test_images_are_unchanged(imported: tuple[Path, ImportResult, Rig]) -> None:
    src, result, _ = imported
    for sample, message in enumerate(messages(result.folder, "camera_01")):
        image = decode_image(message.data)
        assert image.encoding == "jpeg"
        assert bytes(image.data) == (src / f"rgb/CAMERA_01/{made.ticks(sample, 'CAMERA_01')}.jpg").read_bytes()


def test_poses_are_the_vehicles_at_every_distinct_time(imported: tuple[Path, ImportResult, Rig]) -> None:
    _, result, _ = imported
    poses = [decode_pose(message.data) for message in messages(result.folder, "pose")]
    times = sorted({made.ticks(sample, name) for sample in range(3) for name in ("LIDAR", "CAMERA_01")})
    assert [pose.stamp_ns for pose in poses] == [time * 100 for time in times]
    for pose, time in zip(poses, times, strict=True):
        np.testing.assert_allclose(pose.odom_SE3_ego.translation_m, made.ego_pose(time).translation_m, atol=1e-9)
        np.testing.assert_allclose(pose.odom_SE3_ego.wxyz, made.ego_pose(time).wxyz, atol=1e-12)
    assert poses[1].odom_SE3_ego.translation_m[0] - poses[0].odom_SE3_ego.translation_m[0] > 0.25  # 21 ms at 12 m/s
    finding = next(line for line in result.findings if line.startswith("pose:"))
    assert (
        "the vehicle's at 6 times, over which it moves 2.654 m. 3 data share a time" in finding and "up to 0.0000 mm" in finding
    )


def test_poses_that_disagree_are_measured(folder: Path, tmp_path: Path) -> None:
    def change(document: Scene) -> None:
        document["data"][5]["datum"]["image"]["pose"]["translation"]["z"] += 0.125

    result = changed(folder, change, tmp_path / "out")
    assert any("their vehicles lie up to 125.0000 mm apart, the first is kept" in finding for finding in result.findings)


def test_rig_has_mountings_delays_and_lenses(imported: tuple[Path, ImportResult, Rig]) -> None:
    rig = imported[2]
    assert rig.reference == "lidar" and rig.policy.pose_bracket_ns == 150_000_000
    assert rig["lidar"].ego_SE3_sensor == made.LIDAR_IN_EGO and rig["lidar"].sync.stamp is Stamp.END
    assert not rig["lidar"].sync.compensated and rig["lidar"].rate_hz == 10.0
    for name, mounting in made.CAMERAS.items():
        camera = rig[name.lower()]
        assert camera.ego_SE3_sensor is not None and camera.sync.required and camera.sync.stamp is Stamp.MIDDLE
        np.testing.assert_allclose(camera.ego_SE3_sensor.matrix, mounting.matrix, atol=1e-12)
        assert camera.sync.expected_delay_ns == made.CAMERA_TICKS * 100
    plain, distorted = rig["camera_01"].intrinsics, rig["camera_05"].intrinsics
    assert plain is not None and distorted is not None
    assert (plain.width_px, plain.height_px, plain.fx_px, plain.fy_px) == (64, 48, 2167.5, 2156.25)
    assert (plain.cx_px, plain.cy_px, plain.distortion) == (31.5, 23.25, ())
    assert distorted.distortion == (-0.2, 0.05, 0.001, -0.002, 0.01)
    assert rig["pose"].rate_hz == pytest.approx(5 / 0.2211478, abs=1e-3)


def test_links_samples_and_absent_files_are_findings(folder: Path, tmp_path: Path) -> None:
    def change(document: Scene) -> None:
        data = document["data"]
        data[0]["prev_key"], data[1]["next_key"], data[8]["next_key"] = "gone", "gone", "away"
        data[2]["next_key"] = data[0]["key"]
        document["samples"][0]["datum_keys"] = [data[0]["key"], "nobody"]
        (folder / data[4]["datum"]["image"]["filename"]).unlink()

    result = changed(folder, change, tmp_path / "out")
    findings = "\n".join(result.findings)
    assert losses(result) == [("camera_01", 1), (None, 1)]
    assert "links: 1 prev_key and 2 next_key lead to data that are not in the scene" in findings
    assert "links: 1 of the 11 that lead to data of the scene lead to another sensor; none is followed" in findings
    assert "samples: 1 of 8 keys name no datum of the scene" in findings
    assert "samples: 2 of 9 data are in no sample; imported all the same" in findings
    assert f"CAMERA_01: 1 of 3 data name a file that is not there: {made.ticks(1, 'CAMERA_01')}.jpg" in findings
    assert "CAMERA_01: +21.15 ms after the reference in its sample (median, declared as its delay)" in findings


def test_a_clean_scene_has_no_findings_of_links(imported: tuple[Path, ImportResult, Rig]) -> None:
    assert not any(finding.startswith(("links", "samples", "data")) for finding in imported[1].findings)


def test_other_kinds_and_sizes_are_findings(folder: Path, tmp_path: Path) -> None:
    def change(document: Scene) -> None:
        document["data"][1]["datum"]["image"]["width"] = 1936
        document["data"][2]["datum"] = {"radar_point_cloud": {"filename": "radar/1.npz"}}

    result = changed(folder, change, tmp_path / "out")
    findings = "\n".join(result.findings)
    assert losses(result) == [(None, 1), ("camera_05", 1)], "the datum, and the image that it named before"
    assert "data: 1 of kind radar_point_cloud are not read and left out" in findings
    assert "CAMERA_01: images are 64x48 px, the scene says (1936, 48)" in findings


def test_models_that_a_rig_cannot_say_are_left_out_with_a_reason(folder: Path, tmp_path: Path) -> None:
    calibration = made.calibration()
    calibration["intrinsics"][1]["skew"], calibration["intrinsics"][1]["fisheye"] = 0.5, 1
    calibration["names"][2] = "CAMERA_09"
    (folder / "calibration" / f"{made.CALIBRATION_KEY}.json").write_text(json.dumps(calibration))
    result = import_drive(folder, tmp_path / "out", "car-1", "drive-1")
    rig = rig_of(tmp_path / "out")
    assert rig["camera_01"].intrinsics is None and rig["camera_05"].intrinsics is None
    assert rig["camera_05"].ego_SE3_sensor is None and rig["camera_01"].ego_SE3_sensor is not None
    findings = "\n".join(result.findings)
    assert "CAMERA_01: its camera model has skew, fisheye, which the rig cannot represent; no intrinsics declared" in findings
    assert "CAMERA_05: it is not in the calibration, so its mounting is unknown" in findings


def test_without_calibration_there_are_frames_but_no_poses(folder: Path, tmp_path: Path) -> None:
    result = changed(folder, lambda document: document.update(samples=[]), tmp_path / "out")
    rig = rig_of(tmp_path / "out")
    assert "pose" not in rig and rig["lidar"].ego_SE3_sensor is None and messages(result.folder, "pose") == []
    findings = "\n".join(result.findings)
    assert "calibration: no sample of the scene names one" in findings and "there is no pose of the vehicle" in findings
    assert len(messages(result.folder, "lidar")) == 3


def first(document: Scene, *path: str) -> dict[str, Any]:
    place: dict[str, Any] = document["data"][0]
    for part in path:
        place = place[part]
    return place


@pytest.mark.parametrize(
    "filename", ["../../etc/passwd", "/etc/passwd", "point_cloud/../../x.npz", "", "a\\..\\b.npz", "a\0b.npz", "x\ud800.npz"]
)
def test_files_outside_of_the_scene_are_never_opened(folder: Path, filename: str) -> None:
    refused(
        folder,
        lambda document: first(document, "datum", "point_cloud").update(filename=filename),
        "not below the dataset's root|instead of a text",
    )


def test_calibrations_outside_of_the_scene_are_never_opened(folder: Path) -> None:
    refused(folder, lambda document: document["samples"][1].update(calibration_key="../../x"), "not below the dataset's root")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.update(data={}), "data is '{}' instead of a list"),
        (lambda document: document.update(data=[]), "names no image and no point cloud that is there"),
        (lambda document: document.update(data=[7]), "a datum is '7' instead of an object"),
        (lambda document: document.update(data=[{}] * 100_001), "names 100001 data, the limit is 100000"),
        (lambda document: first(document).pop("datum"), "a datum's value is 'None' instead of an object"),
        (lambda document: first(document).pop("id"), "a datum's id is 'None'"),
        (lambda document: first(document).pop("key"), "a datum's key is 'None'"),
        (lambda document: first(document, "id").update(name="Top Lidar"), "no sensor can be called 'Top Lidar'"),
        (lambda document: first(document, "id").update(name="pose"), "cannot stand for one sensor each"),
        (lambda document: first(document, "id").update(name="camera_01"), "cannot stand for one sensor each"),
        (lambda document: first(document).update(key=document["data"][1]["key"]), "has a key twice"),
        (lambda document: first(document, "datum", "point_cloud").pop("filename"), "a file name is 'None'"),
        (lambda document: first(document, "datum", "point_cloud").update(filename="a/" * 300), "at most 512 characters"),
        (lambda document: first(document, "datum", "point_cloud").update(filename="a" * 400), "cannot be accessed"),
        (lambda document: first(document, "datum", "point_cloud").update(point_format="XYZ"), "point_format is 'XYZ'"),
        (lambda document: first(document, "datum", "point_cloud").update(point_format=["X"] * 40), "40 columns, the limit"),
        (lambda document: first(document, "datum", "point_cloud").pop("pose"), "a pose is 'None' instead of an object"),
        (lambda document: first(document, "datum", "point_cloud", "pose", "rotation").update(qw=7), "no unit quaternion"),
        (lambda document: first(document, "datum", "point_cloud", "pose", "translation").update(x=float("nan")), "not finite"),
        (
            lambda document: first(document, "datum", "point_cloud", "pose", "translation").update(x=10**400),
            "instead of a number",
        ),
        (lambda document: first(document, "datum", "point_cloud", "pose", "translation").update(x="1"), "x is '1' instead of a"),
        (
            lambda document: first(document, "datum", "point_cloud", "pose", "translation").update(x=-1e308),
            "are its units metres",
        ),
        (lambda document: document["samples"][0].update(datum_keys="x"), "datum_keys is 'x' instead of a list"),
        (lambda document: document["samples"][0].update(calibration_key="other"), r"other\.json is missing"),
        (lambda document: document["samples"][0].pop("calibration_key"), "a key is 'None' instead of a text"),
    ],
)
def test_malformed_scenes_are_explained_before_anything_is_written(
    folder: Path, change: Callable[[Scene], object], message: str
) -> None:
    refused(folder, change, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.pop("names"), "does not hold names as a list"),
        (lambda document: document.update(extrinsics=document["extrinsics"][:2]), "has 3 names, 2 extrinsics and 3 intrinsics"),
        (lambda document: document.update(names=["LIDAR", "LIDAR", "X"]), "has 3 names"),
        (lambda document: document.update(names=["LIDAR", 7, "X"]), "a name that is not text"),
        (lambda document: document["extrinsics"][1]["rotation"].update(qw=9.0), "no unit quaternion"),
        (lambda document: document["intrinsics"][1].update(fx=-1.0), "intrinsics of CAMERA_01 do not fit a 64x48 px camera"),
        (lambda document: document["intrinsics"][1].update(cx=float("nan")), "do not fit a 64x48 px camera"),
        (lambda document: document["intrinsics"][1].update(k1=float("inf")), "do not fit a 64x48 px camera"),
    ],
)
def test_malformed_calibrations_are_explained(folder: Path, change: Callable[[Scene], object], message: str) -> None:
    document = made.calibration()
    change(document)
    (folder / "calibration" / f"{made.CALIBRATION_KEY}.json").write_text(json.dumps(document))
    with pytest.raises(SourceError, match=message):
        import_drive(folder, folder.parent / "out", "car-1", "drive-1")
    assert not (folder.parent / "out").exists()


def test_two_calibrations_are_one_drive_only_if_equal(folder: Path, tmp_path: Path) -> None:
    other = folder / "calibration" / "other.json"
    other.write_text(json.dumps(made.calibration()))
    changed(folder, lambda document: document["samples"][1].update(calibration_key="other"), tmp_path / "same")
    other.write_text(json.dumps(made.calibration() | {"names": ["A", "B", "C"]}))
    refused(folder, lambda document: document["samples"][1].update(calibration_key="other"), "its samples have 2 calibrations")


@pytest.mark.parametrize(
    ("columns", "table", "message"),
    [
        (["X", "Y", "Z", "INTENSITY"], np.zeros((5, 3)), r"float64 of shape \(5, 3\) instead of 4 floats a point"),
        (["X", "Y", "Z", "INTENSITY"], np.zeros((5, 4), np.int32), "int32 of shape"),
        (["X", "Y", "Z", "INTENSITY"], np.zeros(20), r"shape \(20,\)"),
        (["Y", "X", "Z", "INTENSITY"], np.zeros((5, 4)), "are not X, Y, Z and known ones"),
        (["X", "Y", "Z", "VELOCITY"], np.zeros((5, 4)), "are not X, Y, Z and known ones"),
        (["X", "Y", "Z", "Z"], np.zeros((5, 4)), "are not X, Y, Z and known ones"),
        ([], np.zeros((5, 4)), r"\(none named\) are not X, Y, Z"),
    ],
)
def test_clouds_that_are_not_what_the_scene_says_are_refused(
    folder: Path,
    columns: list[str],
    table: np.ndarray,
    message: str,  # type: ignore[type-arg]
) -> None:
    def change(document: Scene) -> None:
        first(document, "datum", "point_cloud").update(point_format=columns)
        np.savez(folder / first(document, "datum", "point_cloud")["filename"], data=table)

    with pytest.raises(SourceError, match=message):
        changed(folder, change, folder.parent / "out")


def test_points_beyond_float32_and_time_columns_are_reported(folder: Path, tmp_path: Path) -> None:
    table = np.column_stack([made.points(0), np.full(50, 1.5569195938203752e16)])
    table[3, 0], table[4, 1] = 1e300, np.nan

    def change(document: Scene) -> None:
        first(document, "datum", "point_cloud")["point_format"].append("TIMESTAMP")
        np.savez(folder / first(document, "datum", "point_cloud")["filename"], data=table)

    result = changed(folder, change, tmp_path / "out")
    cloud = decode_points(messages(result.folder, "lidar")[0].data)
    assert (
        cloud.names == ("x", "y", "z", "intensity")
        and np.isinf(cloud.xyz_m()[3, 0])
        and np.flatnonzero(cloud.invalid()).tolist() == [3, 4]
    )
    assert "lidar: 2 of 153 points have a coordinate that is not finite; kept" in result.findings
    assert "lidar: 1 clouds have a column TIMESTAMP, which is left out" in result.findings


@pytest.mark.parametrize("cut", [0, 30, -40])
def test_a_truncated_cloud_is_refused(folder: Path, cut: int) -> None:
    path = folder / first(made.scene(), "datum", "point_cloud")["filename"]
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SourceError, match=rf"{path.name} holds no array 'data' that can be read"):
        import_drive(folder, folder.parent / "out", "car-1", "drive-1")


@pytest.mark.parametrize(
    ("number", "kind", "suffix", "message"),
    [
        (0, "point_cloud", ".ply", r"other clouds \(\.ply\) are not supported"),
        (1, "image", ".tiff", "is not an image that is read"),
    ],
)
def test_other_file_kinds_are_refused_by_name(folder: Path, number: int, kind: str, suffix: str, message: str) -> None:
    def change(document: Scene) -> None:
        value = document["data"][number]["datum"][kind]
        before = folder / value["filename"]
        value["filename"] = str(Path(value["filename"]).with_suffix(suffix))
        before.rename(folder / value["filename"])

    with pytest.raises(SourceError, match=message):
        changed(folder, change, folder.parent / "out")


def test_a_broken_first_image_keeps_the_scenes_size(folder: Path, tmp_path: Path) -> None:
    (folder / f"rgb/CAMERA_01/{made.ticks(0, 'CAMERA_01')}.jpg").write_bytes(b"no image")
    result = import_drive(folder, tmp_path / "out", "car-1", "drive-1")
    lens = rig_of(tmp_path / "out")["camera_01"].intrinsics
    assert lens is not None and (lens.width_px, lens.height_px) == (64, 48)
    assert any(finding.startswith("CAMERA_01: its first image cannot be read") for finding in result.findings)


def test_one_scene_file_is_needed(folder: Path) -> None:
    (folder / "scene_b.json").write_text("{}")
    with pytest.raises(SourceError, match=r"scene_\*\.json is there 2 times; name the folder of one DGP scene"):
        import_drive(folder, folder.parent / "out", "car-1", "drive-1")
    for path in folder.glob("scene_*.json"):
        path.unlink()
    with pytest.raises(SourceError, match=r"scene_\*\.json is missing"):
        import_drive(folder, folder.parent / "out", "car-1", "drive-1")


@pytest.mark.parametrize("body", ["", "[]", "{", '{"data": ' + "[" * 100_000, "7"])
def test_a_scene_file_that_is_none_is_refused(folder: Path, body: str) -> None:
    (folder / "scene_a8dc5ed1.json").write_text(body)
    with pytest.raises(SourceError, match=r"is not JSON|instead of an object"):
        import_drive(folder, folder.parent / "out", "car-1", "drive-1")


def test_an_occupied_folder_is_left_alone(folder: Path) -> None:
    with pytest.raises(FleetError, match="not an empty folder"):
        import_drive(folder, folder, "car-1", "drive-1")


def test_progress_counts_every_frame(folder: Path, tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    import_drive(
        folder, tmp_path / "out", "car-1", "drive-1", lambda step, done, total: seen.setdefault(step, []).append((done, total))
    )
    assert seen["lidar"] == [(1, 3), (2, 3), (3, 3)] and seen["pose"][-1] == (6, 6)


HOSTILE = (None, True, -1, 10**30, 1e308, float("nan"), "", "x", "../x", [], {}, [[]], {"x": {}}, "\ud800", -(2**63))


def leaves(value: Any) -> list[tuple[Any, Any]]:
    """Every value of a document that can be replaced: its container and the key in it."""
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    return [place for key, inner in items for place in ((value, key), *leaves(inner))]


def test_any_value_replaced_by_a_hostile_one_is_imported_or_explained(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    path = folder / "calibration" / f"{made.CALIBRATION_KEY}.json"
    explained = 0
    for number in range(250):
        documents = [made.scene(), made.calibration()]
        places = leaves(documents[number % 2])
        container, key = places[int(rng.integers(len(places)))]
        container[key] = HOSTILE[int(rng.integers(len(HOSTILE)))]
        made.write_scene(folder, documents[0])
        path.write_text(json.dumps(documents[1]))
        try:
            import_drive(folder, tmp_path / f"out{number}", "car-1", "drive-1")
        except SourceError:
            explained += 1
    assert 50 < explained < 250


def test_every_faulty_row_is_named_with_its_field(folder: Path) -> None:
    def change(document: Scene) -> None:
        data = document["data"]
        data[1]["id"]["timestamp"] = "yesterday"
        data[3]["id"]["timestamp"] = "1969-12-31T23:59:59Z"
        for number in (3, 4):
            next(iter(data[number]["datum"].values()))["pose"]["rotation"] = dict.fromkeys(("qw", "qx", "qy", "qz"), 0)
        data[5] = 7
        document["samples"][2]["datum_keys"] = [5]

    calibration = made.calibration()
    calibration["extrinsics"][0]["rotation"]["qw"] = 9
    (folder / "calibration" / f"{made.CALIBRATION_KEY}.json").write_text(json.dumps(calibration))
    with pytest.raises(SourceError) as caught:
        changed(folder, change, folder.parent / "out")
    path = folder / "scene_a8dc5ed1.json"
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{path}: data entry 1: timestamp 'yesterday' is not a time: it is not like")
    assert lines[1].startswith(f"{path}: data entry 3: timestamp '1969-12-31T23:59:59Z' is not a time: it is before 1970")
    assert lines[2].startswith(f"{path}: data entry 3: ") and "no unit quaternion" in lines[2]
    assert lines[3].startswith(f"{path}: data entry 4: ") and "no unit quaternion" in lines[3]
    assert lines[4] == f"{path}: data entry 5: a datum is '7' instead of an object"
    assert lines[5].startswith(f"{path}: samples entry 2: a datum key is '5' instead of a text")
    assert lines[6].startswith(f"{folder / 'calibration'}/{made.CALIBRATION_KEY}.json: extrinsics of LIDAR: ")
    assert len(lines) == 7


def test_lenses_that_do_not_fit_are_named_together(folder: Path) -> None:
    calibration = made.calibration()
    for lens in calibration["intrinsics"][1:]:
        lens["fx"] = -1
    (folder / "calibration" / f"{made.CALIBRATION_KEY}.json").write_text(json.dumps(calibration))
    with pytest.raises(SourceError) as caught:
        import_drive(folder, folder.parent / "out", "car-1", "drive-1")
    assert ["CAMERA_01" in line or "CAMERA_05" in line for line in str(caught.value).splitlines()] == [True, True]


def test_files_that_no_datum_names_are_lost_by_their_sensor(folder: Path, tmp_path: Path) -> None:
    for name in ("rgb/CAMERA_05/extra.jpg", "rgb/CAMERA_05/notes.txt", "point_cloud/LIDAR/1.npz"):
        (folder / name).write_bytes(b"x")
    result = import_drive(folder, tmp_path / "out", "car-1", "drive-1")
    assert losses(result) == [("lidar", 1), ("camera_05", 1)]
    assert "CAMERA_05: 1 files are named by no datum, so have no stamp, and are left out: extra.jpg" in result.findings


def test_a_sensor_without_any_file_is_not_in_the_rig(folder: Path, tmp_path: Path) -> None:
    for path in (folder / "rgb" / "CAMERA_05").iterdir():
        path.unlink()
    result = import_drive(folder, tmp_path / "out", "car-1", "drive-1")
    assert losses(result) == [(None, 3)] and "camera_05" not in rig_of(tmp_path / "out")
    assert result.folder.manifest is not None and result.folder.manifest.losses[0].message.startswith("CAMERA_05: 3 of 3 data")


def test_a_camera_on_another_clock_has_no_delay_and_no_say_in_the_rate_of_poses(tmp_path: Path) -> None:
    src = made.write_dgp(tmp_path / "s", ticks_as_us=False)
    document = made.scene(ticks_as_us=False)
    for entry in document["data"]:
        if entry["id"]["name"] == "CAMERA_05":
            entry["id"]["timestamp"] = entry["id"]["timestamp"].replace("T21:", "T22:")
    made.write_scene(src, document)
    result = import_drive(src, tmp_path / "out", "car-1", "drive-1")
    rig = rig_of(tmp_path / "out")
    assert rig["camera_05"].sync.expected_delay_ns == 0 and rig["camera_01"].sync.expected_delay_ns > 0
    assert any(word.startswith("CAMERA_05: +3600021.1") and "is another clock and no delay" in word for word in result.findings)
    assert rig["pose"].rate_hz > 10.0
