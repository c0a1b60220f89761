"""Detection rates of the calibration checks: errors of known size in the calibration of synthetic drives.

python -m bench.calibration_score [--seeds 100] [--sweep 10] [--first 1000] [--out build/calibration-score.json]

Recall and false alarms are those of all drives at the stated size; the smallest detected size is determined on the first
`--sweep`. Only the frames that the check reads are made, in memory, with noise in images and ranges; the data are the same
for every error, as an error of what is declared changes none. A rule raises an *alarm* where one of its quantities is
`suspect` (a flag) or `bad` (quarantine); both are counted. An alarm on a clean drive is a false alarm. The table goes to
`docs/quality.md`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bench.figures import PROJECT, markdown_table, write_sections
from fleet.faults import Fault
from fleet.synthetic.camera import Camera
from fleet.synthetic.lidar import SpinningLidar
from fleet.synthetic.miscalibration import miscalibrated
from fleet.synthetic.radar import Radar
from fleet.synthetic.schedule import Shot, shots_of
from fleet.synthetic.spec import DriveSpec, RigOptions
from fleet.synthetic.vehicle import REFERENCE, build_rig
from fleet.synthetic.world import World
from sensors.calibration.alignment import View
from sensors.calibration.doppler import RadarScan, range_rates
from sensors.calibration.ground import ground_plane
from sensors.calibration.image_edges import EdgeMaps, edge_maps, shrink_of
from sensors.calibration.lens import Lens, contradictions
from sensors.calibration.lidar_edges import LidarEdges
from sensors.calibration.motion import VehicleMotion, motion_at, way_ahead
from sensors.calibration.result import CalibrationVerdict, Checked, Quantity, worst
from sensors.calibration.sampling import candidates, choose, nearest
from sensors.calibration.scene import PoseSamples, edges_seen
from sensors.calibration.verdicts import camera_verdicts, lidar_verdicts, radar_verdicts
from sensors.decode.images import decode_luma
from sensors.decode.messages import decode_points
from sensors.decode.points import PointCloud
from sensors.rig import Rig

DURATION_S = 20.0
CAMERA, RADAR = "camera_front", "radar_front"
OPTIONS = RigOptions(cameras=(CAMERA,), camera_noise_levels=4.0, lidar_range_noise_m=0.03)
SWEEPS, SCANS = 20, 40
ENOUGH = 0.95
ALARMS = (CalibrationVerdict.SUSPECT, CalibrationVerdict.BAD)
POSE_STEP_NS = 10_000_000

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Case:
    """Errors of one kind: the rule that should detect them, the fault's text by its size, and the sizes tried.

    `stated`: the size that recall and precision are given for. `sign`: whether every other drive has the opposite sign.
    """

    rule: str
    quantity: Quantity | None
    fault: Callable[[float], str]
    unit: str
    sizes: tuple[float, ...]
    stated: float
    sign: bool = True


CASES = (
    Case("CAL003", Quantity.GROUND_PITCH, lambda n: f"rotate_extrinsic:{REFERENCE}:pitch={n}deg", "deg",
         (0.2, 0.25, 0.3, 0.4, 0.5), 0.3),
    Case("CAL003", Quantity.GROUND_ROLL, lambda n: f"rotate_extrinsic:{REFERENCE}:roll={n}deg", "deg",
         (0.3, 0.4, 0.5, 0.6, 0.8), 0.5),
    Case("CAL004", Quantity.GROUND_HEIGHT, lambda n: f"shift_extrinsic:{REFERENCE}:z={n}cm", "cm", (5.0, 7.0, 8.0, 10.0), 8.0),
    Case("CAL005", Quantity.CAMERA_YAW, lambda n: f"rotate_extrinsic:{CAMERA}:yaw={n}deg", "deg", (0.2, 0.3, 0.4, 0.5, 1.0), 0.5),
    Case("CAL005", Quantity.CAMERA_PITCH, lambda n: f"rotate_extrinsic:{CAMERA}:pitch={n}deg", "deg",
         (0.2, 0.3, 0.4, 0.5), 0.5),
    Case("CAL005", Quantity.CAMERA_ROLL, lambda n: f"rotate_extrinsic:{CAMERA}:roll={n}deg", "deg", (0.4, 0.5, 0.6, 0.8), 0.6),
    Case("CAL006", Quantity.RADAR_YAW, lambda n: f"rotate_extrinsic:{RADAR}:yaw={n}deg", "deg", (0.5, 0.6, 0.75, 1.0, 2.0), 0.75),
    Case("CAL007", None, lambda n: f"wrong_intrinsics:{CAMERA}:centre_x={1 + n / 50}", "percent of the width",
         (20.0, 26.0, 30.0), 26.0, sign=False),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """The frames of a drive that a check reads, and the true rig."""

    rig: Rig
    clouds: tuple[PointCloud, ...]
    maps: tuple[EdgeMaps, ...]
    images_ns: tuple[int, ...]
    motion: VehicleMotion
    scans: tuple[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]], ...]
    scans_motion: VehicleMotion
    track: PoseSamples

    def lidar(self, rig: Rig) -> tuple[Checked, ...]:
        """The lidar's verdicts under a declared rig."""
        mounting, forward = rig[REFERENCE].ego_SE3_sensor, way_ahead(self.motion)
        if mounting is None or forward is None:
            return ()
        places = self.motion.place.tolist()
        planes = [
            ground_plane(mounting.apply(cloud.xyz_m()), forward, place) for cloud, place in zip(self.clouds, places, strict=True)
        ]
        return lidar_verdicts(REFERENCE, planes, rig.ground_z_m, ())

    def camera(self, rig: Rig) -> tuple[Checked, ...]:
        """The camera's verdicts under a declared rig."""
        camera, views = rig[CAMERA], []
        for row, (cloud, maps, image_ns) in enumerate(zip(self.clouds, self.maps, self.images_ns, strict=True)):
            edges = edges_seen(cloud, rig[REFERENCE], camera, image_ns, self.track)
            if isinstance(edges, LidarEdges):
                views.append(View(edges, maps, int(self.motion.place[row])))
        return (
            ()
            if camera.intrinsics is None
            else camera_verdicts(CAMERA, views, Lens(camera.intrinsics, shrink_of(camera.intrinsics)))
        )

    def radar(self, rig: Rig) -> tuple[Checked, ...]:
        """The radar's verdict under a declared rig."""
        mounting = rig[RADAR].ego_SE3_sensor
        if mounting is None:
            return ()
        moved = self.scans_motion.velocity_m_s + np.cross(self.scans_motion.turn_rad_s, mounting.translation_m)
        own = moved @ mounting.rotation
        scans = [RadarScan(*scan, (float(x), float(y))) for scan, (x, y, _) in zip(self.scans, own, strict=True)]
        return radar_verdicts(RADAR, scans)

    def raises_alarm(self, case: Case, rig: Rig) -> bool:
        """Whether the case's rule raises an alarm under a declared rig."""
        return self.verdict(case, rig) in ALARMS

    def verdict(self, case: Case, rig: Rig) -> CalibrationVerdict:
        """The worst verdict of the case's rule under a declared rig."""
        if case.quantity is None:
            lens = rig[CAMERA].intrinsics
            wrong = lens is not None and bool(contradictions(lens, [(OPTIONS.width_px, OPTIONS.height_px)]))
            return CalibrationVerdict.BAD if wrong else CalibrationVerdict.OK
        part = {"CAL003": self.lidar, "CAL004": self.lidar, "CAL005": self.camera, "CAL006": self.radar}[case.rule]
        family = case.quantity.value.split("_")[0] if case.rule != "CAL004" else case.quantity.value
        others = (Quantity.GROUND_HEIGHT,) if case.rule == "CAL003" else ()
        checks = [check for check in part(rig) if check.quantity.value.startswith(family) and check.quantity not in others]
        return worst(checks)


