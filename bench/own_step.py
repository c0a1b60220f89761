"""A step for code that runs steps in its own process: benchmarks, and the tests of whole drives."""

from __future__ import annotations

from lake.drive_input import DriveInput
from lake.settings import Settings
from lineage.settings import LineageSettings
from scenes.options import BuildOptions
from scenes.work_area import WorkArea
from spark_jobs.runtime.provenance import provenance_of, running_code
from spark_jobs.runtime.step import Step


def own_step(settings: Settings, area: WorkArea, drive_input: DriveInput, options: BuildOptions | None = None) -> Step:
    """A step of this process; without `options` the default ones."""
    chosen = options or BuildOptions()
    return Step(settings, chosen, provenance_of(running_code(LineageSettings.from_env()), chosen), area, drive_input)
