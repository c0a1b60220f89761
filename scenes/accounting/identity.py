"""P1, recomputed for one drive: is everything that landed accounted for, and every frame exactly once?

Pure. The inputs come from four independent sources (the raw bucket's versions, the ledger, the lake's tables and the
quarantine bucket), and no check relies on a number that one source could have copied from another.

Every object, row and copy belongs to one drive, except for objects outside the landing layout (`check_outside`). So the checks of
all drives that any source knows (`scenes.accounting.known_drives`) are the checks of the lake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lake.errors import LandingError
from lake.tables.names import DATA_TABLES
from lake.tables.scene_key import SceneKey
from lake.tables.schemas import GOLD, QUARANTINED
from scenes.accounting.account import SCENE_MODALITIES, account
from scenes.accounting.inputs import BatchRef, DriveInputs, LedgerObject, RawObject, state_of, states_of

LANDED = "objects landed = published + quarantined + refused + pending + replaced by a newer version"
_WORDS = {
    "published": "published",
    "quarantined": "quarantined",
    "refused": "refused",
    "landed": "pending",
    "replaced": "replaced",
    "arriving": "arrived during the audit",
}
OBJECT_STATES = tuple(_WORDS)
FRAMES_MISSING = "CMP004"  # reports a difference without quarantining the object
IN_WORK = ("landing", "queued", "processing")
OUTSIDE, LAKE = "outside the layout", "the lake"
NAMED = 5  # examples that a detail names


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison; `scope` is the drive, the drive and sensor, or what has no drive."""

    name: str
    scope: str
    left: int
    right: int
    ok: bool
    detail: str = ""


def check_drive(inputs: DriveInputs) -> tuple[Check, ...]:
    """Every check of one drive."""
    return tuple(check for checks in _CHECKS for check in checks(inputs))


def check_outside(landed: Iterable[RawObject], refused: Iterable[LedgerObject], as_of_ns: int = 2**63 - 1) -> Check:
    """That versions whose key is outside the landing layout are known to the ledger, which refused them."""
    return _landed(OUTSIDE, tuple(landed), states_of(refused), as_of_ns)


def check_refused(known: int, absent: list[str]) -> Check:
    """That refused versions of the ledger are in S3; `absent` are the keys of those that are not."""
    return _all_but(GHOSTS, LAKE, known, absent, "in the ledger, but not in S3")


SHARED = "files of several drives = files that can be read"


def check_shared_files(files: int, unreadable: Sequence[str]) -> Check:
    """That every file of several drives could be read for their names; else there may be drives that nobody looked at."""
    return _all_but(SHARED, LAKE, files, list(unreadable), "it may hold drives that nothing else knows")


STRANGERS = "files of the tables = files of drives alone"


def check_strangers(files: int, strangers: Sequence[str]) -> Check:
    """That every row of these files is of a drive; one with an id that no drive can have, or none, would be in no other check."""
    return _all_but(STRANGERS, LAKE, files, list(strangers), "rows with ids that no drive can have")


def _objects_landed(inputs: DriveInputs) -> Iterator[Check]:
    if inputs.raw:
        yield _landed(inputs.drive, inputs.raw, states_of(inputs.ledger_objects), inputs.as_of_ns)


def _landed(scope: str, landed: tuple[RawObject, ...], states: Mapping[tuple[str, str], str], as_of_ns: int) -> Check:
    found: Counter[str] = Counter()
    lost = []
    for entry in landed:
        state = state_of(entry, states, as_of_ns)
        found[state] += 1
        if state not in _WORDS:
            lost.append(entry.key)
    split = ", ".join(f"{found[state]} {word}" for state, word in _WORDS.items() if found[state])
    detail = f"in S3, but not in the ledger: {_some(lost)}; the event is still queued, or was lost" if lost else split
    return Check(LANDED, scope, len(landed), len(landed) - len(lost), not lost, detail)


GHOSTS = "objects in the ledger = objects in S3"


def _ledger_knows_no_ghosts(inputs: DriveInputs) -> Iterator[Check]:
    raw = {(entry.key, entry.version_id) for entry in inputs.raw}
    ghosts = [entry.key for entry in inputs.ledger_objects if (entry.key, entry.version_id) not in raw]
    yield _all_but(GHOSTS, inputs.drive, len(inputs.ledger_objects), ghosts, "in the ledger, but not in S3")