def record(seed: int) -> Recorded:
    """Generate the frames of one drive that a check would choose."""
    spec = DriveSpec("score-car", f"seed-{seed}", seed=seed, duration_s=DURATION_S, rig=OPTIONS)
    rig, world = build_rig(spec.rig), World(seed, spec.duration_s)
    track = _track(world, spec, rig)
    sweeps, images = shots_of(rig[REFERENCE], spec), shots_of(rig[CAMERA], spec)
    at, stretch = candidates(len(sweeps), SWEEPS)
    stamps_ns, image_ns = _stamps(sweeps)[at], _stamps(images)
    target_ns = stamps_ns + rig[CAMERA].sync.expected_delay_ns
    matched = nearest(target_ns, image_ns)
    motion = motion_at(stamps_ns, track.stamps_ns, track.poses, track.bracket_ns)
    chosen = choose(stretch, motion, [np.abs(image_ns[matched] - target_ns) / rig[CAMERA].sync.tolerance_ns])
    lidar, camera = SpinningLidar(world, rig[REFERENCE], spec), Camera(world, rig[CAMERA], spec)
    lens = rig[CAMERA].intrinsics
    shrink = 1 if lens is None else shrink_of(lens)
    focal_px = 1.0 if lens is None else lens.fx_px / shrink
    chosen_images = [images[int(row)] for row in matched[chosen]]
    scans, scans_motion = _scans(world, spec, rig, track)
    return Recorded(
        rig=rig,
        clouds=tuple(decode_points(lidar.encode(lidar.measure(shot), shot.stamp_ns)) for shot in _at(sweeps, at[chosen])),
        maps=tuple(edge_maps(decode_luma(camera.measure(shot), shrink), focal_px) for shot in chosen_images),
        images_ns=tuple(shot.stamp_ns for shot in chosen_images),
        motion=motion_at(stamps_ns[chosen], track.stamps_ns, track.poses, track.bracket_ns),
        scans=scans,
        scans_motion=scans_motion,
        track=track,
    )


