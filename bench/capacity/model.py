"""The arithmetic of a day at 15 TB: cores, nodes, requests, bytes kept and dollars, from measured figures and stated assumptions.

Nothing here is measured: measured figures come in as `Measured`, and sizes that determine the number of requests come from
the pipeline's code. Decimal units throughout (1 TB = 10^12 bytes), as on disks and bills.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bench.capacity.assumptions import Assumptions, Prices
from bench.figures import FiguresError
from fleet.uploader import PART_BYTES, SINGLE_PUT_BYTES
from scenes.build.payloads import MAX_GAP_BYTES, MAX_REQUEST_BYTES
from scenes.build.scene_file import ROW_GROUP_BYTES
from scenes.plan.windows import WINDOW_BYTES
from spark_jobs.runtime.tasks import MOST_BYTES

DAY_S = 86_400
MONTH_DAYS = 365 / 12
LIST_KEYS = 1000  # Amazon S3 API Reference, ListObjectsV2: keys of one answer, at most
SQS_BATCH = 10  # Amazon SQS API Reference, ReceiveMessage and DeleteMessageBatch; also the function's batch size


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures from `build/bench.json`; bytes of gold are relative to raw bytes, by scene rate.

    Both jobs run at `build_…` with their default options, and at `structure_…` without payload checks.
    """

    build_mb_per_s_per_core: float
    structure_mb_per_s_per_core: float
    match_frames_per_s_per_core: float
    storage_mb_per_s_per_core: float
    raw_mb_per_s_of_drive: float
    gold_vs_raw: Mapping[float, float]
    lidar_encode_ratio: float
    lidar_vs_raw: Mapping[float, float]  # bytes of lidar in gold over all raw bytes

    @classmethod
    def of(cls, results: Mapping[str, float]) -> Measured:
        """Read the figures by name.

        Raises:
            FiguresError: Names those that are missing.
        """
        names = [
            "gold.build_mb_per_s_per_core",
            "build_scenes.mb_per_s_per_core",
            "match.frames_per_s_per_core",
            "storage.read_mb_per_s_per_core",
        ]
        names += ["gold.raw_mb_per_s_of_drive", "gold.lidar_share_of_raw", "gold.lidar_encode_ratio"]
        names += [f"gold.{name}{rate}" for name in ("bytes_vs_raw", "lidar_bytes_vs_raw") for rate in ("", "_keyframes")]
        if missing := [name for name in names if name not in results]:
            raise FiguresError(f"the capacity model needs {', '.join(missing)}: measure them first, see docs/performance.md")
        share = results["gold.lidar_share_of_raw"]
        return cls(
            build_mb_per_s_per_core=results["gold.build_mb_per_s_per_core"],
            structure_mb_per_s_per_core=results["build_scenes.mb_per_s_per_core"],
            match_frames_per_s_per_core=results["match.frames_per_s_per_core"],
            storage_mb_per_s_per_core=results["storage.read_mb_per_s_per_core"],
            raw_mb_per_s_of_drive=results["gold.raw_mb_per_s_of_drive"],
            gold_vs_raw={20.0: results["gold.bytes_vs_raw"], 2.0: results["gold.bytes_vs_raw_keyframes"]},
            lidar_encode_ratio=results["gold.lidar_encode_ratio"],
            lidar_vs_raw={
                20.0: share * results["gold.lidar_bytes_vs_raw"],
                2.0: share * results["gold.lidar_bytes_vs_raw_keyframes"],
            },
        )

    def gold(self, scene_hz: float, compress: bool) -> float:
        """Gold over raw bytes; without compression lidar takes what it takes in the message."""
        extra = 0.0 if compress else self.lidar_vs_raw[scene_hz] * (1.0 / self.lidar_encode_ratio - 1.0)
        return self.gold_vs_raw[scene_hz] + extra


