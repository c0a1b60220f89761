"""Objects that hold what their sensor does not record, or what nobody can read, through all jobs and through a release.

None of them may end a job: what cannot be used is kept out, one by one, with its reason (promise P5).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from mcap.writer import Writer

from fleet.encode import encode_image, encode_points, message_definition
from lake.drive_input import DriveInput
from lake.overrides import Override, Verdict, object_target
from lake.tables.rows import RecordRow
from quality.decisions import why_not_releasable
from scenes.options import BuildOptions, PayloadChecks
from scenes.work_area import INDEX, POSE_SAMPLES
from sensors.decode.messages import IMAGE, ODOMETRY, POINT_CLOUD
from sensors.decode.points import point_fields
from tests.hostile_text import HOSTILE, unsafe
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import DRIVE, MS, T0, Landed, cloud, image, jpeg, pose, recording, rig_document, sensor

STAMPS = [T0 + n * 100 * MS for n in range(8)]
POSES = [(ns, pose(ns)) for ns in range(STAMPS[0], STAMPS[-1] + 1, 40 * MS)]
MOUNTED = {"ego_SE3_sensor": {"translation_m": [0, 0, 1.8], "rotation_wxyz": [1, 0, 0, 0]}}
RIG = rig_document(sensor("top", "lidar", required=True) | MOUNTED, sensor("cam", "camera"), sensor("odo", "pose", 25))
Messages = Sequence[tuple[int, bytes]]


def drive(**objects: tuple[str, bytes]) -> tuple[Landed, DriveInput]:
    """A sound drive in which some sensors have another object: its modality and its bytes, by sensor."""
    landed = Landed()
    sound = {
        "top": ("lidar", recording(POINT_CLOUD, [(ns, cloud(ns)) for ns in STAMPS])),
        "cam": ("camera", recording(IMAGE, [(ns, image(ns)) for ns in STAMPS])),
        "odo": ("pose", recording(ODOMETRY, POSES)),
    }
    for name, (modality, body) in (sound | objects).items():
        landed.land_bytes(f"{DRIVE}/{modality}/{name}/{STAMPS[0]:019d}.mcap", body, 1, STAMPS[-1])
    return landed, landed.finish(RIG, STAMPS[-1])


def released(landed: Landed, drive_input: DriveInput, rules: Iterable[str]) -> DriveInput:
    """The drive after a reviewer released every object of it from these rules."""
    targets = tuple(object_target(entry.key, entry.version_id) for entry in drive_input.objects)
    override = Override(Verdict.RELEASE, drive_input.base, targets, tuple(rules), "alice", "looks fine")
    return replace(drive_input, overrides=frozenset({override.to_string()}))


def run(landed: Landed, drive_input: DriveInput, options: BuildOptions = serial_jobs.OPTIONS) -> dict[str, tuple[int, int, int]]:
    """All jobs; where the frames of each sensor went: gold, quarantined, unmatched. The account balances."""
    if serial_jobs.inspect(landed, drive_input, options).inspection.verdict == "build":
        serial_jobs.build(landed, drive_input, options=options)
    outcome = serial_jobs.outcome(landed, drive_input)
    serial_jobs.check_identity(landed, drive_input, outcome)
    entries = serial_jobs.account(landed, drive_input).accounts(outcome)
    return {entry.sensor: (entry.gold, entry.quarantined, entry.unmatched) for entry in entries}


def records(landed: Landed, drive_input: DriveInput) -> list[RecordRow]:
    return list(serial_jobs.outcome(landed, drive_input).records)


def cut_one(poses: Messages) -> bytes:
    return recording(ODOMETRY, [*poses[:3], (poses[3][0], poses[3][1][:200]), *poses[4:]])


def empty_one(poses: Messages) -> bytes:
    return recording(ODOMETRY, [*poses[:3], (poses[3][0], b""), *poses[4:]])


def two_cut_beside_each_other(poses: Messages) -> bytes:
    return recording(ODOMETRY, [(ns, cdr[:200] if place in (3, 4) else cdr) for place, (ns, cdr) in enumerate(poses)])


@pytest.mark.parametrize("damage", [cut_one, empty_one, two_cut_beside_each_other])
def test_a_pose_object_with_messages_that_cannot_be_read_is_released_without_them(damage: Callable[[Messages], bytes]) -> None:
    landed, drive_input = drive(odo=("pose", damage(POSES)))
    bad = len(POSES) - 2 if damage is two_cut_beside_each_other else len(POSES) - 1
    assert run(landed, drive_input)["odo"] == (0, len(POSES), 0), "a damaged object is kept out whole"
    after = released(landed, drive_input, ["DEC001", "DEC002"])
    gold, quarantined, unmatched = run(landed, after)["odo"]
    assert (gold > 0, quarantined, gold + unmatched) == (True, len(POSES) - bad, bad)
    assert len(landed.area.read_table(POSE_SAMPLES)) == bad
    kept_out = [row for row in records(landed, after) if row.frames]
    assert [(row.sensor, row.rule_ids) for row in kept_out] == [("odo", ("DEC007",))] * (len(POSES) - bad)
    assert all(why_not_releasable(row) for row in kept_out), "no release can make a message readable"


def mixed(poses: Messages) -> bytes:
    """Among the poses, one message of another type."""
    stream = io.BytesIO()
    writer = Writer(stream, chunk_size=400)
    writer.start("ros2", "test")
    kinds = ((ODOMETRY, message_definition(ODOMETRY)), ("std_msgs/msg/String", "string data"))
    channels = [
        writer.register_channel(f"/{kind}", "cdr", writer.register_schema(kind, "ros2msg", text.encode())) for kind, text in kinds
    ]
    for place, (ns, cdr) in enumerate(poses):
        writer.add_message(channels[0], log_time=ns + 2 * MS, data=cdr, publish_time=ns)
        if place == 3:
            writer.add_message(channels[1], log_time=ns + 3 * MS, data=b"\0\1\0\0\3\0\0\0ok\0", publish_time=ns)
    writer.finish()  # type: ignore[no-untyped-call]
    return stream.getvalue()


OTHER_KINDS = {
    "odo": ("pose", mixed(POSES)),
    "cam": ("camera", recording(POINT_CLOUD, [(ns, cloud(ns)) for ns in STAMPS])),
    "top": ("lidar", recording(IMAGE, [(ns, image(ns)) for ns in STAMPS])),
}


@pytest.mark.parametrize("name", ["odo", "cam"])
def test_an_object_of_another_kind_stays_out_whatever_a_reviewer_says(name: str) -> None:
    landed, drive_input = drive(**{name: OTHER_KINDS[name]})
    before = run(landed, drive_input)
    assert before[name][0] == 0
    (row,) = [row for row in records(landed, drive_input) if "DEC004" in row.rule_ids]
    assert "DEC004" in (why_not_releasable(row) or "")
    after = released(landed, drive_input, ["DEC001", "DEC002", "DEC004"])
    assert run(landed, after) == before
    assert all(len(scene["cameras"]) == (name != "cam") for scene in serial_jobs.scenes(landed))


def test_a_lidar_object_of_images_gives_no_scene() -> None:
    landed, drive_input = drive(top=OTHER_KINDS["top"])
    for judged in (drive_input, released(landed, drive_input, ["DEC001", "DEC004"])):
        assert run(landed, judged)["top"] == (0, len(STAMPS), 0)
        (whole,) = [row for row in records(landed, judged) if row.level == "drive"]
        assert "CMP003" in whole.rule_ids, "the reference has no usable frame"


def test_a_message_of_an_unknown_type_is_marked_in_the_index() -> None:
    landed, drive_input = drive(odo=OTHER_KINDS["odo"])
    serial_jobs.inspect(landed, drive_input)
    rows = landed.area.read_table(INDEX).to_pylist()
    assert [row["message_type"] for row in rows if not row["readable"]] == ["std_msgs/msg/String"]


def renamed(stamp_ns: int) -> bytes:
    """A cloud whose `x` is called `X`: one flipped bit."""
    kind = np.dtype([("X", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "u1")])
    points = np.ones(3, dtype=kind)
    points["intensity"] = stamp_ns // MS % 251
    return encode_points(stamp_ns, "lidar", point_fields(kind), points)


def without_fields(stamp_ns: int) -> bytes:
    return encode_points(stamp_ns, "lidar", (), np.zeros(0, dtype=np.dtype([("x", "<f4")])))


@pytest.mark.parametrize("checks", [PayloadChecks.FULL, PayloadChecks.STRUCTURE])
@pytest.mark.parametrize(("broken", "bad"), [(renamed, {0, 1, 7}), (without_fields, {0})])
def test_clouds_without_coordinates_are_quarantined_one_by_one(
    bad: set[int], broken: Callable[[int], bytes], checks: PayloadChecks
) -> None:
    frames = [(ns, broken(ns) if place in bad else cloud(ns)) for place, ns in enumerate(STAMPS)]
    landed, drive_input = drive(top=("lidar", recording(POINT_CLOUD, frames)))
    assert run(landed, drive_input, BuildOptions(payload_checks=checks))["top"] == (len(STAMPS) - len(bad), len(bad), 0)


def test_a_lidar_that_never_has_coordinates_ends_no_job() -> None:
    landed, drive_input = drive(top=("lidar", recording(POINT_CLOUD, [(ns, renamed(ns)) for ns in STAMPS])))
    assert run(landed, drive_input)["top"] == (0, len(STAMPS), 0)


@pytest.mark.parametrize("where", ["type", "topic", "frame"])
def test_names_in_a_file_reach_no_report_as_they_are(where: str) -> None:
    hostile = HOSTILE.encode("utf-8", "ignore").decode()  # the container's strings are UTF-8
    messages = [(ns, encode_image(ns, "cam", "jpeg", jpeg())) for ns in STAMPS]
    odd = [(ns + MS, encode_image(ns + MS, hostile if where == "frame" else "cam", "jpeg", jpeg())) for ns in STAMPS[:2]]
    body = named(hostile if where == "type" else IMAGE, [("/cam", messages), (hostile if where == "topic" else "/cam", odd)])
    landed, drive_input = drive(cam=("camera", body))
    run(landed, drive_input)
    inspection = serial_jobs.inspect(landed, drive_input).inspection
    told = [one.message for found in inspection.object_findings.values() for one in found]
    assert any("owned" in message for message in told)
    assert unsafe("".join(told), "") == set()
    records = serial_jobs.outcome(landed, drive_input).records
    assert unsafe("".join(one.message for record in records for one in record.findings), "") == set()


def named(message_type: str, parts: Sequence[tuple[str, Messages]]) -> bytes:
    """An MCAP file of messages by topic."""
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.start(profile="ros2", library="test")
    schema = writer.register_schema(message_type, "ros2msg", message_definition(IMAGE).encode())
    for topic, messages in parts:
        channel = writer.register_channel(topic, "cdr", schema)
        for stamp_ns, cdr in messages:
            writer.add_message(channel, log_time=stamp_ns, data=cdr, publish_time=stamp_ns)
    writer.finish()  # type: ignore[no-untyped-call]
    return stream.getvalue()
