"""The harness around every contender: arguments, clocks, memory, and the check of its output.

    python -m bench.build_scenes.NAME --drive DIR --warm-up DIR --out DIR --mode sweep|keyframe --processes 2 --result FILE.json

A contender is a context manager: entering it starts its engine, the function that it yields does a task and returns the
SHA-256 of each raw object by path, leaving it stops the engine. It writes Parquet files under the task's `out`. Before the
clock runs, each does the whole work on a short drive many times and on the drive itself once: loading, compilation and
allocation then count as start-up.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from bench.build_scenes.digest import digest
from bench.build_scenes.raw import RawRig, raw_objects, read_rig

MODES = ("sweep", "keyframe")
SAMPLE_S = 0.05
TOUCHED_BYTES = 16 << 30
READ_BYTES = 1 << 20
WARM_UPS = 12  # the JVM compiles hot code: after four runs, 0.2 s of compilation still fell into the measurement
TREE_EVERY = 10  # samples between two updates of the process list


@dataclass(frozen=True, slots=True)
class Task:
    """The task of a contender. `warm_up`: a short drive, which it has to do first."""

    drive: Path
    out: Path
    mode: str
    processes: int
    warm_up: Path

    @property
    def rig(self) -> RawRig:
        """The sync terms of the drive."""
        return read_rig(self.drive)


Work = Callable[[Task], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a contender. `start_s`: from the start of its process to the start of the work.

    `cpu_s`: processor time of all its processes during the work. `driver_rss_bytes`: the part of the peak that is the first
    process's own.
    """

    start_s: float
    work_s: float
    cpu_s: float
    scenes: int
    peak_rss_bytes: int
    files: int
    bytes: int
    matches_digest: str
    payload_digest: str
    driver_rss_bytes: int


class HashError(Exception):
    """A contender did not hash every raw object, or hashed it wrongly."""


def run(contender: Callable[[Task], AbstractContextManager[Work]]) -> None:
    """Run a contender according to its arguments, and write its outcome."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--drive", type=Path, required=True)
    parser.add_argument("--warm-up", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--mode", choices=MODES, default="sweep")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--result", type=Path, required=True)
    arguments = parser.parse_args()
    drive, out, warm_up = (path.resolve() for path in (arguments.drive, arguments.out, arguments.warm_up))
    task = Task(drive, out, arguments.mode, arguments.processes, warm_up)
    task.out.mkdir(parents=True, exist_ok=True)
    memory = PeakMemory()
    with contender(task) as work:
        for drive in [*[task.warm_up] * WARM_UPS, task.drive]:
            _warm_up(work, task, drive)
        touch_memory()
        # This evicted raw files, libraries and compiled code from the page cache.
        read_once(raw_objects(task.drive))
        _warm_up(work, task, task.warm_up)
        start_s = time.time() - psutil.Process().create_time()
        with memory:
            began = processor_time()
            began_s = time.perf_counter()
            hashes = work(task)
            work_s = time.perf_counter() - began_s
            cpu_s = processor_time() - began
    check_hashes(task.drive, hashes)
    found = digest(task.out)
    outcome = Outcome(
        start_s,
        work_s,
        cpu_s,
        found.scenes,
        memory.peak_bytes,
        found.files,
        found.bytes,
        found.matches,
        found.payloads,
        memory.driver_bytes,
    )
    arguments.result.write_text(json.dumps(asdict(outcome), indent=1) + "\n")


def _warm_up(work: Work, task: Task, drive: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="warm-up-", dir=task.out.parent) as folder:
        work(replace(task, drive=drive, out=Path(folder)))


def touch_memory() -> None:
    """Touch free memory once, so that no memory is used for the first time during the measurement.

    A virtual machine returns free memory to its host within seconds, and getting it back costs half a second per gigabyte.
    """
    touched = min(TOUCHED_BYTES, psutil.virtual_memory().available * 8 // 10)
    subprocess.run([sys.executable, "-c", f"bytearray({touched})"], check=True)  # zeros are written, page by page


def read_once(paths: Iterable[Path]) -> None:
    """Read files and discard their content, so that the following run does not measure the disk."""
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(READ_BYTES):
                pass


def processor_time() -> float:
    """Seconds, inside and outside of the kernel, of this process, its descendants, and those that were waited for."""
    total_s = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            total_s += sum(process.cpu_times()[:4])  # user, system, and both of children that were waited for
        except psutil.NoSuchProcess:
            continue
    return total_s


def check_hashes(drive: Path, hashes: Mapping[str, str]) -> None:
    """Compare with the manifest, which the drive's writer made.

    Raises:
        HashError: Names the first object that differs.
    """
    entries = json.loads((drive / "manifest.json").read_bytes())["objects"]
    given = {"/".join(Path(path).parts[-3:]): value for path, value in hashes.items()}
    for entry in entries:
        name = "/".join(entry["key"].split("/")[-3:])
        if given.get(name) != entry["sha256"]:
            raise HashError(f"{name}: SHA-256 {given.get(name)} instead of {entry['sha256']}")
    if len(given) != len(entries):
        raise HashError(f"{len(given)} objects hashed, the drive has {len(entries)}")


class PeakMemory:
    """The peak resident memory of this process and its descendants: the sum of each one's sampled peak.

    A simultaneous peak would be missed in short work; the sum of peaks is not. For processes that follow one another it is
    more than was ever held at once. Memory that processes share (an object store, the pages of libraries) is counted once:
    the largest share of any.
    """

    def __init__(self) -> None:
        self._private: dict[int, int] = {}
        self._shared = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    @property
    def peak_bytes(self) -> int:
        """The peak so far."""
        return sum(self._private.values()) + self._shared

    @property
    def driver_bytes(self) -> int:
        """This process's part: that of the planner, where descendants do the work."""
        return self._private.get(os.getpid(), 0)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        own = psutil.Process()
        tree: list[psutil.Process] = [own]
        count = 0
        while not self._stop.wait(SAMPLE_S):
            if count % TREE_EVERY == 0:
                tree = [own, *own.children(recursive=True)]
            count += 1
            for process in tree:
                try:
                    memory = process.memory_info()
                except psutil.NoSuchProcess:
                    continue
                self._private[process.pid] = max(self._private.get(process.pid, 0), memory.rss - memory.shared)
                self._shared = max(self._shared, memory.shared)


def refuse_import(name: str) -> None:
    """Explain the failure where a contender's package is missing."""
    sys.exit(f"{name} is not installed; it belongs to the benchmark's own environment: requirements/install.sh bench")
