"""Static ROS frames: decoded completely or refused, and resolved across the tree as by a walk to its root."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.decode.transforms import MAX_TRANSFORMS, FrameTree, Transform, decode_transforms
from sensors.errors import DecodeError
from sensors.geometry import SE3
from tests.unit.sensors.decode import ros1_messages as made

TURN = (0.0, 0.0, 0.6, 0.8)
NONE = (0.0, 0.0, 0.0, 1.0)


def test_places_arrive_without_the_slash_of_ros_1() -> None:
    cdr = made.as_cdr(made.transforms(("/base_link", "/lidar", (1.0, 2.0, 3.0), TURN), ("lidar", "imu", (0.1, 0.0, 0.0), NONE)))
    first, second = decode_transforms(cdr)
    assert first == ("base_link", "lidar", SE3.from_wxyz((1.0, 2.0, 3.0), (0.8, 0.0, 0.0, 0.6)))
    assert (second.parent, second.child) == ("lidar", "imu")
    assert decode_transforms(made.as_cdr(made.transforms())) == ()


def test_what_is_not_a_place_is_refused() -> None:
    whole = made.as_cdr(made.transforms(("a", "b", (1.0, 2.0, 3.0), TURN)))
    for cut in range(len(whole)):
        with pytest.raises(DecodeError):
            decode_transforms(whole[:cut])
    with pytest.raises(DecodeError, match="the transform from 'b' to 'a' rotation is no unit quaternion"):
        decode_transforms(made.as_cdr(made.transforms(("a", "b", (1.0, 2.0, 3.0), (0.0, 0.0, 1.0, 1.0)))))
    with pytest.raises(DecodeError, match=f"has 4294967295 transforms, the limit is {MAX_TRANSFORMS}"):
        decode_transforms(b"\0\1\0\0" + struct.pack("<I", 2**32 - 1))


def place(number: int) -> SE3:
    angle = 0.3 * number
    return SE3.from_wxyz((number, 1.0, -number / 2), (np.cos(angle), np.sin(angle), 0.0, 0.0))


@given(st.integers(2, 8).flatmap(lambda count: st.tuples(*[st.integers(0, at) for at in range(count)])), st.data())
def test_two_frames_of_a_tree_are_as_far_apart_as_the_way_over_its_root(parents: tuple[int, ...], data: st.DataObject) -> None:
    """Frame n + 1 lies in an earlier one; in any order of transforms."""
    world = {"f0": SE3.identity()}
    transforms = []
    for number, parent in enumerate(parents, start=1):
        transforms.append(Transform(f"f{parent}", f"f{number}", place(number)))
        world[f"f{number}"] = world[f"f{parent}"] @ place(number)
    tree = FrameTree()
    tree.add(data.draw(st.permutations(transforms)))
    target, source = (data.draw(st.sampled_from(sorted(world))) for _ in range(2))
    found = tree.between(target, source)
    assert found is not None
    np.testing.assert_allclose(found.matrix, (world[target].inverse() @ world[source]).matrix, atol=1e-9)
    assert tree.root(source) == "f0"


def test_frames_of_two_trees_are_nowhere_to_each_other() -> None:
    tree = FrameTree()
    tree.add([Transform("base", "lidar", place(1)), Transform("map", "odom", place(2))])
    assert tree.between("base", "odom") is None
    assert tree.between("base", "unknown") is None
    assert ("lidar" in tree, "/base" in tree, "unknown" in tree) == (True, True, False)


def test_the_last_transform_wins_and_a_cycle_ends() -> None:
    tree = FrameTree()
    tree.add([Transform("base", "lidar", place(1))])
    tree.add([Transform("roof", "lidar", place(2)), Transform("lidar", "roof", place(3))])
    assert tree.between("roof", "lidar") is None
    assert tree.between("lidar", "lidar") == SE3.identity()
    tree.add([Transform("base", "roof", place(3))])
    assert tree.between("base", "lidar") == place(3) @ place(2)


def test_more_frames_than_any_vehicle_has_are_not_kept() -> None:
    tree = FrameTree()
    tree.add(Transform("base", f"f{number}", place(1)) for number in range(2 * MAX_TRANSFORMS))
    assert f"f{MAX_TRANSFORMS - 1}" in tree
    assert f"f{MAX_TRANSFORMS}" not in tree


def test_a_frame_that_is_placed_twice_contradicts_itself() -> None:
    first, other = place(1), place(2)
    tree = FrameTree()
    tree.add([Transform("base", "lidar", first), Transform("base", "imu", first)])
    tree.add([Transform("base", "lidar", first), Transform("base", "imu", first)])
    assert tree.contradictions == {}
    tree.add([Transform("base", "lidar", other)])
    tree.add([Transform("base", "lidar", other), Transform("mast", "imu", first)])
    assert tree.contradictions == {
        "lidar": "it is first at 1.000 1.000 -0.500 m in 'base', then at 2.000 1.000 -1.000 m: "
        "moved by 1.118 m and turned by 34.38°",
        "imu": "its parent is first 'base', then 'mast'",
    }
    found = tree.between("base", "lidar")
    assert found is not None
    np.testing.assert_allclose(found.matrix, other.matrix)


def test_rounding_is_no_second_place() -> None:
    tree = FrameTree()
    rounded = SE3.from_wxyz(np.round(place(1).translation_m, 5) + 1e-5, place(1).wxyz)
    tree.add([Transform("base", "lidar", place(1)), Transform("base", "lidar", rounded)])
    assert tree.contradictions == {}
