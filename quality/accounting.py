"""The identity of promise P1, for each sensor of a drive: read = gold + quarantined + unmatched, each with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from lake.tables.schemas import FRAMES, GOLD, QUARANTINED, UNMATCHED, check_schema
from quality.rules.findings import Finding, finding


class SensorAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fates of one sensor's frames. `read` is None if they were not counted; `reasons` counts the frames kept out of gold.

    It is part of the documents that one step leaves for another (`scenes.documents`).
    """

    sensor: str
    read: int | None
    gold: int
    quarantined: int
    unmatched: int
    reasons: dict[str, int]


@dataclass(frozen=True, slots=True)
class Imbalance:
    """An account that does not add up. `frames` is the difference; None if it is not known."""

    sensor: str
    frames: int | None
    message: str

    def finding(self) -> Finding:
        """The imbalance as a finding of ACC001."""
        return finding("ACC001", f"{self.sensor}: {self.message}", sensor=self.sensor, measured=self.frames)


def accounts(frames: pa.Table, read: Mapping[str, int] | None = None) -> tuple[SensorAccount, ...]:
    """One account for each sensor, sorted by sensor.

    Args:
        frames: Rows of `lake.tables.schemas.FRAMES` of one drive revision. Any fate other than gold, quarantined and
            unmatched is in no column of the account, and therefore shows as an imbalance.
        read: Sensor to the frames that were read, counted independently of `frames` (the frame index). A sensor in only one
            of the two is in the result: with all fates 0, or with `read` None. Without this argument the rows
            themselves are counted, and only a wrong fate or an absent reason can be found.

    Raises:
        TableError: The rows do not have the schema `FRAMES`.
    """
    check_schema(frames.schema, FRAMES, "frames")
    fates: Counter[tuple[str, str]] = Counter()
    reasons: dict[str, Counter[str]] = {}
    rows: Counter[str] = Counter()
    columns = (frames[name].to_pylist() for name in ("sensor", "fate", "reason"))
    for sensor, fate, reason in zip(*columns, strict=True):
        rows[sensor] += 1
        fates[sensor, fate] += 1
        if fate != GOLD and reason:
            reasons.setdefault(sensor, Counter())[reason] += 1
    counted: Mapping[str, int] = rows if read is None else read
    return tuple(
        SensorAccount(
            sensor=sensor,
            read=counted.get(sensor),
            gold=fates[sensor, GOLD],
            quarantined=fates[sensor, QUARANTINED],
            unmatched=fates[sensor, UNMATCHED],
            reasons=dict(sorted(reasons.get(sensor, Counter()).items())),
        )
        for sensor in sorted({*rows, *counted})
    )


def balance(entries: Iterable[SensorAccount]) -> tuple[Imbalance, ...]:
    """Every account that does not add up, sorted by sensor; empty if nothing is lost."""
    found = (_imbalance(entry) for entry in sorted(entries, key=lambda entry: entry.sensor))
    return tuple(entry for entry in found if entry is not None)


def _imbalance(account: SensorAccount) -> Imbalance | None:
    accounted = account.gold + account.quarantined + account.unmatched
    where = f"{account.gold} gold + {account.quarantined} quarantined + {account.unmatched} unmatched = {accounted}"
    if account.read is None:
        return Imbalance(account.sensor, None, f"{where}, but the frames read were not counted")
    if account.read != accounted:
        return Imbalance(account.sensor, abs(account.read - accounted), f"{account.read} frames read, but {where}")
    unexplained = account.quarantined + account.unmatched - sum(account.reasons.values())
    if unexplained:
        return Imbalance(account.sensor, abs(unexplained), f"{unexplained} frames are kept out of gold without a reason")
    return None
