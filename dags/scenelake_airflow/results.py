"""The part of a job's result that later tasks use; a job may report more."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from scenelake_airflow.errors import PayloadError


class InspectionSummary(msgspec.Struct, frozen=True):
    """The result of `inspect`: whether scenes are to be built, and the failed rules."""

    verdict: Literal["build", "quarantine"]
    rule_ids: tuple[str, ...] = ()


class PublicationSummary(msgspec.Struct, frozen=True):
    """The result of `publish`. `superseded`: nothing was committed, a newer generation of the drive is in the table."""

    outcome: Literal["published", "quarantined", "superseded"]
    snapshot_id: int | None = None
    scenes: int | None = None
    records: int | None = None
    warnings: tuple[str, ...] = ()
    quarantined_objects: tuple[str, ...] = ()


Result = TypeVar("Result", InspectionSummary, PublicationSummary)


def parse_result(payload: object, kind: type[Result], job: str) -> Result:
    """Read the result that the task of `job` returned.

    Raises:
        PayloadError: A field is absent, of another type, or has an unknown value.
    """
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        raise PayloadError(f"the result of {job} is invalid: {error}") from error
