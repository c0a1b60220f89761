"""P1, recomputed: is everything that landed accounted for, and every frame exactly once?

Pure. The inputs come from four independent sources (the raw bucket's versions, the ledger, the lake's tables and the
quarantine bucket), and no check relies on a number that one source could have copied from another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lake.tables.schemas import GOLD, QUARANTINED
from ops.audit.accounting import SCENE_MODALITIES, Frames, account


@dataclass(frozen=True, slots=True)
class RawObject:
    """One version in the raw bucket; `drive` is None for a key outside the landing layout.

    `latest` is False for a version that a later one of the same key replaced: the ledger follows the latest.
    """

    key: str
    version_id: str
    drive: str | None
    latest: bool = True


@dataclass(frozen=True, slots=True)
class LedgerObject:
    """One version in the ledger."""

    key: str
    version_id: str
    state: str


@dataclass(frozen=True, slots=True)
class LedgerDrive:
    """One drive in the ledger. `rules`: every rule that its last run found violated, warnings included."""

    drive: str
    state: str
    revision: str
    rules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ObjectFrames:
    """Frames of one raw object: as its manifest declares them, or as `gold.frames` holds them."""

    drive: str
    key: str
    frames: int


@dataclass(frozen=True, slots=True)
class GoldScene:
    """One row of `gold.scenes`."""

    scene_id: str
    drive: str
    revision: str


@dataclass(frozen=True, slots=True)
class Held:
    """How many distinct frames of a sensor the scenes of a drive revision hold."""

    drive: str
    revision: str
    sensor: str
    frames: int


@dataclass(frozen=True, slots=True)
class Record:
    """One row of `quarantine.records`; `frames` is how many frames it keeps out of gold."""

    record_id: str
    level: str
    drive: str
    revision: str
    frames: int
    payload_uri: str | None
    source_key: str | None


@dataclass(frozen=True, slots=True)
class BatchRef:
    """One publication, from `gold.drives`."""

    drive: str
    revision: str
    generation: int
    snapshot_id: int


@dataclass(frozen=True, slots=True)
class AuditInputs:
    """All inputs of the audit, read once. `payloads`: URIs of all objects in the quarantine bucket."""

    raw: tuple[RawObject, ...] = ()
    ledger_objects: tuple[LedgerObject, ...] = ()
    ledger_drives: tuple[LedgerDrive, ...] = ()
    declared: tuple[ObjectFrames, ...] = ()
    indexed: tuple[ObjectFrames, ...] = ()
    frames: tuple[Frames, ...] = ()
    scenes: tuple[GoldScene, ...] = ()
    held: tuple[Held, ...] = ()
    records: tuple[Record, ...] = ()
    payloads: frozenset[str] = frozenset()
    batches: tuple[BatchRef, ...] = ()


LANDED = "objects landed = published + quarantined + refused + pending + replaced by a newer version"
_WORDS = {
    "published": "published",
    "quarantined": "quarantined",
    "refused": "refused",
    "landed": "pending",
    "replaced": "replaced",
}
OBJECT_STATES = tuple(_WORDS)
FRAMES_MISSING = "CMP004"  # reports a difference without quarantining the object
IN_WORK = ("landing", "queued", "processing")
LAKE, OUTSIDE = "the lake", "outside the layout"
NAMED = 5  # examples that a detail names


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison; `scope` is the drive, the drive and sensor, or the lake."""

    name: str
    scope: str
    left: int
    right: int
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All checks."""

    checks: tuple[Check, ...]

    @property
    def balanced(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.ok)


def audit(inputs: AuditInputs) -> AuditReport:
    """Run every check. An empty lake balances."""
    return AuditReport(tuple(check for checks in _CHECKS for check in checks(inputs)))


def _objects_landed(inputs: AuditInputs) -> Iterator[Check]:
    states = {(entry.key, entry.version_id): entry.state for entry in inputs.ledger_objects}
    by_drive: dict[str, list[RawObject]] = defaultdict(list)
    for entry in inputs.raw:
        by_drive[entry.drive or OUTSIDE].append(entry)
    accounted_total = 0
    for scope, landed in sorted(by_drive.items()):
        found = Counter(_state(entry, states) for entry in landed)
        accounted = sum(found[state] for state in OBJECT_STATES)
        accounted_total += accounted
        lost = [entry.key for entry in landed if _state(entry, states) not in OBJECT_STATES]
        split = ", ".join(f"{found[state]} {word}" for state, word in _WORDS.items() if found[state])
        detail = f"in S3, but not in the ledger: {_some(lost)}; the event is still queued, or was lost" if lost else split
        yield Check(LANDED, scope, len(landed), accounted, not lost, detail)
    yield Check(LANDED, LAKE, len(inputs.raw), accounted_total, len(inputs.raw) == accounted_total)


def _state(entry: RawObject, states: Mapping[tuple[str, str], str]) -> str:
    known = states.get((entry.key, entry.version_id))
    return known or ("unknown" if entry.latest else "replaced")


def _ledger_knows_no_ghosts(inputs: AuditInputs) -> Iterator[Check]:
    raw = {(entry.key, entry.version_id) for entry in inputs.raw}
    ghosts = [entry.key for entry in inputs.ledger_objects if (entry.key, entry.version_id) not in raw]
    known = len(inputs.ledger_objects)
    yield _all_but("objects in the ledger = objects in S3", known, ghosts, "in the ledger, but not in S3")


def _frames_have_a_fate(inputs: AuditInputs) -> Iterator[Check]:
    for line in account(inputs.frames, {}):
        detail = f"{line.lost} frames with an unknown fate or without a reason" if line.lost else ""
        scope = _scope(line.drive, line.revision, line.sensor)
        yield Check(
            "frames read = gold + quarantined + unmatched", scope, line.read, line.read - line.lost, line.balanced, detail
        )


def _frames_declared(inputs: AuditInputs) -> Iterator[Check]:
    indexed = {(entry.drive, entry.key): entry.frames for entry in inputs.indexed}
    excused = {(record.drive, record.source_key) for record in inputs.records}
    reported = {drive.drive for drive in inputs.ledger_drives if FRAMES_MISSING in drive.rules}
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    wrong: dict[str, list[str]] = defaultdict(list)
    for entry in inputs.declared:
        found = indexed.get((entry.drive, entry.key), 0)
        if (entry.drive, entry.key) in excused or entry.drive in reported:
            continue
        sums[entry.drive][0] += entry.frames
        sums[entry.drive][1] += found
        if found != entry.frames:
            wrong[entry.drive].append(f"{entry.key} declares {entry.frames}, read {found}")
    for drive, (declared, found) in sorted(sums.items()):
        yield Check(
            "frames declared by the manifest = frames read, where no finding explains a difference",
            drive,
            declared,
            found,
            not wrong[drive],
            _some(wrong[drive]),
        )


def _gold_frames_are_in_scenes(inputs: AuditInputs) -> Iterator[Check]:
    held = {(entry.drive, entry.revision, entry.sensor): entry.frames for entry in inputs.held}
    gold: Counter[tuple[str, str, str]] = Counter()
    for entry in inputs.frames:
        if entry.modality in SCENE_MODALITIES and entry.fate == GOLD:
            gold[entry.drive, entry.revision, entry.sensor] += entry.count
    for key in sorted(held.keys() | gold.keys()):
        left, right = gold[key], held.get(key, 0)
        detail = "" if left == right else "gold.frames and gold.scenes hold different frames"
        yield Check("frames called gold = distinct frames in gold scenes", _scope(*key), left, right, left == right, detail)


def _quarantined_frames_have_records(inputs: AuditInputs) -> Iterator[Check]:
    frames: Counter[tuple[str, str]] = Counter()
    records: Counter[tuple[str, str]] = Counter()
    for entry in inputs.frames:
        if entry.fate == QUARANTINED:
            frames[entry.drive, entry.revision] += entry.count
    for record in inputs.records:
        records[record.drive, record.revision] += record.frames
    for key in sorted(frames.keys() | records.keys()):
        left, right = frames[key], records[key]
        detail = "" if left == right else "quarantine.records do not add up to the frames kept out of gold"
        yield Check("frames quarantined = frames in quarantine records", _scope(*key), left, right, left == right, detail)


def _scenes_once(inputs: AuditInputs) -> Iterator[Check]:
    ids = Counter(scene.scene_id for scene in inputs.scenes)
    twice = [scene_id for scene_id, count in ids.items() if count > 1]
    yield _whole("scenes = distinct scene ids", len(inputs.scenes), len(ids), twice, "held twice")


def _batches_once(inputs: AuditInputs) -> Iterator[Check]:
    batches = Counter((batch.drive, batch.revision, batch.generation) for batch in inputs.batches)
    twice = [f"{drive}@{revision[:12]} generation {number}" for (drive, revision, number), count in batches.items() if count > 1]
    yield _whole("publications = distinct batches", len(inputs.batches), len(batches), twice, "published twice")


def _one_revision_in_gold(inputs: AuditInputs) -> Iterator[Check]:
    newest = _newest(inputs.batches)
    held = {(scene.drive, scene.revision) for scene in inputs.scenes} | {(entry.drive, entry.revision) for entry in inputs.frames}
    stale = [
        _scope(drive, revision) for drive, revision in sorted(held) if drive not in newest or newest[drive].revision != revision
    ]
    yield _all_but("revisions in gold = last publications", len(held), stale, "not what the last publication of its drive wrote")


def _published_is_in_gold(inputs: AuditInputs) -> Iterator[Check]:
    newest = _newest(inputs.batches)
    published = [drive for drive in inputs.ledger_drives if drive.state == "published"]
    absent = [_scope(drive.drive, drive.revision) for drive in published if not _holds(newest, drive)]
    name = "drives published in the ledger = drives in gold"
    yield _all_but(name, len(published), absent, "published in the ledger, but not in gold")


def _gold_is_published(inputs: AuditInputs) -> Iterator[Check]:
    ledger = {drive.drive: drive for drive in inputs.ledger_drives}
    in_gold = sorted({scene.drive for scene in inputs.scenes})
    # While a drive is processed again, its former revision stays readable, which is legitimate.
    legitimate = ("published", *IN_WORK, "failed")
    wrong = [drive for drive in in_gold if drive not in ledger or ledger[drive].state not in legitimate]
    yield _all_but("drives in gold = drives the ledger let in", len(in_gold), wrong, "in gold, but not published in the ledger")


def _payload_copies(inputs: AuditInputs) -> Iterator[Check]:
    with_copy = [record for record in inputs.records if record.payload_uri]
    absent = [record.record_id for record in with_copy if record.payload_uri not in inputs.payloads]
    yield _all_but("records with a payload = copies that exist", len(with_copy), absent, "no copy in the quarantine bucket")


_CHECKS: tuple[Callable[[AuditInputs], Iterator[Check]], ...] = (
    _objects_landed,
    _ledger_knows_no_ghosts,
    _frames_declared,
    _frames_have_a_fate,
    _gold_frames_are_in_scenes,
    _quarantined_frames_have_records,
    _scenes_once,
    _batches_once,
    _one_revision_in_gold,
    _published_is_in_gold,
    _gold_is_published,
    _payload_copies,
)


def _all_but(name: str, total: int, wrong: list[str], problem: str) -> Check:
    """A check of the whole lake that holds for all of `total` except those in `wrong`."""
    return _whole(name, total, total - len(wrong), wrong, problem)


def _whole(name: str, left: int, right: int, wrong: list[str], problem: str) -> Check:
    return Check(name, LAKE, left, right, not wrong, f"{problem}: {_some(wrong)}" if wrong else "")


def _newest(batches: Iterable[BatchRef]) -> dict[str, BatchRef]:
    newest: dict[str, BatchRef] = {}
    for batch in batches:
        if batch.drive not in newest or newest[batch.drive].generation < batch.generation:
            newest[batch.drive] = batch
    return newest


def _holds(newest: dict[str, BatchRef], drive: LedgerDrive) -> bool:
    batch = newest.get(drive.drive)
    return batch is not None and batch.revision == drive.revision


def _scope(drive: str, revision: str, sensor: str | None = None) -> str:
    return f"{drive}@{revision[:12]}" + (f" {sensor}" if sensor else "")


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
