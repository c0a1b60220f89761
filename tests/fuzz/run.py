"""Fuzz the decoders: `python -m tests.fuzz.run [--seconds 60] [--seed 1] [--target NAME …]`.

Each target runs in a process of its own whose address space is limited, for `--seconds` of wall time; a process that crashes
or hangs is a result too. Prints a table. Inputs that broke a promise are stored in `build/fuzz/TARGET/`; `--input FILE` runs
one of them again.
"""

from __future__ import annotations

import argparse
import json
import mmap
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.fuzz.mutation import MAX_INPUT_BYTES
from tests.fuzz.session import ROOT, Failure, Outcome, fuzz, run_one
from tests.fuzz.target import MIB, Target
from tests.fuzz.targets import TARGETS

BUILD = ROOT / "build" / "fuzz"
SLACK_BYTES = 512 * MIB  # of address space: arenas and stacks of threads that a library starts
STILL_S = 60.0  # without a new input: the process hangs where no signal reaches Python
GRACE_S = 120.0
_HEAD = struct.Struct("<QQ")  # number and size of the input that is being run


def main(argv: Sequence[str]) -> int:
    """Run the targets, or one input; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="wall time for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="this target alone; may be repeated")
    parser.add_argument("--input", type=Path, help="run this one input, of --target or of the folder that it lies in")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    names: list[str] = options.target or list(TARGETS)
    if options.worker is not None:
        return _work(TARGETS[names[0]], options.seed, options.seconds, options.worker)
    if options.input is not None:
        return _again(options.target, options.input)
    print(_row("target", "inputs", "refused", "outcomes", "failures", "slowest", "peak", "resident"))
    outcomes = [_supervise(TARGETS[name], options.seed, options.seconds) for name in names]
    for outcome in outcomes:
        for failure in outcome.failures:
            print(f"\n{outcome.target}: {failure.message}\n  {_kept(outcome.target, failure)}")
    total = sum(outcome.inputs for outcome in outcomes)
    failures = sum(len(outcome.failures) for outcome in outcomes)
    print(f"\n{total} inputs, {failures} broke a promise")
    return 1 if failures else 0


def _row(*cells: str) -> str:
    return f"{cells[0]:<24}" + "".join(f"{cell:>12}" for cell in cells[1:])


def _supervise(target: Target, seed: int, seconds: float) -> Outcome:
    """Run a target in a process of its own, and detect whether it dies or hangs."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "input").write_bytes(bytes(_HEAD.size + MAX_INPUT_BYTES))
        options = ["--worker", folder, "--target", target.name, "--seed", str(seed), "--seconds", str(seconds)]
        child = subprocess.Popen([sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.run", *options], cwd=ROOT)
        reason = _watch(child, work / "input", seconds)
        if reason is None:
            outcome = _read_report(json.loads((work / "report").read_text()))
        else:
            number, data = _running(work / "input")
            outcome = Outcome(target.name, inputs=number, failures=[Failure("died", reason, data)])
    for failure in outcome.failures:
        path = _kept(target.name, failure)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(failure.data)
    counts = (outcome.inputs, outcome.refused, outcome.outcomes, len(outcome.failures))
    sizes = (outcome.peak_bytes, outcome.native_peak_bytes)
    cells = [*map(str, counts), f"{outcome.slowest_s * 1e3:.0f} ms", *(f"{size / MIB:.1f} MiB" for size in sizes)]
    print(_row(target.name, *cells), flush=True)
    return outcome


def _watch(child: subprocess.Popen[bytes], running: Path, seconds: float) -> str | None:
    """Wait for the end of a worker; returns the failure, or None."""
    last, since = -1, time.monotonic()
    deadline = since + seconds + GRACE_S
    while True:
        try:
            code = child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            number, _ = _running(running)
            now = time.monotonic()
            last, since = (number, now) if number != last else (last, since)
            if now - since < STILL_S and now < deadline:
                continue
            child.kill()
            child.wait()
            return f"one input took more than {STILL_S:g} s, and no signal could end it"
        return None if code == 0 else f"the process ended with status {code}"


def _running(path: Path) -> tuple[int, bytes]:
    content = path.read_bytes()
    number, size = _HEAD.unpack_from(content)
    return number, content[_HEAD.size : _HEAD.size + size]


def _work(target: Target, seed: int, seconds: float, folder: Path) -> int:
    """The work of a target's process: announce each input, run it, report at the end."""
    target.seeds()
    room = max(target.memory_bytes(bytes(MAX_INPUT_BYTES)), 0) + target.native_bytes + SLACK_BYTES
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        limit = pages * resource.getpagesize() + room
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    deadline = time.monotonic() + seconds
    number = 0
    with (folder / "input").open("r+b") as file, mmap.mmap(file.fileno(), 0) as running:

        def announce(data: bytes) -> None:
            nonlocal number
            number += 1
            running[: _HEAD.size + len(data)] = _HEAD.pack(number, len(data)) + data

        outcome = fuzz(target, seed, folder, lambda _: time.monotonic() < deadline, announce)
    report: dict[str, Any] = asdict(outcome)
    report["failures"] = [{"kind": one.kind, "message": one.message, "data": one.data.hex()} for one in outcome.failures]
    (folder / "report").write_text(json.dumps(report))
    return 0


def _read_report(report: dict[str, Any]) -> Outcome:
    failures = [Failure(one["kind"], one["message"], bytes.fromhex(one["data"])) for one in report.pop("failures")]
    return Outcome(**report, failures=failures)


def _kept(name: str, failure: Failure) -> Path:
    return BUILD / name / failure.name


def _again(named: Sequence[str] | None, path: Path) -> int:
    target = TARGETS[named[0] if named else path.resolve().parent.name]
    with tempfile.TemporaryDirectory() as folder:
        failure = run_one(target, path.read_bytes(), Path(folder))
    print(f"{target.name}: {failure.message if failure else 'the promises hold'}")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
