"""Real recordings as clean drives, where available: a finding is a false alarm, unless the recording has the fault."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from bench.figures import PROJECT
from bench.quality_score.case import Case, Tried
from bench.quality_score.examine import examine
from fleet.importers.registry import IMPORTERS
from lake.landing import DriveId

DATA = "SCENELAKE_TEST_DATA"
PANDASET = "PandaSet"
# The sweep has points from before its first pose: the findings on the first scenes are true.
TRUE_OF_PANDASET = frozenset({"SYN003"})


class RealDrives:
    """PandaSet as published, where `SCENELAKE_TEST_DATA` (default: `../shared/data`) holds it; the seed does not matter."""

    units: Mapping[str, str] = MappingProxyType({})

    def trials(self, seeds: Iterable[int]) -> list[tuple[Case, int]]:
        """The sequence, once; nothing where it is absent."""
        del seeds
        return [(Case("", also=TRUE_OF_PANDASET, source=PANDASET), 0)] if _folder().is_dir() else []

    def attempt(self, trial: Case, seed: int) -> Tried:
        """Import, examine."""
        with tempfile.TemporaryDirectory(prefix="quality-score-") as folder:
            IMPORTERS["pandaset"](_folder(), Path(folder) / "drive", "score", "pandaset")
            alarms = examine(Path(folder) / "drive", DriveId("score", "pandaset"), Path(folder) / "store").alarms
        return Tried(trial, seed, False, frozenset(pair for pair in alarms if pair[0] not in trial.also))


def _folder() -> Path:
    return Path(os.environ.get(DATA) or PROJECT.parent / "shared" / "data") / "pandaset_002"
