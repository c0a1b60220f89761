"""The one definition of every table: published (Iceberg) and working (Parquet between two steps of a run).

A field that is not nullable is `required` in Iceberg. Payload columns are `binary` leaves of their own, so that a reader
of one modality touches none of the others' bytes.
"""

from __future__ import annotations

import pyarrow as pa

from lake.errors import TableError

NS = pa.int64()  # integer nanoseconds since the Unix epoch

GOLD, QUARANTINED, UNMATCHED = "gold", "quarantined", "unmatched"
FATES = (GOLD, QUARANTINED, UNMATCHED)  # of a frame; a quarantine record also has the status QUARANTINED, until it is released


def _required(name: str, kind: pa.DataType, doc: str | None = None) -> pa.Field:
    return pa.field(name, kind, nullable=False, metadata=_described(doc))


def _optional(name: str, kind: pa.DataType, doc: str) -> pa.Field:
    return pa.field(name, kind, metadata=_described(doc))


def _described(doc: str | None) -> dict[str, str] | None:
    """Kept in the Iceberg schema, so that a reader of the table needs no other document."""
    return None if doc is None else {"doc": doc}


def _many(*fields: pa.Field) -> pa.DataType:
    return pa.list_(pa.field("element", pa.struct(list(fields)), nullable=False))


_STRINGS = pa.list_(pa.field("element", pa.string(), nullable=False))
_DAYS = pa.list_(pa.field("element", pa.date32(), nullable=False))

POSE = pa.struct(
    [
        *(
            _required(name, pa.float64(), f"Translation of odom_SE3_ego along {name[0]}, in metres")
            for name in ("x_m", "y_m", "z_m")
        ),
        *(
            _required(name, pa.float64(), f"Rotation of odom_SE3_ego: {name[1]} of the unit quaternion")
            for name in ("qw", "qx", "qy", "qz")
        ),
    ]
)

_MATCH = (
    _required("sensor", pa.string(), "Sensor, as the rig names it"),
    _required("stamp_ns", NS, "Stamp of the frame, Unix epoch"),
    _required("offset_ns", NS, "stamp_ns - anchor_ns"),
    _required("residual_ns", NS, "offset_ns - expected delay, of the matched frame"),
    _required("sweep", pa.int32(), "0: the matched frame; k: the k-th frame of the sensor before it"),
    _optional("ego_pose", POSE, "odom_SE3_ego at stamp_ns; null where no bracketing samples exist"),
)

POINT_FIELD = pa.struct(
    [
        _required("name", pa.string(), "Name of the field"),
        _required("offset", pa.int32(), "Bytes from the start of a point"),
        _required("datatype", pa.int32(), "As in sensor_msgs/msg/PointField: 1 = INT8 to 8 = FLOAT64"),
        _required("count", pa.int32(), "Values in the field"),
    ]
)

_POINTS = (
    _optional("num_points", pa.int32(), "Points of the cloud; null for a radar that delivers a polar image"),
    _optional("points", pa.binary(), "num_points x point_step bytes in point_layout, sensor frame"),
    _optional("point_layout", pa.string(), "rows: as in the message; planes: byte k of every point, for each k; null: rows"),
    _optional("reference_ns", NS, "x, y, z are as seen at this time (motion compensation); null: each at the point's own time"),
    _optional("point_step", pa.int32(), "Bytes of a point"),
    _optional("point_fields", pa.list_(pa.field("element", POINT_FIELD, nullable=False)), "Fields of a point"),
    _optional("is_bigendian", pa.bool_(), "Byte order of the fields"),
    _optional("invalid_points", pa.int32(), "NaN, infinite or (0, 0, 0): present in points, but no return"),
)

_IMAGE = (
    _optional("width_px", pa.int32(), "Width of the image"),
    _optional("height_px", pa.int32(), "Height of the image"),
    _optional("encoding", pa.string(), "jpeg | png"),
    _optional("image", pa.binary(), "The encoded file, untouched"),
)

_PAYLOAD_SHA256 = _optional(
    "payload_sha256", pa.string(), "SHA-256 (hex) of the bytes in points or image; null: not computed, or there are none"
)

# A decision that admitted a scene to gold: about the scene itself, a frame or an object that it holds, or its drive.
RELEASE = pa.struct(
    [
        _required("level", pa.string(), "scene | frame | object | drive"),
        _required("about", pa.string(), "Which one, as the decision names it"),
        _required("rule_ids", _STRINGS, "Rules that it was released from"),
        _required("reviewer", pa.string(), "Who released it"),
        _required("reason", pa.string(), "Why"),
    ]
)

