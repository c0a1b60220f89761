"""Lossless compression of lidar, ratio and speed: layouts of the points before Zstandard, on every available cloud.

    python -m bench.lidar_encoding

The variants justify the choice of the one in use (`planes`, level 1). The recordings are those of `SCENELAKE_TEST_DATA`,
where they are present; what gold would store of them is measured, after the importers.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from mcap.reader import make_reader
from rich.console import Console

from bench.build_scenes.signals import LIDAR_POINT, Lidar
from bench.figures import PROJECT, Measurement, Report, console_table, markdown_table, measurement_table
from fleet.importers.registry import IMPORTERS
from sensors.decode.messages import decode_points
from sensors.decode.planes import from_planes, to_planes

NAME = "lidar-encoding"
DATA = "SCENELAKE_TEST_DATA"
RECORDINGS = {  # by the sensor's or the set's name: importer and folder
    "argoverse2": ("argoverse2", "argoverse2/7fab2350-7eaf-3b7e-a39d-6937a4c1bede"),
    "ddad": ("dgp", "dgp_test_scene/scene_01"),
    "nuscenes": ("nuscenes", "nuscenes_keyframe"),
    "ouster": ("recording", "mcap_ros1_ouster"),
    "pandaset": ("pandaset", "pandaset_002"),
    "radiate": ("radiate", "radiate_tiny_foggy"),
}
SWEEPS = 4
ROUNDS = 5
LIMIT = 0.75  # of the raw bytes

Layout = Callable[[bytes, int], bytes]


@dataclass(frozen=True, slots=True)
class Sweep:
    """A cloud as its message holds it."""

    points: bytes
    point_step: int


@dataclass(frozen=True, slots=True)
class Speed:
    """A layout with a level of Zstandard, on some sweeps: stored over raw bytes, and raw MB/s of one core."""

    ratio: float
    encode_mb_s: float
    decode_mb_s: float


def rows(points: bytes, step: int) -> bytes:
    """As recorded."""
    del step
    return points


def planes(points: bytes, step: int) -> bytes:
    """Byte k of every point, for each k."""
    return to_planes(points, step).tobytes()


def planes_delta(points: bytes, step: int) -> bytes:
    """Planes, and of each byte the difference from the one before it."""
    matrix = to_planes(points, step).reshape(step, -1)
    return np.concatenate([matrix[:, :1], matrix[:, 1:] - matrix[:, :-1]], axis=1).tobytes()


def planes_xor(points: bytes, step: int) -> bytes:
    """Planes of each point XOR the one before it."""
    matrix = to_planes(points, step).reshape(step, -1)
    return np.concatenate([matrix[:, :1], matrix[:, 1:] ^ matrix[:, :-1]], axis=1).tobytes()


VARIANTS: tuple[tuple[str, Layout, int], ...] = (
    ("rows, 1", rows, 1),
    ("planes, 1", planes, 1),
    ("planes, 3", planes, 3),
    ("planes + delta, 1", planes_delta, 1),
    ("planes + xor, 1", planes_xor, 1),
)


def measure(scratch: Path) -> Report:
    """Encode the sweeps of the benchmark's lidar and of every recording."""
    sets = {"bench lidar": list(generated()), **{name: sweeps for name, sweeps in recorded(scratch) if sweeps}}
    lines = []
    for name, sweeps in sets.items():
        ratios = [f"{ratio(sweeps, layout, level):.3f}" for _, layout, level in VARIANTS]
        found = speed(sweeps)
        lines.append([name, str(sweeps[0].point_step), *ratios, f"{found.encode_mb_s:,.0f}", f"{found.decode_mb_s:,.0f}"])
    ours = speed(sets["bench lidar"])
    measured = (
        Measurement("gold.lidar_encode_ratio", ours.ratio, "", False, LIMIT),
        Measurement("gold.lidar_encode_mb_per_s", ours.encode_mb_s, "MB/s", True),
        Measurement("gold.lidar_decode_mb_per_s", ours.decode_mb_s, "MB/s", True),
        Measurement("gold.lidar_encode_ratio_worst", max(speed(sweeps).ratio for sweeps in sets.values()), "", False, LIMIT),
    )
    header = ("stored / raw", "B/point", *(name for name, _, _ in VARIANTS), "encode MB/s", "decode MB/s")
    return Report(measured, {NAME: f"{measurement_table(measured)}\n\n{markdown_table(header, lines)}"})


def ratio(sweeps: Sequence[Sweep], layout: Layout, level: int) -> float:
    """Stored over raw bytes."""
    codec = pa.Codec("zstd", level)
    stored = sum(len(codec.compress(layout(sweep.points, sweep.point_step))) for sweep in sweeps)
    return stored / sum(len(sweep.points) for sweep in sweeps)


def speed(sweeps: Sequence[Sweep]) -> Speed:
    """The layout in use, encoded and decoded; median of a few rounds, in processor time."""
    codec = pa.Codec("zstd", 1)
    raw = sum(len(sweep.points) for sweep in sweeps)
    stored = [codec.compress(planes(sweep.points, sweep.point_step)) for sweep in sweeps]

    def encode() -> None:
        for sweep in sweeps:
            codec.compress(to_planes(sweep.points, sweep.point_step))

    def decode() -> None:
        for body, sweep in zip(stored, sweeps, strict=True):
            from_planes(memoryview(codec.decompress(body, len(sweep.points))), sweep.point_step)

    return Speed(sum(len(body) for body in stored) / raw, *(raw / _median_s(work) / 1e6 for work in (encode, decode)))


def _median_s(work: Callable[[], None]) -> float:
    taken = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        work()
        taken.append(time.process_time() - began_s)
    return statistics.median(taken)


def generated() -> Iterator[Sweep]:
    """Sweeps of the benchmark's drive."""
    lidar = Lidar(np.random.default_rng(1))
    for number in range(SWEEPS):
        yield Sweep(lidar.measure(number / 20).tobytes(), LIDAR_POINT.itemsize)


def recorded(scratch: Path) -> Iterator[tuple[str, list[Sweep]]]:
    """Sweeps of each available recording."""
    data = Path(os.environ.get(DATA, PROJECT.parent / "shared" / "data"))
    for name, (importer, folder) in RECORDINGS.items():
        if (data / folder).is_dir():
            IMPORTERS[importer](data / folder, scratch / name, "bench", name)
            yield name, list(itertools.islice(sweeps_of(scratch / name), SWEEPS))


def sweeps_of(drive: Path) -> Iterator[Sweep]:
    """The clouds of a drive folder's lidars."""
    for path in sorted(drive.glob("lidar/*/*.mcap")):
        with path.open("rb") as file:
            for _, _, message in make_reader(file).iter_messages():
                cloud = decode_points(message.data)
                yield Sweep(bytes(cloud.data), cloud.point_step)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="scenelake-lidar-") as folder:
        report = measure(Path(folder))
    Console().print(console_table(report.measurements))
    print(report.sections[NAME])


if __name__ == "__main__":
    main()
