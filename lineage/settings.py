"""Settings for emitting lineage: destinations of events, the run that started this one, and the version of the code."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from lake.settings import Named, SettingsModel


class LineageSettings(SettingsModel):
    """All values are text, validated where they are used: lineage that cannot be emitted must never stop a job."""

    lineage_file: str | None = Field(default=None, description="File that every lineage event is appended to.")
    url: Annotated[str | None, Named("OPENLINEAGE_URL")] = Field(
        default=None, description="OpenLineage endpoint that events are posted to, too."
    )
    endpoint: Annotated[str | None, Named("OPENLINEAGE_ENDPOINT")] = Field(
        default=None, description="Path below the endpoint; OpenLineage's own unless set."
    )
    api_key: Annotated[SecretStr | None, Named("OPENLINEAGE_API_KEY")] = Field(default=None, description="Key for the endpoint.")
    openlineage_parent: str | None = Field(
        default=None, description="Run that started this one, as `namespace/job/run id`; Airflow's operator sets it."
    )
    openlineage_root: str | None = Field(default=None, description="Run that started all of them; Airflow's operator sets it.")
    code_version: str | None = Field(
        default=None, description="Commit that is running, with `+dirty` where the tree differs; else git is asked."
    )
