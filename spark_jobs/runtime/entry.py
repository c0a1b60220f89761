"""The frame of every job: arguments, settings, work area, lineage and result, and how the process ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lake.drive_documents import read_input
from lake.storage import ObjectStore
from scenes.documents import Part
from scenes.work_area import WorkArea
from sensors.errors import ScenelakeError
from spark_jobs.runtime.arguments import parse
from spark_jobs.runtime.provenance import TracedRun, provenance_of, running_code, traced
from spark_jobs.runtime.settings import JobSettings
from spark_jobs.runtime.step import Step

Properties = Callable[[str, JobSettings], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Job:
    """A job that is running: its step, which revision of the drive this is, its settings, lineage run and Spark configuration."""

    step: Step
    settings: JobSettings
    generation: int
    run: TracedRun
    properties: Mapping[str, str]


def run_job(
    name: str, description: str, argv: Sequence[str], work: Callable[[Job], Part], properties: Properties | None = None
) -> int:
    """Run job `name` and report what `work` returns; the exit status of the process.

    `properties`: makes the Spark configuration from the job's name and settings, for a job that runs on Spark.
    """
    return exit_status(lambda: _run(name, description, argv, work, properties))


def exit_status(work: Callable[[], None]) -> int:
    """Run `work`: a known error ends as one line on stderr; anything else is a defect and keeps its traceback."""
    try:
        work()
    except ScenelakeError as error:
        message = f"error: {error}" + (f"; {error.hint}" if error.hint else "")
        print(" ".join(message.split()), file=sys.stderr)
        return error.exit_code
    return 0


def _run(name: str, description: str, argv: Sequence[str], work: Callable[[Job], Part], properties: Properties | None) -> None:
    arguments = parse(argv, name, description)
    settings = JobSettings.from_env()
    area = WorkArea(ObjectStore.connect(settings.aws), arguments.work)
    drive_input = read_input(area.store, settings, arguments.drive, arguments.revision)
    code = running_code(settings.lineage)
    step = Step(settings, settings.options, provenance_of(code, settings.options), area, drive_input)
    configured = {} if properties is None else properties(name, settings)
    with traced(name, step, code, configured, settings.lineage) as run:
        result = work(Job(step, settings, arguments.generation, run, configured))
    arguments.report(result)
