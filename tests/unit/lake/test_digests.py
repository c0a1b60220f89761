"""Digests depend on what a scene holds, on all of it, and on nothing else."""

from __future__ import annotations

import datetime
import hashlib
import io
import math
import struct
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.digests import (
    FACTS,
    FRAME_LISTS,
    PAYLOADS,
    Intactness,
    canonical_scene,
    check_scene,
    content_digest,
    differences,
    payload_sha256,
    scene_digest,
    sha256_of,
)
from lake.documents import content_hash
from lake.tables.schemas import SCENES
from scenes.build import scene_file
from scenes.build.scene_file import scene_pieces

POSE = {"x_m": 1.5, "y_m": -0.0, "z_m": 0.1, "qw": 1.0, "qx": 0.0, "qy": 0.0, "qz": 0.0}
MATCH = {"stamp_ns": 7, "offset_ns": -3, "residual_ns": 2, "sweep": 0, "ego_pose": None}
FIELD = {"name": "x", "offset": 0, "datatype": 7, "count": 1}

PROVENANCE = ("revision", "sources", "code_version", "config_hash")  # columns that no digest holds


def frame(sensor: str, payload: str = "points", body: bytes = b"12345678", **more: Any) -> dict[str, Any]:
    points = {"num_points": 2, "point_layout": "rows", "point_step": 4, "point_fields": [FIELD], "is_bigendian": False}
    image = {"width_px": 4, "height_px": 3, "encoding": "jpeg"}
    own = points if payload == "points" else image
    return {"sensor": sensor, **MATCH, **own, payload: body, "payload_sha256": payload_sha256(body), **more}


def scene(**columns: Any) -> dict[str, Any]:
    row = {
        "scene_id": "car.d.10",
        "vehicle_id": "car",
        "drive_id": "d",
        "revision": "r",
        "day": datetime.date(1970, 1, 1),
        "anchor_sensor": "top",
        "anchor_ns": 10,
        "ego_pose": POSE,
        "complete": False,
        "missing": [{"sensor": "rear", "reason": "no_frames"}, {"sensor": "aft", "reason": "DEC005"}],
        "quality_flags": ["SYN003", "CAM001"],
        "lidars": [frame("top", ego_pose=POSE), frame("top", sweep=1, body=b"abcdefgh")],
        "cameras": [frame("left", "image", b"JPEG"), frame("right", "image", b"GEPJ")],
        "radars": [frame("front"), frame("polar", "image", b"PNG")],
        "sources": [{"key": "k", "version_id": "v", "sha256": "s"}],
        "calibration": '{"sensors": []}',
        "code_version": "c",
        "config_hash": "h",
        "released": [{"level": "scene", "about": "10", "rule_ids": ["A", "B"], "reviewer": "me", "reason": "fine"}],
    } | columns
    return row | {"scene_digest": scene_digest(row)}