def _frames_have_a_fate(inputs: DriveInputs) -> Iterator[Check]:
    for line in account(inputs.frames, {}):
        detail = f"{line.lost} frames with an unknown fate or without a reason" if line.lost else ""
        scope = _scope(inputs, line.revision, line.sensor)
        yield Check(
            "frames read = gold + quarantined + unmatched", scope, line.read, line.read - line.lost, line.balanced, detail
        )


def _frames_declared(inputs: DriveInputs) -> Iterator[Check]:
    if inputs.ledger is not None and FRAMES_MISSING in inputs.ledger.rules:
        return
    indexed = {entry.key: entry.frames for entry in inputs.indexed}
    excused = {record.source_key for record in inputs.records}
    compared = [(entry, indexed.get(entry.key, 0)) for entry in inputs.declared if entry.key not in excused]
    wrong = [f"{entry.key} declares {entry.frames}, read {found}" for entry, found in compared if found != entry.frames]
    if compared:
        yield Check(
            "frames declared by the manifest = frames read, where no finding explains a difference",
            inputs.drive,
            sum(entry.frames for entry, _ in compared),
            sum(found for _, found in compared),
            not wrong,
            _some(wrong),
        )


def _gold_frames_are_in_scenes(inputs: DriveInputs) -> Iterator[Check]:
    held = {(entry.revision, entry.sensor): entry.frames for entry in inputs.held}
    gold: Counter[tuple[str, str]] = Counter()
    for entry in inputs.frames:
        if entry.modality in SCENE_MODALITIES and entry.fate == GOLD:
            gold[entry.revision, entry.sensor] += entry.count
    for key in sorted(held.keys() | gold.keys()):
        left, right = gold[key], held.get(key, 0)
        detail = "" if left == right else "gold.frames and gold.scenes hold different frames"
        yield Check(
            "frames called gold = distinct frames in gold scenes", _scope(inputs, *key), left, right, left == right, detail
        )


def _quarantined_frames_have_records(inputs: DriveInputs) -> Iterator[Check]:
    frames: Counter[str] = Counter()
    records: Counter[str] = Counter()
    for entry in inputs.frames:
        if entry.fate == QUARANTINED:
            frames[entry.revision] += entry.count
    for record in inputs.records:
        records[record.revision] += record.frames
    for key in sorted(frames.keys() | records.keys()):
        left, right = frames[key], records[key]
        detail = "" if left == right else "quarantine.records do not add up to the frames kept out of gold"
        yield Check("frames quarantined = frames in quarantine records", _scope(inputs, key), left, right, left == right, detail)


def _scenes_once(inputs: DriveInputs) -> Iterator[Check]:
    ids = Counter(scene.scene_id for scene in inputs.scenes)
    twice = [scene_id for scene_id, count in ids.items() if count > 1]
    yield _compared("scenes = distinct scene ids", inputs.drive, len(inputs.scenes), len(ids), twice, "held twice")


def _scenes_name_their_drive(inputs: DriveInputs) -> Iterator[Check]:
    """With this, ids that are distinct within each drive are distinct in the lake."""
    foreign = [scene.scene_id for scene in inputs.scenes if not _is_of(scene.scene_id, inputs.drive)]
    yield _all_but(
        "scene ids = ids of scenes of their drive", inputs.drive, len(inputs.scenes), foreign, "not an id of the drive"
    )


def _is_of(scene_id: str, drive: str) -> bool:
    try:
        return str(SceneKey.parse(scene_id).drive) == drive
    except LandingError:
        return False


def _batches_once(inputs: DriveInputs) -> Iterator[Check]:
    batches = Counter((batch.revision, batch.generation) for batch in inputs.batches)
    twice = [f"{_scope(inputs, revision)} generation {number}" for (revision, number), count in batches.items() if count > 1]
    yield _compared("publications = distinct batches", inputs.drive, len(inputs.batches), len(batches), twice, "published twice")


