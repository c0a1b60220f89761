"""Digests of what gold holds, so that it can be verified, compared, and rewritten without a change.

Three levels, each the SHA-256 (hex) of the one below:

- `payload_sha256` of a frame: the bytes of its points, in the layout they are stored in, or of its image file.
- `scene_digest`: the scene's content, with `payload_sha256` in place of the payload.
- `content_digest` of a drive: its scene digests in the order of their anchors.

*Content* is what a reader of the scene gets: its identity and anchor, poses, matches, payload, what is missing, flags,
calibration, and the decisions that admitted it. *Provenance* says how it came about and is left out: revision, sources, code,
configuration. So the same scene built again from another upload of the same bytes, by other code that changes nothing in it, has
the same digest; where digests differ, provenance tells the cause. `day` follows from the anchor. Where a scene is stored (file,
row group, compression, snapshot) is in neither.

The canonical form is JSON with sorted keys, version `CANONICAL` first. Numbers that are not integers are the hex of their eight
bytes, little-endian: -0.0 is not 0.0, and one NaN is not another. Lists without an order of their own are sorted: frames by
sensor, sweep and stamp, flags and the rules of a release by name. Null values are left out, so that a column added later
changes no digest of a scene that does not have it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec

CANONICAL = 1  # version of the canonical form, part of every scene digest
FRAME_LISTS = ("lidars", "cameras", "radars")
PAYLOADS = ("points", "image")
FACTS = "facts"  # a scene but for its payload, where the parts of a scene are named
_POSE = ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")
_POSE_BYTES = struct.Struct(f"<{len(_POSE)}d")
_PLAIN = ("scene_id", "vehicle_id", "drive_id", "anchor_sensor", "anchor_ns", "complete")
_FRAME = (
    "sensor",
    "stamp_ns",
    "offset_ns",
    "residual_ns",
    "sweep",
    "num_points",
    "point_layout",
    "reference_ns",
    "point_step",
    "point_fields",
    "is_bigendian",
    "invalid_points",
    "width_px",
    "height_px",
    "encoding",
    "payload_sha256",
)
Columns = Mapping[str, Any]
_encoded = msgspec.json.Encoder(order="sorted").encode


def payload_sha256(payload: bytes | bytearray | memoryview) -> str:
    """SHA-256 (hex) of a payload, any contiguous buffer."""
    return hashlib.sha256(payload).hexdigest()


def sha256_of(pieces: Iterable[bytes | memoryview]) -> str:
    """SHA-256 (hex) of a file given in pieces."""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def scene_digest(scene: Columns) -> str:
    """The digest of a scene, given as columns of `lake.tables.schemas.SCENES`.

    A pose may also be the sequence of its seven values. A frame may leave out what it does not have. `payload_sha256` of its
    frames is taken as given, its payload is not looked at, and neither is `scene_digest`.
    """
    return hashlib.sha256(_encoded(canonical_scene(scene))).hexdigest()


def content_digest(scenes: Iterable[tuple[int, str]]) -> str:
    """The digest of a drive, from the anchor (ns) and the digest of each scene, in any order; of a drive without scenes, too."""
    found = hashlib.sha256(f"drive/{CANONICAL}\n".encode())
    for anchor_ns, digest in sorted(scenes):
        found.update(f"{anchor_ns} {digest}\n".encode())
    return found.hexdigest()


class Intactness(StrEnum):
    """What a check of a scene found. UNKNOWN: nothing differs, but not everything has a digest to compare with; no pass."""

    VERIFIED = "verified"
    ALTERED = "altered"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SceneCheck:
    """A scene against the digests that it states.

    `digest`: of what it holds. `altered`: the parts that are not what they were, `FACTS` or a payload such as `cameras/front/0`
    (column, sensor, sweep). `unknown`: the parts without a digest.
    """

    digest: str
    altered: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def verdict(self) -> Intactness:
        """Whether the scene is what it was."""
        if self.altered:
            return Intactness.ALTERED
        return Intactness.UNKNOWN if self.unknown else Intactness.VERIFIED


def check_scene(scene: Columns) -> SceneCheck:
    """Compute the digests of a scene from its columns, payload included, and compare them with those that it states."""
    hashed = {column: [{**frame, "content_sha256": _payload_digest(frame)} for frame in scene[column]] for column in FRAME_LISTS}
    return check_facts({**scene, **hashed})


def check_facts(scene: Columns) -> SceneCheck:
    """As `check_scene`, of a scene each of whose frames has the digest of its payload (None: no payload) as `content_sha256`."""
    altered, unknown, found = [], [], dict(scene)
    for column in FRAME_LISTS:
        for frame in scene[column]:
            stated, digest = frame.get("payload_sha256"), frame["content_sha256"]
            if stated is None and digest is not None:
                unknown.append(_name(column, frame))
            elif stated != digest:
                altered.append(_name(column, frame))
        found[column] = [{**frame, "payload_sha256": frame["content_sha256"]} for frame in scene[column]]
    digest, stated = scene_digest(found), scene.get("scene_digest")
    if stated is None:
        unknown.append(FACTS)
    elif stated not in (digest, scene_digest(scene)):
        altered.append(FACTS)  # the stated digests of the payload do not explain it
    return SceneCheck(digest, tuple(altered), tuple(unknown))


def _payload_digest(frame: Columns) -> str | None:
    payload = next((frame[name] for name in PAYLOADS if frame.get(name) is not None), None)
    return None if payload is None else payload_sha256(payload)


def _name(column: str, frame: Columns) -> str:
    return f"{column}/{frame['sensor']}/{frame['sweep']}"


def differences(before: Columns, after: Columns) -> tuple[str, ...]:
    """The parts of two scenes' content that differ, sorted: columns, and `column/sensor/sweep` for frames; payload is compared by
    its digest. Equal digests have none."""
    old, new = dict(_parts(before)), dict(_parts(after))
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))


def _parts(scene: Columns) -> Iterator[tuple[str, Any]]:
    for name, value in canonical_scene(scene).items():
        if name not in FRAME_LISTS:
            yield name, value
            continue
        frames: dict[str, list[Any]] = {}
        for frame in value:
            frames.setdefault(_name(name, frame), []).append(frame)
        yield from frames.items()


def canonical_scene(scene: Columns) -> dict[str, Any]:
    """The content of a scene in its canonical form, as values of JSON."""
    found: dict[str, Any] = {"canonical": CANONICAL} | {name: scene[name] for name in _PLAIN}
    pose = scene.get("ego_pose")
    if pose is not None:
        found["ego_pose"] = _pose(pose)
    found["calibration"] = _text_sha256(scene["calibration"])
    found["missing"] = sorted([one["sensor"], one["reason"]] for one in scene["missing"])
    found["quality_flags"] = sorted(scene["quality_flags"])
    for column in FRAME_LISTS:
        found[column] = sorted(map(_frame, scene[column]), key=_place)
    released = scene.get("released")
    if released is not None:
        found["released"] = sorted(map(_release, released))
    return found


def _frame(frame: Columns) -> dict[str, Any]:
    found = {name: value for name in _FRAME if (value := frame.get(name)) is not None}
    pose = frame.get("ego_pose")
    if pose is not None:
        found["ego_pose"] = _pose(pose)
    return found


def _place(frame: Columns) -> tuple[str, int, int, bytes]:
    return frame["sensor"], frame["sweep"], frame["stamp_ns"], _encoded(frame)


def _release(release: Columns) -> list[Any]:
    return [release["level"], release["about"], sorted(release["rule_ids"]), release["reviewer"], release["reason"]]


def _pose(pose: Columns | Sequence[float]) -> str:
    values = [pose[name] for name in _POSE] if isinstance(pose, Mapping) else pose
    return _POSE_BYTES.pack(*values).hex()


@lru_cache(maxsize=8)
def _text_sha256(text: str) -> str:
    """Of a text that the scenes of a drive share."""
    return hashlib.sha256(text.encode()).hexdigest()
