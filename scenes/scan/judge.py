"""Judge the raw objects of a drive from the results of their scans."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from lake.documents import Manifest, ManifestObject
from lake.landing import sensor_of
from quality.evaluators.object import ObjectFacts, evaluate_object
from quality.rules.catalogue import Outcome
from quality.rules.findings import Finding
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from scenes.documents import ObjectReport


def judge_objects(
    reports: Sequence[ObjectReport],
    manifest: Manifest | None,
    absent: Collection[str] = (),
    rules: RuleBook = DEFAULT_RULES,
) -> dict[str, tuple[Finding, ...]]:
    """Findings by key, on objects that were scanned and on those missing from S3.

    Without a manifest no object can be compared with it. That is one finding on the drive (CMP002), not one on every
    object, each of which would be copied to quarantine for it.
    """
    judged = {fact.key: evaluate_object(fact, rules) for fact in object_facts(reports, manifest, absent)}
    if manifest is None:
        judged = {key: tuple(found for found in findings if not _uncompared(found)) for key, findings in judged.items()}
    return {key: findings for key, findings in judged.items() if findings}


def object_facts(
    reports: Iterable[ObjectReport], manifest: Manifest | None, absent: Iterable[str] = ()
) -> tuple[ObjectFacts, ...]:
    """The facts about each object of a drive, sorted by key: those that were scanned, and others that the manifest or
    `absent` names."""
    named: Mapping[str, ManifestObject] = {} if manifest is None else {entry.key: entry for entry in manifest.objects}
    found = {
        report.key: ObjectFacts(
            key=report.key,
            sensor=report.sensor,
            expected=named.get(report.key),
            size_bytes=report.size_bytes,
            sha256=report.sha256,
            faults=report.faults,
            unknown_types=MappingProxyType(report.unknown_types),
            frames_read=report.frames,
        )
        for report in reports
    }
    for key in {*named, *absent} - found.keys():
        found[key] = ObjectFacts(key, sensor_of(key), named.get(key), None)
    return tuple(found[key] for key in sorted(found))


def _uncompared(found: Finding) -> bool:
    return found.rule_id == "DEC001" and found.outcome is Outcome.UNKNOWN
