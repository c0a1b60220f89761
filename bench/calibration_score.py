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
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

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
from sensors.calibration.lidar_yaw import turn_scores
from sensors.calibration.motion import VehicleMotion, motion_at, way_ahead
from sensors.calibration.result import CalibrationVerdict, Checked, Quantity, worst
from sensors.calibration.sampling import CANDIDATES, candidates, choose, nearest, spread
from sensors.calibration.scene import PoseSamples, edges_seen, seen_twice
from sensors.calibration.verdicts import camera_verdicts, lidar_verdicts, radar_verdicts
from sensors.decode.images import decode_luma
from sensors.decode.messages import decode_points
from sensors.decode.points import PointCloud
from sensors.motion.poses import interpolate
from sensors.rig import Rig
from sensors.time_units import NS_PER_MS

DURATION_S = 20.0
CAMERA, SIDE, RADAR = "camera_front", "camera_front_left", "radar_front"
OPTIONS = RigOptions(cameras=(CAMERA, SIDE), camera_noise_levels=4.0, lidar_range_noise_m=0.03)
SWEEPS, SCANS, PAIRS = 20, 40, 8
PAIR_APART_M = 5.0
ENOUGH = 0.95
ALARMS = (CalibrationVerdict.SUSPECT, CalibrationVerdict.BAD)
POSE_STEP_NS = 10_000_000
QUANTITIES: Mapping[str, tuple[Quantity, ...]] = MappingProxyType(
    {
        "CAL003": (Quantity.GROUND_ROLL, Quantity.GROUND_PITCH),
        "CAL004": (Quantity.GROUND_HEIGHT,),
        "CAL005": (Quantity.CAMERA_ROLL, Quantity.CAMERA_PITCH, Quantity.CAMERA_YAW),
        "CAL006": (Quantity.RADAR_YAW,),
        "CAL009": (Quantity.LIDAR_YAW,),
        "CAL010": (Quantity.CAMERA_TIME,),
    }
)

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
    Case("CAL009", Quantity.LIDAR_YAW, lambda n: f"rotate_extrinsic:{REFERENCE}:yaw={n}deg", "deg",
         (1.5, 2.0, 3.0, 10.0, 180.0), 3.0),
    # From the side of a moving vehicle a late image looks like one of a turned camera; ahead, nothing moves sideways.
    Case("CAL010", Quantity.CAMERA_TIME, lambda n: f"clock_offset:{SIDE}:{round(n * NS_PER_MS)}", "ms", (10.0, 25.0, 50.0), 25.0),
    Case("CAL007", None, lambda n: f"wrong_intrinsics:{CAMERA}:centre_x={1 + n / 50}", "percent of the width",
         (20.0, 26.0, 30.0), 26.0, sign=False),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Images of one camera, each taken near a sweep: their edges, and their stamps."""

    maps: tuple[EdgeMaps, ...]
    stamps_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """The frames of a drive that a check reads, and the rig that the drive declares.

    `pairs`: sweeps some metres apart.
    """

    rig: Rig
    clouds: tuple[PointCloud, ...]
    pairs: tuple[tuple[PointCloud, PointCloud], ...]
    images: Mapping[str, Images]
    motion: VehicleMotion
    scans: tuple[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]], ...]
    scans_motion: VehicleMotion
    track: PoseSamples

    def with_fault(self, text: str) -> Recorded:
        """The same frames with a fault of what is declared: of the calibration, or of a camera's stamps."""
        fault = Fault.parse(text)
        if fault.offset_ns is None:
            return replace(self, rig=Rig.from_dict(miscalibrated(self.rig.to_dict(), self.rig, fault)))
        true = self.images[fault.sensor or CAMERA]
        late = Images(true.maps, tuple(stamp_ns + fault.offset_ns for stamp_ns in true.stamps_ns))
        return replace(self, images={**self.images, fault.sensor or CAMERA: late})

    def lidar(self) -> tuple[Checked, ...]:
        """The lidar's verdicts."""
        rig = self.rig
        mounting, forward = rig[REFERENCE].ego_SE3_sensor, way_ahead(self.motion)
        if mounting is None or forward is None:
            return ()
        places = self.motion.place.tolist()
        planes = [
            ground_plane(mounting.apply(cloud.xyz_m()), forward, place) for cloud, place in zip(self.clouds, places, strict=True)
        ]
        found = [seen_twice(*pair, rig[REFERENCE], self.track, rig.ground_z_m) for pair in self.pairs]
        return lidar_verdicts(REFERENCE, planes, rig.ground_z_m, [turn_scores(pair) for pair in found if pair is not None])

    def camera(self, name: str) -> tuple[Checked, ...]:
        """The verdicts on a camera."""
        camera, images, views = self.rig[name], self.images[name], []
        if camera.intrinsics is None or camera.ego_SE3_sensor is None:
            return ()
        at_camera = np.cross(self.motion.turn_rad_s, camera.ego_SE3_sensor.translation_m)
        velocity_m_s = (self.motion.velocity_m_s + at_camera) @ camera.ego_SE3_sensor.rotation
        turn_rad_s = self.motion.turn_rad_s @ camera.ego_SE3_sensor.rotation
        for row, (cloud, maps, image_ns) in enumerate(zip(self.clouds, images.maps, images.stamps_ns, strict=True)):
            edges = edges_seen(cloud, self.rig[REFERENCE], camera, image_ns, self.track)
            if isinstance(edges, LidarEdges):
                views.append(View(edges, maps, int(self.motion.place[row]), velocity_m_s[row], turn_rad_s[row]))
        return camera_verdicts(name, views, Lens(camera.intrinsics, shrink_of(camera.intrinsics)))

    def radar(self) -> tuple[Checked, ...]:
        """The radar's verdict."""
        mounting = self.rig[RADAR].ego_SE3_sensor
        if mounting is None:
            return ()
        moved = self.scans_motion.velocity_m_s + np.cross(self.scans_motion.turn_rad_s, mounting.translation_m)
        own = moved @ mounting.rotation
        scans = [RadarScan(*scan, (float(x), float(y))) for scan, (x, y, _) in zip(self.scans, own, strict=True)]
        return radar_verdicts(RADAR, scans)

    def raises_alarm(self, case: Case) -> bool:
        """Whether the case's rule raises an alarm."""
        return self.verdict(case) in ALARMS

    def verdict(self, case: Case) -> CalibrationVerdict:
        """The worst verdict of the case's rule."""
        if case.quantity is None:
            lens = self.rig[CAMERA].intrinsics
            wrong = lens is not None and bool(contradictions(lens, (OPTIONS.width_px, OPTIONS.height_px)))
            return CalibrationVerdict.BAD if wrong else CalibrationVerdict.OK
        if case.rule in ("CAL005", "CAL010"):
            checks = self.camera(CAMERA if case.rule == "CAL005" else SIDE)
        else:
            checks = self.radar() if case.rule == "CAL006" else self.lidar()
        return worst(check for check in checks if check.quantity in QUANTITIES[case.rule])


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
    lidar = SpinningLidar(world, rig[REFERENCE], spec)

    def cloud(shot: Shot) -> PointCloud:
        return decode_points(lidar.encode(lidar.measure(shot), shot.stamp_ns))

    scans, scans_motion = _scans(world, spec, rig, track)
    return Recorded(
        rig=rig,
        clouds=tuple(map(cloud, _at(sweeps, at[chosen]))),
        pairs=tuple((cloud(first), cloud(second)) for first, second in _pairs(sweeps, track)),
        images={name: _images(name, world, spec, rig, stamps_ns[chosen]) for name in OPTIONS.cameras},
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
                faulty = drive.with_fault(case.fault(signed)) if size else drive
                verdicts.setdefault((case, size), []).append(faulty.verdict(case))
    return [
        _score_of(case, {size: verdicts[case, size] for size in (0.0, *case.sizes) if (case, size) in verdicts}) for case in cases
    ]


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


def _images(name: str, world: World, spec: DriveSpec, rig: Rig, sweeps_ns: Ints) -> Images:
    """The image of a camera that is expected with each sweep."""
    camera, shots, lens = Camera(world, rig[name], spec), shots_of(rig[name], spec), rig[name].intrinsics
    shrink = 1 if lens is None else shrink_of(lens)
    focal_px = 1.0 if lens is None else lens.fx_px / shrink
    chosen = _at(shots, nearest(sweeps_ns + rig[name].sync.expected_delay_ns, _stamps(shots)))
    maps = tuple(edge_maps(decode_luma(camera.measure(shot), shrink), focal_px) for shot in chosen)
    return Images(maps, tuple(shot.stamp_ns for shot in chosen))


def _pairs(sweeps: Sequence[Shot], track: PoseSamples) -> list[tuple[Shot, Shot]]:
    """Sweeps spread over the drive, each with the next one that was taken some metres further along."""
    stamps_ns = _stamps(sweeps)
    place_m = interpolate(stamps_ns, track.stamps_ns, track.poses, track.bracket_ns).poses[:, :3]
    found = []
    for first in spread(len(sweeps), PAIRS * CANDIDATES).tolist():
        far = np.flatnonzero(np.linalg.norm(place_m[first:] - place_m[first], axis=1) >= PAIR_APART_M)
        if far.size:
            found.append((sweeps[first], sweeps[first + int(far[0])]))
    return [found[at] for at in spread(len(found), PAIRS).tolist()]


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
