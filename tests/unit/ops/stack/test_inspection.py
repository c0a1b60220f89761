"""The status of the stack, and the state that it drops."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from ops import stack
from ops.errors import StackDownError
from ops.stack import emulator, inspection
from ops.stack.airflow_api import ComponentHeartbeat
from ops.stack.choices import Choices
from ops.stack.inspection import ComponentStatus, StackStatus
from ops.stack.layout import StackLayout
from ops.stack.processes import AIRFLOW, EMULATOR, MAPPING, command_lines, expected


@pytest.fixture
def layout(tmp_path: Path) -> StackLayout:
    layout = StackLayout.of(tmp_path / "home")
    layout.make()
    return layout


def test_a_stack_that_was_never_started_is_down(tmp_path: Path) -> None:
    status = stack.status(tmp_path / "none")
    assert status == StackStatus(tmp_path / "none", ())
    assert not status.healthy
    assert stack.memory(tmp_path / "none") == 0
    assert stack.down(tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()
    with pytest.raises(StackDownError, match="there is no stack in"):
        stack.environment(tmp_path / "none")


def test_healthy_means_all_of_it() -> None:
    good = ComponentStatus("a", True, 1, None, 10)
    bad = ComponentStatus("b", False, None, None, 5, "is not running")
    assert StackStatus(Path("h"), (good,)).healthy
    both = StackStatus(Path("h"), (good, bad), airflow_password="geheim")
    assert not both.healthy
    assert both.memory_bytes == 15
    assert repr(both) == "StackStatus(h: a=healthy, b=unhealthy)"


def test_a_heartbeat_of_the_process_before_does_not_count(layout: StackLayout) -> None:
    mine = psutil.Process()
    created_s = mine.create_time()
    layout.record("scheduler").write_text(json.dumps({"pid": mine.pid, "created_s": created_s}))

    def problem(beat: ComponentHeartbeat | None) -> str | None:
        health = {} if beat is None else {"scheduler": beat}
        return inspection.unhealthy(layout, "scheduler", health, reachable=True)

    assert problem(ComponentHeartbeat(True, created_s + 1)) is None
    assert problem(ComponentHeartbeat(True, created_s - 1)) == "has not reported to Airflow"
    assert problem(ComponentHeartbeat(False, created_s + 1)) == "has not reported to Airflow"
    assert problem(None) == "Airflow's API does not answer"
    assert inspection.unhealthy(layout, "triggerer", {}, reachable=True) == "is not running"


def test_an_external_endpoint_is_not_started() -> None:
    assert expected(Choices(1, 2)) == (EMULATOR, MAPPING, *AIRFLOW)
    assert expected(Choices(1, 2, "http://aws.example")) == (MAPPING, *AIRFLOW)
    lines = command_lines(Choices(1, 5001))
    assert set(lines) == {EMULATOR, MAPPING, *AIRFLOW}
    assert lines[EMULATOR][-4:] == ("-H", "127.0.0.1", "-p", "5001")
    assert [name for name in AIRFLOW if "--skip-serve-logs" in lines[name]] == ["scheduler", "triggerer"]


def test_with_the_embedded_endpoint_goes_what_named_its_objects(layout: StackLayout) -> None:
    own, other = layout.catalog(None), layout.catalog("http://aws.example")
    for path in (own, own.with_name(own.name + "-wal"), other, layout.names, layout.lineage):
        path.write_text("x")
    assert emulator.forget(layout)
    assert sorted(path.name for path in layout.home.iterdir() if path.is_file()) == [other.name, "lineage.previous.jsonl"]
    assert not emulator.forget(layout)


def test_the_state_folder_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert StackLayout.of(Path(".scenelake")).home == tmp_path / ".scenelake"
