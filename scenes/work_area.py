"""The work area of one attempt at a drive: the outputs of each step for the next ones, as objects under one prefix.

    index/NNNNN.arrow     frames of one task's objects (inspect, workers)
    samples/NNNNN.arrow   pose, IMU or GNSS samples of one object (inspect, workers)
    index.arrow           all frames, numbered       (inspect)
    poses.arrow           all pose samples of sound objects (inspect); inertial.arrow, fixes.arrow the same
    inspection.json       objects, findings, verdict (inspect)
    metrics.arrow         one row per sensor         (inspect)
    left_out.arrow        frames that no scene may hold because of their stamps (inspect)
    calibration/NNNNN.arrow edges of one sampled sweep (inspect, workers)
    calibration.arrow     what was measured of each sensor's calibration (inspect)
    plan.arrow            the match plan             (build_scenes)
    track.arrow           the poses that it is made with (build_scenes)
    plan/NNNNN.arrow      scenes of one window       (build_scenes)
    plan/NNNNN-poses.arrow pose samples that points of the window can need (build_scenes)
    plan/NNNNN-findings.json what was found beyond one window and concerns it, if anything (build_scenes)
    built/NNNNN-….json    what became of one window  (build_scenes, workers)
    built/NNNNN-….arrow   metrics of its frames      (build_scenes, workers)
    signals.arrow         metrics of all frames      (build_scenes)
    built.json            which of those count (build_scenes)
    audit.json            accounting, checkpoint, files to commit (audit)
    statistics.json       what a baseline of the vehicle may be learned from, of a drive to be published (audit)

An attempt never reads another attempt's area, so nothing here needs a lock. `scenes.documents` holds the types of the JSON
files, and refuses those of another version of the code.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import AbsentError
from lake.parquet.table_file import WRITE_OPTIONS
from lake.storage import CONNECTIONS, ObjectStore, ObjectVersion
from scenes.documents import AnyDocument, Document, decode, encode
from scenes.errors import WorkAreaError

INDEX, POSE_SAMPLES, INERTIAL_SAMPLES, FIX_SAMPLES, INSPECTION, METRICS, CALIBRATION, PLAN, TRACK, SIGNALS, BUILT, AUDIT = (
    "index.arrow",
    "poses.arrow",
    "inertial.arrow",
    "fixes.arrow",
    "inspection.json",
    "metrics.arrow",
    "calibration.arrow",
    "plan.arrow",
    "track.arrow",
    "signals.arrow",
    "built.json",
    "audit.json",
)
LEFT_OUT = "left_out.arrow"
STATISTICS = "statistics.json"
Answer = TypeVar("Answer")

_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")  # keys and the like repeat in every row


@dataclass(frozen=True, slots=True)
class WorkArea:
    """Objects under `root` (bucket and prefix, no trailing slash)."""

    store: ObjectStore
    root: ObjectVersion

    def at(self, name: str) -> ObjectVersion:
        """The location of the object called `name`."""
        return ObjectVersion(self.root.bucket, f"{self.root.key}/{name}")

    def write_document(self, name: str, document: Document) -> None:
        """Write a document."""
        self.store.put(self.at(name), encode(document))

    def read_document(self, name: str, kind: type[AnyDocument]) -> AnyDocument:
        """Read a document.

        Raises:
            WorkAreaError: It is missing.
            DocumentError: It is of another version, or damaged.
        """
        return decode(self._read(name), kind, self.at(name).uri)

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write rows as an Arrow file: Parquet takes longer to encode these small tables than it takes to make them."""
        self.store.put(self.at(name), arrow_bytes(table))

    def read_table(self, name: str) -> pa.Table:
        """Read rows back, each column in one piece.

        Raises:
            WorkAreaError: They are missing, or not an Arrow file.
        """
        # Taking rows from a column in several pieces would join the pieces every time.
        try:
            return pa.ipc.open_file(pa.BufferReader(self._read(name))).read_all().combine_chunks()
        except pa.ArrowInvalid as error:
            raise WorkAreaError(f"{self.at(name).uri} is not an Arrow file: {error}") from error

    @contextmanager
    def writing(self, tables: Mapping[str, pa.Table]) -> Iterator[None]:
        """As `write_tables`, while something else is done; they are written when the context ends."""
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            begun = [threads.submit(self.write_table, name, table) for name, table in tables.items()]
            yield
            for one in begun:
                one.result()

    def write_tables(self, tables: Mapping[str, pa.Table]) -> None:
        """As `write_table`, several by name at once."""
        _at_once(lambda name: self.write_table(name, tables[name]), list(tables))

    def read_tables(self, names: Sequence[str]) -> list[pa.Table]:
        """As `read_table`, several at once; in the order of `names`."""
        return _at_once(self.read_table, names)

    def read_documents(self, names: Sequence[str], kind: type[AnyDocument]) -> list[AnyDocument]:
        """As `read_document`, several at once; in the order of `names`."""
        return _at_once(lambda name: self.read_document(name, kind), names)

    def _read(self, name: str) -> bytes:
        try:
            return self.store.read(self.at(name))
        except AbsentError as error:
            raise WorkAreaError(f"{self.at(name).uri} is missing; run the step that writes it first") from error


def _at_once(do: Callable[[str], Answer], names: Sequence[str]) -> list[Answer]:
    if len(names) < 2:
        return [do(name) for name in names]  # no thread is started needlessly
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return list(threads.map(do, names))


def arrow_bytes(table: pa.Table) -> memoryview:
    """Rows as one Arrow file; equal rows in equal pieces give equal bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=_LZ4) as writer:
        writer.write_table(table.combine_chunks())
    return memoryview(sink.getvalue())


def parquet_bytes(table: pa.Table) -> bytes:
    """Rows as one Parquet file of fixed settings, so that equal rows give equal bytes."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **WRITE_OPTIONS)
    return buffer.getvalue()
