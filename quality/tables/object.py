"""The metric table of a drive's objects: one row for each landed or expected object, with the values that its rules judge."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from quality.evaluators.object import ObjectFacts, differences


@dataclass(frozen=True, slots=True)
class ObjectMeasure:
    """The value of an object that rule `code` judges, in the rule's unit; None is unknown."""

    code: str
    column: str
    value: Callable[[ObjectFacts], float | None]


def _absent(facts: ObjectFacts) -> float:
    return float(facts.size_bytes is None)


def _differences(facts: ObjectFacts) -> float | None:
    found = differences(facts)
    return None if found is None else float(len(found))


def _frames_missing(facts: ObjectFacts) -> float | None:
    return None if facts.expected is None else float(max(facts.expected.frame_count - facts.frames_read, 0))


OBJECT_MEASURES: tuple[ObjectMeasure, ...] = (
    ObjectMeasure("CMP001", "absent", _absent),
    ObjectMeasure("DEC001", "differences", _differences),
    ObjectMeasure("DEC002", "container_faults", lambda facts: float(len(facts.faults))),
    ObjectMeasure("DEC003", "size_bytes", lambda facts: None if facts.size_bytes is None else float(facts.size_bytes)),
    ObjectMeasure("DEC004", "unknown_messages", lambda facts: float(sum(facts.unknown_types.values()))),
    ObjectMeasure("CMP004", "frames_missing", _frames_missing),
)
QUARANTINED = "quarantined"
OBJECTS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("sensor", pa.string()),
        pa.field(QUARANTINED, pa.bool_(), nullable=False),
        pa.field("frames_read", pa.int64(), nullable=False),
        *(pa.field(measure.column, pa.float64()) for measure in OBJECT_MEASURES),
    ]
)


def object_table(facts: Iterable[ObjectFacts], quarantined: Collection[str]) -> pa.Table:
    """Rows of `OBJECTS`, sorted by key; `quarantined` are the keys of the objects that are kept out of gold."""
    ordered = sorted(facts, key=lambda entry: entry.key)
    return pa.Table.from_pylist([_row(entry, entry.key in quarantined) for entry in ordered], schema=OBJECTS)


def _row(facts: ObjectFacts, quarantined: bool) -> dict[str, Any]:
    return {
        "key": facts.key,
        "sensor": facts.sensor,
        QUARANTINED: quarantined,
        "frames_read": facts.frames_read,
        **{measure.column: measure.value(facts) for measure in OBJECT_MEASURES},
    }
