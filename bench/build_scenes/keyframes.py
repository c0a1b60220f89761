"""Building scenes at keyframes: mostly hashing, so the limit and the best contender are close and are measured more often."""

from __future__ import annotations

from pathlib import Path

from bench.build_scenes.contenders import CONTENDERS
from bench.build_scenes.drive import DriveSpec
from bench.build_scenes.run import LIMIT, OURS, ROUNDS, compare
from bench.figures import Report

NEAR = (LIMIT, OURS, "polars")
FURTHER_ROUNDS = 4  # a round is off by a tenth now and then, which is their distance


def measure(scratch: Path) -> Report:
    """All contenders on the full drive, and close ones in further rounds."""
    return compare(scratch, DriveSpec(), list(CONTENDERS), "keyframe", ROUNDS, NEAR, FURTHER_ROUNDS)