class CaseScore(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of `build/calibration-score.json`. Positives are drives that were called suspect or bad, `bad` and `false_bad`
    those called bad; `recall_by_size`: by the size of the error as text. `smallest_detected` is in `unit`."""

    rule: str
    fault: str
    seeds: int
    true_positives: int
    bad: int
    false_positives: int
    false_bad: int
    false_negatives: int
    precision: float | None
    recall: float
    smallest_detected: float | None
    unit: str
    recall_by_size: dict[str, float]


def score(seeds: Sequence[int], sweep: int, cases: Sequence[Case] = CASES) -> list[CaseScore]:
    """The score of each case, over drives of these seeds: each clean and with the stated error, the first `sweep` with all."""
    verdicts: dict[tuple[Case, float], list[CalibrationVerdict]] = {}
    for number, seed in enumerate(seeds):
        drive = record(seed)
        for case in cases:
            for size in (0.0, *(case.sizes if number < sweep else (case.stated,))):
                signed = -size if case.sign and number % 2 else size
                rig = declared(drive.rig, case.fault(signed)) if size else drive.rig
                verdicts.setdefault((case, size), []).append(drive.verdict(case, rig))
    return [
        _score_of(case, {size: verdicts[case, size] for size in (0.0, *case.sizes) if (case, size) in verdicts}) for case in cases
    ]


def declared(rig: Rig, fault: str) -> Rig:
    """The rig as a calibration with this fault declares it."""
    return Rig.from_dict(miscalibrated(rig.to_dict(), rig, Fault.parse(fault)))


def _score_of(case: Case, verdicts: Mapping[float, Sequence[CalibrationVerdict]]) -> CaseScore:
    """`verdicts`: by size the verdict on each drive; 0 is a clean one."""
    true, false_alarms, seeds = _alarms(verdicts[case.stated]), _alarms(verdicts[0.0]), len(verdicts[case.stated])
    recall = {size: _alarms(found) / len(found) for size, found in verdicts.items() if size}
    enough = [size for size in recall if all(recall[other] >= ENOUGH for other in recall if other >= size)]
    return CaseScore(
        rule=case.rule,
        fault=case.fault(case.stated),
        seeds=seeds,
        true_positives=true,
        bad=verdicts[case.stated].count(CalibrationVerdict.BAD),
        false_positives=false_alarms,
        false_bad=verdicts[0.0].count(CalibrationVerdict.BAD),
        false_negatives=seeds - true,
        precision=true / (true + false_alarms) if true + false_alarms else None,
        recall=true / seeds,
        smallest_detected=min(enough, default=None),
        unit=case.unit,
        recall_by_size={f"{size:g}": share for size, share in recall.items()},
    )


def score_table(scores: Sequence[CaseScore]) -> str:
    """The scores as Markdown."""
    header = ("error", "rule", "drives", "detected", "of these bad", "clean flagged", "of these bad", "smallest detected", "unit")
    cells = [
        (
            f"`{row.fault}`",
            row.rule,
            str(row.seeds),
            str(row.true_positives),
            str(row.bad),
            str(row.false_positives),
            str(row.false_bad),
            "" if row.smallest_detected is None else f"{row.smallest_detected:g}",
            row.unit,
        )
        for row in scores
    ]
    return markdown_table(header, cells)


def _alarms(verdicts: Sequence[CalibrationVerdict]) -> int:
    return sum(verdict in ALARMS for verdict in verdicts)


def _track(world: World, spec: DriveSpec, rig: Rig) -> PoseSamples:
    since_ns = np.arange(0, spec.duration_ns + 10 * POSE_STEP_NS, POSE_STEP_NS, dtype=np.int64)
    motion = world.road.at_ns(since_ns)
    poses = np.zeros((len(since_ns), 7))
    poses[:, :2], poses[:, 3], poses[:, 6] = motion.position_m, np.cos(motion.yaw_rad / 2), np.sin(motion.yaw_rad / 2)
    return PoseSamples(since_ns + spec.start_ns, poses, rig.policy.pose_bracket_ns)


def _scans(
    world: World, spec: DriveSpec, rig: Rig, track: PoseSamples
) -> tuple[tuple[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]], ...], VehicleMotion]:
    radar, shots = Radar(world, rig[RADAR], spec), shots_of(rig[RADAR], spec)
    at, stretch = candidates(len(shots), SCANS)
    motion = motion_at(_stamps(shots)[at], track.stamps_ns, track.poses, track.bracket_ns)
    chosen = at[choose(stretch, motion, ())]
    found = [range_rates(decode_points(radar.encode(radar.measure(shot), shot.stamp_ns))) for shot in _at(shots, chosen)]
    moved = motion_at(_stamps(shots)[chosen], track.stamps_ns, track.poses, track.bracket_ns)
    return tuple(scan for scan in found if scan is not None), moved


def _stamps(shots: Sequence[Shot]) -> Ints:
    return np.array([shot.stamp_ns for shot in shots], dtype=np.int64)


def _at(shots: Sequence[Shot], positions: Ints) -> list[Shot]:
    return [shots[int(position)] for position in positions]


def main(argv: Sequence[str] | None = None) -> None:
    """Score, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--sweep", type=int, default=10)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("build/calibration-score.json"))
    parser.add_argument("--document", type=Path, default=PROJECT / "docs" / "quality.md")
    arguments = parser.parse_args(argv)
    scores = score(range(arguments.first, arguments.first + arguments.seeds), arguments.sweep)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_bytes(msgspec.json.format(msgspec.json.encode(scores), indent=1) + b"\n")
    table = score_table(scores)
    write_sections({"calibration-score": table}, arguments.document)
    print(table)


if __name__ == "__main__":
    main()
