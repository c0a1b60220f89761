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

DATA = "SCENELAKE_TEST_DATA"
DRIVE = DriveId("score", "real")


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
            found = _as_it_is(recording, full=True)
            errors = {one.rule_id for one in found.findings if one.severity is Severity.ERROR}
            alarms = frozenset(pair for pair in found.alarms if pair[0] not in trial.also)
            true = frozenset(rule for rule, _ in found.alarms if rule in trial.also)
            return Tried(trial, seed, False, alarms, frozenset(errors), true)
        source = Path(_imported(recording, full=False).name)
        manifest = read_manifest(source, DRIVE)
        assert manifest is not None
        faults = tuple(map(Fault.parse, trial.faults))
        with tempfile.TemporaryDirectory(prefix="quality-score-") as folder:
            out = Path(folder) / "drive"
            inject(source, out, DRIVE, Injection(faults, manifest.start_ns, manifest.end_ns - manifest.start_ns, seed))
            found = examine(out, DRIVE, Path(folder) / "store")
        due = (trial.rule, trial.sensor)
        # What the recording has without the fault is no sign of it.
        return Tried(trial, seed, due in found.alarms and due not in _as_it_is(recording, full=False).alarms, frozenset())


@lru_cache(maxsize=4)
def _as_it_is(recording: Recording, *, full: bool) -> Examined:
    with tempfile.TemporaryDirectory(prefix="quality-score-") as folder:
        return examine(Path(_imported(recording, full=full).name), DRIVE, Path(folder) / "store")


@lru_cache(maxsize=2)
def _imported(recording: Recording, *, full: bool) -> tempfile.TemporaryDirectory[str]:
    """A folder with the imported drive; unless `full`, with only those cameras that get faults, so that a case takes seconds."""
    folder = tempfile.TemporaryDirectory(prefix="quality-score-")
    path = Path(folder.name)
    if full:
        IMPORTERS[recording.importer](_source(recording), path, str(DRIVE.vehicle_id), str(DRIVE.drive_id))
        return folder
    shutil.copytree(Path(_imported(recording, full=True).name), path, dirs_exist_ok=True)
    document = json.loads((path / CALIBRATION).read_bytes())
    kept = [
        entry
        for entry in document["sensors"]
        if entry["modality"] != "camera" or entry["name"] in (recording.camera, recording.side_camera)
    ]
    for entry in document["sensors"]:
        if entry not in kept:
            shutil.rmtree(path / "camera" / entry["name"])
    manifest = read_manifest(path, DRIVE)
    assert manifest is not None
    write_calibration(path, {**document, "sensors": kept})
    write_manifest(path, DRIVE, manifest.recorder, manifest.recorder_version, manifest.losses)
    return folder


def _source(recording: Recording) -> Path:
    return Path(os.environ.get(DATA) or PROJECT.parent / "shared" / "data") / recording.folder
