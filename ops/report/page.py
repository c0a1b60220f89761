"""Renders the report with Jinja: all data escaped, pictures as data URIs, charts as inline SVG."""

from __future__ import annotations

import base64
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ops.report import chart, display
from ops.report.facts import ReportFacts, SceneView
from scenes.accounting import account
from sensors.printable import printable

STEPS = (
    ("Land", "objects in S3, manifest last"),
    ("Register", "Lambda writes the ledger"),
    ("Lease", "Airflow leases the drive"),
    ("Inspect", "checksums, clocks, index"),
    ("Gate", "drive-level rules"),
    ("Build scenes", "match, decode, split"),
    ("Audit", "metrics, accounting"),
    ("Publish", "one atomic commit"),
)


def report_page(facts: ReportFacts) -> str:
    """The report as one self-contained HTML document."""
    return environment().get_template("report.html.j2").render(facts=facts, steps=STEPS)


def scene_page(view: SceneView, run: tuple[tuple[str, str], ...]) -> str:
    """The page of one scene, with its pictures."""
    return environment().get_template("scene.html.j2").render(view=view, run=run)


def write(path: Path, page: str) -> None:
    """Write a page; creates its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def environment(*more: str) -> Environment:
    """The templates of `more` packages, then those of the report; all data is escaped."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates") for package in (*more, "ops.report")]),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        ms=display.ms,
        utc=display.utc,
        data_uri=_data_uri,
        why=account.why,
        residual_chart=lambda rows: Markup(chart.residual_chart(rows)),  # noqa: S704 - charts escape their own text
        timeline_chart=lambda row: Markup(chart.timeline_chart(row)),  # noqa: S704 - as above
    )
    return made


def _shown(value: object) -> object:
    """Text with nothing in it that a browser would obey; what is markup already was made of such text."""
    return printable(value, keep="\n") if isinstance(value, str) and not isinstance(value, Markup) else value


def _data_uri(body: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(body).decode('ascii')}"
