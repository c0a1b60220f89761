"""The drive of the benchmark: its properties, that it is the same in every run, and that the light reader reads it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bench.build_scenes.competitors.pandas_match import plan_matches
from bench.build_scenes.drive import DriveSpec, drive_bytes, drive_folder
from bench.build_scenes.limit import match as match_by_limit
from bench.build_scenes.raw import index_object, raw_objects, read_rig
from bench.build_scenes.timing import expected_matches, timing
from fleet.drive_folder import DriveFolder
from sensors.container.mcap import scan
from sensors.container.recorded import StoredMessage
from sensors.decode.images import inspect_image
from sensors.decode.messages import decode_image, decode_points, peek_stamp_ns

SECONDS = 0.4


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drive_folder(DriveSpec(1.0, SECONDS), tmp_path_factory.mktemp("drives"))


def test_the_drive_is_a_sound_drive_folder_and_is_written_once(drive: Path) -> None:
    assert DriveFolder.load(drive).manifest is not None
    written = {path: path.stat().st_mtime_ns for path in raw_objects(drive)}
    assert drive_folder(DriveSpec(1.0, SECONDS), drive.parent) == drive
    assert {path: path.stat().st_mtime_ns for path in raw_objects(drive)} == written
    assert drive_bytes(drive) == sum(path.stat().st_size for path in written)


def test_equal_specs_give_equal_bytes(drive: Path, tmp_path: Path) -> None:
    again = drive_folder(DriveSpec(1.0, SECONDS), tmp_path)
    assert (again / "manifest.json").read_bytes() == (drive / "manifest.json").read_bytes()


def test_the_light_reader_finds_what_the_projects_own_reader_finds(drive: Path) -> None:
    for path in raw_objects(drive):
        index = index_object(path)
        content = path.read_bytes()
        with path.open("rb") as stream:
            messages = [item for item in scan(stream) if isinstance(item, StoredMessage)]
        assert index.sha256 == hashlib.sha256(content).hexdigest()
        assert index.stamps_ns.tolist() == [peek_stamp_ns(message.data) for message in messages]
        for message, offset, length in zip(messages, index.offsets.tolist(), index.lengths.tolist(), strict=True):
            payload = content[offset : offset + length]
            if path.parts[-3] == "camera":
                assert payload == bytes(decode_image(message.data).data)
            elif path.parts[-3] in ("lidar", "radar"):
                assert payload == bytes(decode_points(message.data).data)
            else:
                assert payload == b""


def test_payloads_have_the_sizes_of_the_vehicle(drive: Path) -> None:
    for path in raw_objects(drive):
        index = index_object(path)
        if path.parts[-3] == "lidar":
            assert set(index.lengths.tolist()) == {34_688 * 20}
        elif path.parts[-3] == "radar":
            assert set((index.lengths % 43).tolist()) == {0}
        elif path.parts[-3] == "camera":
            image = path.read_bytes()[index.offsets[0] : index.offsets[0] + index.lengths[0]]
            assert inspect_image(image).width_px == 1600
            assert len(set(index.lengths.tolist())) > 1


def test_two_matchers_that_are_not_the_projects_agree_with_it(drive: Path) -> None:
    objects = [index_object(path) for path in raw_objects(drive)]
    for mode, hz in (("sweep", None), ("keyframe", 2)):
        expected = expected_matches(timing(SECONDS, 1).stamps_ns, hz)
        plan = plan_matches(objects, read_rig(drive), mode)
        names = read_rig(drive).names
        by_pandas = {
            (anchor, name, stamp)
            for name in names
            for anchor, stamp, number in zip(
                plan["anchor_ns"].tolist(), plan[f"{name}_stamp_ns"].tolist(), plan[f"{name}_object"].tolist(), strict=True
            )
            if number >= 0
        }
        anchors, scenes = match_by_limit(objects, read_rig(drive), mode)
        by_limit = {(anchor, found[0], found[4]) for anchor, scene in zip(anchors, scenes, strict=True) for found in scene}
        assert by_pandas == by_limit == expected