SOURCE = pa.struct(
    [
        _required("key", pa.string(), "Key in the raw bucket"),
        _required("version_id", pa.string(), "Version of the object"),
        _required("sha256", pa.string(), "SHA-256 (hex) of its bytes"),
    ]
)

POSITION = pa.struct(
    [
        _optional("key", pa.string(), "Key in the raw bucket; null for a record about a drive or a scene"),
        _optional("version_id", pa.string(), "Version of the object"),
        _optional("offset", pa.int64(), "Byte in the object; of a message in a chunk, that of the chunk"),
    ]
)

_VEHICLE = _required("vehicle_id", pa.string(), "Vehicle that recorded the drive")
_DRIVE = _required("drive_id", pa.string(), "Drive, unique within its vehicle")
_REVISION = _required("revision", pa.string(), "SHA-256 (hex) of the document that names the drive's exact input")
_CODE = _required("code_version", pa.string(), "Git commit of the code; +dirty where the tree differed")
_CONFIG = _required("config_hash", pa.string(), "Hash of the effective configuration")

SCENES = pa.schema(
    [
        _required("scene_id", pa.string(), "vehicle.drive.anchor_ns"),
        _VEHICLE,
        _DRIVE,
        _REVISION,
        _required("day", pa.date32(), "UTC day of anchor_ns"),
        _required("anchor_sensor", pa.string(), "Reference sensor of the rig"),
        _required("anchor_ns", NS, "Stamp of the anchor, Unix epoch"),
        _optional("ego_pose", POSE, "odom_SE3_ego at anchor_ns; null where no bracketing samples exist"),
        _required("complete", pa.bool_(), "Whether every sensor of the rig has a frame in the scene"),
        _required(
            "missing",
            _many(
                _required("sensor", pa.string(), "Sensor without a frame"),
                _required("reason", pa.string(), "Why: a rule, or what matching found"),
            ),
            "Sensors without a frame, sorted",
        ),
        _required("quality_flags", _STRINGS, "Rules that flagged the scene and did not keep it out, sorted"),
        _required("lidars", _many(*_MATCH, *_POINTS, _PAYLOAD_SHA256), "Matched lidar frames"),
        _required("cameras", _many(*_MATCH, *_IMAGE, _PAYLOAD_SHA256), "Matched camera frames"),
        _required("radars", _many(*_MATCH, *_POINTS, *_IMAGE, _PAYLOAD_SHA256), "Matched radar frames: points, or a polar image"),
        _required("sources", pa.list_(pa.field("element", SOURCE, nullable=False)), "Raw objects that the scene was built from"),
        _required("calibration", pa.string(), "The drive's calibration.json, so that a scene can be used alone"),
        _CODE,
        _CONFIG,
        _optional(
            "released",
            pa.list_(pa.field("element", RELEASE, nullable=False)),
            "Decisions that admitted the scene; empty: no rule kept it out",
        ),
        _optional("scene_digest", pa.string(), "SHA-256 (hex) of the scene's content (lake.digests); null: not computed"),
    ]
)

# Leaves of SCENES that are content, not facts: no reader uses their bounds, which would be copied into every manifest.
OPAQUE_LEAVES = (
    "lidars.element.points",
    "cameras.element.image",
    "radars.element.points",
    "radars.element.image",
    "calibration",
)

FRAMES = pa.schema(
    [
        _VEHICLE,
        _DRIVE,
        _REVISION,
        _required("day", pa.date32(), "UTC day of the drive's first frame: one drive, one partition"),
        _required("sensor", pa.string(), "Sensor, as its key names it"),
        _required("modality", pa.string(), "lidar | camera | radar | pose | imu | gnss, as its key says"),
        _required("stamp_ns", NS, "Stamp of the frame, Unix epoch"),
        _required("key", pa.string(), "Raw object that holds the frame"),
        _required("chunk_offset", pa.int64(), "Byte in the object: of the chunk that holds the frame, as stored"),
        _required("message_offset", pa.int64(), "Byte of the message in its chunk, decompressed"),
        _required("fate", pa.string(), "gold | quarantined | unmatched"),
        _optional("reason", pa.string(), "Why it is not in gold, several rules joined by +; null in gold"),
        _required("scenes", pa.int32(), "How many gold scenes hold it (support sensors: 0)"),
    ]
)

