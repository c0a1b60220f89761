"""Inputs and outputs of a run, with their facets, from plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    output_statistics_output_dataset,
    schema_dataset,
    symlinks_dataset,
)

from lineage.facets import DRIVE_MANIFEST, PRODUCER, DriveManifestDatasetFacet
from lineage.names import DatasetName

MAX_ASSERTIONS = 1000  # some consumers refuse events of several MB; 1,000 assertions are about 0.3 MB


@dataclass(frozen=True, slots=True)
class Assertion:
    """One quality rule on one dataset; `column` is the sensor, where it is one sensor's."""

    rule_id: str
    success: bool
    severity: str
    column: str | None = None
    expected: str | None = None
    actual: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a run wrote to one dataset."""

    rows: int
    size_bytes: int | None = None
    files: int | None = None


def input_dataset(
    name: DatasetName,
    *,
    version: str | None = None,
    schema: pa.Schema | None = None,
    assertions: Iterable[Assertion] | None = None,
) -> InputDataset:
    """A dataset that a run reads; `version` is a snapshot id, version id or content hash.

    Assertions stand in the order of rule, column, success and message; those that passed are the first to be left out where
    there are more than 1,000.
    """
    input_facets: dict[str, InputDatasetFacet] = {}
    if assertions is not None:
        input_facets["dataQualityAssertions"] = _assertions(assertions)
    facets = _dataset_facets(name, version, schema)
    return InputDataset(name.namespace, name.name, facets=facets, inputFacets=input_facets)


def manifest_input(
    name: DatasetName,
    *,
    version_id: str,
    revision: str,
    objects: int,
    size_bytes: int,
    assertions: Iterable[Assertion] = (),
) -> InputDataset:
    """A drive's raw objects, as its manifest: `version_id` is the manifest's, `revision` the drive's."""
    dataset = input_dataset(name, version=version_id, assertions=list(assertions) or None)
    facets = dict(dataset.facets or {})
    facets[DRIVE_MANIFEST] = DriveManifestDatasetFacet(revision, objects, size_bytes, producer=PRODUCER)
    dataset.facets = facets
    return dataset


def output_dataset(
    name: DatasetName,
    *,
    version: str | None = None,
    schema: pa.Schema | None = None,
    statistics: Statistics | None = None,
) -> OutputDataset:
    """A dataset that a run wrote; `version` is a snapshot id, version id or content hash."""
    output = OutputDataset(name.namespace, name.name, facets=_dataset_facets(name, version, schema))
    if statistics is not None:
        output.outputFacets = {
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=statistics.rows, size=statistics.size_bytes, fileCount=statistics.files, producer=PRODUCER
            )
        }
    return output


def _dataset_facets(name: DatasetName, version: str | None, schema: pa.Schema | None) -> dict[str, DatasetFacet]:
    facets: dict[str, DatasetFacet] = {}
    if version is not None:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(version, producer=PRODUCER)
    if schema is not None:
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=list(_fields(schema)), producer=PRODUCER)
    if name.symlinks:
        identifiers = [symlinks_dataset.Identifier(link.namespace, link.name, link.kind) for link in name.symlinks]
        facets["symlinks"] = symlinks_dataset.SymlinksDatasetFacet(identifiers=identifiers, producer=PRODUCER)
    return facets


def _fields(fields: Iterable[Any]) -> Iterator[schema_dataset.SchemaDatasetFacetFields]:
    for position, field in enumerate(fields, start=1):
        kind, nested = field.type, []
        if pa.types.is_list(kind):
            kind, name = kind.value_type, "array"
        elif pa.types.is_struct(kind):
            name = "struct"
        else:
            name = str(kind)
        if pa.types.is_struct(kind):
            nested = list(_fields(kind))
            name = f"{name}<struct>" if name == "array" else name
        elif name == "array":
            name = f"array<{kind}>"
        yield schema_dataset.SchemaDatasetFacetFields(name=field.name, type=name, ordinal_position=position, fields=nested)


def _assertions(entries: Iterable[Assertion]) -> data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
    kept: Sequence[Assertion] = sorted(entries, key=lambda entry: (entry.success, *_order(entry)))[:MAX_ASSERTIONS]
    return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
        assertions=[
            data_quality_assertions_dataset.Assertion(
                assertion=entry.rule_id,
                success=entry.success,
                column=entry.column,
                severity="warn" if entry.severity == "warning" else entry.severity,
                description=entry.message,
                expected=entry.expected,
                actual=entry.actual,
            )
            for entry in sorted(kept, key=_order)
        ],
        producer=PRODUCER,
    )


def _order(entry: Assertion) -> tuple[str, str, bool, str, str]:
    return (entry.rule_id, entry.column or "", entry.success, entry.message or "", entry.actual or "")