@dataclass(frozen=True, slots=True)
class Requests:
    """S3 requests of a day by one stage. HEAD is counted as GET."""

    puts: float
    gets: float
    lists: float = 0.0

    def dollars(self, prices: Prices) -> float:
        """Their cost."""
        return (self.puts + self.lists) * prices.put + self.gets * prices.get


@dataclass(frozen=True, slots=True)
class Day:
    """A day of recordings in the pipeline."""

    assumed: Assumptions
    measured: Measured

    @property
    def bytes_per_s(self) -> float:
        """Mean over the day."""
        return self.assumed.bytes_a_day / DAY_S

    @property
    def recorded_s(self) -> float:
        """Vehicle time."""
        return self.assumed.bytes_a_day / (self.measured.raw_mb_per_s_of_drive * 1e6)

    @property
    def drives(self) -> float:
        """The number of drives."""
        return self.recorded_s / self.assumed.drive_s

    @property
    def objects(self) -> float:
        """Raw objects."""
        return self.recorded_s / self.assumed.object_s * sum(kind.count for kind in self.assumed.vehicle)

    @property
    def frames(self) -> float:
        """Rows of the frame index."""
        return self.recorded_s * sum(kind.count * kind.rate_hz for kind in self.assumed.vehicle)

    @property
    def scenes(self) -> float:
        """Scenes."""
        return self.recorded_s * self.assumed.scene_hz

    @property
    def windows(self) -> float:
        """Windows: tasks and gold files."""
        scene_bytes = sum(kind.count * kind.frame_bytes for kind in self.assumed.vehicle if kind.in_scene)
        return max(self.drives, self.scenes * scene_bytes / WINDOW_BYTES)

    @property
    def gold_bytes(self) -> float:
        """Stored bytes of the day's scenes."""
        return self.assumed.bytes_a_day * self.measured.gold(self.assumed.scene_hz, self.assumed.compress)

    @property
    def work_cores(self) -> float:
        """Cores like the measured one that are busy all day with inspection and scenes, as on a local disk."""
        return self.bytes_per_s / 1e6 / self.measured.build_mb_per_s_per_core

    @property
    def storage_cores(self) -> float:
        """Cores like the measured one that HTTP and TLS keep busy all day."""
        seconds_a_mb = 1 / self.measured.storage_mb_per_s_per_core + 1 / self.assumed.tls_mb_per_s_per_core
        return self.network_bytes_per_s / 1e6 * seconds_a_mb

    @property
    def start_core_s(self) -> float:
        """vCPU seconds that pass while the jobs of the day's drives start."""
        return self.drives * self.assumed.jobs_a_drive * self.assumed.job_start_s * self.assumed.node_cores

    @property
    def vcpus(self) -> float:
        """vCPUs over the mean of the day, with room for overhead."""
        assumed = self.assumed
        return ((self.work_cores + self.storage_cores) / assumed.vcpu_per_core + self.start_core_s / DAY_S) / assumed.busy

    @property
    def network_bytes_per_s(self) -> float:
        """Raw data is read twice (inspect, build), gold is written once."""
        return 2 * self.bytes_per_s + self.gold_bytes / DAY_S

    def nodes(self, factor: float = 1.0) -> int:
        """Nodes for `factor` times the mean rate: what cores or links need, whichever is more."""
        by_cores = factor * self.vcpus / self.assumed.node_cores
        by_network = factor * self.network_bytes_per_s / (self.assumed.node_bytes_per_s * self.assumed.busy)
        return math.ceil(max(by_cores, by_network))

    @property
    def node_hours(self) -> float:
        """Paid node hours: nodes come and go with the work, an hour is the mean of the day."""
        by_cores = self.vcpus / self.assumed.node_cores
        by_network = self.network_bytes_per_s / (self.assumed.node_bytes_per_s * self.assumed.busy)
        return 24 * max(by_cores, by_network)

    @property
    def plan_s(self) -> float:
        """Seconds of one measured core that match planning takes."""
        return self.frames / self.measured.match_frames_per_s_per_core

    def requests(self) -> dict[str, Requests]:
        """S3 requests by stage."""
        assumed = self.assumed
        puts = 0.0
        for kind in assumed.vehicle:
            objects = self.recorded_s / assumed.object_s * kind.count
            size = kind.bytes_per_s * assumed.object_s
            puts += objects * (1 if size <= SINGLE_PUT_BYTES else math.ceil(size / PART_BYTES) + 2)
        files = self.windows
        return {
            "land": Requests(puts + 2 * self.drives, 0.0),
            "register": Requests(self.drives, self.objects + 2 * self.drives, self.objects / LIST_KEYS),
            "inspect": self._inspect(),
            "build": Requests(4 * files, files * (2 + self._gets_a_window())),
            "publish": Requests(self.drives * assumed.drive_puts, 2 * files + self.drives * assumed.drive_gets),
        }

    def _inspect(self) -> Requests:
        """Each object is read; each task's part of the index is written and read, as are the samples of motion objects."""
        motion = sum(kind.count for kind in self.assumed.vehicle if not kind.in_scene) * self.recorded_s / self.assumed.object_s
        left = motion + self.assumed.bytes_a_day / MOST_BYTES
        return Requests(left, self.objects + left)

    def _gets_a_window(self) -> float:
        """Ranged reads of raw chunks: one per sensor, more where a window is long or the gaps between frames are wide."""
        assumed, gets = self.assumed, 0.0
        window_s = self.scenes / self.windows / assumed.scene_hz
        for kind in assumed.vehicle:
            if kind.in_scene:
                gap = max(0.0, kind.rate_hz / assumed.scene_hz - 1.0) * kind.frame_bytes
                together = max(1.0, kind.bytes_per_s * window_s / MAX_REQUEST_BYTES) + window_s / assumed.object_s
                gets += kind.count * (together if gap <= MAX_GAP_BYTES else assumed.scene_hz * window_s)
        return gets

    @property
    def epoch(self) -> Requests:
        """One training pass over the day's scenes, all modalities: each footer and each row group once."""
        return Requests(0.0, self.windows * (1 + WINDOW_BYTES / ROW_GROUP_BYTES))

    def volumes(self) -> dict[str, float]:
        """Requests and units of the services beside S3."""
        assumed = self.assumed
        invocations = self.objects / SQS_BATCH
        polls = 5 * DAY_S / 20  # the mapping's pollers, waiting 20 s each
        return {
            "sqs": self.objects * (1 + 2 / SQS_BATCH) + polls + self.drives * 30,
            "lambda": invocations,
            "lambda_gb_s": invocations * assumed.function_s * assumed.function_gb,
            "writes": self.objects * assumed.object_write_units + self.drives * 20,
            "reads": self.objects * assumed.object_read_units + self.drives * 40 + self.objects,
        }

    def dollars(self) -> dict[str, float]:
        """Dollars per day, by part; storage in the steady state, when as much expires as arrives."""
        assumed, prices, volume = self.assumed, self.assumed.prices, self.volumes()
        raw_gb, gold_gb = assumed.bytes_a_day / 1e9, self.gold_bytes / 1e9
        standard = (raw_gb * assumed.raw_standard_days + gold_gb * assumed.gold_days) * prices.standard_gb_month
        archive = raw_gb * assumed.raw_archive_days * prices.archive_gb_month
        return {
            "compute": self.node_hours * prices.node_hour,
            "always_on": 24 * prices.always_on_hour,
            "s3_requests": sum(stage.dollars(prices) for stage in self.requests().values()),
            "storage": (standard + archive) / MONTH_DAYS + self.objects * prices.to_archive,
            "sqs": volume["sqs"] * prices.sqs_request,
            "lambda": volume["lambda"] * prices.lambda_request + volume["lambda_gb_s"] * prices.lambda_gb_s,
            "dynamodb": volume["writes"] * prices.write_unit + volume["reads"] * prices.read_unit,
        }
