"""Summary of one sensor file on disk, from a single scan."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sensors.container.mcap import scan
from sensors.container.recorded import ContainerFault
from sensors.decode.messages import peek_stamp_ns
from sensors.errors import DecodeError
from sensors.stamps import Nanoseconds


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """Frames, the first frame's stamp, the latest stamp, message types, and the first flaw (None: the file is intact).

    A file without frames has no stamps. `stamps_ns`, `log_ns` (N,): of the frames that have a readable stamp, in file order.
    """

    frame_count: int
    start_ns: int | None
    end_ns: int | None
    message_types: tuple[str, ...]
    flaw: str | None
    stamps_ns: Nanoseconds
    log_ns: Nanoseconds


def summarize(path: Path) -> ObjectSummary:
    """Scan an MCAP file; damage of any kind is a flaw of the summary, never an exception."""
    count = 0
    stamps, logs = array("q"), array("q")
    types: set[str] = set()
    flaw: str | None = None
    with path.open("rb") as stream:
        for item in scan(stream):
            if isinstance(item, ContainerFault):
                flaw = flaw or f"{item.kind} at byte {item.offset}: {item.message}"
                continue
            count += 1
            types.add(item.message_type)
            try:
                stamp_ns = peek_stamp_ns(item.data)
            except DecodeError as error:
                flaw = flaw or f"message {count - 1} has no readable stamp: {error}"
                continue
            stamps.append(stamp_ns)
            logs.append(item.log_ns)
    start_ns, end_ns = (stamps[0], max(stamps)) if stamps else (None, None)
    stamps_ns, log_ns = (np.asarray(values, dtype=np.int64) for values in (stamps, logs))
    return ObjectSummary(count, start_ns, end_ns, tuple(sorted(types)), flaw, stamps_ns, log_ns)


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
