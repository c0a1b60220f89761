"""Settings of a job: read once, at its entry (`spark_jobs.runtime.entry`), and passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from lake.settings import AwsSettings, Named, Settings, SettingsModel
from lineage.settings import LineageSettings
from scenes.options import BuildOptions, PayloadChecks, PointLayout


class SparkSettings(SettingsModel):
    """Settings of Spark: its master, and its workers' access to AWS."""

    spark_master: str = Field(default="local[2,3]", description="Master of Spark.")
    spark_executor_memory: str | None = Field(default=None, description="Heap of an executor; Spark's default unless set.")
    spark_executor_cores: str | None = Field(default=None, description="Cores of an executor; Spark's default unless set.")
    spark_python: Annotated[str | None, Named("PYSPARK_PYTHON")] = Field(
        default=None, description="Python of the workers; that of the job unless set."
    )
    aws: AwsSettings = AwsSettings()


class JobSettings(SparkSettings, Settings):
    """The deployment, its Spark, the options of the build, and where lineage goes."""

    payload_checks: PayloadChecks = Field(
        default=PayloadChecks.FULL,
        description="How thoroughly a frame is checked before it is used; part of the configuration hash.",
    )
    point_layout: PointLayout = Field(
        default=PointLayout.PLANES, description="How gold stores points: as recorded, or byte by byte, which compresses better."
    )
    data_docs: Path | None = Field(
        default=None,
        description="Folder of Great Expectations' own Data Docs site, which each audit then updates (3 s of processor time).",
    )
    lineage: LineageSettings = LineageSettings()

    @property
    def options(self) -> BuildOptions:
        """The options of the build."""
        return BuildOptions(self.payload_checks, self.point_layout)
