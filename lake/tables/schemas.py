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


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _documented(name: str, kind: pa.DataType, doc: str, *, required: bool = False) -> pa.Field:
    """A column whose description is stored in the table itself; null in a row made from an older lake, if not `required`."""
    return pa.field(name, kind, nullable=not required, metadata={"doc": doc})


def _many(*fields: pa.Field) -> pa.DataType:
    return pa.list_(pa.field("element", pa.struct(list(fields)), nullable=False))


POSE = pa.struct([_required(name, pa.float64()) for name in ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")])

_MATCH = (
    _required("sensor", pa.string()),
    _required("stamp_ns", NS),
    _required("offset_ns", NS),  # stamp - anchor
    _required("residual_ns", NS),  # offset - expected delay, of the matched frame
    _required("sweep", pa.int32()),  # 0: the matched frame; k: the k-th frame of the sensor before it
    pa.field("ego_pose", POSE),  # odom_SE3_ego at stamp_ns; null where no bracketing samples exist
)

POINT_FIELD = pa.struct(
    [
        _required("name", pa.string()),
        _required("offset", pa.int32()),  # bytes from the start of a point
        _required("datatype", pa.int32()),  # sensor_msgs/msg/PointField constants, 1 = INT8 … 8 = FLOAT64
        _required("count", pa.int32()),
    ]
)

_POINTS = (
    pa.field("num_points", pa.int32()),  # null for a radar that delivers a polar image
    pa.field("points", pa.binary()),  # num_points x point_step bytes in `point_layout`, sensor frame
    pa.field(
        "point_layout", pa.string()
    ),  # rows: as in the message; planes: byte k of every point, for each k (sensors.decode.planes)
    pa.field("reference_ns", NS),  # x, y, z are as seen at this time (motion compensation); null: at each point's own time
    pa.field("point_step", pa.int32()),
    pa.field("point_fields", pa.list_(pa.field("element", POINT_FIELD, nullable=False))),
    pa.field("is_bigendian", pa.bool_()),
    pa.field("invalid_points", pa.int32()),  # NaN, infinite or (0, 0, 0): present in `points`, but no return
)

_IMAGE = (
    pa.field("width_px", pa.int32()),
    pa.field("height_px", pa.int32()),
    pa.field("encoding", pa.string()),  # jpeg | png
    pa.field("image", pa.binary()),  # the encoded file, untouched
)

# A decision that admitted a scene to gold: about the scene itself, a frame or an object that it holds, or its drive.
RELEASE = pa.struct(
    [
        _required("level", pa.string()),  # scene | frame | object | drive
        _required("about", pa.string()),  # which one, as the decision names it
        _required("rule_ids", pa.list_(pa.field("element", pa.string(), nullable=False))),
        _required("reviewer", pa.string()),
        _required("reason", pa.string()),
    ]
)

SOURCE = pa.struct([_required("key", pa.string()), _required("version_id", pa.string()), _required("sha256", pa.string())])

POSITION = pa.struct([pa.field("key", pa.string()), pa.field("version_id", pa.string()), pa.field("offset", pa.int64())])

SCENES = pa.schema(
    [
        _required("scene_id", pa.string()),
        _required("vehicle_id", pa.string()),
        _required("drive_id", pa.string()),
        _required("revision", pa.string()),
        _required("day", pa.date32()),  # UTC day of anchor_ns
        _required("anchor_sensor", pa.string()),
        _required("anchor_ns", NS),
        pa.field("ego_pose", POSE),  # odom_SE3_ego at anchor_ns; null where no bracketing samples exist
        _required("complete", pa.bool_()),
        _required("missing", _many(_required("sensor", pa.string()), _required("reason", pa.string()))),
        _required("quality_flags", pa.list_(pa.field("element", pa.string(), nullable=False))),
        _required("lidars", _many(*_MATCH, *_POINTS)),
        _required("cameras", _many(*_MATCH, *_IMAGE)),
        _required("radars", _many(*_MATCH, *_POINTS, *_IMAGE)),
        _required("sources", pa.list_(pa.field("element", SOURCE, nullable=False))),
        _required("calibration", pa.string()),  # the drive's calibration.json, so that a scene can be used alone
        _required("code_version", pa.string()),
        _required("config_hash", pa.string()),
        pa.field("released", pa.list_(pa.field("element", RELEASE, nullable=False))),  # empty: no rule kept it out
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
        _required("vehicle_id", pa.string()),
        _required("drive_id", pa.string()),
        _required("revision", pa.string()),
        _required("day", pa.date32()),  # UTC day of the drive's first frame: one drive, one partition
        _required("sensor", pa.string()),
        _required("modality", pa.string()),
        _required("stamp_ns", NS),
        _required("key", pa.string()),
        _required("chunk_offset", pa.int64()),
        _required("message_offset", pa.int64()),
        _required("fate", pa.string()),  # one of FATES
        pa.field("reason", pa.string()),  # why it is not in gold, several rules joined by "+"; null in gold
        _required("scenes", pa.int32()),  # how many gold scenes hold it (support sensors: 0)
    ]
)

RECORDS = pa.schema(
    [
        _required("record_id", pa.string()),
        _required("level", pa.string()),  # object | drive | scene
        _required("vehicle_id", pa.string()),
        _required("drive_id", pa.string()),
        _required("revision", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("anchor_ns", NS),
        pa.field("stamp_ns", NS),  # of the frame, where the record is about one
        _required("rule_ids", pa.list_(pa.field("element", pa.string(), nullable=False))),
        _required(
            "findings",
            _many(
                _required("rule_id", pa.string()),
                pa.field("measured", pa.float64()),  # null: could not be evaluated
                pa.field("threshold", pa.float64()),
                _required("message", pa.string()),
                pa.field("sensor", pa.string()),
                pa.field("severity", pa.string()),  # error | warning, as it was judged before any release
            ),
        ),
        _required("source", POSITION),
        pa.field("payload_uri", pa.string()),
        _required("frames", pa.int64()),  # how many frames the record keeps out of gold
        _required("status", pa.string()),  # quarantined | released | rejected
        _required("code_version", pa.string()),
        _required("config_hash", pa.string()),
        pa.field("input", pa.string()),  # the revision without its overrides: decisions are taken on it
        pa.field("reviewer", pa.string()),  # who released or rejected it
        pa.field("reason", pa.string()),  # and why
    ]
)

_STRINGS = pa.list_(pa.field("element", pa.string(), nullable=False))
_DAYS = pa.list_(pa.field("element", pa.date32(), nullable=False))

PUBLISHED_FILE = pa.struct(
    [
        _documented("table", pa.string(), "Table that the file was added to", required=True),
        _documented("uri", pa.string(), "Location of the file", required=True),
        _documented("bytes", pa.int64(), "Size of the file", required=True),
        _documented("sha256", pa.string(), "SHA-256 of the file, hex; null: not computed"),
    ]
)

# One row for each publication. Rows are never changed and never removed: they decide what may be published (ADR 0036).
DRIVES = pa.schema(
    [
        _documented("vehicle_id", pa.string(), "Vehicle that recorded the drive", required=True),
        _documented("drive_id", pa.string(), "Drive, unique within its vehicle", required=True),
        _documented("revision", pa.string(), "Identity of the drive's input that was published", required=True),
        _documented("generation", pa.int64(), "Attempt to publish the drive; the highest is the valid one", required=True),
        _documented("committed_ns", NS, "Time of the commit, Unix epoch, in whole milliseconds", required=True),
        _documented("verdict", pa.string(), "Verdict of the audit: publish | quarantine"),
        _documented("scenes", pa.int64(), "Rows added to gold.scenes", required=True),
        _documented("frames", pa.int64(), "Rows added to gold.frames"),
        _documented("records", pa.int64(), "Rows added to quarantine.records"),
        _documented("first_anchor_ns", NS, "Anchor of the first scene; null without scenes"),
        _documented("last_anchor_ns", NS, "Anchor of the last scene; null without scenes"),
        _documented(
            "days", pa.list_(pa.field("element", pa.date32(), nullable=False)), "Days that its rows are filed under, sorted"
        ),
        _documented("sensors", _STRINGS, "Sensors of the drive, sorted"),
        _documented("calibration_hash", pa.string(), "SHA-256 of calibration.json, as its manifest declares it"),
        _documented("code_version", pa.string(), "Git commit of the code; +dirty where the tree differed"),
        _documented("config_hash", pa.string(), "Hash of the effective configuration"),
        _documented("lock_hash", pa.string(), "Hash of the installed distributions and their versions"),
        _documented("baseline", pa.string(), "SHA-256 of the vehicle's baseline that the drive was compared with; null: none"),
        _documented("validations", pa.string(), "URI of the audit's results"),
        _documented("quarantined_objects", pa.string(), "URI of the keys of quarantined objects; null: none"),
        _documented("warnings", _STRINGS, "Rules that flagged the drive or an object and quarantined nothing, sorted"),
        _documented("content_digest", pa.string(), "SHA-256 over the drive's scenes, independent of files; null: not computed"),
        _documented("scenes_snapshot_id", pa.int64(), "Snapshot of gold.scenes that the commit made", required=True),
        _documented("frames_snapshot_id", pa.int64(), "Snapshot of gold.frames that the commit made"),
        _documented("records_snapshot_id", pa.int64(), "Snapshot of quarantine.records that the commit made"),
        _documented("files", pa.list_(pa.field("element", PUBLISHED_FILE, nullable=False)), "Data files that the commit added"),
    ]
)

# What must not be used although it is published: one row for each drive of a recall, and for each drive of one that is lifted.
RECALLS = pa.schema(
    [
        _documented("recall_id", pa.string(), "The recall; of a lift, the recall that it ends", required=True),
        _documented("kind", pa.string(), "exclude | lift", required=True),
        _documented("vehicle_id", pa.string(), "Vehicle that recorded the drive", required=True),
        _documented("drive_id", pa.string(), "Drive, unique within its vehicle", required=True),
        _documented("sensors", _STRINGS, "Sensors that are excluded; empty: whole scenes", required=True),
        _documented("from_ns", NS, "First anchor that is excluded, Unix epoch; null: from the drive's first"),
        _documented("to_ns", NS, "Last anchor that is excluded, Unix epoch; null: to the drive's last"),
        _documented("criteria", pa.string(), "What was looked for, as JSON", required=True),
        _documented("reason", pa.string(), "Why", required=True),
        _documented("person", pa.string(), "Who", required=True),
        _documented("recorded_ns", NS, "When, Unix epoch", required=True),
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

DATA_TABLES = ("gold.scenes", "gold.frames", "quarantine.records")  # what a drive becomes; gold.drives says that it did
PUBLISHED = {
    "gold.scenes": SCENES,
    "gold.frames": FRAMES,
    "quarantine.records": RECORDS,
    "gold.drives": DRIVES,
    "gold.recalls": RECALLS,
}
SORTING = {
    "gold.scenes": ("drive_id", "anchor_ns"),
    "gold.frames": ("drive_id", "sensor", "stamp_ns"),
    "quarantine.records": ("drive_id", "record_id"),
    "gold.drives": ("drive_id", "generation"),
    "gold.recalls": ("drive_id", "recall_id"),
}
PARTITIONS = {
    "gold.scenes": ("day", "vehicle_id"),
    "gold.frames": ("day", "vehicle_id"),
    "quarantine.records": ("vehicle_id",),
    "gold.drives": ("vehicle_id",),
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
