"""All targets, by name."""

from __future__ import annotations

from tests.fuzz import document_targets, fleet_targets, message_targets, sensor_targets
from tests.fuzz.target import Target

_ALL = (*sensor_targets.TARGETS, *message_targets.TARGETS, *document_targets.TARGETS, *fleet_targets.TARGETS)
TARGETS: dict[str, Target] = {target.name: target for target in _ALL}
