"""The demo: drives, good and faulty, through the whole stack, with the accounting and a report at the end.

The stack starts while the first drive is made, and a drive is on its way while the next one is made: three threads
share the board, and an error in any of them ends all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from cli.demo.board import Board
from cli.demo.drives import DemoDrive
from cli.demo.stage import Stage, Standing
from fleet.uploader import CLIENT_CONFIG, upload
from ingest.ledger.states import DriveState
from lake.landing import DriveId
from ops.audit import lake_reader
from ops.audit.accounting import Line
from ops.deployment import Deployment
from ops.errors import WaitTimeoutError
from ops.following import FAILED_PATIENCE_S, LOOK_S, Follower, Sighting

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

TIMEOUT_S = 900.0
SAMPLE_S = 1.0


@dataclass(frozen=True, slots=True)
class DriveResult:
    """What became of a drive. `last_put_ns`: wall time of its last PUT; None where all of it was there already."""

    drive: DriveId
    note: str
    sighting: Sighting
    last_put_ns: int | None
    lines: tuple[Line, ...]

    @property
    def failed(self) -> bool:
        """Whether it reached neither gold nor quarantine."""
        return not self.sighting.final

    @property
    def put_to_final_s(self) -> float | None:
        """From the last PUT to the final state in the ledger."""
        if self.last_put_ns is None or self.failed:
            return None
        return (self.sighting.updated_ns - self.last_put_ns) / 1e9


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo measured. `peak_memory_bytes` is None where the stack's processes are not ours to see."""

    results: tuple[DriveResult, ...]
    standing: Standing
    started_s: float
    peak_memory_bytes: int | None

    @property
    def deployment(self) -> Deployment:
        """The deployment that it ran on."""
        return self.standing.deployment


@dataclass(slots=True)
class _Sent:
    """A drive on its way."""

    drive: DriveId | None = None
    last_put_ns: int | None = None


@dataclass(slots=True)
class _Run:
    """What the threads share."""

    drives: Sequence[DemoDrive]
    board: Board
    stage: Stage
    ready: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None
    deployment: Deployment | None = None
    sent: list[_Sent] = field(default_factory=list)
    peak_bytes: int | None = None


class _EndedError(Exception):
    """Raised in a thread whose work nobody waits for any more."""


def run_demo(drives: Sequence[DemoDrive], stage: Stage, started_s: float) -> DemoResult:
    """Bring the stack up, send the drives, and follow them until all have ended.

    Raises:
        Whatever making, sending or starting raises; the stack stays up.
    """
    with Board([drive.name for drive in drives]) as board:
        run = _Run(drives, board, stage, sent=[_Sent() for _ in drives])
        threads = [threading.Thread(target=work, args=(run,), daemon=True) for work in (_send_all, _sample_memory)]
        for thread in threads:
            thread.start()
        try:
            standing = _bring_up(run)
            results = _follow_all(run)
        finally:
            run.ended.set()
            run.ready.set()
            for thread in threads:
                thread.join()
    return DemoResult(results, standing, started_s, run.peak_bytes)


def _bring_up(run: _Run) -> Standing:
    standing = run.stage.bring_up(run.board.stack)
    run.deployment = standing.deployment
    run.board.stack(standing.words)
    run.ready.set()
    return standing


def _send_all(run: _Run) -> None:
    try:
        for index, drive in enumerate(run.drives):
            run.board.phase(index, "being made")
            folder = drive.make(_watched(run, index, "being made"))
            run.board.rename(index, str(folder.drive))
            run.board.phase(index, "waits for the stack")
            run.ready.wait()
            if run.ended.is_set() or run.deployment is None:
                return
            run.board.phase(index, "being sent")
            # Known before the first PUT, so that it is followed while it lands.
            run.sent[index].drive = folder.drive
            s3, bucket = run.deployment.s3(CLIENT_CONFIG), run.deployment.settings.raw_bucket
            report = upload(folder, s3, bucket, progress=_watched(run, index, "being sent"))
            run.sent[index].last_put_ns = time.time_ns() if report.sent else None
    except _EndedError:
        return
    except BaseException as error:  # noqa: BLE001 - the main thread raises it
        run.failure = error


def _watched(run: _Run, index: int, words: str) -> Callable[[str, int, int], None]:
    def progress(step: str, done: int, total: int) -> None:
        if run.ended.is_set():
            raise _EndedError
        name = step.rsplit("/", 2)[-2] if step.count("/") > 2 else step
        run.board.phase(index, f"{words}: {name} {100 * done // max(total, 1)} %", loud=False)

    return progress


def _follow_all(run: _Run) -> tuple[DriveResult, ...]:
    assert run.deployment is not None
    follower = Follower(run.deployment.ledger(), run.deployment.manifest_versions(), run.deployment.airflow_steps())
    catalog = run.deployment.catalog()
    deadline_s = time.monotonic() + TIMEOUT_S
    results: dict[int, DriveResult] = {}
    failed_since_s: dict[int, float] = {}
    while len(results) < len(run.drives):
        if run.failure is not None:
            raise run.failure
        for index, sent in enumerate(run.sent):
            if index in results or sent.drive is None:
                continue
            seen = follower.look(sent.drive)
            run.board.seen(index, seen)
            now_s = time.monotonic()
            if seen.state == DriveState.FAILED:
                given_up = now_s - failed_since_s.setdefault(index, now_s) >= FAILED_PATIENCE_S
            else:
                failed_since_s.pop(index, None)
                given_up = False
            if seen.final or given_up or now_s > deadline_s:
                results[index] = _result(run, index, seen, catalog)
        if time.monotonic() > deadline_s and any(sent.drive is None for sent in run.sent):
            raise WaitTimeoutError(f"not all drives could be sent within {TIMEOUT_S:.0f} s")
        time.sleep(LOOK_S)
    return tuple(results[index] for index in sorted(results))


def _result(run: _Run, index: int, seen: Sighting, catalog: Catalog) -> DriveResult:
    sent = run.sent[index]
    assert sent.drive is not None
    lines = lake_reader.accounting(catalog, sent.drive) if seen.state in (DriveState.PUBLISHED, DriveState.QUARANTINED) else ()
    totals = [
        sum(getattr(line, name) for line in lines if line.in_scene) for name in ("read", "gold", "quarantined", "unmatched")
    ]
    if lines:
        run.board.frames(index, "{} read = {} gold + {} quarantined + {} unmatched".format(*totals))
    return DriveResult(sent.drive, run.drives[index].note, seen, sent.last_put_ns, lines)


def _sample_memory(run: _Run) -> None:
    own = psutil.Process()
    while not run.ended.wait(SAMPLE_S):
        theirs = run.stage.memory_bytes()
        if theirs is None:
            return
        run.peak_bytes = max(run.peak_bytes or 0, theirs + own.memory_info().rss)