def test_golden_pairs() -> None:
    """A change of any of these makes every digest in every lake worth nothing: raise CANONICAL, and keep the old form."""
    assert payload_sha256(memoryview(b"abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (
        scene()["scene_digest"]
        == content_hash(canonical_scene(scene()))
        == "6ea1cd0b1067f0c9f3b4a5f83a7de0977c696cffa84e1f17ee5db10cb86bb273"
    )
    assert content_digest([]) == "169efec9fe5605a67b6167194ba8997bcc46e7caed5719c23e4f630f31ff8beb"
    assert content_digest([(10, "aa"), (-5, "bb")]) == "aa02236c8fcdff3e57f5ba3d908618d2cb57b232627342ce82767a4a2f1a828e"
    assert content_digest([(10, "aa"), (-5, "bb")]) == hashlib.sha256(b"drive/1\n-5 bb\n10 aa\n").hexdigest()


def test_the_canonical_form_is_as_documented() -> None:
    found = canonical_scene(scene(lidars=[frame("top", ego_pose=POSE)], cameras=[], radars=[]))
    pose = struct.pack("<7d", *POSE.values()).hex()
    assert found["ego_pose"] == found["lidars"][0]["ego_pose"] == pose
    assert found["calibration"] == hashlib.sha256(b'{"sensors": []}').hexdigest()
    assert found["missing"] == [["aft", "DEC005"], ["rear", "no_frames"]]
    assert "points" not in found["lidars"][0]
    assert "reference_ns" not in found["lidars"][0], "null"


def test_every_column_is_content_or_provenance() -> None:
    content = set(canonical_scene(scene())) - {"canonical"}
    assert content | set(PROVENANCE) | {"day", "scene_digest"} == set(SCENES.names)
    for column in FRAME_LISTS:
        leaves = set(SCENES.field(column).type.value_type.names)
        full = {name: frame("x").get(name, 1) for name in leaves} | {"ego_pose": POSE, "image": b""}
        assert set(canonical_scene(scene(**{column: [full]}))[column][0]) | set(PAYLOADS) >= leaves


LISTS = ("missing", "quality_flags", "lidars", "cameras", "radars", "released")


@given(st.data())
def test_the_order_of_equal_facts_does_not_matter(data: st.DataObject) -> None:
    row = scene(released=[{**scene()["released"][0], "about": about} for about in "xyz"])
    names = data.draw(st.permutations(list(row)))
    shuffled = {name: data.draw(st.permutations(row[name])) if name in LISTS else row[name] for name in names}
    shuffled["released"] = [{**one, "rule_ids": data.draw(st.permutations(one["rule_ids"]))} for one in shuffled["released"]]
    assert scene_digest(shuffled) == row["scene_digest"]


def test_frames_of_one_place_have_one_order() -> None:
    """Two frames of a sensor with one stamp: nothing but their content tells them apart."""
    frames = [frame("top", body=b"12345678"), frame("top", body=b"87654321")]
    assert scene(lidars=frames)["scene_digest"] == scene(lidars=frames[::-1])["scene_digest"]


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, dict):
        return value | {next(iter(value)): other(next(iter(value.values())))}
    if isinstance(value, list):
        return [*value[:-1], other(value[-1])]
    return "other" if isinstance(value, str) else b"other"


def changes() -> list[tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]]:
    found: list[tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = []
    for name, value in scene().items():
        if name in (*PROVENANCE, "day", "scene_digest"):
            continue
        found.append((name, lambda row, name=name: row | {name: other(row[name])}))
        if isinstance(value, list):
            found.append((f"{name} less", lambda row, name=name: row | {name: row[name][:-1]}))
            found.append((f"{name} twice", lambda row, name=name: row | {name: [*row[name], row[name][-1]]}))
        if name in FRAME_LISTS:
            for leaf in value[0]:
                if leaf not in PAYLOADS:

                    def change(row: dict[str, Any], name: str = name, leaf: str = leaf) -> dict[str, Any]:
                        first, *rest = row[name]
                        changed = POSE if first[leaf] is None else other(first[leaf])
                        return row | {name: [first | {leaf: changed}, *rest]}

                    found.append((f"{name} {leaf}", change))
    return found


@pytest.mark.parametrize(("name", "change"), changes())
def test_a_change_of_any_content_changes_the_digest(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    changed = change(scene())
    assert scene_digest(changed) != scene()["scene_digest"]
    found = differences(scene(), changed)
    assert [part for part in found if part.startswith(name.split()[0])], found


@pytest.mark.parametrize("name", [*PROVENANCE, "day"])
def test_provenance_does_not_change_it(name: str) -> None:
    assert scene(**{name: "other"})["scene_digest"] == scene()["scene_digest"]
    assert differences(scene(), scene(**{name: "other"})) == ()


@given(*[st.floats(width=64)] * 2)
def test_poses_are_compared_by_their_bytes(first: float, second: float) -> None:
    digests = [scene(ego_pose=POSE | {"y_m": value})["scene_digest"] for value in (first, second)]
    assert (digests[0] == digests[1]) == (struct.pack("<d", first) == struct.pack("<d", second))
    assert math.copysign(1, POSE["y_m"]) == -1
    assert scene(ego_pose=POSE | {"y_m": 0.0})["scene_digest"] != scene()["scene_digest"]


def test_a_pose_may_be_a_sequence_and_what_is_null_may_be_absent() -> None:
    row = scene()
    sparse = row | {"ego_pose": tuple(POSE.values())}
    sparse["cameras"] = [{name: value for name, value in one.items() if value is not None} for one in row["cameras"]]
    assert scene_digest(sparse) == row["scene_digest"]


def as_written(row: dict[str, Any]) -> dict[str, Any]:
    """With poses as the build has them."""
    frames = {name: [one | {"ego_pose": one["ego_pose"] and tuple(POSE.values())} for one in row[name]] for name in FRAME_LISTS}
    return row | frames | {"ego_pose": tuple(POSE.values())}


@given(
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=8),
    group_bytes=st.sampled_from([1, 4000, 10**6]),
    compress=st.booleans(),
    at=st.integers(0, 8),
)
def test_files_row_groups_and_compression_do_not_matter(sizes: list[int], group_bytes: int, compress: bool, at: int) -> None:
    """As read back with any reader of Parquet, from one file or two."""
    rows = [
        scene(scene_id=f"car.d.{number}", anchor_ns=number, lidars=[frame("top", body=bytes([number]) * size)])
        for number, size in enumerate(sizes)
    ]
    written, found = [as_written(row) for row in rows], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene_file, "ROW_GROUP_BYTES", group_bytes)
        for part in (written[:at], written[at:]):
            if part:
                pieces = scene_pieces(part, compress_points=compress)
                found += pq.read_table(io.BytesIO(b"".join(pieces)), page_checksum_verification=True).to_pylist()
                assert sha256_of(pieces) == hashlib.sha256(b"".join(pieces)).hexdigest()
    checks = [check_scene(row) for row in found]
    assert [check.verdict for check in checks] == [Intactness.VERIFIED] * len(rows)
    digests = [(row["anchor_ns"], check.digest) for row, check in zip(found, checks, strict=True)]
    assert digests == [(row["anchor_ns"], row["scene_digest"]) for row in rows]
    assert content_digest(reversed(digests)) == content_digest(digests)


