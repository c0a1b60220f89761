"""Runs one command and leaves none of its processes behind: `python -P guard.py [--grace-s S] -- COMMAND…`

The guard leads a session of its own; its parent holds the write end of its stdin. It ends the command, with
everything that the command started, when

* the command itself ends (its exit status becomes the guard's, 128 + N after signal N),
* its stdin reaches end of file: the parent has exited, for whatever reason, or requests the end (exit status 143),
* it gets SIGTERM or SIGINT (exit status 143).

Ending is SIGTERM, a bounded wait, SIGKILL. On Linux the guard is its descendants' subreaper, so those that leave the
session are found as well, and a guard that is killed takes the command with it (prctl(2): PR_SET_CHILD_SUBREAPER,
PR_SET_PDEATHSIG). It imports nothing of the project: it is started by path, in any working directory.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
ENDED = 128 + signal.SIGTERM
POLL_S = 0.05


def main(argv: Sequence[str]) -> int:
    """Guard the command in `argv` until it has ended."""
    parser = argparse.ArgumentParser(prog="guard.py")
    parser.add_argument("--grace-s", type=float, default=3.0, help="time between SIGTERM and SIGKILL (default 3)")
    parser.add_argument("command", nargs="+")
    known = parser.parse_args(argv)
    wakeup = _wake_on_signals()
    prctl = _prctl()
    if prctl is not None:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    # preexec_fn is safe here: the guard has one thread.
    before_exec = None if prctl is None else lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    child = subprocess.Popen(known.command, stdin=subprocess.DEVNULL, preexec_fn=before_exec)
    status = _watch(child, wakeup)
    end_all(known.grace_s)
    return status


def _watch(child: subprocess.Popen[bytes], wakeup: int) -> int:
    while True:
        readable, _, _ = select.select([sys.stdin, wakeup], [], [])
        signals = os.read(wakeup, 64) if wakeup in readable else b""
        status = _reap(child.pid)
        if status is not None:
            child.returncode = status
            return status if status >= 0 else 128 - status
        signalled = signal.SIGTERM in signals or signal.SIGINT in signals
        if signalled or (sys.stdin in readable and not os.read(sys.stdin.fileno(), 64)):
            child.returncode = ENDED
            return ENDED


def _reap(pid: int) -> int | None:
    """Collect every child that has ended, adopted ones too; the exit status of `pid` if it was among them."""
    status = None
    while True:
        try:
            ended, raw = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if ended == 0:
            return status
        if ended == pid:
            status = os.waitstatus_to_exitcode(raw)


def session_members(session: int) -> list[psutil.Process]:
    """Living processes of a session, its leader included."""
    members = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == session:
                members.append(psutil.Process(pid))
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return [process for process in members if _alive(process)]


def descendants() -> list[psutil.Process]:
    """Living processes that come from this one: its descendants, and the other members of the session that it leads."""
    found = {process.pid: process for process in psutil.Process().children(recursive=True) if _alive(process)}
    found |= {process.pid: process for process in session_members(os.getpid())}
    found.pop(os.getpid(), None)
    return list(found.values())


def end_all(grace_s: float) -> None:
    """SIGTERM to all descendants, SIGKILL to those that are left after `grace_s`; returns when none is left."""

    def living() -> list[psutil.Process]:
        _reap(0)
        return descendants()

    _signal_until_gone(living, signal.SIGTERM, time.monotonic() + grace_s)
    _signal_until_gone(living, signal.SIGKILL, math.inf)
    _reap(0)


def end_session(session: int) -> None:
    """SIGKILL to all members of a session whose guard was killed; returns when none is left."""
    _signal_until_gone(lambda: session_members(session), signal.SIGKILL, math.inf)


def _signal_until_gone(living: Callable[[], list[psutil.Process]], kind: signal.Signals, deadline_s: float) -> None:
    signalled: set[int] = set()
    while (left := living()) and time.monotonic() < deadline_s:
        for process in left:
            if process.pid not in signalled:
                _signal(process, kind)
                signalled.add(process.pid)
        time.sleep(POLL_S)


def _signal(process: psutil.Process, kind: signal.Signals) -> None:
    try:
        process.send_signal(kind)
    except psutil.NoSuchProcess:
        return


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _wake_on_signals() -> int:
    """A descriptor that becomes readable, with the signal's number, when the command ends or the guard is told to end it."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for kind in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, lambda _number, _frame: None)
    return read_end


def _prctl() -> Callable[[int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    return lambda option, value: int(prctl(option, value, 0, 0, 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
