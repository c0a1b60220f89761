"""Rows of the published tables as frozen types; `lake.tables.schemas` defines and documents the columns.

Columns that a row's type does not name are ignored, so that a reader tolerates columns that are added later.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TypeVar

import msgspec

from lake.errors import TableError
from lake.landing import DriveId
from lake.tables.names import DATA_TABLES

T = TypeVar("T")


class Pose(msgspec.Struct, frozen=True, kw_only=True):
    """odom_SE3_ego: translation in metres, rotation as a unit quaternion."""

    x_m: float
    y_m: float
    z_m: float
    qw: float
    qx: float
    qy: float
    qz: float


class MatchedFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A frame that a scene holds: when it was measured, and how far that is from the anchor and from where it was expected.

    `payload_sha256`: of its points or image; None in rows of older versions.
    """

    sensor: str
    stamp_ns: int
    offset_ns: int
    residual_ns: int
    sweep: int
    ego_pose: Pose | None = None
    payload_sha256: str | None = None


class PointFieldRow(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a point, as sensor_msgs/msg/PointField describes it."""

    name: str
    offset: int
    datatype: int
    count: int


class CloudFrame(MatchedFrame, frozen=True, kw_only=True):
    """A matched point cloud; `num_points` and `points` are None for a radar that delivers a polar image."""

    num_points: int | None = None
    points: bytes | None = None
    point_layout: str | None = None
    reference_ns: int | None = None
    point_step: int | None = None
    point_fields: tuple[PointFieldRow, ...] | None = None
    is_bigendian: bool | None = None
    invalid_points: int | None = None


class CameraFrame(MatchedFrame, frozen=True, kw_only=True):
    """A matched camera image, encoded as the camera delivered it."""

    width_px: int | None = None
    height_px: int | None = None
    encoding: str | None = None
    image: bytes | None = None


class RadarFrame(CloudFrame, frozen=True, kw_only=True):
    """A matched radar scan: points, or a polar image."""

    width_px: int | None = None
    height_px: int | None = None
    encoding: str | None = None
    image: bytes | None = None


class MissingSensor(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor that has no frame in a scene, and the reason."""

    sensor: str
    reason: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A reviewer's decision that admitted a scene to gold."""

    level: str
    about: str
    rule_ids: tuple[str, ...]
    reviewer: str
    reason: str


class RawSource(msgspec.Struct, frozen=True, kw_only=True):
    """A raw object that a scene was built from."""

    key: str
    version_id: str
    sha256: str


class SceneFields(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `gold.scenes` without its matches and their payload."""

    scene_id: str
    vehicle_id: str
    drive_id: str
    revision: str
    anchor_sensor: str
    anchor_ns: int
    ego_pose: Pose | None = None
    complete: bool
    missing: tuple[MissingSensor, ...]
    quality_flags: tuple[str, ...]

    @property
    def drive(self) -> DriveId:
        """The drive that the scene belongs to."""
        return DriveId(self.vehicle_id, self.drive_id)


class SceneRow(SceneFields, frozen=True, kw_only=True):
    """A whole row of `gold.scenes`, payload included. `calibration` is the drive's calibration.json; `scene_digest` is None in
    rows of older versions."""

    day: date
    lidars: tuple[CloudFrame, ...]
    cameras: tuple[CameraFrame, ...]
    radars: tuple[RadarFrame, ...]
    sources: tuple[RawSource, ...]
    calibration: str
    code_version: str
    config_hash: str
    released: tuple[Release, ...] | None = None
    scene_digest: str | None = None

    @property
    def frames(self) -> tuple[CloudFrame | CameraFrame | RadarFrame, ...]:
        """Every matched frame: lidars, cameras, radars."""
        return (*self.lidars, *self.cameras, *self.radars)


class RecordFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that did not pass; `measured` is None where it could not be evaluated, `severity` in records of older versions."""

    rule_id: str
    measured: float | None
    threshold: float | None
    message: str
    sensor: str | None = None
    severity: str | None = None


class RawPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Location of the data in the raw bucket; all None for a record about a drive or a scene."""

    key: str | None = None
    version_id: str | None = None
    offset: int | None = None


class RecordFields(msgspec.Struct, frozen=True, kw_only=True):
    """The columns that describe quarantined data, common to all its records."""

    record_id: str
    level: str
    vehicle_id: str | None
    drive_id: str | None
    revision: str | None
    sensor: str | None = None
    anchor_ns: int | None = None
    stamp_ns: int | None = None
    rule_ids: tuple[str, ...]
    findings: tuple[RecordFinding, ...]
    source: RawPosition
    payload_uri: str | None = None
    frames: int
    status: str
    code_version: str | None = None
    config_hash: str | None = None
    input: str | None = None
    reviewer: str | None = None
    reason: str | None = None

    @property
    def base(self) -> str | None:
        """The revision without its overrides: the input that a decision about the record names."""
        return self.input or self.revision


class RecordRow(RecordFields, frozen=True, kw_only=True):
    """A row of `quarantine.records`. `day` is set where the row is written."""

    vehicle_id: str
    drive_id: str
    revision: str
    code_version: str
    config_hash: str
    day: date | None = None

    @property
    def drive(self) -> DriveId:
        """The drive that the record is about."""
        return DriveId(self.vehicle_id, self.drive_id)


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A data file that a publication added to a table."""

    table: str
    uri: str
    bytes: int
    sha256: str | None = None


class PublicationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the audit knows of a publication. Row counts are of `gold.scenes`, `gold.frames` and `quarantine.records`.

    None, except where `lake.tables.schemas.DRIVES` gives it a meaning: the row was made from an older lake.
    """

    verdict: str | None = None
    scenes: int
    frames: int | None = None
    records: int | None = None
    sensors: tuple[str, ...] | None = None
    calibration_hash: str | None = None
    code_version: str | None = None
    config_hash: str | None = None
    lock_hash: str | None = None
    baseline: str | None = None
    validations: str | None = None
    quarantined_objects: str | None = None
    warnings: tuple[str, ...] | None = None
    content_digest: str | None = None


class DriveRow(PublicationFacts, frozen=True, kw_only=True):
    """A row of `gold.drives`: one publication of a drive. `files` is None also where that column was not read."""

    vehicle_id: str
    drive_id: str
    revision: str
    generation: int
    committed_ns: int
    first_anchor_ns: int | None = None
    last_anchor_ns: int | None = None
    days: tuple[date, ...] | None = None
    scenes_snapshot_id: int
    frames_snapshot_id: int | None = None
    records_snapshot_id: int | None = None
    files: tuple[PublishedFile, ...] | None = None

    @property
    def snapshots(self) -> dict[str, int]:
        """The snapshot that the publication made in each table of its data, where it is known."""
        made = zip(DATA_TABLES, (self.scenes_snapshot_id, self.frames_snapshot_id, self.records_snapshot_id), strict=True)
        return {table: snapshot_id for table, snapshot_id in made if snapshot_id is not None}

    @property
    def drive(self) -> DriveId:
        """The drive that was published."""
        return DriveId(self.vehicle_id, self.drive_id)


class CompactionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `gold.compactions`: files of one partition that were replaced by fewer with the same rows."""

    table: str
    vehicle_id: str
    day: date | None = None
    committed_ns: int
    snapshot_id: int
    replaced_files: int
    replaced_bytes: int
    rows: int
    digest: str
    files: tuple[PublishedFile, ...]


def row_of(kind: type[T], columns: Mapping[str, object]) -> T:
    """A row as its type.

    Raises:
        TableError: A column is missing or of another type; the message names it.
    """
    try:
        return msgspec.convert(columns, kind)
    except msgspec.ValidationError as error:
        raise TableError(f"not a row of type {kind.__name__}: {error}") from error