@given(st.dictionaries(st.integers(-(2**40), 2**40), st.text("0123456789abcdef", min_size=4, max_size=4), min_size=1), st.data())
def test_a_drive_changes_with_any_of_its_scenes(scenes: dict[int, str], data: st.DataObject) -> None:
    anchor_ns = data.draw(st.sampled_from(sorted(scenes)))
    whole = content_digest(data.draw(st.permutations(list(scenes.items()))))
    assert whole == content_digest(scenes.items())
    assert whole != content_digest({key: value for key, value in scenes.items() if key != anchor_ns}.items())
    assert whole != content_digest((scenes | {anchor_ns: "other"}).items())


class TestChecking:
    def test_a_scene_that_is_what_it_was_is_verified(self) -> None:
        found = check_scene(scene())
        assert (found.verdict, found.altered, found.unknown) == (Intactness.VERIFIED, (), ())
        assert found.digest == scene()["scene_digest"]

    @pytest.mark.parametrize(
        ("column", "number", "name", "part"),
        [
            ("lidars", 1, "points", "lidars/top/1"),
            ("cameras", 0, "image", "cameras/left/0"),
            ("radars", 1, "image", "radars/polar/0"),
        ],
    )
    def test_altered_payload_is_named(self, column: str, number: int, name: str, part: str) -> None:
        row = scene()
        row[column][number] = row[column][number] | {name: b"12345679"}
        found = check_scene(row)
        assert (found.verdict, found.altered) == (Intactness.ALTERED, (part,))
        assert found.digest != row["scene_digest"]

    def test_altered_facts_are_not_blamed_on_the_payload(self) -> None:
        found = check_scene(scene() | {"quality_flags": []})
        assert found.altered == (FACTS,)

    def test_altered_payload_with_a_matching_digest_is_found_by_the_scene_s(self) -> None:
        row = scene()
        row["lidars"][0] = row["lidars"][0] | {"points": b"forgery!", "payload_sha256": payload_sha256(b"forgery!")}
        assert check_scene(row).altered == (FACTS,)

    def test_a_payload_that_is_gone_is_altered(self) -> None:
        row = scene()
        row["lidars"][0] = row["lidars"][0] | {"points": None}
        assert "lidars/top/0" in check_scene(row).altered

    def test_without_digests_nothing_is_known_and_that_is_no_pass(self) -> None:
        row = scene() | {"scene_digest": None}
        found = check_scene(row)
        assert (found.verdict, found.unknown) == (Intactness.UNKNOWN, (FACTS,))
        old = row | {"lidars": [one | {"payload_sha256": None} for one in row["lidars"]]}
        assert check_scene(old).unknown == ("lidars/top/0", "lidars/top/1", FACTS)
        assert check_scene(old).digest == scene()["scene_digest"], "what it would be"
