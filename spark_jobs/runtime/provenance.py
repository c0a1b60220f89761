"""Provenance of a job: the code and configuration it runs with, and its OpenLineage run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from lake.documents import content_hash
from lake.drive_input import DriveInput
from lake.settings import Settings
from lake.tables.schemas import PUBLISHED
from lineage.code_version import CodeVersion, code_version
from lineage.datasets import Assertion, Statistics, manifest_input, output_dataset
from lineage.emitter import Emitter
from lineage.events import Engine, RunContext, SourceLocation
from lineage.names import drive_manifest, iceberg_table, job, s3_object
from lineage.parent import PARENT_VARIABLE, ROOT_VARIABLE, stated_run
from lineage.run import JobRun, job_run
from lineage.settings import LineageSettings
from quality.rules.catalogue import RULES, Outcome
from quality.tables.results import RuleResult
from scenes.build.motion import MOTION_VERSION
from scenes.build.signals import SIGNALS_VERSION
from scenes.calibration.plan import CALIBRATION_VERSION
from scenes.documents import Provenance
from scenes.options import BuildOptions
from scenes.plan.match_plan import MATCHER_VERSION
from spark_jobs.runtime.step import Step


def running_code(settings: LineageSettings) -> CodeVersion:
    """The commit that this process runs."""
    return code_version(settings.code_version, Path(__file__))


def provenance_of(code: CodeVersion, options: BuildOptions) -> Provenance:
    """The provenance of this process."""
    return Provenance(str(code), configuration_hash(options), lock_hash())


def configuration_hash(options: BuildOptions) -> str:
    """Hash of everything but code and rig that decides what is published: the algorithms, the build's options, every threshold.

    What changes only the layout of files (window size, parallelism) is not part of it (promise P7).
    """
    return content_hash(
        {
            "calibration": CALIBRATION_VERSION,
            "matcher": MATCHER_VERSION,
            "motion": MOTION_VERSION,
            "signals": SIGNALS_VERSION,
            "options": {name: value.value for name, value in asdict(options).items()},
            "rules": {rule.code: [rule.severity.value, rule.threshold, asdict(rule.leeway)] for rule in RULES},
        }
    )


def lock_hash() -> str:
    """Hash of the installed distributions, name and version: equal wherever the same lock was installed."""
    # The folder names are enough; `importlib.metadata` would open two hundred files, a quarter of a second in every job.
    installed = {found.name for folder in sys.path if Path(folder).is_dir() for found in Path(folder).glob("*.dist-info")}
    return content_hash({"distributions": sorted(installed)})


class TracedRun:
    """The lineage run of a job, in terms of the pipeline."""

    def __init__(self, run: JobRun, settings: Settings, drive_input: DriveInput) -> None:
        self._run, self._settings, self._input = run, settings, drive_input

    def reads_raw(self, size_bytes: int, results: Sequence[RuleResult] = ()) -> None:
        """The raw objects, as one manifest dataset (events must not grow with their number), and what rules found in them."""
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

    def published(self, snapshots: Mapping[str, int], rows: Mapping[str, int]) -> None:
        """The tables that a commit changed, each at the snapshot that the commit made of it."""
        for table, snapshot_id in snapshots.items():
            self._run.outputs.append(
                output_dataset(
                    iceberg_table(self._settings.warehouse, table),
                    version=str(snapshot_id),
                    schema=PUBLISHED[table],
                    statistics=Statistics(rows[table]),
                )
            )


def _assertion(result: RuleResult) -> Assertion:
    """A rule's result as an assertion. Unknown counts as failed; the message gives the number of objects or scenes concerned."""
    return Assertion(
        rule_id=result.rule_id,
        success=result.outcome is Outcome.PASSED,
        severity=result.severity,
        column=result.sensor,
        expected=None if result.threshold is None else str(result.threshold),
        actual=None if result.measured is None else str(result.measured),
        message=result.message if result.failing is None else f"{result.failing} times, first: {result.message}",
    )


@contextmanager
def traced(
    name: str, step: Step, code: CodeVersion, properties: Mapping[str, str], settings: LineageSettings
) -> Iterator[TracedRun]:
    """Report this job's run to lineage: its start and its end. `properties`: the Spark configuration, if it has one."""
    api_key = None if settings.api_key is None else settings.api_key.get_secret_value()
    context = RunContext(
        job(name),
        parent=stated_run(settings.openlineage_parent, PARENT_VARIABLE),
        root=stated_run(settings.openlineage_root, ROOT_VARIABLE),
        source_location=SourceLocation(f"spark_jobs/{name}.py", code),
        engine=Engine("spark", version("pyspark")) if properties else None,
        properties=properties or None,
        config_hash=step.provenance.config_hash,
        integration="SPARK" if properties else "PYTHON",
    )
    with (
        Emitter.open(settings.lineage_file, settings.url, endpoint=settings.endpoint, api_key=api_key) as emitter,
        job_run(emitter, context) as run,
    ):
        yield TracedRun(run, step.settings, step.drive_input)
