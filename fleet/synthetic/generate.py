"""Generates a drive folder from a spec."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from fleet import Progress, silent
from fleet.drive_folder import DriveFolder, write_calibration, write_manifest
from fleet.drive_layout import GROUND_TRUTH, claim
from fleet.file_faults import apply_file_fault
from fleet.mcap_writer import RecordedFrame, SensorStream, write_stream
from fleet.synthetic.camera import Camera
from fleet.synthetic.damage import calibration_document, check_faults, damaged, declared, effect_of, renamed, topic_of
from fleet.synthetic.ground_truth import write_ground_truth, write_json
from fleet.synthetic.inertial import InertialUnit, PoseSource, Satellite
from fleet.synthetic.lidar import SpinningLidar
from fleet.synthetic.miscalibration import calibration_effect
from fleet.synthetic.radar import Radar
from fleet.synthetic.schedule import Shot, shots_of
from fleet.synthetic.spec import DriveSpec
from fleet.synthetic.vehicle import build_rig
from fleet.synthetic.world import World
from sensors.rig import Modality, Rig, Sensor

RECORDER = "scenelake-synthetic"
RECORDER_VERSION = "1"


class Simulator(Protocol):
    """A sensor: `measure` returns a payload of its own type, `encode` turns it into a message."""

    message_type: str

    def measure(self, shot: Shot) -> Any:
        """What the sensor measures at the shot's true time."""

    def encode(self, payload: Any, stamp_ns: int) -> bytes:
        """The payload as CDR bytes with this stamp."""


def generate(spec: DriveSpec, out: Path, progress: Progress | None = None) -> DriveFolder:
    """Write the drive `spec` describes into the new (or empty) folder `out`, with its ground truth.

    `progress(sensor, frames done, frames)` is called after every frame. An interrupted run leaves a folder without a
    manifest, which is not a drive.

    Raises:
        SpecError: A fault cannot be applied to this rig or duration.
        FleetError: `out` is a file, or not empty.

    """
    rig = build_rig(spec.rig)
    check_faults(spec, rig)
    shots = {sensor.name: shots_of(sensor, spec) for sensor in rig.sensors}
    claim(out)
    world = World(spec.seed, spec.duration_s)
    for sensor in rig.sensors:
        _record(out, sensor, world, spec, shots[sensor.name], progress or silent)
    write_calibration(out, calibration_document(rig, spec))
    write_manifest(out, spec.drive, RECORDER, RECORDER_VERSION)
    truth = out / GROUND_TRUTH
    write_ground_truth(truth, spec, rig, world, shots)
    _apply_faults(truth / "faults.json", out, spec, rig, shots)
    return DriveFolder.load(out, check=False, drive=spec.drive)


def simulator(sensor: Sensor, world: World, spec: DriveSpec) -> Simulator:
    """The simulation of one sensor of the rig."""
    makers: dict[Modality, type[Any]] = {
        Modality.LIDAR: SpinningLidar,
        Modality.CAMERA: Camera,
        Modality.RADAR: Radar,
        Modality.POSE: PoseSource,
        Modality.IMU: InertialUnit,
        Modality.GNSS: Satellite,
    }
    made: Simulator = makers[sensor.modality](world, sensor, spec)
    return made


def _record(out: Path, sensor: Sensor, world: World, spec: DriveSpec, shots: tuple[Shot, ...], progress: Progress) -> None:
    source = simulator(sensor, world, spec)
    kept = [shot for shot in shots if shot.recorded]

    def frames() -> Iterator[RecordedFrame]:
        payload = None
        for done, shot in enumerate(kept, start=1):
            payload = damaged(source.measure(shot), shot, sensor.name, spec, payload)
            cdr = renamed(source.encode(payload, shot.stamp_ns), shot, spec)
            yield RecordedFrame(shot.stamp_ns, shot.log_ns, cdr, topic_of(shot, spec))
            progress(sensor.name, done, len(kept))

    stream = SensorStream(sensor.name, sensor.modality, source.message_type)
    write_stream(out, declared(stream, spec), frames(), spec.segment_ns)


def _apply_faults(path: Path, out: Path, spec: DriveSpec, rig: Rig, shots: dict[str, tuple[Shot, ...]]) -> None:
    """Apply the faults of files to the drive in `out`, and write to `path` all faults with what they did."""
    entries = []
    for index, fault in enumerate(spec.faults):
        if fault.kind.on_files:
            effect = apply_file_fault(out, fault, spec.drive, rig)
        elif fault.kind.on_calibration:
            effect = calibration_effect(fault, rig)
        else:
            effect = effect_of(index, shots[fault.sensor or ""])
        size = {} if fault.kind.size is None else {"size": fault.size, "unit": fault.kind.size}
        named = {"fault": str(fault), "kind": fault.kind.value, "sensor": fault.sensor, **size}
        entries.append(named | msgspec.to_builtins(effect))
    write_json(path, entries)
