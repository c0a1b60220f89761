"""The demo: clean and faulty drives through the whole stack.

The stack starts while the first drive is generated, and a drive is processed while the next one is generated: one thread
generates and uploads, one samples memory, and an error in either ends the demo.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from ops.deployment import Deployment
from ops.drives.follower import FAILED_PATIENCE_S, POLL_S, Follower, Sighting
from ops.errors import WaitTimeoutError
from scenes.accounting.account import Line

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

TIMEOUT_S = 900.0
SAMPLE_S = 1.0


@dataclass(frozen=True, slots=True)
class DriveResult:
    """The result of a drive. `last_put_ns`: wall time of its last PUT; None if everything was already there."""

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
        """Seconds from the last PUT to the final state in the ledger."""
        if self.last_put_ns is None or self.failed:
            return None
        return (self.sighting.updated_ns - self.last_put_ns) / 1e9


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo measured. `peak_memory_bytes` is None if the stack runs elsewhere."""

    results: tuple[DriveResult, ...]
    standing: Standing
    started_s: float
    peak_memory_bytes: int | None

    @property
    def deployment(self) -> Deployment:
        """The deployment that it ran on."""
        return self.standing.deployment


@dataclass(slots=True)
class _Upload:
    """The upload of one drive; `drive` is set before its first PUT, so that it is followed while it lands."""

    drive: DriveId | None = None
    last_put_ns: int | None = None


@dataclass(slots=True)
class _Run:
    """State that the threads share."""

    drives: Sequence[DemoDrive]
    board: Board
    stage: Stage
    uploads: Sequence[_Upload]
    deployment: Deployment | None = None
    ready: threading.Event = field(default_factory=threading.Event)  # the stack is up; also set when the demo ends early
    ended: threading.Event = field(default_factory=threading.Event)


class _EndedError(Exception):
    """Ends the thread of the uploads once the demo has ended."""


def run_demo(drives: Sequence[DemoDrive], stage: Stage, started_s: float) -> DemoResult:
    """Bring the stack up, send the drives, and follow them until all have finished.

    Raises:
        Exception: Any error of generating, uploading or starting; the stack keeps running.
    """
    with Board([drive.name for drive in drives]) as board, ThreadPoolExecutor(2) as threads:
        run = _Run(drives, board, stage, [_Upload() for _ in drives])
        uploading = threads.submit(_upload_all, run)
        memory = threads.submit(_peak_memory_bytes, run)
        try:
            standing = _bring_up(run)
            results = _follow_all(run, uploading)
        finally:
            run.ended.set()
            run.ready.set()
        return DemoResult(results, standing, started_s, memory.result())


def _bring_up(run: _Run) -> Standing:
    standing = run.stage.bring_up(run.board.stack)
    run.deployment = standing.deployment
    run.board.stack(standing.words)
    run.ready.set()
    return standing


def _upload_all(run: _Run) -> None:
    try:
        for index, drive in enumerate(run.drives):
            run.board.phase(index, "generating")
            folder = drive.make(_progress(run, index, "generating"))
            run.board.rename(index, str(folder.drive))
            run.board.phase(index, "waiting for the stack")
            run.ready.wait()
            if run.ended.is_set() or run.deployment is None:
                return
            run.board.phase(index, "uploading")
            run.uploads[index].drive = folder.drive
            client, bucket = run.deployment.s3(CLIENT_CONFIG), run.deployment.settings.raw_bucket
            report = upload(folder, client, bucket, progress=_progress(run, index, "uploading"))
            run.uploads[index].last_put_ns = time.time_ns() if report.sent else None
    except _EndedError:
        return


def _progress(run: _Run, index: int, phase: str) -> Callable[[str, int, int], None]:
    def progress(step: str, done: int, total: int) -> None:
        if run.ended.is_set():
            raise _EndedError
        name = step.rsplit("/", 2)[-2] if step.count("/") > 2 else step
        run.board.phase(index, f"{phase}: {name} {100 * done // max(total, 1)} %", live_only=True)

    return progress


def _follow_all(run: _Run, uploading: Future[None]) -> tuple[DriveResult, ...]:
    assert run.deployment is not None
    follower = Follower(run.deployment.ledger(), run.deployment.manifest_versions(), run.deployment.airflow_steps())
    catalog = run.deployment.catalog()
    deadline_s = time.monotonic() + TIMEOUT_S
    results: dict[int, DriveResult] = {}
    failed_since_s: dict[int, float] = {}
    while len(results) < len(run.drives):
        if uploading.done():
            uploading.result()  # raises its error, if any
        for index, sent in enumerate(run.uploads):
            if index in results or sent.drive is None:
                continue
            seen = follower.observe(sent.drive)
            run.board.update(index, seen)
            now_s = time.monotonic()
            if seen.state == DriveState.FAILED:
                given_up = now_s - failed_since_s.setdefault(index, now_s) >= FAILED_PATIENCE_S
            else:
                failed_since_s.pop(index, None)
                given_up = False
            if seen.final or given_up or now_s > deadline_s:
                results[index] = _result(run, index, seen, catalog)
        if time.monotonic() > deadline_s and any(sent.drive is None for sent in run.uploads):
            raise WaitTimeoutError(f"not all drives could be uploaded within {TIMEOUT_S:.0f} s")
        time.sleep(POLL_S)
    return tuple(results[index] for index in sorted(results))


def _result(run: _Run, index: int, seen: Sighting, catalog: Catalog) -> DriveResult:
    sent = run.uploads[index]
    assert sent.drive is not None
    lines = lake_reader.accounting(catalog, sent.drive) if seen.state in (DriveState.PUBLISHED, DriveState.QUARANTINED) else ()
    totals = [
        sum(getattr(line, name) for line in lines if line.in_scene) for name in ("read", "gold", "quarantined", "unmatched")
    ]
    if lines:
        run.board.frames(index, "{} read = {} gold + {} quarantined + {} unmatched".format(*totals))
    return DriveResult(sent.drive, run.drives[index].note, seen, sent.last_put_ns, lines)


def _peak_memory_bytes(run: _Run) -> int | None:
    """The most memory that the stack and this process took together until the demo ended; None if the stack's is unknown."""
    peak_bytes, own = 0, psutil.Process()
    while not run.ended.wait(SAMPLE_S):
        stack_bytes = run.stage.memory_bytes()
        if stack_bytes is None:
            return None
        peak_bytes = max(peak_bytes, stack_bytes + own.memory_info().rss)
    return peak_bytes or None
