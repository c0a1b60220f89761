"""The soak's fleet, and what its report makes of samples."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from collections import Counter
from typing import Any

import pytest

from bench.soak_lake.curves import CURVES, Sample, plot, table
from bench.soak_lake.fleet import DRIVES_PER_DAY, FIRST_DAY, VEHICLES, FleetDrive, drives
from bench.soak_lake.report import SECTION, report, year
from bench.soak_lake.soak import one_ahead
from sensors.time_units import NS_PER_DAY

FLAT = Sample(336, 100.0, 12.0, 80e3, 200_000_000, 40_000_000, 20.0, 9.0, 30.0, 300.0, 1.2)


def grown(**changes: Any) -> list[Sample]:
    """Four days, of which the last differs by `changes`."""
    days = [dataclasses.replace(FLAT, drives=FLAT.drives * day) for day in (1, 2, 3, 4)]
    return [*days[:3], dataclasses.replace(days[3], **changes)]


def test_every_vehicle_records_four_drives_a_day_that_do_not_overlap() -> None:
    month = list(drives(range(3 * DRIVES_PER_DAY)))
    assert len({drive.id for drive in month}) == len(month)
    assert set(Counter((drive.id.vehicle_id, drive.day) for drive in month).values()) == {4}
    assert len({drive.id.vehicle_id for drive in month}) == VEHICLES
    for drive in month:
        days_ns = (drive.day - FIRST_DAY).days * NS_PER_DAY
        assert 0 <= drive.start_ns - FleetDrive(0).start_ns - days_ns < NS_PER_DAY


def test_a_twentieth_is_revised_and_a_thirtieth_reviewed() -> None:
    month = list(drives(range(600)))
    assert (sum(drive.revised for drive in month), sum(drive.reviewed for drive in month)) == (30, 20)


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, set()),
        ({"publish_cpu_ms": 900.0}, set()),  # the machine may have been slow on that day
        ({"commit_bytes": 100e3}, {"soak.commit_metadata_spread"}),
        ({"commit_bytes": 60e3}, {"soak.commit_metadata_spread"}),
        ({"written_bytes": 1_100_000_000}, {"soak.metadata_gb"}),
        ({"plan_cpu_ms": 201.0}, {"soak.plan_cpu_s"}),
        ({"audit_s": 61.0}, {"soak.audit_day_s"}),
        ({"audit_mb": 501.0}, {"soak.audit_day_mb", "soak.audit_memory_growth"}),
        ({"recall_s": 2.1}, {"soak.recall_s"}),
    ],
)
def test_a_promise_that_is_not_kept_is_named(changes: dict[str, float], broken: set[str]) -> None:
    found = report(grown(**changes), 1.0).measurements
    assert {entry.name for entry in found if entry.kept is False} == broken


def test_growth_of_a_publication_is_measured_against_a_young_lake() -> None:
    (growth,) = [entry for entry in report(grown(), 1.21).measurements if entry.name == "soak.publish_growth"]
    assert (growth.value, growth.kept) == (1.21, False)


def test_the_next_drive_lands_while_one_is_published_and_none_is_lost() -> None:
    made: list[int] = []

    def make(drive: FleetDrive) -> int:
        made.append(drive.number)
        return drive.number

    at_hand = []
    for number in one_ahead(make, drives(range(5))):
        at_hand.append(number)
        assert len(made) <= len(at_hand) + 1
    assert at_hand == made == [0, 1, 2, 3, 4]


def test_a_year_is_continued_in_a_straight_line() -> None:
    days = [dataclasses.replace(FLAT, drives=1000 * day, kept_bytes=10**6 * day) for day in (1, 2, 3, 4)]
    (line,) = [line for line in year(days).splitlines() if line.startswith("| metadata after maintenance")]
    assert [cell.strip() for cell in line.split("|")[2:5]] == ["4", "+1", "123"]  # 122,640 drives, one MB a thousand


def test_the_table_has_the_first_and_the_last_day_and_the_plot_a_panel_for_each_curve() -> None:
    days = [dataclasses.replace(FLAT, drives=336 * day) for day in range(1, 31)]
    lines = table(days).splitlines()
    assert 10 <= len(lines) - 2 <= 13
    assert lines[2].startswith("| 336 |")
    assert lines[-1].startswith("| 10,080 |")
    picture = ET.fromstring(plot(days))
    lines_drawn = picture.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines_drawn) == len(CURVES)
    assert all(len(line.attrib["points"].split()) == 30 for line in lines_drawn)
    assert SECTION in report(days, 1.0).sections
