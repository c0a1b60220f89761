"""Location of the public datasets' recordings for the optional tests."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(os.environ.get("SCENELAKE_TEST_DATA") or Path(__file__).parents[1].parent / "shared" / "data")
