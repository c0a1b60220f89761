"""The Great Expectations results of each publication's audit, read from the documents that `gold.drives` names."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lake.landing import DriveId
from lake.storage import ObjectStore
from lake.tables.rows import DriveRow
from quality.gx.results import Expectation, SuiteReport, SuiteResults
from quality.rules.rule import Outcome
from scenes.documents import CalibrationRow, ValidationResults
from scenes.errors import DocumentError
from scenes.outcome.validation import read_validations

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExpectationView:
    """One expectation of a suite, as judged.

    `outcome` is passed, failed or unknown; `observed` the value of a whole table, empty where each row has its own. `rows`
    are the first rows that do not meet it, each with its value, and `failing` counts all of them.
    """

    rule_id: str
    severity: str
    outcome: str
    description: str
    column: str | None
    observed: str
    rows: tuple[tuple[str, str], ...]
    failing: int


@dataclass(frozen=True, slots=True)
class SuiteView:
    """The expectations of one suite; `success`: every one of severity error passed."""

    name: str
    success: bool
    expectations: tuple[ExpectationView, ...]

    @property
    def passed(self) -> int:
        """How many expectations passed, warnings among them."""
        return sum(entry.outcome == "passed" for entry in self.expectations)


@dataclass(frozen=True, slots=True)
class DriveResults:
    """The results of one drive revision; `published_ns` is the time of its commit."""

    drive: str
    revision: str
    published_ns: int
    suites: tuple[SuiteView, ...]


def validations(published: Iterable[DriveRow], store: ObjectStore, drives: Sequence[DriveId]) -> tuple[DriveResults, ...]:
    """The results of the newest publication of each drive, in the order of `drives`; a drive without one is left out, and so
    is one whose results this code cannot read, with a warning in the log.

    `published`: publications in the order of their commits.

    Raises:
        LakeError: An object that a publication names is missing or could not be read.
    """
    newest = {row.drive: row for row in published if row.validations is not None}
    found = (_results(store, newest[drive]) for drive in drives if drive in newest)
    return tuple(results for results in found if results is not None)


def calibration(published: Iterable[DriveRow], store: ObjectStore, drive: DriveId) -> tuple[CalibrationRow, ...]:
    """The verdicts on a drive's calibration, by sensor and quantity; none where its newest publication kept none
    that this code can read.

    Raises:
        LakeError: An object that a publication names is missing or could not be read.
    """
    newest = [row for row in published if row.drive == drive and row.validations is not None][-1:]
    found = (_read(store, row) for row in newest)
    return tuple(row for results in found if results is not None for row in results.calibration)


def _read(store: ObjectStore, published: DriveRow) -> ValidationResults | None:
    """None, with a warning in the log, for results of another version: they must not hide those of other drives."""
    try:
        return read_validations(store, published.validations or "")
    except DocumentError as error:
        _log.warning("the results of an audit are left out: %s", error)
        return None


def _results(store: ObjectStore, published: DriveRow) -> DriveResults | None:
    document = _read(store, published)
    if document is None:
        return None
    try:
        found = {name: msgspec.json.decode(raw, type=SuiteReport) for name, raw in document.validations.items()}
    except msgspec.MsgspecError as error:
        _log.warning(
            "the results of an audit are left out: %s is not in the form of Great Expectations: %s", published.validations, error
        )
        return None
    suites = tuple(
        SuiteView(name, document.suites[name].success, tuple(_expectations(document.suites[name], report)))
        for name, report in found.items()
        if name in document.suites
    )
    return DriveResults(document.drive, document.revision, published.committed_ns, suites)


def _expectations(judged: SuiteResults, report: SuiteReport) -> Iterable[ExpectationView]:
    found = {one.identity: one for one in report.results}
    for entry in judged.expectations:
        one = found.get(entry.identity)
        yield ExpectationView(
            rule_id=entry.rule_id,
            severity=entry.severity.value,
            outcome=entry.outcome.value,
            description=_description(entry, None if one is None else one.expectation_config.description),
            column=entry.column,
            observed="" if one is None or one.result.observed_value is None else str(one.result.observed_value),
            rows=_rows(entry, None if one is None else one.result.unexpected_index_list),
            failing=entry.failing,
        )


def _description(entry: Expectation, given: str | None) -> str:
    """Only the expectation on the number of rows is stored without a description."""
    return given or f"{entry.rule_id} ({entry.severity}): the table has rows."


def _rows(entry: Expectation, values: Sequence[dict[str, Any]] | None) -> tuple[tuple[str, str], ...]:
    """The first rows that do not meet an expectation. Great Expectations names a row by the suite's subject column."""
    if entry.column is None or entry.outcome is Outcome.PASSED or not values:
        return tuple((row, "") for row in entry.rows)
    return tuple(
        (str(name), "unknown" if row.get(entry.column) is None else str(row[entry.column]))
        for row in values
        for column, name in row.items()
        if column != entry.column
    )
