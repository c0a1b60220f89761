"""Great Expectations' Data Docs from stored validation results: a static site that needs nothing from outside of it.

As made by Great Expectations, the pages load styles, scripts and a logo from other hosts. Here scripts and references to other
hosts are taken out, a policy in each page forbids them, and the index, which was a script, is a table of our own.
"""

from __future__ import annotations

import datetime
import html
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quality.gx.context import ephemeral_context

NS_PER_US = 1_000
_SITE = "scenelake"
_OUTSIDE = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*\bhref=\"https?:[^>]*>|<img\b[^>]*\bsrc=\"https?:[^>]*>|<footer\b.*?</footer>", re.S
)
_LINK_OUT = re.compile(r"\bhref=\"(?:https?:|[^\"]*/expectations/)[^\"]*\"")  # the pages of suites are not made
_POLICY = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
_STYLE = """<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1d2733 }
table { border-collapse: collapse; margin: .5rem 0; width: 100% }
td, th { border: 1px solid #d5dbe3; padding: .3rem .6rem; text-align: left; vertical-align: top }
thead, th { background: #f1f4f8 }
a { color: #0b5cad }
button, .modal, nav img, .cooltip .top { display: none }
.badge { background: #e6ebf1; border-radius: .3rem; padding: 0 .35rem }
.fa-check-circle::before, .passed::before { content: "passed "; color: #1a7f37; font-weight: 600 }
.fa-times::before, .failed::before { content: "not passed "; color: #b42318; font-weight: 600 }
.fa-exclamation-triangle::before { content: "error "; color: #b42318 }
ul { padding-left: 1.2rem }
</style>"""


@dataclass(frozen=True, slots=True)
class Validated:
    """The validations of a drive revision, by suite, as `CheckpointResult.validations` has them; `at_ns`: their time to show."""

    drive: str
    revision: str
    at_ns: int
    validations: Mapping[str, Mapping[str, Any]]


def build_data_docs(drives: Sequence[Validated], folder: Path) -> Path:
    """Write the site of `drives` into `folder`, which is made anew; returns its index page."""
    context = ephemeral_context()
    from great_expectations.core.expectation_validation_result import expectationSuiteValidationResultSchema

    shutil.rmtree(folder, ignore_errors=True)
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    context.add_data_docs_site(
        _SITE,
        {"class_name": "SiteBuilder", "show_how_to_buttons": False, "store_backend": backend, "site_index_builder": index},
    )
    for drive in drives:
        for suite, validation in drive.validations.items():
            result = expectationSuiteValidationResultSchema.load(deepcopy(dict(validation)))
            key = _key(drive, suite)
            result.meta["run_id"] = key.run_id
            context.validation_results_store.set(key, result)
    context.build_data_docs([_SITE])
    for page in folder.rglob("*.html"):
        page.write_text(closed(page.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.rmtree(folder / "static", ignore_errors=True)
    written = folder / "index.html"
    written.write_text(_index(drives), encoding="utf-8")
    return written


def closed(page: str) -> str:
    """The page without scripts and references to other hosts, and with a policy that forbids them."""
    inside = _LINK_OUT.sub("", _OUTSIDE.sub("", page))
    return re.sub(r"<head\b[^>]*>", lambda head: f"{head[0]}\n{_POLICY}\n{_STYLE}", inside, count=1)


def _key(drive: Validated, suite: str) -> Any:
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier, ValidationResultIdentifier

    run = RunIdentifier(run_name=_run(drive), run_time=_time(drive))
    return ValidationResultIdentifier(ExpectationSuiteIdentifier(suite), run, suite)


def _run(drive: Validated) -> str:
    return f"{drive.drive.replace('/', '_')}-{drive.revision[:16]}"


def _time(drive: Validated) -> datetime.datetime:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return epoch + datetime.timedelta(microseconds=drive.at_ns // NS_PER_US)


def _index(drives: Iterable[Validated]) -> str:
    rows = [_row(drive, suite, validation) for drive in drives for suite, validation in drive.validations.items()]
    head = "".join(f"<th>{name}</th>" for name in ("drive", "revision", "suite", "result", "expectations met"))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>\n{_POLICY}\n{_STYLE}\n<meta charset="utf-8">'
        "<title>Data Docs</title></head><body>\n"
        "<h1>Data Docs</h1>\n<p>What Great Expectations found in the metric tables of each drive, by suite.</p>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table>\n</body></html>\n"
    )


def _row(drive: Validated, suite: str, validation: Mapping[str, Any]) -> str:
    link = f"validations/{suite}/{_run(drive)}/{_time(drive):%Y%m%dT%H%M%S.%fZ}/{suite}.html"
    counts = validation["statistics"]
    met = f"{counts['successful_expectations']} of {counts['evaluated_expectations']}"
    verdict = "passed" if validation["success"] else "failed"
    cells = (
        html.escape(drive.drive),
        html.escape(drive.revision[:16]),
        f'<a href="{html.escape(link)}">{html.escape(suite)}</a>',
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in (*cells, f'<span class="{verdict}"></span>', met)) + "</tr>"
