"""The response to a scrape: names, labels, values, help; and omitted metrics."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from prometheus_client import generate_latest
from prometheus_client.core import Metric

from ops.metrics import families
from ops.metrics.exporter import registry_of
from ops.metrics.ledger import DriveStates
from ops.metrics.part import STALE_AFTER_NS, MetricsPart, PartHealth
from tests.hostile_text import HOSTILE, unsafe
from tests.unit.ops.metrics.metrics_readings import LAKE, QUEUES, STATES, exporter

S = 10**9


def values(found: Iterator[Metric]) -> dict[str, float]:
    """Samples as `name{label="value"}`."""
    text = {}
    for family in found:
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            text[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return text


def test_drives() -> None:
    assert values(families.drive_families(STATES)) == {
        'scenelake_drives{state="landing"}': 1,
        'scenelake_drives{state="published"}': 40,
        'scenelake_drives{state="failed"}': 0,
        'scenelake_drive_state_age_seconds{state="landing"}': 90,
        'scenelake_drive_state_age_seconds{state="queued"}': 0,
        "scenelake_oldest_unprocessed_drive_age_seconds": 1.5,
        'scenelake_landing_to_gold_seconds{percentile="p50"}': 50,
        'scenelake_landing_to_gold_seconds{percentile="p95"}': 95,
        'scenelake_landing_to_gold_seconds{percentile="max"}': 100,
    }


def test_a_ledger_without_published_drives_has_no_lag() -> None:
    found = values(families.drive_families(DriveStates({}, {}, 0, np.array([], dtype=np.int64))))
    assert found == {"scenelake_oldest_unprocessed_drive_age_seconds": 0}


def test_queues() -> None:
    found = values(families.queue_families(QUEUES))
    assert found['scenelake_queue_messages{queue="object-events",state="visible"}'] == 3
    assert found['scenelake_queue_messages{queue="object-events",state="in_flight"}'] == 2
    assert found['scenelake_queue_messages{queue="object-events",state="delayed"}'] == 1
    assert found['scenelake_dead_letter_messages{queue="object-events"}'] == 4
    assert 'scenelake_dead_letter_messages{queue="drive-work"}' not in found, "it has no dead-letter queue: unknown is not 0"


def test_the_lake() -> None:
    found = values(families.lake_families(LAKE))
    expected = {
        'scenelake_objects{state="published"}': 120,
        'scenelake_object_bytes{state="published"}': 7000,
        'scenelake_object_bytes{state="refused"}': 8,
        'scenelake_frames{sensor="lidar_top",modality="lidar",fate="gold"}': 600,
        'scenelake_frames{sensor="lidar_top",modality="lidar",fate="quarantined"}': 3,
        'scenelake_frames{sensor="lidar_top",modality="lidar",fate="unmatched"}': 0,
        'scenelake_recent_frames{sensor="lidar_top",modality="lidar",fate="gold"}': 60,
        "scenelake_gold_scenes": 800,
        "scenelake_publications_total": 41,
        "scenelake_published_scenes_total": 820,
        'scenelake_quarantine_records{rule="LID001",level="object"}': 3,
        "scenelake_recent_drives": 32,
        'scenelake_recent_rule_drives{rule="LID001",outcome="passed"}': 30,
        'scenelake_recent_rule_drives{rule="LID001",outcome="failed"}': 2,
        'scenelake_recent_rule_drives{rule="LID001",outcome="unknown"}': 0,
        'scenelake_recent_residual_seconds{sensor="camera_front",percentile="p50"}': 0.001,
        'scenelake_recent_residual_seconds{sensor="camera_front",percentile="p99"}': 0.003,
        'scenelake_recent_residual_seconds{sensor="camera_front",percentile="max"}': 0.05,
        'scenelake_recent_residual_tolerance_ratio{sensor="camera_front"}': 1.25,
        'scenelake_audit_checks{check="scenes = distinct scene ids",result="holds"}': 39,
        'scenelake_audit_checks{check="scenes = distinct scene ids",result="broken"}': 1,
        "scenelake_unbalanced_drives": 1,
    }
    assert {name: found[name] for name in expected} == expected
    assert 'scenelake_recent_residual_tolerance_ratio{sensor="radar_front"}' not in found, "no rig states its tolerance"


def test_readings_that_were_never_good_have_no_time() -> None:
    found = values(
        families.part_families([PartHealth("lake", False, 3, None, 2 * S), PartHealth("queues", True, 0, 5 * S, None)])
    )
    assert found == {
        'scenelake_reading_current{part="lake"}': 0,
        'scenelake_reading_current{part="queues"}': 1,
        'scenelake_reading_errors_total{part="lake"}': 3,
        'scenelake_reading_errors_total{part="queues"}': 0,
        'scenelake_reading_last_success_timestamp_seconds{part="queues"}': 5,
        'scenelake_reading_duration_seconds{part="lake"}': 2,
    }


def test_a_scrape_is_text_with_help_for_everything() -> None:
    text = generate_latest(registry_of(exporter())).decode()
    exported = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP scenelake_")}
    assert len(exported) == len(list(exporter().collect()))
    assert all(len(line.split(" ", 3)) == 4 for line in text.splitlines() if line.startswith("# HELP scenelake_"))
    assert "process_resident_memory_bytes" in text


class Clock:
    now_ns = 1000 * S

    def __call__(self) -> int:
        return self.now_ns


def test_a_part_tells_its_last_reading_and_nothing_after_a_failure() -> None:
    clock, answers = Clock(), iter([7, ConnectionError("gone"), 9])

    def read() -> int:
        clock.now_ns += 2 * S
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    part: MetricsPart[int] = MetricsPart("lake", read, clock)
    assert part.latest() == (None, PartHealth("lake", False, 0, None, None))
    assert part.refresh() is None
    assert part.latest() == (7, PartHealth("lake", True, 0, 1002 * S, 2 * S))
    error = part.refresh()
    assert isinstance(error, ConnectionError)
    assert part.latest() == (None, PartHealth("lake", False, 1, 1002 * S, 2 * S))
    part.refresh()
    assert part.latest() == (9, PartHealth("lake", True, 1, 1006 * S, 2 * S))


@pytest.mark.parametrize(("age_ns", "expected"), [(STALE_AFTER_NS, 7), (STALE_AFTER_NS + 1, None)])
def test_a_reading_that_hangs_leaves_no_old_value(age_ns: int, expected: int | None) -> None:
    clock = Clock()
    part: MetricsPart[int] = MetricsPart("lake", lambda: 7, clock)
    part.refresh()
    clock.now_ns += age_ns
    value, health = part.latest()
    assert value == expected
    assert health.current is (expected is not None) is part.health.current


def test_an_excess_over_a_tolerance_of_nothing_is_infinite() -> None:
    from dataclasses import replace

    sizes = replace(LAKE.residuals["camera_front"], tolerances=math.inf)
    text = generate_latest(registry_of(exporter(lake=replace(LAKE, residuals={"camera_front": sizes})))).decode()
    assert 'scenelake_recent_residual_tolerance_ratio{sensor="camera_front"} +Inf' in text


def test_labels_are_printable_and_bounded() -> None:
    made = families._gauge("x", "text", ("sensor",), [((HOSTILE,), 1), (("y" * 10_000,), 2)])
    labels = [sample.labels["sensor"] for sample in made.samples]
    assert unsafe("".join(labels), "") == set()
    assert max(map(len, labels)) < 2 * families.MAX_LABEL_CHARACTERS
    "".join(labels).encode()
