"""A job as a guarded process: its output as it is written, and a guaranteed end."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from scenelake_airflow import guard
from sensors.printable import printable

MAX_LINE_BYTES = 64 * 1024
TAIL_LINES = 25
READ_BYTES = 64 * 1024
# Time that the guard needs beyond its grace: to be scheduled, to poll, to reap.
GUARD_MARGIN_S = 10.0


class JobProcess:
    """One command under a guard (`scenelake_airflow.guard`), used as a context manager: at its exit no process is left.

    `tail` holds the last 25 lines of stderr.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], folder: Path, grace_s: float) -> None:
        """Args:
        command: Program and arguments.
        env: Its whole environment.
        folder: Its working directory.
        grace_s: Time between SIGTERM and SIGKILL when it is made to end.
        """
        self._command, self._env, self._folder, self._grace_s = list(command), dict(env), folder, grace_s
        self._guard: subprocess.Popen[bytes] | None = None
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    def __enter__(self) -> Self:
        # -P: the guard's folder must not come first on its module path.
        argv = [sys.executable, "-P", guard.__file__, "--grace-s", str(self._grace_s), "--", *self._command]
        self._guard = subprocess.Popen(
            argv,
            env=self._env,
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._guard is None:
            raise RuntimeError("the job process has not been started: use it in a with statement")
        return self._guard

    def lines(self, tick_s: float) -> Iterator[str | None]:
        """Lines of stdout and stderr without their ends, until both are closed; None when none came for `tick_s`.

        A line of more than 64 KiB comes in pieces.
        """
        running = self._running
        with selectors.DefaultSelector() as selector:
            for stream in (running.stdout, running.stderr):
                if stream is not None:
                    selector.register(stream, selectors.EVENT_READ, _LineBuffer())
            while selector.get_map():
                ready = selector.select(tick_s)
                if not ready:
                    if running.poll() is not None:  # after a guard was killed, its command still holds the pipes open
                        return
                    yield None
                for key, _ in ready:
                    chunk = os.read(key.fd, READ_BYTES)
                    for line in key.data.feed(chunk):
                        if key.fileobj is running.stderr:
                            self.tail.append(line)
                        yield line
                    if not chunk:
                        selector.unregister(key.fileobj)

    def ask_to_end(self) -> None:
        """Make the guard end the job; returns at once. Safe in a signal handler and when it has ended already."""
        if self._guard is not None:
            _close(self._guard.stdin)

    def wait(self) -> int:
        """Exit status of the job, once everything that it started has ended too (143 where it was ended)."""
        return self._running.wait()

    def end(self) -> None:
        """Make the job end and wait for it; kills the processes of a guard that does not respond."""
        running = self._running
        self.ask_to_end()
        try:
            running.wait(self._grace_s + GUARD_MARGIN_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        if running.returncode < 0:
            guard.end_session(running.pid)
        for stream in (running.stdout, running.stderr):
            _close(stream)


class _LineBuffer:
    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Whole lines so far, printable: a traceback quotes what files hold. An empty chunk ends the last one."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if self._rest and (not chunk or len(self._rest) >= MAX_LINE_BYTES):
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            yield printable(line.rstrip(b"\r").decode("utf-8", "replace"), keep="\t")


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        stream.close()
