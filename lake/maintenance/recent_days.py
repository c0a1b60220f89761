"""The days whose files publications have changed lately, so that daily maintenance does not plan the whole lake each time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from lake.tables.drives import DRIVES_TABLE
from lake.versions.publication_pages import PageFilter, publication_page

if TYPE_CHECKING:
    from lake.iceberg.publisher import Publisher
    from lake.tables.rows import DriveRow

PAGE = 1000


def recent_days(catalog: Publisher, since_ns: int) -> tuple[date, ...]:
    """The UTC days of the publications that were committed since `since_ns` (Unix epoch), sorted. A publication of an older lake
    does not say its days, and counts for none."""
    return tuple(sorted({day for row in _rows(catalog, since_ns) for day in row.days or ()}))


def _rows(catalog: Publisher, since_ns: int) -> Iterator[DriveRow]:
    table, before = catalog.load_table(DRIVES_TABLE), None
    while True:
        page = publication_page(table, PAGE, PageFilter(since_ns=since_ns), before=before)
        yield from (one.row for one in page.publications)
        before = page.before
        if before is None:
            return
