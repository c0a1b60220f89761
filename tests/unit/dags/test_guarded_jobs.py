"""Jobs as guarded processes: whatever happens to job, task or guard, no process of the job is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from scenelake_airflow import guard
from scenelake_airflow.job_process import MAX_LINE_BYTES, JobProcess

ROOT = Path(__file__).resolve().parents[3]
# Starts a child that ignores SIGTERM and one that leaves for a session of its own, and tells all their numbers.
FAMILY = """
import os, signal, subprocess, sys, time
stubborn = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('!', flush=True); time.sleep(600)"], stdout=subprocess.PIPE)
stubborn.stdout.readline()
stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(os.getpid(), stubborn.pid, stray.pid, flush=True)
"""  # noqa: E501 - programs in one line


def command(script: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(script)]


def job(script: str, folder: Path, grace_s: float = 0.5) -> JobProcess:
    return JobProcess(command(script), dict(os.environ), folder, grace_s)


def output_lines(process: JobProcess) -> list[str]:
    return [line for line in process.lines(1.0) if line is not None]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if is_alive(pid)]


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def eventually(holds: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + 15
    while not holds() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return holds()


def test_lines_and_status_of_a_job(tmp_path: Path) -> None:
    script = "import sys; print('one'); print('two', file=sys.stderr); print('three', end=''); sys.exit(7)"
    with job(script, tmp_path) as process:
        lines = output_lines(process)
        assert sorted(lines) == ["one", "three", "two"]
        assert process.wait() == 7
    assert list(process.tail) == ["two"]


def test_a_job_that_a_signal_ended_has_128_added(tmp_path: Path) -> None:
    with job("import os; os.kill(os.getpid(), 9)", tmp_path) as process:
        assert output_lines(process) == []
        assert process.wait() == 137


def test_a_line_without_end_comes_in_pieces_and_bad_utf8_is_shown(tmp_path: Path) -> None:
    script = f"import sys; sys.stdout.buffer.write(b'x' * {3 * MAX_LINE_BYTES} + bytes([10, 255, 10]))"
    with job(script, tmp_path) as process:
        *pieces, last = output_lines(process)
    assert "".join(pieces) == "x" * 3 * MAX_LINE_BYTES
    assert max(map(len, pieces)) <= 2 * MAX_LINE_BYTES
    assert last == "\N{REPLACEMENT CHARACTER}"


def test_what_a_job_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    with job(FAMILY, tmp_path) as process:
        pids = [int(pid) for pid in output_lines(process)[0].split()]
        assert process.wait() == 0
        assert alive(pids) == []
    assert len(pids) == 3


@pytest.mark.parametrize("end", ["leave", "ask", "kill the guard"])
def test_a_job_that_is_ended_leaves_nothing(tmp_path: Path, end: str) -> None:
    with job(FAMILY + "\ntime.sleep(600)\n", tmp_path) as process:
        pids = [int(pid) for pid in next(line for line in process.lines(1.0) if line).split()]
        assert alive(pids) == pids
        if end == "ask":
            process.ask_to_end()
            process.ask_to_end()
            assert process.wait() == 143
        elif end == "kill the guard":
            os.kill(psutil.Process(pids[0]).ppid(), signal.SIGKILL)
    # A stray in a session of its own has nobody left to find it once the guard itself was killed.
    left = pids[:2] if end == "kill the guard" else pids
    assert eventually(lambda: alive(left) == [])
    if alive(pids):
        os.kill(pids[2], signal.SIGKILL)


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_task_is_killed_its_job_ends(tmp_path: Path, kind: signal.Signals) -> None:
    task = f"""
        import os
        import sys
        from pathlib import Path
        from scenelake_airflow.job_process import JobProcess
        argv = [sys.executable, "-c", {FAMILY + "time.sleep(600)"!r}]
        with JobProcess(argv, dict(os.environ), Path("."), 0.5) as job:
            for line in job.lines(1.0):
                if line:
                    print(line, flush=True)
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "dags")])}
    with subprocess.Popen(command(task), cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert alive(pids) == pids
        parent.send_signal(kind)
        parent.wait()
    assert eventually(lambda: alive(pids) == [])


def test_the_guard_ends_its_command_on_sigterm() -> None:
    argv = [sys.executable, "-P", guard.__file__, "--grace-s", "0.2", "--", *command(FAMILY + "time.sleep(600)")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        process.terminate()
        assert process.wait(20) == 143
        assert alive(pids) == []
