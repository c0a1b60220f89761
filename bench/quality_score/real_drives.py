"""Real recordings, where available: as they are, where a finding is a false alarm unless it is true of them, and with faults."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from bench.figures import PROJECT
from bench.quality_score.case import Case, Tried
from bench.quality_score.examine import Examined, examine
from bench.quality_score.inject import Injection, inject
from bench.quality_score.real_cases import RECORDINGS, Recording, real_cases
from fleet.drive_folder import read_manifest, write_calibration, write_manifest
from fleet.faults import Fault
from fleet.importers.registry import IMPORTERS
from lake.landing import CALIBRATION, DriveId
from quality.rules.catalogue import Severity
from sensors.rig import Rig

DATA = "SCENELAKE_TEST_DATA"
DRIVE = DriveId("score", "real")
LATENCY_NS = 20_000_000


class RealDrives:
    """The recordings that `SCENELAKE_TEST_DATA` (default: `../shared/data`) holds; the seed does not matter."""

    units: Mapping[str, str] = MappingProxyType({})

    def trials(self, seeds: Iterable[int]) -> list[tuple[Case, int]]:
        """Every case of every recording, once; none of a recording that is absent."""
        del seeds
        return [(case, 0) for recording in RECORDINGS if _source(recording).is_dir() for case in real_cases(recording)]

    def attempt(self, trial: Case, seed: int) -> Tried:
        """Import, put the fault in, examine."""
        recording = next(one for one in RECORDINGS if one.name == trial.source)
        if not trial.rule:
            found = _as_it_is(recording, None)
            errors = {one.rule_id for one in found.findings if one.severity is Severity.ERROR}
            alarms = frozenset(pair for pair in found.alarms if pair[0] not in trial.also)
            true = frozenset(rule for rule, _ in found.alarms if rule in trial.also)
            return Tried(trial, seed, False, alarms, frozenset(errors), true)
        rig = Rig.from_dict(json.loads((Path(_imported(recording, None).name) / CALIBRATION).read_bytes()))
        kept = concerned(recording, trial, [one.name for one in rig.sensors])
        source = Path(_imported(recording, kept).name)
        manifest = read_manifest(source, DRIVE)
        assert manifest is not None
        faults = tuple(map(Fault.parse, trial.faults))
        with tempfile.TemporaryDirectory(prefix="quality-score-") as folder:
            out = Path(folder) / "drive"
            plan = Injection(faults, manifest.start_ns, max(manifest.end_ns - manifest.start_ns, 1), seed)
            inject(source, out, DRIVE, plan, LATENCY_NS if trial.rule.startswith("CLK") else 0)
            found = examine(out, DRIVE, Path(folder) / "store")
        due = (trial.rule, trial.sensor)
        # What the recording has without the fault is no sign of it.
        return Tried(trial, seed, due in found.alarms and due not in _as_it_is(recording, kept).alarms, frozenset())


def concerned(recording: Recording, case: Case, sensors: Iterable[str]) -> frozenset[str]:
    """Those `sensors` of a recording that a case needs, so that it takes seconds.

    Without poses, calibration is not held against the data. A clock is judged by those of the other sensors.
    """
    sensor = Fault.parse(case.faults[0]).sensor
    cameras = {recording.camera, recording.side_camera}
    if case.rule.startswith(("CLK", "CMP", "KEY")):
        kept = {name for name in sensors if not name.startswith("cam") and (name != "pose" or recording.camera is None)} | cameras
    elif case.rule.startswith("CAL"):
        kept = {recording.lidar, "pose", sensor if sensor in cameras else recording.camera}
    else:
        kept = {recording.lidar, *(("pose",) if case.rule.startswith("SYN") else ())}
    return frozenset(name for name in (*kept, sensor) if name is not None)


@lru_cache(maxsize=8)
def _as_it_is(recording: Recording, kept: frozenset[str] | None) -> Examined:
    with tempfile.TemporaryDirectory(prefix="quality-score-") as folder:
        return examine(Path(_imported(recording, kept).name), DRIVE, Path(folder) / "store")


@lru_cache(maxsize=8)
def _imported(recording: Recording, kept: frozenset[str] | None) -> tempfile.TemporaryDirectory[str]:
    """A folder with the imported drive, of which only these sensors are `kept`; None for all."""
    folder = tempfile.TemporaryDirectory(prefix="quality-score-")
    path = Path(folder.name)
    if kept is None:
        IMPORTERS[recording.importer](_source(recording), path, DRIVE.vehicle_id, DRIVE.drive_id)
        return folder
    shutil.copytree(Path(_imported(recording, None).name), path, dirs_exist_ok=True)
    document = json.loads((path / CALIBRATION).read_bytes())
    for entry in document["sensors"]:
        if entry["name"] not in kept:
            shutil.rmtree(path / entry["modality"] / entry["name"], ignore_errors=True)
    manifest = read_manifest(path, DRIVE)
    assert manifest is not None
    sensors = [one for one in document["sensors"] if one["name"] in kept]
    write_calibration(path, {**document, "sensors": sensors})
    losses = [loss for loss in manifest.losses if loss.sensor is None or loss.sensor in kept]
    write_manifest(path, DRIVE, manifest.recorder, manifest.recorder_version, losses)
    return folder


def _source(recording: Recording) -> Path:
    return Path(os.environ.get(DATA) or PROJECT.parent / "shared" / "data") / recording.folder
