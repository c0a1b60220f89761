"""Building scenes at keyframes: mostly hashing, so that the limit and the best contender are near and are measured more often."""

from __future__ import annotations

from pathlib import Path

from bench.build_scenes.contenders import CONTENDERS
from bench.build_scenes.drive import DriveSpec
from bench.build_scenes.run import LIMIT, OURS, ROUNDS, compare
from bench.figures import Report

NEAR = (LIMIT, OURS, "polars")
FURTHER_ROUNDS = 4  # a round is off by a tenth now and then, which is what lies between them


def measure(scratch: Path) -> Report:
    """All contenders on the full drive, and those that are near to each other further times."""
    return compare(scratch, DriveSpec(), list(CONTENDERS), "keyframe", ROUNDS, NEAR, FURTHER_ROUNDS)
