"""One file of scenes from several: their row groups, byte for byte, and one footer. Nothing is decoded to be written.

What is decoded is what proves it: the digest of every scene of the merged file as it is stored, computed from its payload, has to
be the one that the scene had when it was built, and every page has to be what its CRC says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.digests import FRAME_LISTS, PAYLOADS, Intactness, check_facts, payload_sha256
from lake.errors import LakeError
from lake.maintenance.lake_files import LakeWriter
from lake.parquet.footer import LENGTH_BYTES, MAGIC, JoinedPart, join_footers
from lake.parquet.row_group import RangeRead, read_footer, read_row_group
from lake.tables.schemas import OPAQUE_LEAVES, SCENES

SceneDigest = tuple[int, str]
"""Anchor (ns) and digest of a scene."""

_PAYLOAD_LEAVES = tuple(leaf.replace(".element.", ".list.element.") for leaf in OPAQUE_LEAVES if "." in leaf)

_STATED = ("anchor_ns", "scene_digest")


class AlteredSceneError(LakeError):
    """A scene is not what its digests say."""


class SceneMerge:
    """A file that grows by whole files of scenes."""

    def __init__(self, target: LakeWriter) -> None:
        self._target = target
        self._parts: list[JoinedPart] = []
        target.write(MAGIC)

    def add(self, file: memoryview, metadata: pq.FileMetaData) -> None:
        """Append the row groups of a file."""
        end = len(file) - LENGTH_BYTES - len(MAGIC)
        footer_at = end - int.from_bytes(file[end : end + LENGTH_BYTES], "little")
        self._parts.append(JoinedPart(bytes(file[footer_at:end]), metadata, self._target.size - len(MAGIC)))
        self._target.write(file[len(MAGIC) : footer_at])

    def finish(self) -> None:
        """Write the footer.

        Raises:
            FooterError: The files have different columns.
        """
        footer = join_footers(self._parts)
        self._target.write(footer + len(footer).to_bytes(LENGTH_BYTES, "little") + MAGIC)


def digests_before(read: RangeRead, uri: str, size: int, metadata: pq.FileMetaData) -> list[SceneDigest]:
    """The scenes of a file, each with the digest that it was given when it was built; of a file that has none, with the digest
    of what it holds.

    Raises:
        LakeError: As of `scene_digests`.
    """
    found = list[SceneDigest]()
    for number in range(metadata.num_row_groups):
        table = read_row_group(read, uri, metadata, number, _STATED, threads=False)
        if _STATED[1] not in table.column_names or table[_STATED[1]].null_count:
            return list(scene_digests(read, uri, size, metadata))
        found += zip(*(table[name].to_pylist() for name in _STATED), strict=True)
    return found


def scene_digests(read: RangeRead, uri: str, size: int, metadata: pq.FileMetaData | None = None) -> Iterator[SceneDigest]:
    """The scenes of a file, in their order, each with the digest of what it holds; one row group is held at a time.

    Raises:
        AlteredSceneError: A scene is not what its digests say.
        LakeError: The file cannot be read, or a page is not what its CRC says.
    """
    metadata = metadata or read_footer(read, uri, size)
    for number in range(metadata.num_row_groups):
        for scene in _scenes(read_row_group(read, uri, metadata, number, SCENES.names, _PAYLOAD_LEAVES, threads=False)):
            found = check_facts(scene)
            if found.verdict is Intactness.ALTERED:
                raise AlteredSceneError(
                    f"{uri}: scene {scene['scene_id']} is not what its digests say: {', '.join(found.altered)}",
                    hint="build its drive again; until then its files are left as they are",
                )
            yield scene["anchor_ns"], found.digest


def _scenes(table: pa.Table) -> list[dict[str, Any]]:
    """Rows with the digest of each payload, as `content_sha256`, in its place."""
    columns = {name: _hashed(table[name].combine_chunks()) if name in FRAME_LISTS else table[name] for name in table.column_names}
    rows: list[dict[str, Any]] = pa.table(columns).to_pylist()
    return rows


def _hashed(frames: pa.ListArray) -> pa.ListArray:
    elements = frames.values
    fields = {field.name: elements.field(field.name) for field in elements.type}
    hashed: Sequence[str | None] = [None] * len(elements)
    for name in PAYLOADS:
        if name in fields:
            found = _sha256(fields.pop(name))
            hashed = [one or other for one, other in zip(hashed, found, strict=True)]
    fields["content_sha256"] = pa.array(hashed, pa.string())
    return pa.ListArray.from_arrays(frames.offsets, pa.StructArray.from_arrays(list(fields.values()), list(fields)))


def _sha256(payloads: pa.DictionaryArray) -> list[str | None]:
    """Of each payload; each distinct one is hashed once."""
    distinct = [payload_sha256(memoryview(one.as_buffer())) for one in payloads.dictionary]
    return [None if number is None else distinct[number] for number in payloads.indices.to_pylist()]
