"""The review's pages: one record, as a file or in the browser; the list and the decision, in the browser only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from urllib.parse import urlencode

from jinja2 import Environment

from lake.overrides import MAX_REASON_CHARACTERS, Verdict
from ops.report.page import environment
from ops.review.decisions import Plan, Result
from ops.review.evidence import RecordEvidence
from ops.review.listing import LEVELS, STATUSES, Filter, RecordPage, ReviewRecord, why_not
from quality.rules.catalogue import RULES

TONES = {"quarantined": "bad", "releasing": "warn", "released": "good", "rejected": "", "refused": "bad"}


def record_page(row: ReviewRecord, evidence: RecordEvidence, *, frame: Mapping[str, str] | None = None) -> str:
    """A record with its evidence, self-contained. `frame`: what the page in a browser adds."""
    problems = {verdict.value: why_not(row, verdict) for verdict in Verdict}
    return _page("record", row=row, subject=subject(row), evidence=evidence, problems=problems, frame=frame)


def list_page(listed: RecordPage, chosen: Filter, frame: Mapping[str, str]) -> str:
    """A page of the records that the filter selects, with a form that decides about the ticked ones.

    To choose from are the rules of the catalogue, and the sensors and drives on the page.
    """
    rows = listed.rows
    sensors = {row.sensor for row in rows if row.sensor} | ({chosen.sensor} if chosen.sensor else set())
    drives = {str(row.drive) for row in rows if row.drive is not None} | ({chosen.drive} if chosen.drive else set())
    kept = {name: value for name in ("vehicle", "drive", "level", "rule", "sensor", "status") if (value := getattr(chosen, name))}
    following = None if listed.following is None else urlencode({**kept, "after": listed.following})
    return _page(
        "list",
        rows=[(row, subject(row)) for row in rows],
        frames=sum(row.frames for row in rows),
        choices={
            "status": STATUSES,
            "level": LEVELS,
            "rule": sorted(rule.code for rule in RULES),
            "sensor": sorted(sensors),
            "drive": sorted(drives),
        },
        chosen=chosen,
        counts={status: sum(row.status == status for row in rows) for status in STATUSES},
        following=following,
        frame=frame,
    )


def plan_page(plan: Plan, reviewer: str, reason: str, frame: Mapping[str, str]) -> str:
    """The planned decision, for confirmation; nothing has been done yet."""
    refused = [(row, subject(row), why) for row, why in plan.refused]
    drives = [(str(drive), [(row, subject(row)) for row in rows]) for drive, rows in plan.drives.items()]
    return _page("plan", plan=plan, drives=drives, refused=refused, reviewer=reviewer, reason=reason, frame=frame)


def results_page(results: Sequence[Result], verdict: Verdict, frame: Mapping[str, str]) -> str:
    """The results, drive by drive."""
    return _page("results", results=results, verdict=verdict, frame=frame)


def message_page(title: str, message: str, frame: Mapping[str, str]) -> str:
    """A page with a single message."""
    return _page("message", title=title, message=message, frame=frame)


def subject(row: ReviewRecord) -> str:
    """The subject of a record, as text."""
    from ops.report import display

    at_ns = row.anchor_ns if row.anchor_ns is not None else row.stamp_ns
    if row.drive is not None and at_ns is not None:
        return f"{row.drive} {display.utc(at_ns)}"
    return row.source.key or str(row.drive)


def _page(name: str, **values: object) -> str:
    template = _templates().get_template(f"{name}.html.j2")
    return template.render(**values, longest=MAX_REASON_CHARACTERS, tones=TONES)


@cache
def _templates() -> Environment:
    return environment("ops.review")
