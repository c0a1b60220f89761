"""Feeds inputs to a target one after the other, and judges each by the target's promises."""

from __future__ import annotations

import gc
import signal
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from types import FrameType, TracebackType

from tests.fuzz.mutation import several
from tests.fuzz.target import Target

ROOT = Path(__file__).parents[2]
CORPUS_BYTES = 4 * 1024 * 1024
MOST_FAILURES = 20
_CLEAR_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class HangError(BaseException):
    """An input took more CPU time than a target may; no handler of `Exception` catches it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that broke a promise: `exception`, `hang`, `memory` or `native_memory`, and where."""

    kind: str
    message: str
    data: bytes

    @property
    def name(self) -> str:
        """A file name that is the same for the same input."""
        return f"{self.kind}-{sha256(self.data).hexdigest()[:12]}"


@dataclass(slots=True)
class Outcome:
    """The result of a number of inputs. Bytes are in addition to those in use before; `native` is resident memory."""

    target: str
    inputs: int = 0
    refused: int = 0
    outcomes: int = 0
    slowest_s: float = 0.0
    peak_bytes: int = 0
    native_peak_bytes: int = 0
    failures: list[Failure] = field(default_factory=list)


@contextmanager
def cpu_watch() -> Iterator[Callable[[float], None]]:
    """A function that limits the next input to a number of seconds of CPU time; 0 stops the clock."""

    def expired(_: int, __: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGPROF, expired)
    try:
        yield lambda seconds: signal.setitimer(signal.ITIMER_PROF, seconds) and None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def fuzz(
    target: Target,
    seed: int,
    folder: Path,
    more: Callable[[int], bool],
    announce: Callable[[bytes], None] = lambda _: None,
) -> Outcome:
    """Run the seeds, then mutations of them for as long as `more(number of inputs)` is true.

    An input that ends where none has ended before becomes a seed as well. The inputs depend on `seed` and the code alone.
    `announce` is given each input before it is run.
    """
    outcome = Outcome(target.name)
    rng = Random(f"{seed}:{target.name}")
    seeds = target.seeds()
    corpus = list(seeds)
    ends: set[str] = set()
    room = CORPUS_BYTES
    failed: set[tuple[str, str]] = set()
    with _measured(target, folder) as judge:
        for data in _inputs(target, rng, corpus):
            if outcome.inputs >= len(seeds) and not more(outcome.inputs):
                break
            announce(data)
            end, failure = judge(outcome, data, folder)
            if failure is not None and (failure.kind, end) not in failed and len(outcome.failures) < MOST_FAILURES:
                failed.add((failure.kind, end))
                outcome.failures.append(failure)
            if end not in ends:
                ends.add(end)
                if room >= len(data):
                    room -= len(data)
                    corpus.append(data)
    outcome.outcomes = len(ends)
    return outcome


def run_one(target: Target, data: bytes, folder: Path) -> Failure | None:
    """Run one input; the promise that it breaks, if any."""
    with _measured(target, folder) as judge:
        return judge(Outcome(target.name), data, folder)[1]


def _inputs(target: Target, rng: Random, corpus: Sequence[bytes]) -> Iterator[bytes]:
    yield from tuple(corpus)
    while True:
        yield several(rng, target.mutate, rng.choice(corpus), corpus)


Judge = Callable[[Outcome, bytes, Path], tuple[str, Failure | None]]


@contextmanager
def _measured(target: Target, folder: Path) -> Iterator[Judge]:
    """A function that runs an input under all clocks and gauges."""
    for seed in target.seeds():  # imports and caches that the first use fills are no input's fault
        _end(target, seed, folder)
    with cpu_watch() as watch, warnings.catch_warnings(), _native_gauge() as native_bytes:
        warnings.simplefilter("error")  # as in the unit tests: a warning is an answer that nobody reads
        tracing = tracemalloc.is_tracing()
        if not tracing:
            tracemalloc.start()
        yield lambda outcome, data, folder: _judge(target, outcome, data, folder, watch, native_bytes)
        if not tracing:
            tracemalloc.stop()


def _judge(
    target: Target,
    outcome: Outcome,
    data: bytes,
    folder: Path,
    watch: Callable[[float], None],
    native_bytes: Callable[[], int],
) -> tuple[str, Failure | None]:
    outcome.inputs += 1
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    started = time.process_time()
    watch(target.cpu_limit_s)
    try:
        end, failure = _end_or_failure(target, data, folder)
    except HangError as error:
        watch(0)
        end, failure = "hang", Failure("hang", f"more than {target.cpu_limit_s} s of CPU in {_place(error.__traceback__)}", data)
    watch(0)
    outcome.slowest_s = max(outcome.slowest_s, time.process_time() - started)
    peak = tracemalloc.get_traced_memory()[1] - before
    outcome.peak_bytes = max(outcome.peak_bytes, peak)
    native = native_bytes()
    risen = native > outcome.native_peak_bytes  # memory is not given back: an input answers for the rise that it made
    outcome.native_peak_bytes = max(outcome.native_peak_bytes, native)
    bound = target.memory_bytes(data)
    if failure is None and peak > bound:
        peak = min(peak, _peak_again(target, data, folder))  # other threads allocate, too
    if failure is None and peak > bound:
        failure = Failure("memory", f"{peak} bytes at once, the bound is {bound}: {end}", data)
    if failure is None and risen and native > bound + target.native_bytes:
        message = f"{native} bytes resident, the bound is {bound + target.native_bytes}"
        failure = Failure("native_memory", message, data)
    outcome.refused += end.startswith("refused")
    return end, failure


def _peak_again(target: Target, data: bytes, folder: Path) -> int:
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    _end(target, data, folder)
    return tracemalloc.get_traced_memory()[1] - before


def _end_or_failure(target: Target, data: bytes, folder: Path) -> tuple[str, Failure | None]:
    try:
        return _end(target, data, folder), None
    except Exception as error:  # noqa: BLE001 - any other exception is what is looked for
        place = _place(error.__traceback__)
        message = f"{type(error).__name__} in {place}"
        return message, Failure("exception", f"{message}: {str(error)[:200]}", data)


def _end(target: Target, data: bytes, folder: Path) -> str:
    """The end of an input in one word: the type that it decoded to, or the place of the refusal."""
    try:
        return target.run(data, folder)
    except target.refusals as error:
        return f"refused in {_place(error.__traceback__)}: {type(error).__name__}"


def _place(trace: TracebackType | None) -> str:
    """The innermost lines of the project's code."""
    ours = []
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(f"{ROOT}/") and ".venv" not in name:
            ours.append(f"{name.removeprefix(f'{ROOT}/')}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " < ".join(reversed(ours[-2:]))


@contextmanager
def _native_gauge() -> Iterator[Callable[[], int]]:
    """A function that returns the rise of the process's resident memory; always 0 without `/proc`."""
    if not _CLEAR_REFS.exists():
        yield lambda: 0
        return
    gc.collect()
    _CLEAR_REFS.write_text("5")  # proc(5): the peak begins anew at what is resident now
    start = _resident_peak()
    yield lambda: _resident_peak() - start


def _resident_peak() -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
