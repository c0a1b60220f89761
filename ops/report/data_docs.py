"""Data Docs: a static site of the Great Expectations results of each drive's audit.

The pages are rendered here from stored results: those of Great Expectations load scripts and styles from other hosts, and
report a suite as failed for a mere warning (docs/adr/0024).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.report.page import environment, write
from ops.report.validations import DriveResults, ExpectationView, SuiteView


@dataclass(frozen=True, slots=True)
class SuitePage:
    """One suite of one drive, and its path below the index."""

    drive: DriveResults
    suite: SuiteView

    @property
    def path(self) -> str:
        """Relative, with slashes; the names of drives and suites are safe in a path."""
        return f"{self.drive.drive.replace('/', '_')}-{self.drive.revision[:16]}/{self.suite.name}.html"

    @property
    def expectations(self) -> list[ExpectationView]:
        """Those that did not pass first, errors before warnings."""
        return sorted(self.suite.expectations, key=lambda entry: (entry.outcome == "passed", entry.severity, entry.rule_id))


def build_data_docs(drives: Sequence[DriveResults], folder: Path) -> Path:
    """Write the site of `drives` into `folder`, which is recreated; returns its index page."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = [SuitePage(drive, suite) for drive in drives for suite in drive.suites]
    templates = environment()
    index = folder / "index.html"
    write(index, templates.get_template("data_docs.html.j2").render(pages=pages))
    for page in pages:
        write(folder / page.path, templates.get_template("data_docs_suite.html.j2").render(page=page))
    return index
