"""An object holds one topic, one type and one frame: those of its sensor; whatever else is in it is named and counted."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest
from mcap.writer import CompressionType, Writer

from fleet.encode import encode_image, encode_pose
from lake.landing import SensorKey
from scenes.documents import MessageOrigin, ObjectReport
from scenes.scan.judge import judge_objects
from scenes.scan.object_scan import scan_object
from scenes.scan.origins import LONGEST_NAME, MAX_ORIGINS, OTHER_ORIGINS, MessageOrigins, foreign_messages
from sensors.decode.messages import IMAGE, ODOMETRY, POINT_CLOUD
from sensors.geometry import SE3
from sensors.rig import Rig
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import DRIVE, MS, T0, Landed, cloud, image, jpeg, make_rig, rig_document, sensor

RIG = make_rig(sensor("top", "lidar"), sensor("cam", "camera") | {"topic": "/front/compressed"})


def origin(
    topic: str = "/cam", frame_id: str | None = "cam", messages: int = 5, message_type: str = IMAGE, child: str | None = None
) -> MessageOrigin:
    return MessageOrigin(topic, message_type, frame_id, child, messages)


def report(*origins: MessageOrigin, start: int = 0, name: str = "cam", modality: str = "camera") -> ObjectReport:
    return ObjectReport(
        number=start, key=str(SensorKey(DRIVE, modality, name, T0 + start)), sensor=name, version_id="v", sha256="a" * 64,
        size_bytes=9, frames=sum(one.messages for one in origins), samples=0, faults=(), unknown_types={}, index="i",
        origins=origins,
    )  # fmt: skip


def foreign(*reports: ObjectReport, rig: Rig | None = RIG) -> list[dict[str, int]]:
    found = foreign_messages(reversed(reports), rig)
    return [dict(found.get(one.key, {})) for one in reports]


def counted(messages: Iterable[tuple[str, str, bytes]]) -> tuple[MessageOrigin, ...]:
    origins = MessageOrigins()
    for topic, message_type, cdr in messages:
        origins.take(topic, message_type, memoryview(cdr))
    return origins.counted()


# ---- counting ----


def picture(frame_id: str, ns: int = T0) -> bytes:
    return encode_image(ns, frame_id, "jpeg", jpeg(9))


def test_topics_types_and_frames_are_counted_apart() -> None:
    messages = [
        ("/a", IMAGE, picture("front")),
        ("/a", IMAGE, picture("front", T0 + MS)),
        ("/b", IMAGE, picture("front")),
        ("/a", IMAGE, picture("rear")),
        ("/a", IMAGE, picture("/front")),
        ("/a", POINT_CLOUD, cloud(T0).replace(b"lidar", b"front")),
        ("/a", IMAGE, picture("fronts")),
    ]
    assert counted(messages) == (
        origin("/a", "front", 3),
        origin("/b", "front", 1),
        origin("/a", "rear", 1),
        origin("/a", "front", 1, POINT_CLOUD),
        origin("/a", "fronts", 1),
    ), "a leading slash is no other frame"


def test_poses_have_two_frames() -> None:
    still = SE3.from_wxyz((0, 0, 0), (1, 0, 0, 0))
    messages = [
        ("/odom", ODOMETRY, encode_pose(T0, still, "odom", child)) for child in ("base_link", "base_link", "gnss_antenna")
    ]
    assert counted(messages) == (
        origin("/odom", "odom", 2, ODOMETRY, "base_link"),
        origin("/odom", "odom", 1, ODOMETRY, "gnss_antenna"),
    )


def test_a_message_without_a_readable_frame_counts_for_its_topic() -> None:
    assert counted([("/a", IMAGE, picture("front")), ("/a", IMAGE, b"\0\1\0\0" + bytes(9)), ("/a", IMAGE, picture("front"))]) == (
        origin("/a", "front", 2),
        origin("/a", None, 1),
    )


def test_what_is_kept_of_a_hostile_object_stays_small() -> None:
    found = counted((f"/{number}" + "t" * 999, IMAGE, picture("f" * 3000)) for number in range(500))
    assert len(found) == MAX_ORIGINS + 1
    assert found[-1] == origin(OTHER_ORIGINS, None, 500 - MAX_ORIGINS, "")
    assert max(len(one.topic) for one in found) == len(found[0].frame_id or "") == LONGEST_NAME


# ---- judging ----


@pytest.mark.parametrize("topic", ["/front/compressed", "/cam"])
def test_the_topic_is_the_one_that_the_rig_names_or_that_of_a_drive_folder(topic: str) -> None:
    assert foreign(report(origin(topic))) == [{}]


def test_another_topic_is_foreign_even_if_it_is_all_there_is() -> None:
    assert foreign(report(origin("/rear/compressed", messages=40))) == [
        {"topic '/rear/compressed' instead of '/front/compressed'": 40}
    ]


def test_the_topic_of_the_rig_holds_against_any_majority() -> None:
    both = report(origin("/rear/compressed", "rear", 40), origin("/front/compressed", "front", 3))
    assert foreign(both) == [{"topic '/rear/compressed' instead of '/front/compressed'": 40}]


@pytest.mark.parametrize("topic", ["/front/compressed", "/cam"])
def test_the_topic_of_another_sensor_is_foreign_even_if_it_is_all_there_is(topic: str) -> None:
    """The rig names no topic of the lidar: it may have any but the camera's."""
    assert foreign(report(origin("/os1/points", messages=40), name="top", modality="lidar")) == [{}]
    assert foreign(report(origin(topic, messages=40), name="top", modality="lidar")) == [
        {f"topic {topic!r} instead of '/top'": 40}
    ]