RECORDS = pa.schema(
    [
        _required("record_id", pa.string(), "SHA-256 (hex) of what the record is about"),
        _required("level", pa.string(), "object | drive | scene"),
        _VEHICLE,
        _DRIVE,
        _REVISION,
        _optional("sensor", pa.string(), "Whose data it is; null if not one sensor's"),
        _optional("anchor_ns", NS, "Anchor of the scene, for a scene"),
        _optional("stamp_ns", NS, "Stamp of the frame, where the record is about one"),
        _required("rule_ids", _STRINGS, "Rules that did not pass, sorted"),
        _required(
            "findings",
            _many(
                _required("rule_id", pa.string(), "Rule"),
                _optional("measured", pa.float64(), "What was measured; null: could not be evaluated"),
                _optional("threshold", pa.float64(), "What the rule allows"),
                _required("message", pa.string(), "The finding in words"),
                _optional("sensor", pa.string(), "Sensor that it is about"),
                _optional("severity", pa.string(), "error | warning, as it was judged before any release"),
            ),
            "What was found",
        ),
        _required("source", POSITION, "Where in the raw bucket the data is"),
        _optional("payload_uri", pa.string(), "Copy in the quarantine bucket"),
        _required("frames", pa.int64(), "How many frames the record keeps out of gold"),
        _required("status", pa.string(), "quarantined | released | rejected"),
        _CODE,
        _CONFIG,
        _optional("input", pa.string(), "The revision without its overrides: decisions are taken on it"),
        _optional("reviewer", pa.string(), "Who released or rejected it"),
        _optional("reason", pa.string(), "Why it was released or rejected"),
        _optional("day", pa.date32(), "UTC day of the drive's first frame, as in gold.frames; null in records of an older lake"),
    ]
)

PUBLISHED_FILE = pa.struct(
    [
        _required("table", pa.string(), "Table that the file was added to"),
        _required("uri", pa.string(), "Location of the file"),
        _required("bytes", pa.int64(), "Size of the file"),
        _optional("sha256", pa.string(), "SHA-256 of the file, hex; null: not computed"),
    ]
)

# One row for each publication. Rows are never changed and never removed: they decide what may be published (ADR 0036).
DRIVES = pa.schema(
    [
        _VEHICLE,
        _DRIVE,
        _required("revision", pa.string(), "Identity of the drive's input that was published"),
        _required("generation", pa.int64(), "Attempt to publish the drive; the highest is the valid one"),
        _required("committed_ns", NS, "Time of the commit, Unix epoch, in whole milliseconds"),
        _optional("verdict", pa.string(), "Verdict of the audit: publish | quarantine"),
        _required("scenes", pa.int64(), "Rows added to gold.scenes"),
        _optional("frames", pa.int64(), "Rows added to gold.frames"),
        _optional("records", pa.int64(), "Rows added to quarantine.records"),
        _optional("first_anchor_ns", NS, "Anchor of the first scene; null without scenes"),
        _optional("last_anchor_ns", NS, "Anchor of the last scene; null without scenes"),
        _optional("days", _DAYS, "Days that its rows are filed under, sorted"),
        _optional("sensors", _STRINGS, "Sensors of the drive, sorted"),
        _optional("calibration_hash", pa.string(), "SHA-256 of calibration.json, as its manifest declares it"),
        _optional("code_version", pa.string(), "Git commit of the code; +dirty where the tree differed"),
        _optional("config_hash", pa.string(), "Hash of the effective configuration"),
        _optional("lock_hash", pa.string(), "Hash of the installed distributions and their versions"),
        _optional("baseline", pa.string(), "SHA-256 of the vehicle's baseline that the drive was compared with; null: none"),
        _optional("validations", pa.string(), "URI of the audit's results"),
        _optional("quarantined_objects", pa.string(), "URI of the keys of quarantined objects; null: none"),
        _optional("warnings", _STRINGS, "Rules that flagged the drive or an object and quarantined nothing, sorted"),
        _optional("content_digest", pa.string(), "SHA-256 over the drive's scenes, independent of files; null: not computed"),
        _required("scenes_snapshot_id", pa.int64(), "Snapshot of gold.scenes that the commit made"),
        _optional("frames_snapshot_id", pa.int64(), "Snapshot of gold.frames that the commit made"),
        _optional("records_snapshot_id", pa.int64(), "Snapshot of quarantine.records that the commit made"),
        _optional("files", pa.list_(pa.field("element", PUBLISHED_FILE, nullable=False)), "Data files that the commit added"),
    ]
)

