"""Where the recordings of public datasets lie that the optional tests read."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(os.environ.get("SCENELAKE_TEST_DATA") or Path(__file__).parents[1].parent / "shared" / "data")
