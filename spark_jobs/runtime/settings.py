"""Settings of a job: read once, at its entry (`spark_jobs.runtime.entry`), and passed on."""

from __future__ import annotations

from pydantic import Field

from lake.settings import Settings
from lineage.settings import LineageSettings
from scenes.options import BuildOptions, PayloadChecks, PointLayout


class JobSettings(Settings):
    """The deployment, the Spark that the job runs on, the options of the build, and where lineage goes."""

    spark_master: str = Field(default="local[2,3]", description="Master of Spark.")
    spark_executor_memory: str | None = Field(default=None, description="Heap of an executor; Spark's default unless set.")
    spark_executor_cores: str | None = Field(default=None, description="Cores of an executor; Spark's default unless set.")
    payload_checks: PayloadChecks = Field(
        default=PayloadChecks.FULL,
        description="How deep a frame is checked before it is trusted; the configuration hash covers it.",
    )
    point_layout: PointLayout = Field(
        default=PointLayout.PLANES, description="How gold stores points: as recorded, or byte by byte, which compresses better."
    )
    lineage: LineageSettings = LineageSettings()

    @property
    def options(self) -> BuildOptions:
        """The options of the build."""
        return BuildOptions(self.payload_checks, self.point_layout)