def _one_revision_in_gold(inputs: DriveInputs) -> Iterator[Check]:
    newest = _newest(inputs.batches)
    held = {scene.revision for scene in inputs.scenes} | {entry.revision for entry in inputs.frames}
    stale = [_scope(inputs, revision) for revision in sorted(held) if newest is None or newest.revision != revision]
    name = "revisions in gold = last publications"
    yield _all_but(name, inputs.drive, len(held), stale, "not what the last publication of its drive wrote")


def _rows_are_those_published(inputs: DriveInputs) -> Iterator[Check]:
    """Against rows that were removed from several tables alike."""
    newest = _newest(inputs.batches)
    if newest is None:
        return
    counted = {
        "scenes": (newest.scenes, sum(scene.revision == newest.revision for scene in inputs.scenes)),
        "frames": (newest.frames, sum(entry.count for entry in inputs.frames if entry.revision == newest.revision)),
        "records": (newest.records, sum(record.revision == newest.revision for record in inputs.records)),
    }
    known = {name: (published, found) for name, (published, found) in counted.items() if published is not None}
    wrong = [f"{published} {name} published, {found} found" for name, (published, found) in known.items() if published != found]
    left, right = sum(published or 0 for published, _ in known.values()), sum(found for _, found in known.values())
    yield Check("rows of the last publication = rows in the tables", inputs.drive, left, right, not wrong, _some(wrong))


def _published_is_in_gold(inputs: DriveInputs) -> Iterator[Check]:
    newest, ledger = _newest(inputs.batches), inputs.ledger
    published = ledger is not None and ledger.state == "published"
    absent = []
    if ledger is not None and published and (newest is None or newest.revision != ledger.revision):
        absent = [_scope(inputs, ledger.revision)]
    name = "drives published in the ledger = drives in gold"
    yield _all_but(name, inputs.drive, int(published), absent, "published in the ledger, but not in gold")


def _gold_is_published(inputs: DriveInputs) -> Iterator[Check]:
    # The former revision stays readable while a drive is processed again, and while its erasure waits for a run to end.
    legitimate = ("published", *IN_WORK, "failed", "forgotten")
    in_gold = bool(inputs.scenes)
    wrong = [inputs.drive] if in_gold and (inputs.ledger is None or inputs.ledger.state not in legitimate) else []
    name = "drives in gold = drives the ledger let in"
    yield _all_but(name, inputs.drive, int(in_gold), wrong, "in gold, but not published in the ledger")


def _payload_copies(inputs: DriveInputs) -> Iterator[Check]:
    with_copy = [record for record in inputs.records if record.payload_uri]
    absent = [record.record_id for record in with_copy if record.payload_uri not in inputs.payloads]
    name = "records with a payload = copies that exist"
    yield _all_but(name, inputs.drive, len(with_copy), absent, "no copy in the quarantine bucket")


def _files_can_be_read(inputs: DriveInputs) -> Iterator[Check]:
    name = "tables of rows = tables that can be read"
    yield _all_but(name, inputs.drive, len(DATA_TABLES) + 1, list(inputs.unreadable), "nothing is known of these rows")


_CHECKS: tuple[Callable[[DriveInputs], Iterator[Check]], ...] = (
    _objects_landed,
    _ledger_knows_no_ghosts,
    _frames_declared,
    _frames_have_a_fate,
    _gold_frames_are_in_scenes,
    _quarantined_frames_have_records,
    _scenes_once,
    _scenes_name_their_drive,
    _batches_once,
    _one_revision_in_gold,
    _rows_are_those_published,
    _published_is_in_gold,
    _gold_is_published,
    _payload_copies,
    _files_can_be_read,
)


def _all_but(name: str, scope: str, total: int, wrong: list[str], problem: str) -> Check:
    """A check that holds for all of `total` except those in `wrong`."""
    return _compared(name, scope, total, total - len(wrong), wrong, problem)


def _compared(name: str, scope: str, left: int, right: int, wrong: list[str], problem: str) -> Check:
    return Check(name, scope, left, right, not wrong, f"{problem}: {_some(wrong)}" if wrong else "")


def _newest(batches: Iterable[BatchRef]) -> BatchRef | None:
    return max(batches, key=lambda batch: batch.generation, default=None)


def _scope(inputs: DriveInputs, revision: str, sensor: str | None = None) -> str:
    return f"{inputs.drive}@{revision[:12]}" + (f" {sensor}" if sensor else "")


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
