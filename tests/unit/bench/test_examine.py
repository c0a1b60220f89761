"""What the real jobs say of a drive whose sensor is faulty throughout: the fault, and not what looks like it."""

from __future__ import annotations

from pathlib import Path

from bench.quality_score.case import Case
from bench.quality_score.drives import drive_spec
from bench.quality_score.examine import examine
from fleet.synthetic.generate import generate
from quality.rules.catalogue import Severity


def test_a_radar_that_is_frozen_all_drive_long_is_not_called_turned(tmp_path: Path) -> None:
    spec = drive_spec(Case("RAD004", ("repeat_content:radar_front:1.0",), "radar_front"), seed=0)
    generate(spec, tmp_path / "drive")
    found = examine(tmp_path / "drive", spec.drive, tmp_path / "store")
    assert found.built
    assert ("RAD004", "radar_front") in found.alarms
    assert {rule for rule, _ in found.alarms} <= {"RAD003", "RAD004"}, "as many detections every time look like a full list"
    assert {one.rule_id for one in found.findings if one.severity is Severity.ERROR} == {"RAD004"}
