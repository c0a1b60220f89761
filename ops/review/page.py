"""The review's pages: one record, as a file or in the browser; the list and the decision, in the browser only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from jinja2 import Environment

from lake.overrides import MAX_REASON_CHARACTERS, Verdict
from ops.report.page import environment
from ops.review.decisions import Plan, Result
from ops.review.evidence import RecordEvidence
from ops.review.listing import LEVELS, STATUSES, Filter, ReviewRecord, why_not

MAX_LISTED = 500  # records on one page; the filters narrow it down
TONES = {"quarantined": "bad", "releasing": "warn", "released": "good", "rejected": "", "refused": "bad"}


def record_page(row: ReviewRecord, evidence: RecordEvidence, *, frame: Mapping[str, str] | None = None) -> str:
    """A record with its evidence, self-contained. `frame`: what the page in a browser adds."""
    problems = {verdict.value: why_not(row, verdict) for verdict in Verdict}
    return _page("record", row=row, subject=subject(row), evidence=evidence, problems=problems, frame=frame)


def list_page(rows: Sequence[ReviewRecord], chosen: Filter, frame: Mapping[str, str]) -> str:
    """The records that the filter selects, with a form that decides about the ticked ones."""
    taken = [row for row in rows if chosen.takes(row)]
    rules = sorted({code for row in rows for code in row.rule_ids})
    sensors = sorted({row.sensor for row in rows if row.sensor})
    drives = sorted({str(row.drive) for row in rows if row.drive is not None})
    counts = {status: sum(row.status == status for row in rows) for status in STATUSES}
    return _page(
        "list",
        rows=[(row, subject(row)) for row in taken[:MAX_LISTED]],
        total=len(taken),
        frames=sum(row.frames for row in taken),
        choices={"status": STATUSES, "level": LEVELS, "rule": rules, "sensor": sensors, "drive": drives},
        chosen=chosen,
        counts=counts,
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
