"""The contenders, and how each is run: as a process of its own, in its own environment, that leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.build_scenes.contest import Outcome
from bench.figures import PROJECT

TIMEOUT_S = 1800
READ_BYTES = 16 * 1024 * 1024
OWN = Path(sys.executable)
BENCH = PROJECT / ".venv-bench" / "bin" / "python"
OUT_OF_MEMORY = ("OutOfMemory", "MemoryError", "Cannot allocate memory", "out of memory", "Java heap space")


@dataclass(frozen=True, slots=True)
class Contender:
    """A module of this package, and the interpreter with its dependencies."""

    module: str
    interpreter: Path


CONTENDERS = {
    "limit": Contender("limit", OWN),
    "scenelake": Contender("scenelake_job", OWN),
    "polars": Contender("competitors.polars_job", BENCH),
    "polars_plain": Contender("competitors.polars_plain", BENCH),
    "pandas": Contender("competitors.pandas_script", OWN),
    "daft": Contender("competitors.daft_job", BENCH),
    "ray": Contender("competitors.ray_job", BENCH),
    "naive_spark": Contender("competitors.naive_spark", OWN),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run: its outcome, or a short reason why there is none."""

    outcome: Outcome | None
    problem: str = ""


def attempt(contender: Contender, drive: Path, warm_up: Path, mode: str, scratch: Path, processes: int = 2) -> Attempt:
    """Run a contender on a warm page cache; afterwards its output is deleted and all its processes have ended."""
    warm(drive)
    folder = scratch / contender.module
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    result, log = folder / "result.json", folder / "log.txt"
    arguments = ["--drive", drive, "--warm-up", warm_up, "--out", folder / "out", "--mode", mode]
    arguments += ["--processes", processes, "--result", result]
    command = [contender.interpreter, "-m", f"bench.build_scenes.{contender.module}", *arguments]
    try:
        with log.open("wb") as sink:
            code = _run([str(word) for word in command], sink.fileno())
        if code == 0 and result.is_file():
            return Attempt(Outcome(**json.loads(result.read_text())))
        return Attempt(None, problem_of(code, log.read_text(errors="replace")))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.sync()


def warm(drive: Path) -> None:
    """Read the drive once, so that it is in the page cache."""
    for path in drive.glob("*/*/*.mcap"):
        with path.open("rb") as stream:
            while stream.read(READ_BYTES):
                pass


def problem_of(code: int | None, log: str) -> str:
    """Why a contender failed, from its exit status (None: it took too long) and its output."""
    if code is None:
        return f"not done after {TIMEOUT_S} s"
    if code == -signal.SIGKILL or any(words in log for words in OUT_OF_MEMORY):
        return "out of memory"
    lines = [line for line in log.splitlines() if line.strip()]
    return f"exit status {code}: {lines[-1].strip()[:200] if lines else 'no output'}"


def _run(command: list[str], sink: int) -> int | None:
    process = subprocess.Popen(command, cwd=PROJECT, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end_session(process.pid)
        process.wait()


def _end_session(leader: int) -> None:
    """End the remaining processes of a contender's session."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                process.kill()
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue  # it ended by itself