# One row for each compaction, committed with it: why the files that `DRIVES` names are not those that the table holds (ADR 0038).
COMPACTIONS = pa.schema(
    [
        _required("table", pa.string(), "Table whose files were merged"),
        _VEHICLE,
        _optional("day", pa.date32(), "Day of the partition; null in a table that is not partitioned by day"),
        _required("committed_ns", NS, "Time of the commit, Unix epoch, in whole milliseconds"),
        _required("snapshot_id", pa.int64(), "Snapshot of the table that the commit made"),
        _required("replaced_files", pa.int64(), "How many files were replaced"),
        _required("replaced_bytes", pa.int64(), "Their size"),
        _required("rows", pa.int64(), "Rows in them, and in the files that replace them"),
        _required(
            "digest",
            pa.string(),
            "SHA-256 (hex) over the scene digests, or over the rows, in their order; equal before and after",
        ),
        _required("files", pa.list_(pa.field("element", PUBLISHED_FILE, nullable=False)), "Files that the commit added"),
    ]
)

# What must not be used although it is published: one row for each drive of a recall, and for each drive of one that is lifted.
RECALLS = pa.schema(
    [
        _required("recall_id", pa.string(), "The recall; of a lift, the recall that it ends"),
        _required("kind", pa.string(), "exclude | lift"),
        _required("vehicle_id", pa.string(), "Vehicle that recorded the drive"),
        _required("drive_id", pa.string(), "Drive, unique within its vehicle"),
        _required("sensors", _STRINGS, "Sensors that are excluded; empty: whole scenes"),
        _optional("from_ns", NS, "First anchor that is excluded, Unix epoch; null: from the drive's first"),
        _optional("to_ns", NS, "Last anchor that is excluded, Unix epoch; null: to the drive's last"),
        _required("criteria", pa.string(), "What was looked for, as JSON"),
        _required("reason", pa.string(), "Why"),
        _required("person", pa.string(), "Who"),
        _required("recorded_ns", NS, "When, Unix epoch"),
    ]
)

FRAME_INDEX = pa.schema(
    [
        _required("frame_id", pa.int64()),  # row number in (sensor, stamp_ns, key, chunk_offset, message_offset) order
        _required("sensor", pa.string()),
        _required("modality", pa.string()),
        _required("stamp_ns", NS),  # header.stamp
        _required("log_ns", NS),  # MCAP log_time
        _required("message_type", pa.string()),
        _required("key", pa.string()),
        _required("chunk_offset", pa.int64()),  # of the stored bytes in the object
        _required("chunk_bytes", pa.int64()),  # stored length, i.e. what a ranged GET must fetch
        _required("compression", pa.string()),  # '' | lz4 | zstd
        _required("chunk_raw_bytes", pa.int64()),  # length after decompression
        _required("message_offset", pa.int64()),  # of the message's CDR bytes in the decompressed chunk
        _required("message_bytes", pa.int64()),
        _required("readable", pa.bool_()),  # of a type that its sensor's modality has, with a header (and a sample) that decodes
    ]
)

PUBLISHED = {
    "gold.scenes": SCENES,
    "gold.frames": FRAMES,
    "quarantine.records": RECORDS,
    "gold.drives": DRIVES,
    "gold.compactions": COMPACTIONS,
    "gold.recalls": RECALLS,
}
SORTING = {
    "gold.scenes": ("drive_id", "anchor_ns"),
    "gold.frames": ("drive_id", "sensor", "stamp_ns"),
    "quarantine.records": ("drive_id", "record_id"),
    "gold.drives": ("drive_id", "generation"),
    "gold.compactions": ("table", "committed_ns"),
    "gold.recalls": ("drive_id", "recall_id"),
}
PARTITIONS = {
    "gold.scenes": ("day", "vehicle_id"),
    "gold.frames": ("day", "vehicle_id"),
    "quarantine.records": ("day", "vehicle_id"),
    "gold.drives": ("vehicle_id",),
    "gold.compactions": ("vehicle_id",),
    "gold.recalls": ("vehicle_id",),
}


def check_schema(found: pa.Schema, expected: pa.Schema, what: str) -> None:
    """Refuse rows whose schema is not the table's.

    Raises:
        TableError: Names every missing, unknown and differing column of `what`.
    """
    names = {field.name for field in expected}
    problems = [f"{name}: unknown column" for name in found.names if name not in names]
    for field in expected:
        position = found.get_field_index(field.name)
        if position < 0:
            problems.append(f"{field.name}: missing")
        elif not found.field(position).equals(field):
            problems.append(f"{field.name}: {found.field(position)} instead of {field}")
    if problems:
        raise TableError(f"{what} does not have its schema: " + "; ".join(problems))
