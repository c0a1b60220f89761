"""Creates the lake's tables in the catalog that the environment names: `python -m cli.stack.tables`."""

from __future__ import annotations

import os
import sys

from lake.catalog import ensure_tables, open_catalog
from lake.settings import Settings


def main() -> int:
    """Create what is missing."""
    ensure_tables(open_catalog(Settings.from_env(os.environ)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