def test_without_a_rig_most_messages_of_the_sensor_decide_also_across_its_objects() -> None:
    reports = (
        report(origin("/left", "left", 9)),
        report(origin("/right", "right", 8), start=1),
        report(origin("/left", "left", 2), origin("/right", "right", 1), start=2),
    )
    wrong = "topic '/right' instead of '/left'"
    assert foreign(*reports, rig=None) == [{}, {wrong: 8}, {wrong: 1}]
    assert foreign(report(origin("/a", messages=4), origin("/b", messages=4)), rig=None) == [{"topic '/b' instead of '/a'": 4}]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (origin(frame_id="rear", messages=2), "frame 'rear' instead of 'cam'"),
        (origin(frame_id="", messages=2), "frame '' instead of 'cam'"),
        (origin(message_type=POINT_CLOUD, messages=2), f"type {POINT_CLOUD} instead of {IMAGE}"),
        (origin(child="imu", messages=2), "child frame 'imu' instead of None"),
    ],
)
def test_one_type_and_one_frame(other: MessageOrigin, words: str) -> None:
    if other.child_frame_id is not None:
        words, own = words.replace("None", "'base_link'"), origin(child="base_link")
    else:
        own = origin()
    assert foreign(report(own), report(own, other, start=1)) == [{}, {words: 2}]


def test_a_frame_that_could_not_be_read_is_held_against_nobody() -> None:
    assert foreign(report(origin(), origin(frame_id=None, messages=2))) == [{}]
    assert foreign(report(origin(frame_id=None))) == [{}]
    assert foreign(report()) == [{}]


def test_sensors_do_not_decide_for_each_other() -> None:
    reports = (report(origin()), report(origin("/top", "lidar", 99, POINT_CLOUD), name="top", modality="lidar"))
    assert foreign(*reports) == [{}, {}]


def test_the_finding_counts_and_names_what_is_foreign() -> None:
    both = report(origin("/front/compressed", messages=20), origin("/rear/\x1b[2J", messages=20))
    (found,) = judge_objects([both], None, RIG)[both.key]
    assert (found.rule_id, found.sensor, found.measured) == ("DEC008", "cam", 20)
    assert "20 of topic '/rear/\\x1b[2J' instead of '/front/compressed'" in found.message


# ---- the whole way ----


def two_cameras(stamps: list[int]) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream, compression=CompressionType.NONE, enable_data_crcs=True)
    writer.start("ros2", "test")
    schema = writer.register_schema(IMAGE, "ros2msg", b"")
    channels = [writer.register_channel(topic, "cdr", schema) for topic in ("/front/compressed", "/rear/compressed")]
    for ns in stamps:
        for number, channel in enumerate(channels):
            writer.add_message(channel, log_time=ns + 2 * MS + number, data=image(ns + number * MS), publish_time=ns)
    writer.finish()  # type: ignore[no-untyped-call]
    return stream.getvalue()


def test_an_object_with_two_cameras_is_quarantined_and_no_scene_shows_either() -> None:
    stamps = [T0 + n * 100 * MS for n in range(12)]
    landed = Landed()
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in stamps])
    key = str(SensorKey(DRIVE, "camera", "cam", T0))
    landed.land_bytes(key, two_cameras(stamps), 24, stamps[-1] + MS)
    rig = rig_document(sensor("top", "lidar", required=True), sensor("cam", "camera") | {"topic": "/front/compressed"})
    inspection, _ = serial_jobs.inspect(landed, landed.finish(rig, stamps[-1] + MS))
    assert [found.rule_id for found in inspection.object_findings[key]] == ["DEC008"]
    assert inspection.faulty_keys == (key,)


def test_an_object_is_scanned_with_its_origins() -> None:
    found = scan_object(io.BytesIO(two_cameras([T0])), SensorKey(DRIVE, "camera", "cam", T0))
    assert found.origins == (origin("/front/compressed", "cam", 1), origin("/rear/compressed", "cam", 1))
