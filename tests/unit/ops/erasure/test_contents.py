"""Whether an object's content names a drive, and Avro files read without a library of Iceberg."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.manifest import ManifestEntryStatus

from lake.landing import DriveId
from lake.tables.publish import publish
from ops.erasure.avro import AvroFile
from ops.erasure.contents import LEAST_PAYLOAD, names_drive, payload_digests
from ops.erasure.mentions import Names
from ops.errors import InputError
from tests.unit.lake.tables.fence_lake import DRIVE, FenceLake

WANTED = DriveId("veh-1", "drive-a")
NAMES = Names(WANTED)


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def arrow(rows: list[dict[str, Any]]) -> bytes:
    table, sink = pa.Table.from_pylist(rows), io.BytesIO()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "veh-1/drive-a",
        "s3://b/warehouse/gold/scenes/data/veh-1/drive-a/x.parquet",
        "veh-1.drive-a.17",
        "veh-1%2Fdrive-a%2Fx",
        "warehouse/quality/statistics/veh-1/9223372036854775806-drive-a.json",
        '{"vehicle_id":"veh-1","drive_id":"drive-a"}',
        "drive-a of veh-1",
    ],
)
def test_a_text_that_holds_both_ids_names_the_drive(text: str) -> None:
    assert NAMES.text(text)


@pytest.mark.parametrize(
    "text",
    ["veh-1/drive-ab", "veh-1/xdrive-a", "veh-1/my-drive-a", "veh-12/drive-a", "xveh-1/drive-a", "veh-1/drive", "drive-a", ""],
)
def test_a_longer_name_or_one_id_alone_does_not(text: str) -> None:
    assert not NAMES.text(text)


ENCODED: list[Callable[[list[dict[str, Any]]], bytes]] = [
    parquet,
    arrow,
    lambda rows: json.dumps(rows).encode(),
    lambda rows: gzip.compress(json.dumps({"rows": rows}).encode()),
]


@pytest.mark.parametrize("encode", ENCODED)
@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"vehicle_id": "veh-1", "drive_id": "drive-a", "n": 1}, True),
        ({"vehicle_id": "veh-1", "drive_id": "drive-b", "n": 1}, False),
        ({"vehicle_id": "veh-2", "drive_id": "drive-a", "n": 1}, False),
        ({"vehicle_id": "veh-2", "drive_id": "x", "sources": [{"key": "veh-1/drive-a/k"}]}, True),
    ],
)
def test_rows_are_judged_one_by_one(encode: Callable[[list[dict[str, Any]]], bytes], row: dict[str, Any], named: bool) -> None:
    other = dict.fromkeys(row, None) | {"vehicle_id": "veh-1", "drive_id": "drive-z"}
    assert names_drive(NAMES, "some/key", encode([other, row])) == named


def test_a_part_of_a_document_is_of_what_it_lies_in() -> None:
    learned = {"vehicle_id": "veh-1", "drives": [{"drive_id": "drive-b"}, {"drive_id": "drive-a"}]}
    assert names_drive(NAMES, "baselines/x.json", json.dumps(learned).encode())
    assert names_drive(NAMES, "baselines/veh-1.json", json.dumps({"drives": ["drive-a"]}).encode())
    assert not names_drive(NAMES, "baselines/veh-2.json", json.dumps({"drives": ["drive-a"]}).encode())


def test_text_is_judged_line_by_line() -> None:
    assert names_drive(NAMES, "k", b"ok\nveh-1/drive-a failed\n")
    assert not names_drive(NAMES, "k", b"veh-1 is well\ndrive-a failed\n")


@pytest.mark.parametrize("body", [b"\x1f\x8bdrive-a", b"PAR1drive-a", b"ARROW1drive-a", b"Obj\x01drive-a"])
def test_what_is_damaged_is_no_pass(body: bytes) -> None:
    with pytest.raises(InputError):
        names_drive(NAMES, "k", body)


def test_payloads_are_hashed_at_any_depth_but_for_tiny_ones() -> None:
    large, tiny = b"x" * LEAST_PAYLOAD, b"y" * (LEAST_PAYLOAD - 1)
    body = parquet([{"image": large, "lidars": [{"points": large + b"1"}, {"points": None}], "t": tiny, "text": "z" * 99}])
    assert set(payload_digests(body)) == {hashlib.sha256(one).hexdigest() for one in (large, large + b"1")}
    assert list(payload_digests(b"{}")) == []


# Avro


def test_manifests_are_read_as_pyiceberg_reads_them(tmp_path: Path) -> None:
    lake = FenceLake(tmp_path)
    for generation in (1, 2):
        publish(lake.catalog(), lake.batch(f"r{generation}", generation, (10, 20)))
    table = lake.catalog().load_table("gold.scenes")
    for snapshot in table.snapshots():
        listed = list(AvroFile(table.io.new_input(snapshot.manifest_list).open().read()))
        manifests = snapshot.manifests(table.io)
        assert [one["manifest_path"] for one in listed] == [one.manifest_path for one in manifests]
        for manifest in manifests:
            read = list(AvroFile(table.io.new_input(manifest.manifest_path).open().read()))
            known = manifest.fetch_manifest_entry(table.io, discard_deleted=False)
            assert [(one["status"], one["data_file"]["file_path"]) for one in read] == [
                (one.status.value, one.data_file.file_path) for one in known
            ]
            for one, entry in zip(read, known, strict=True):
                bounds = {pair["key"]: pair["value"] for pair in one["data_file"]["lower_bounds"]}
                assert bounds == entry.data_file.lower_bounds
            if any(one.status is ManifestEntryStatus.DELETED for one in known):
                assert names_drive(Names(DRIVE), "m.avro", table.io.new_input(manifest.manifest_path).open().read())


@given(st.binary(max_size=200))
def test_any_bytes_are_an_avro_file_or_an_error(body: bytes) -> None:
    try:
        list(AvroFile(b"Obj\x01" + body))
    except InputError:
        pass


def test_a_file_that_is_cut_anywhere_is_an_error_or_shorter(tmp_path: Path) -> None:
    lake = FenceLake(tmp_path)
    publish(lake.catalog(), lake.batch("r1", 1, (10,)))
    snapshot = lake.catalog().load_table("gold.scenes").current_snapshot()
    assert snapshot is not None
    body = Path(snapshot.manifest_list.removeprefix("file://")).read_bytes()
    whole = len(list(AvroFile(body)))
    for end in range(4, len(body) - 1):
        try:
            found = len(list(AvroFile(body[:end])))
        except InputError:
            continue
        assert found < whole
