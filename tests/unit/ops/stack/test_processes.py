"""Components as processes: started separately, recognised, and ended with everything that they started."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ops.stack import processes
from ops.stack.layout import StackLayout
from ops.stack.processes import ProcessRecord

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
# Renames itself as Airflow's processes do, starts a child in a session of its own, and ends on SIGTERM without it.
PARENT = """
import subprocess, sys, time, setproctitle
setproctitle.setproctitle("renamed " + 200 * "x")
script = "import time, setproctitle; setproctitle.setproctitle('y' * 4000); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
print("child", child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[StackLayout]:
    layout = StackLayout.of(tmp_path / "home")
    layout.make()
    yield layout
    processes.stop(layout, ["one", "two"], 0.0)


def start(layout: StackLayout, component: str, script: str) -> ProcessRecord:
    record = processes.start(layout, component, [sys.executable, "-c", script], {**os.environ, "SPT_NOENV": "1"})
    eventually(lambda: bool(layout.log(component).read_text()) or record.alive() is None)
    return record


def has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def eventually(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def pids(layout: StackLayout, component: str) -> set[int]:
    return {process.pid for process in processes.members(layout, [component])[component]}


def test_a_component_is_remembered_and_works_in_a_session_of_its_own(layout: StackLayout) -> None:
    record = start(layout, "one", "import os; print(os.getcwd(), os.getsid(0) == os.getpid(), flush=True); input()\n")
    eventually(lambda: record.alive() is None)  # its stdin is empty, so it ends
    assert ProcessRecord.load(layout, "one") == record
    assert layout.log("one").read_text().startswith(f"{layout.work} True\n")
    assert ProcessRecord.load(layout, "two") is None


def test_a_later_process_with_the_same_number_is_another_process(layout: StackLayout) -> None:
    mine = psutil.Process()
    assert ProcessRecord(mine.pid, mine.create_time()).alive() == mine
    assert ProcessRecord(mine.pid, mine.create_time() - 60).alive() is None
    layout.record("one").write_text(json.dumps({"pid": mine.pid, "created_s": mine.create_time() - 60}))
    assert processes.stop(layout, ["one"], 0.0) == 0, "it would have ended this test"
    assert not layout.record("one").exists()


def test_stop_ends_children_that_left_the_session_and_renamed_themselves(layout: StackLayout) -> None:
    record = start(layout, "one", PARENT)
    child = int(layout.log("one").read_text().split()[1])
    assert pids(layout, "one") == {record.pid, child}
    assert processes.stop(layout, ["one"], 5.0) == 0
    assert record.alive() is None
    eventually(lambda: has_ended(child))


def test_stop_ends_what_a_killed_component_left_behind(layout: StackLayout) -> None:
    record = start(layout, "one", PARENT)
    child = int(layout.log("one").read_text().split()[1])
    os.kill(record.pid, signal.SIGKILL)
    eventually(lambda: record.alive() is None)
    assert pids(layout, "one") == {child}
    assert processes.stop(layout, ["one"], 5.0) == 0
    assert pids(layout, "one") == set()


def test_stop_kills_what_does_not_end_and_leaves_other_components_alone(layout: StackLayout) -> None:
    stubborn, other = start(layout, "one", STUBBORN), start(layout, "two", STUBBORN)
    assert processes.stop(layout, ["one"], 0.4) == 1
    assert stubborn.alive() is None
    assert other.alive() is not None
    assert pids(layout, "two") == {other.pid}


def test_two_stacks_do_not_see_each_other(layout: StackLayout, tmp_path: Path) -> None:
    other = StackLayout.of(tmp_path / "other")
    other.make()
    record = start(layout, "one", STUBBORN)
    assert pids(other, "one") == set()
    assert processes.stop(other, ["one"], 0.0) == 0
    assert record.alive() is not None


def test_a_log_begins_anew_and_the_last_one_is_kept(layout: StackLayout) -> None:
    start(layout, "one", "print('first', flush=True)")
    start(layout, "one", "print('second', flush=True)")
    assert layout.log("one").read_text() == "second\n"
    assert layout.log("one").with_suffix(".previous.log").read_text() == "first\n"


def test_memory_counts_a_process_once_and_survives_its_end(layout: StackLayout) -> None:
    record = start(layout, "one", STUBBORN)
    group = processes.members(layout, ["one"])["one"]
    assert 1e6 < processes.memory_bytes(group) < 1e9
    os.kill(record.pid, signal.SIGKILL)
    eventually(lambda: record.alive() is None)
    assert processes.memory_bytes(group) == 0
