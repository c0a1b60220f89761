"""Hand-made readings: every kind of value that the exporter exports."""

from __future__ import annotations

import numpy as np

from ingest.ledger.states import DriveState
from ingest.queues import QueueDepth
from ops.metrics.drive_facts import Amount
from ops.metrics.exporter import Exporter
from ops.metrics.lake import LakeSummary, ResidualSizes
from ops.metrics.ledger import DriveStates
from ops.metrics.part import MetricsPart
from ops.metrics.queues import QueueState
from quality.rules.rule import Outcome

S = 10**9
STATES = DriveStates(
    counts={DriveState.LANDING: 1, DriveState.PUBLISHED: 40, DriveState.FAILED: 0},
    state_age_ns={DriveState.LANDING: 90 * S, DriveState.QUEUED: 0},
    oldest_unprocessed_ns=1_500_000_000,
    lags_ns=np.arange(1, 101, dtype=np.int64) * S,
)
QUEUES = (QueueState("object-events", QueueDepth(3, 2, 1), 4), QueueState("drive-work", QueueDepth(0, 0, 0), None))
LAKE = LakeSummary(
    publications=41,
    published_scenes=820,
    objects={"published": Amount(120, 7_000), "refused": Amount(1, 8)},
    frames={("lidar_top", "lidar", "gold"): 600, ("lidar_top", "lidar", "quarantined"): 3},
    scenes=800,
    records={("LID001", "object"): 3},
    checks={("scenes = distinct scene ids", True): 39, ("scenes = distinct scene ids", False): 1},
    unbalanced_drives=1,
    recent_drives=32,
    recent_frames={("lidar_top", "lidar", "gold"): 60},
    rules={("LID001", Outcome.FAILED): 2, ("LID001", Outcome.PASSED): 30},
    residuals={
        "camera_front": ResidualSizes(1_000_000, 2_000_000, 3_000_000, 50_000_000, 1.25),
        "radar_front": ResidualSizes(0, 0, 0, 0, None),
    },
)


def exporter(states: DriveStates = STATES, lake: LakeSummary = LAKE) -> Exporter:
    """An exporter whose parts have been read once."""
    made = Exporter(
        MetricsPart("drives", lambda: states), MetricsPart("queues", lambda: QUEUES), MetricsPart("lake", lambda: lake)
    )
    for part in made.parts:
        part.refresh()
    return made
