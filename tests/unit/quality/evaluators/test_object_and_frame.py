from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lake.documents import Manifest
from quality.evaluators.frame import evaluate_points, undecodable
from quality.evaluators.object import ObjectFacts, evaluate_object
from quality.rules.catalogue import Outcome, Severity
from sensors.rig import Modality


@pytest.fixture
def whole(manifest: Manifest) -> ObjectFacts:
    entry = manifest.objects[0]
    return ObjectFacts(entry.key, entry.sensor, entry, entry.size_bytes, entry.sha256, frames_read=entry.frame_count)


def test_whole_object_has_no_finding(whole: ObjectFacts) -> None:
    assert evaluate_object(whole) == ()


@pytest.mark.parametrize(
    ("changed", "rule_id", "measured"),
    [
        ({"size_bytes": None, "sha256": None, "frames_read": 0}, "CMP001", 1),
        ({"size_bytes": 0, "sha256": "e" * 64, "frames_read": 0}, "DEC003", 0),
        ({"sha256": "b" * 64}, "DEC001", 1),
        ({"size_bytes": 999, "sha256": "b" * 64}, "DEC001", 2),
        ({"faults": ("offset 7: truncated",), "frames_read": 50}, "DEC002", 1),
        ({"unknown_types": {"std_msgs/msg/String": 4}, "frames_read": 96}, "DEC004", 4),
        ({"frames_read": 97}, "CMP004", 3),
        ({"sha256": None}, "DEC001", None),
        ({"expected": None}, "DEC001", None),
    ],
)
def test_one_fault(whole: ObjectFacts, changed: dict[str, Any], rule_id: str, measured: float | None) -> None:
    (entry,) = evaluate_object(dataclasses.replace(whole, **changed))
    assert (entry.rule_id, entry.sensor, entry.measured) == (rule_id, "lidar_top", measured)
    assert entry.severity is (Severity.WARNING if rule_id == "CMP004" else Severity.ERROR)
    assert whole.key in entry.message


def test_all_faults_are_named(whole: ObjectFacts) -> None:
    found = evaluate_object(dataclasses.replace(whole, sha256="b" * 64, faults=("a", "b", "c", "d", "e"), unknown_types={"x": 1}))
    assert [entry.rule_id for entry in found] == ["DEC001", "DEC002", "DEC004"]
    assert found[1].measured == 5
    assert found[1].message.endswith("a; b; c and 2 more")


def test_more_frames_than_declared_are_not_a_loss(whole: ObjectFacts) -> None:
    assert evaluate_object(dataclasses.replace(whole, frames_read=101)) == ()


@pytest.mark.parametrize(("payload", "rule_id"), [("image", "DEC005"), ("points", "DEC006"), ("message", "DEC007")])
def test_undecodable_frame(payload: str, rule_id: str) -> None:
    entry = undecodable("cam_front", payload, "ends after 5 bytes")
    assert (entry.rule_id, entry.sensor, entry.severity) == (rule_id, "cam_front", Severity.ERROR)
    assert "ends after 5 bytes" in entry.message


@pytest.mark.parametrize(
    ("num_points", "not_finite", "expected"),
    [
        (100, 0, []),
        (100, 1, [("LID002", Outcome.FAILED)]),
        (100, 50, [("LID002", Outcome.FAILED)]),
        (100, 51, [("LID001", Outcome.FAILED), ("LID002", Outcome.FAILED)]),
        (0, 0, [("LID001", Outcome.UNKNOWN)]),
        (100, None, [("LID001", Outcome.UNKNOWN), ("LID002", Outcome.UNKNOWN)]),
    ],
)
def test_points(num_points: int, not_finite: int | None, expected: list[tuple[str, Outcome]]) -> None:
    found = evaluate_points("lidar_top", Modality.LIDAR, num_points, not_finite)
    assert [(entry.rule_id, entry.outcome) for entry in found] == expected


def test_an_empty_radar_scan_is_not_a_fault() -> None:
    assert evaluate_points("radar_front", Modality.RADAR, 0, 0) == ()
