"""Refusals before upload, each of which names all problems at once."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.drive_folder import DriveFolder, write_manifest
from fleet.errors import DriveFolderError
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec
from lake.documents import Manifest
from lake.landing import DriveId

DRIVE = DriveId("car-7", "drive-1")


@pytest.fixture
def drive(small_drive: DriveFolder, tmp_path: Path) -> Path:
    """A clean drive to damage."""
    return Path(shutil.copytree(small_drive.path, tmp_path / "copy"))


def problems(folder: Path) -> dict[str, str]:
    with pytest.raises(DriveFolderError) as caught:
        DriveFolder.load(folder)
    found = {problem.file: f"{problem.cause}; {problem.next_step}" for problem in caught.value.problems}
    assert len(found) == len(caught.value.problems)
    assert all(file in str(caught.value) and cause in str(caught.value) for file, cause in found.items())
    return found


def lidar_of(folder: Path) -> str:
    (path,) = (folder / "lidar" / "lidar_top").glob("*.mcap")
    return path.relative_to(folder).as_posix()


def test_the_manifest_is_rebuilt_from_what_is_on_disk(drive: Path) -> None:
    before = (drive / "manifest.json").read_bytes()
    (drive / "manifest.json").unlink()
    write_manifest(drive, DRIVE, "scenelake-synthetic", "1")
    assert (drive / "manifest.json").read_bytes() == before
    manifest = Manifest.parse(before, DRIVE)
    assert manifest.start_ns == min(entry.start_ns for entry in manifest.objects)
    assert manifest.end_ns == max(entry.end_ns for entry in manifest.objects)


def test_files_are_listed_in_upload_order_without_the_ground_truth(small_drive: DriveFolder) -> None:
    keys = [file.key for file in small_drive.files()]
    assert keys[-2:] == ["car-7/drive-1/calibration.json", "car-7/drive-1/manifest.json"]
    assert keys[:-2] == sorted(keys[:-2]) and len(keys) == 10
    assert not any("ground_truth" in key for key in keys)
    assert all(file.size_bytes == file.path.stat().st_size for file in small_drive.files())


@pytest.mark.parametrize(
    ("fault", "file", "message"),
    [
        ("no_manifest", "manifest.json", "missing: the recording did not finish"),
        ("absent_object:radar_front", "radar/radar_front", "named by the manifest, but not there"),
        ("wrong_checksum:lidar_top", "lidar/lidar_top", "its SHA-256 is"),
        ("empty_object:camera_front", "camera/camera_front", "is empty; the manifest says"),
        ("stray_file", "lidar/frames.pkl", "is a pickle: opening one runs code that is in it, so it is never opened"),
        ("unknown_message_type:radar_rear", "radar/radar_rear", "holds messages of the type acme_msgs/msg/OpaqueScan"),
        ("bad_calibration", "calibration.json", "rotation is no unit quaternion: its length is 0.5"),
    ],
)
def test_each_fault_of_files_is_found_before_upload(
    small_spec: DriveSpec, new_folder: Path, fault: str, file: str, message: str
) -> None:
    generate(replace(small_spec, duration_s=0.3, faults=(Fault.parse(fault),)), new_folder)
    ((found, text),) = problems(new_folder).items()
    assert found.startswith(file)
    assert message in text
    assert "; " in text


def test_a_cut_recording_is_found_by_size_and_by_walking_it(small_spec: DriveSpec, new_folder: Path) -> None:
    generate(replace(small_spec, duration_s=0.3, faults=(Fault.parse("truncate_object:lidar_top:0.4"),)), new_folder)
    with pytest.raises(DriveFolderError) as caught:
        DriveFolder.load(new_folder)
    causes = [problem.cause for problem in caught.value.problems]
    assert len(causes) == 2
    assert "the manifest says" in causes[0]
    assert "is not a whole MCAP file: truncated at byte" in causes[1]


def test_a_recording_cut_before_its_manifest_was_made_makes_no_manifest(drive: Path) -> None:
    path = drive / lidar_of(drive)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DriveFolderError, match="truncated at byte"):
        write_manifest(drive, DRIVE, "test", "1")


def test_all_problems_are_named_at_once(drive: Path) -> None:
    lidar = lidar_of(drive)
    content = bytearray((drive / lidar).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (drive / lidar).write_bytes(content)
    (radar,) = (drive / "radar" / "radar_front").glob("*.mcap")
    radar.unlink()
    (drive / "lidar" / "scan.bin").write_bytes(b"123")
    (drive / "Notes.txt").write_text("hello")
    (drive / "sonar").mkdir()
    (drive / "sonar" / "ping.mcap").write_bytes(b"123")
    (drive / "lidar" / "lidar_top" / "17.mcap").write_bytes(b"123")
    with pytest.raises(DriveFolderError) as caught:
        DriveFolder.load(drive)
    files = [problem.file for problem in caught.value.problems]
    assert sorted(set(files)) == sorted(
        [lidar, radar.relative_to(drive).as_posix(), "lidar/scan.bin", "Notes.txt", "sonar/ping.mcap", "lidar/lidar_top/17.mcap"]
    )
    assert f"{len(files)} problems" in str(caught.value)


def test_a_pickle_is_never_opened(drive: Path) -> None:
    class Trap:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (Path.touch, (drive / "owned",))

    for name in ("a.pkl", "b.PKL.GZ", "c.pickle"):
        (drive / name).write_bytes(pickle.dumps(Trap()))
        (drive / name).chmod(0)
    found = problems(drive)
    assert set(found) == {"a.pkl", "b.PKL.GZ", "c.pickle"}
    assert all("never opened" in text for text in found.values())
    assert not (drive / "owned").exists()


def test_an_extra_recording_is_not_smuggled_in(drive: Path) -> None:
    source = drive / lidar_of(drive)
    extra = source.with_name("1750000009000000000.mcap")
    shutil.copy(source, extra)
    assert problems(drive) == {
        extra.relative_to(drive).as_posix(): "is not named by the manifest; remove it, or make the manifest again"
    }


def test_a_changed_calibration_is_noticed(drive: Path) -> None:
    document = json.loads((drive / "calibration.json").read_bytes())
    document["sensors"][0]["rate_hz"] = 11
    (drive / "calibration.json").write_text(json.dumps(document))
    assert "its SHA-256 is not the" in problems(drive)["calibration.json"]


def test_a_missing_calibration_is_noticed(drive: Path) -> None:
    (drive / "calibration.json").unlink()
    assert problems(drive) == {"calibration.json": "missing; generate, import or record the drive again"}


def test_sensors_that_the_rig_does_not_know_are_noticed(drive: Path) -> None:
    document = json.loads((drive / "calibration.json").read_bytes())
    document["sensors"] = [sensor for sensor in document["sensors"] if sensor["name"] != "radar_rear"]
    (drive / "calibration.json").write_text(json.dumps(document))
    write_manifest(drive, DRIVE, "test", "1")
    assert "the rig has no radar called 'radar_rear'" in problems(drive)["calibration.json"]


def test_a_broken_manifest_is_explained(drive: Path) -> None:
    (drive / "manifest.json").write_text('{"schema_version": 1')
    assert "manifest is not JSON" in problems(drive)["manifest.json"]


def test_a_manifest_of_another_drive_is_refused(drive: Path) -> None:
    with pytest.raises(DriveFolderError, match="names the drive car-7/drive-1"):
        DriveFolder.load(drive, drive=DriveId("car-8", "drive-1"))


def test_a_wrong_frame_count_is_noticed(drive: Path) -> None:
    manifest = Manifest.parse((drive / "manifest.json").read_bytes(), DRIVE)
    objects = tuple(replace(entry, frame_count=entry.frame_count + (entry.sensor == "imu")) for entry in manifest.objects)
    (drive / "manifest.json").write_bytes(replace(manifest, objects=objects).to_bytes())
    ((file, text),) = problems(drive).items()
    assert file.startswith("imu/imu/") and "holds 114 frames, the manifest says 115" in text


def test_a_misnamed_recording_makes_no_manifest(drive: Path) -> None:
    path = drive / lidar_of(drive)
    path.rename(path.with_name("1750000000000000001.mcap"))
    with pytest.raises(DriveFolderError, match=r"the stamp 1750000000030000000 ns; name it 1750000000030000000\.mcap"):
        write_manifest(drive, DRIVE, "test", "1")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"rig_id": 3}'])
def test_a_calibration_that_names_no_rig_makes_no_manifest(drive: Path, content: str) -> None:
    (drive / "calibration.json").write_text(content)
    with pytest.raises(DriveFolderError, match=r"calibration\.json: missing, or names no rig"):
        write_manifest(drive, DRIVE, "test", "1")


def test_links_are_never_followed(drive: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    (drive / "lidar" / "link.mcap").symlink_to(secret)
    for check in (True, False):
        with pytest.raises(DriveFolderError, match=r"lidar/link\.mcap: is a link"):
            DriveFolder.load(drive, check=check)


def test_a_faulty_folder_can_be_opened_on_purpose(small_spec: DriveSpec, new_folder: Path) -> None:
    faults = tuple(Fault.parse(text) for text in ("truncate_object:lidar_top:0.4", "stray_file"))
    generate(replace(small_spec, duration_s=0.3, faults=faults), new_folder)
    folder = DriveFolder.load(new_folder, check=False)
    assert folder.manifest is not None
    assert "car-7/drive-1/lidar/frames.pkl" in {file.key for file in folder.files()}


def test_a_folder_without_identity_needs_a_name(drive: Path) -> None:
    (drive / "manifest.json").unlink()
    shutil.rmtree(drive / "ground_truth")
    with pytest.raises(DriveFolderError, match="say which vehicle and drive this is"):
        DriveFolder.load(drive, check=False)
    assert DriveFolder.load(drive, check=False, drive=DRIVE).drive == DRIVE


def test_a_missing_folder_is_reported_as_missing(tmp_path: Path) -> None:
    with pytest.raises(DriveFolderError, match="is not a folder"):
        DriveFolder.load(tmp_path / "nowhere")


def test_an_error_survives_being_sent_to_another_process(tmp_path: Path) -> None:
    with pytest.raises(DriveFolderError) as caught:
        DriveFolder.load(tmp_path / "nowhere")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.problems == caught.value.problems and str(copy) == str(caught.value)
