"""Custom OpenLineage facets, where the standard has none.

Custom facets carry a prefix and a schema URL of their own (OpenLineage specification, "Custom Facet Naming").
`spark_properties` is the exception: name and shape are those of the OpenLineage Spark integration, so that consumers know it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attr
from openlineage.client.facet_v2 import DatasetFacet, RunFacet

PRODUCER = "https://scenelake.example/lineage/1"
SPARK_PROPERTIES = "spark_properties"
DRIVE_MANIFEST = "scenelake_driveManifest"
CODE = "scenelake_code"
REDACTED = "*********(redacted)"

_SCHEMAS = "https://scenelake.example/lineage/facets/1-0-0"
_SECRET = re.compile(r"secret|password|token|access[._-]?key|credential", re.IGNORECASE)  # as spark.redaction.regex, widened


@attr.define
class SparkPropertiesRunFacet(RunFacet):
    """The Spark configuration that a run had; values of secrets are redacted."""

    properties: dict[str, str]

    @staticmethod
    def _get_schema() -> str:
        return f"{_SCHEMAS}/SparkPropertiesRunFacet.json#/$defs/SparkPropertiesRunFacet"


@attr.define
class CodeRunFacet(RunFacet):
    """Code version and configuration of a run, exactly as in the rows that it wrote."""

    codeVersion: str
    dirty: bool
    configHash: str | None = attr.field(default=None)

    @staticmethod
    def _get_schema() -> str:
        return f"{_SCHEMAS}/CodeRunFacet.json#/$defs/CodeRunFacet"


@attr.define
class DriveManifestDatasetFacet(DatasetFacet):
    """Summary of a drive's raw objects, which the manifest represents and events never list one by one."""

    revision: str
    objectCount: int
    sizeBytes: int

    @staticmethod
    def _get_schema() -> str:
        return f"{_SCHEMAS}/DriveManifestDatasetFacet.json#/$defs/DriveManifestDatasetFacet"


def redact(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties sorted by key, with the values of those that look like secrets replaced."""
    return {key: REDACTED if _SECRET.search(key) else properties[key] for key in sorted(properties)}
