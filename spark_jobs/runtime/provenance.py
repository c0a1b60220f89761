"""What a job says about itself: the code and configuration it ran with, and its OpenLineage run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pyspark

import lineage.code_version as versions
from lake.drive_input import DriveInput
from lake.settings import Settings
from lake.tables.schemas import PUBLISHED
from lineage.datasets import Assertion, Statistics, manifest_input, output_dataset
from lineage.emitter import Emitter
from lineage.events import Engine, SourceLocation
from lineage.names import drive_manifest, iceberg_table, job, s3_object
from lineage.parent import parent_run, root_run
from lineage.run import JobRun, job_run
from quality.rules.catalogue import RULES, Outcome
from scenes.build.motion import MOTION_VERSION
from scenes.build.signals import SIGNALS_VERSION
from scenes.calibration.plan import CALIBRATION_VERSION
from scenes.options import BuildOptions
from scenes.plan.plan import MATCHER_VERSION


@cache
def _version() -> versions.CodeVersion:
    return versions.code_version(os.environ, Path(__file__))


def code_version() -> str:
    """The git commit this process runs, `+dirty` where the tree differs from it."""
    return str(_version())


@cache
def configuration_hash() -> str:
    """Hash of everything but code and rig that decides what is published: the algorithms, the build's options, every threshold.

    What changes only the layout of files (window size, parallelism) is not part of it (promise P7).
    """
    return versions.config_hash(
        {
            "calibration": CALIBRATION_VERSION,
            "matcher": MATCHER_VERSION,
            "motion": MOTION_VERSION,
            "signals": SIGNALS_VERSION,
            "options": BuildOptions.from_env(os.environ).to_dict(),
            "rules": {rule.code: [rule.severity.value, rule.threshold, asdict(rule.leeway)] for rule in RULES},
        }
    )


class TracedRun:
    """A job's run, in the job's own words."""

    def __init__(self, run: JobRun, settings: Settings, drive_input: DriveInput) -> None:
        self._run, self._settings, self._input = run, settings, drive_input

    def reads_raw(self, size_bytes: int, results: Sequence[Mapping[str, Any]] = ()) -> None:
        """The raw objects, as one manifest dataset (events must not grow with their number), and what every rule said of them
        (`quality.tables.results.RuleResult` as JSON)."""
        manifest = self._input.manifest
        self._run.inputs.append(
            manifest_input(
                drive_manifest(self._settings.raw_bucket, self._input.drive),
                version_id="absent" if manifest is None else manifest.version_id,
                revision=self._input.revision,
                objects=len(self._input.objects),
                size_bytes=size_bytes,
                assertions=[_assertion(result) for result in results],
            )
        )

    def wrote(self, prefix: str, rows: int) -> None:
        """Files that no reader sees yet, under the drive's prefix in the lake bucket."""
        name = s3_object(self._settings.lake_bucket, f"{prefix}/{self._input.drive}")
        self._run.outputs.append(output_dataset(name, version=self._input.revision, statistics=Statistics(rows)))

    def published(self, snapshot_id: int | None, rows: Mapping[str, int]) -> None:
        """The tables that a commit changed, at the snapshot of `gold.scenes` that names the batch."""
        if snapshot_id is None:
            return
        for table, count in rows.items():
            self._run.outputs.append(
                output_dataset(
                    iceberg_table(self._settings.warehouse, table),
                    version=str(snapshot_id),
                    schema=PUBLISHED[table],
                    statistics=Statistics(count),
                )
            )


def _assertion(result: Mapping[str, Any]) -> Assertion:
    """An unknown outcome is no success; how many objects or scenes it holds for is part of the message."""
    failing = result["failing"]
    return Assertion(
        rule_id=result["rule_id"],
        success=result["outcome"] == Outcome.PASSED,
        severity=result["severity"],
        column=result["sensor"],
        expected=None if result["threshold"] is None else str(result["threshold"]),
        actual=None if result["measured"] is None else str(result["measured"]),
        message=result["message"] if failing is None else f"{failing} times, first: {result['message']}",
    )


@contextmanager
def traced(name: str, settings: Settings, drive_input: DriveInput, properties: Mapping[str, str]) -> Iterator[TracedRun]:
    """Tell lineage of this job's run: its start, and how it ended."""
    emitter = Emitter.from_env(os.environ)
    try:
        with job_run(
            emitter,
            job(name),
            parent=parent_run(os.environ),
            root=root_run(os.environ),
            source_location=SourceLocation(f"spark_jobs/{name}.py", _version()),
            engine=Engine("spark", pyspark.__version__) if properties else None,
            properties=properties or None,
            config_hash=configuration_hash(),
            integration="SPARK" if properties else "PYTHON",
        ) as run:
            yield TracedRun(run, settings, drive_input)
    finally:
        emitter.close()
