"""OpenLineage run events, built from plain values. Nothing here reads a clock or the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    JobFacet,
    RunFacet,
    error_message_run,
    job_type_job,
    parent_run,
    processing_engine_run,
    source_code_location_job,
)
from openlineage.client.uuid import generate_new_uuid

from lineage.code_version import UNKNOWN, CodeVersion
from lineage.facets import CODE, PRODUCER, SPARK_PROPERTIES, CodeRunFacet, SparkPropertiesRunFacet, redact
from lineage.names import JobName
from lineage.parent import RunRef

MAX_MESSAGE = 4096
MAX_STACK_TRACE = 16384
_SCP_FORM = re.compile(r"^[\w.-]+@([\w.-]+):(?!//)(.+)$")  # git@host:org/repo.git
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Engine:
    """What processes the data, such as Spark, and its version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where the job's code is: a path in the repository at a version."""

    path: str
    version: CodeVersion

    @property
    def url(self) -> str:
        """Repository, commit and path as one URL; `git:{commit}:{path}` where the repository has no URL."""
        commit = self.version.commit or UNKNOWN
        if self.version.repo_url is None:
            return f"git:{commit}:{self.path}"
        root = _SCP_FORM.sub(r"https://\1/\2", self.version.repo_url).removesuffix(".git")
        return f"{root}/blob/{commit}/{self.path}"


@dataclass(frozen=True, slots=True)
class RunContext:
    """The attributes common to all events of one run.

    Attributes:
        job: Name of the job.
        run_id: UUID of the run; a new one if not given.
        parent: The run that started this one.
        root: The first run of that chain; the parent itself if not given.
        source_location: Path and version of the job's code.
        engine: What processes the data.
        properties: The Spark configuration; secrets in it are redacted.
        config_hash: Hash of the effective configuration.
        integration: Kind of job, as in OpenLineage's `jobType`.
    """

    job: JobName
    run_id: str = field(default_factory=lambda: str(generate_new_uuid()))
    parent: RunRef | None = None
    root: RunRef | None = None
    source_location: SourceLocation | None = None
    engine: Engine | None = None
    properties: Mapping[str, str] | None = None
    config_hash: str | None = None
    integration: str = "SPARK"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run failed; message and stack trace are cut to 4,096 and 16,384 characters."""

    message: str
    stack_trace: str | None = None


def run_event(
    state: RunState,
    time_ns: int,
    context: RunContext,
    *,
    inputs: Sequence[InputDataset] = (),
    outputs: Sequence[OutputDataset] = (),
    failure: Failure | None = None,
) -> RunEvent:
    """One event of a run at `time_ns` (since the Unix epoch), which the event holds to the microsecond.

    Inputs and outputs are sorted by name, so that equal runs have equal events.

    Raises:
        ValueError: The run id is not a UUID.
    """
    return RunEvent(
        eventType=state,
        eventTime=iso_time(time_ns),
        run=Run(context.run_id, facets=_run_facets(context, failure)),
        job=Job(context.job.namespace, context.job.name, facets=_job_facets(context)),
        inputs=sorted(inputs, key=lambda dataset: (dataset.namespace, dataset.name)),
        outputs=sorted(outputs, key=lambda dataset: (dataset.namespace, dataset.name)),
        producer=PRODUCER,
    )


def iso_time(time_ns: int) -> str:
    """`2026-11-20T12:00:00.000001Z`: UTC, microseconds, rounded down."""
    return (_EPOCH + timedelta(microseconds=time_ns // 1000)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _run_facets(context: RunContext, failure: Failure | None) -> dict[str, RunFacet]:
    facets: dict[str, RunFacet] = {}
    if context.parent is not None:
        facets["parent"] = _parent(context.parent, context.root)
    if context.engine is not None:
        facets["processing_engine"] = processing_engine_run.ProcessingEngineRunFacet(
            version=context.engine.version, name=context.engine.name, producer=PRODUCER
        )
    if context.properties is not None:
        facets[SPARK_PROPERTIES] = SparkPropertiesRunFacet(redact(context.properties), producer=PRODUCER)
    if context.source_location is not None:
        version = context.source_location.version
        facets[CODE] = CodeRunFacet(str(version), version.dirty, context.config_hash, producer=PRODUCER)
    if failure is not None:
        trace = failure.stack_trace
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=failure.message[:MAX_MESSAGE],
            programmingLanguage="PYTHON",
            stackTrace=None if trace is None else trace[-MAX_STACK_TRACE:],
            producer=PRODUCER,
        )
    return facets


def _parent(parent: RunRef, root: RunRef | None) -> parent_run.ParentRunFacet:
    top = root or parent  # a parent that names no root is the root
    return parent_run.ParentRunFacet(
        run=parent_run.Run(parent.run_id),
        job=parent_run.Job(parent.namespace, parent.job_name),
        root=parent_run.Root(
            run=parent_run.RootRun(top.run_id), job=parent_run.RootJob(namespace=top.namespace, name=top.job_name)
        ),
        producer=PRODUCER,
    )


def _job_facets(context: RunContext) -> dict[str, JobFacet]:
    facets: dict[str, JobFacet] = {
        "jobType": job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration=context.integration, jobType="JOB", producer=PRODUCER
        )
    }
    location = context.source_location
    if location is not None and location.version.commit is not None:
        facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
            type="git",
            url=location.url,
            repoUrl=location.version.repo_url,
            path=location.path,
            version=location.version.commit,
            branch=location.version.branch,
            producer=PRODUCER,
        )
    return facets
