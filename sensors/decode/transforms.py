"""The tree of a vehicle's static frames, as published once on `/tf_static` (tf2_msgs/msg/TFMessage, REP 105)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from sensors.decode.cdr import Bytes, CdrReader
from sensors.decode.messages import message_header
from sensors.errors import DecodeError
from sensors.geometry import SE3

TRANSFORMS = "tf2_msgs/msg/TFMessage"
MAX_TRANSFORMS = 1024
SAME_PLACE_M, SAME_PLACE_DEG = 1e-4, 1e-3  # what rounding in a driver's configuration may change


class Transform(NamedTuple):
    """`parent_SE3_child` maps coordinates of the frame `child` to those of the frame `parent`, in metres."""

    parent: str
    child: str
    parent_SE3_child: SE3


def decode_transforms(cdr: Bytes) -> tuple[Transform, ...]:
    """Decode a `tf2_msgs/msg/TFMessage`; stamps are ignored: a static transform holds at all times.

    Raises:
        DecodeError: The message is cut short, has more than 1024 transforms, or one whose rotation is no unit quaternion.
    """
    reader = CdrReader(cdr)
    count = reader.u32("number of transforms")
    if count > MAX_TRANSFORMS:
        raise DecodeError(f"the message has {count} transforms, the limit is {MAX_TRANSFORMS}")
    found = tuple(_transform(reader) for _ in range(count))
    reader.finish()
    return found


def _transform(reader: CdrReader) -> Transform:
    _, parent = message_header(reader)
    child = reader.string("child_frame_id")
    x_m, y_m, z_m, qx, qy, qz, qw = reader.doubles(7, "transform")
    try:
        placed = SE3.from_wxyz((x_m, y_m, z_m), (qw, qx, qy, qz))
    except ValueError as error:
        raise DecodeError(f"the transform from {child!r} to {parent!r} {error}") from error
    return Transform(_frame(parent), _frame(child), placed)


def _frame(name: str) -> str:
    """Without the leading slash, which ROS 1 recordings have and tf2 has dropped."""
    return name.removeprefix("/")


class FrameTree:
    """Frames by their pose in a parent; the last transform of a frame wins, as in tf2."""

    def __init__(self) -> None:
        self._parents: dict[str, Transform] = {}
        self._first: dict[str, Transform] = {}

    def __contains__(self, frame: str) -> bool:
        name = _frame(frame)
        return name in self._parents or any(transform.parent == name for transform in self._parents.values())

    def add(self, transforms: Iterable[Transform]) -> None:
        """Add the transforms of a message; frames beyond 1024 are ignored."""
        for transform in transforms:
            if transform.child in self._parents or len(self._parents) < MAX_TRANSFORMS:
                before = self._parents.get(transform.child)
                if before is not None and _differ(before, transform):
                    self._first.setdefault(transform.child, before)
                self._parents[transform.child] = transform

    @property
    def contradictions(self) -> Mapping[str, str]:
        """Frames that were given more than one place."""
        return {child: _contradiction(first, self._parents[child]) for child, first in self._first.items()}

    def root(self, frame: str) -> str:
        """The root above `frame`; `frame` itself where it has no parent, or where the tree has a cycle."""
        return self._to_root(frame)[0]

    def between(self, target: str, source: str) -> SE3 | None:
        """`target_SE3_source`; None where the tree does not connect them."""
        target_root, root_SE3_target = self._to_root(target)
        source_root, root_SE3_source = self._to_root(source)
        return root_SE3_target.inverse() @ root_SE3_source if target_root == source_root else None

    def _to_root(self, frame: str) -> tuple[str, SE3]:
        at, root_SE3_frame, seen = _frame(frame), SE3.identity(), set[str]()
        while at in self._parents:
            if at in seen:
                return _frame(frame), SE3.identity()
            seen.add(at)
            above = self._parents[at]
            at, root_SE3_frame = above.parent, above.parent_SE3_child @ root_SE3_frame
        return at, root_SE3_frame


def _differ(one: Transform, other: Transform) -> bool:
    shift_m, turn_deg = _apart(one, other)
    return one.parent != other.parent or shift_m > SAME_PLACE_M or turn_deg > SAME_PLACE_DEG


def _apart(one: Transform, other: Transform) -> tuple[float, float]:
    between = one.parent_SE3_child.inverse() @ other.parent_SE3_child
    w, *xyz = between.wxyz.tolist()
    return float(np.linalg.norm(between.translation_m)), math.degrees(2.0 * math.atan2(math.hypot(*xyz), abs(w)))


def _contradiction(first: Transform, last: Transform) -> str:
    if first.parent != last.parent:
        return f"its parent is first {first.parent!r}, then {last.parent!r}"
    shift_m, turn_deg = _apart(first, last)
    places = [" ".join(f"{value:.3f}" for value in one.parent_SE3_child.translation_m.tolist()) for one in (first, last)]
    moved = f"moved by {shift_m:.3f} m and turned by {turn_deg:.2f}°"
    return f"it is first at {places[0]} m in {last.parent!r}, then at {places[1]} m: {moved}"
