"""The rules that judge one raw object, from the results of its scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from lake.documents import ManifestObject
from quality.rules.catalogue import Outcome
from quality.rules.findings import Finding, finding
from quality.rules.rulebook import DEFAULT_RULES, RuleBook

MAX_FAULTS_NAMED = 3


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """The results of reading an object.

    `expected` is its manifest entry, None if the manifest does not name it. `size_bytes` is None if the object is absent,
    `sha256` (hex) if its bytes could not be read. `faults` are messages about its container, each with the position.
    `unknown_types` counts the messages of each type unknown to the sensor's modality. `frames_read` counts complete frames.
    """

    key: str
    sensor: str | None
    expected: ManifestObject | None
    size_bytes: int | None
    sha256: str | None = None
    faults: tuple[str, ...] = ()
    unknown_types: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    frames_read: int = 0


def evaluate_object(facts: ObjectFacts, rules: RuleBook = DEFAULT_RULES) -> tuple[Finding, ...]:
    """Judge one object by the drive's `rules`; sorted. An absent or empty object has only that finding."""
    if facts.size_bytes is None:
        return (finding("CMP001", f"{facts.key}: named by the manifest, but not in the bucket", sensor=facts.sensor, measured=1),)
    if facts.size_bytes == 0:
        return (finding("DEC003", f"{facts.key}: the object is empty", sensor=facts.sensor, measured=0),)
    found = [*_identity(facts), *_contents(facts)]
    if not found and facts.expected is not None:
        absent = max(facts.expected.frame_count - facts.frames_read, 0)
        if rules.judge("CMP004", absent) is not Outcome.PASSED:
            message = f"{facts.key}: {facts.frames_read} frames, the manifest says {facts.expected.frame_count}"
            found.append(rules.finding("CMP004", message, sensor=facts.sensor, measured=absent))
    return tuple(sorted(found))


def differences(facts: ObjectFacts) -> tuple[str, ...] | None:
    """The differences of size and checksum from the manifest; None where they cannot be compared."""
    if facts.expected is None or facts.sha256 is None:
        return None
    found = []
    if facts.size_bytes != facts.expected.size_bytes:
        found.append(f"{facts.size_bytes} bytes, the manifest says {facts.expected.size_bytes}")
    if facts.sha256 != facts.expected.sha256:
        found.append(f"SHA-256 {facts.sha256}, the manifest says {facts.expected.sha256}")
    return tuple(found)


def _identity(facts: ObjectFacts) -> list[Finding]:
    found = differences(facts)
    if found is None:
        problem = "the manifest does not name it" if facts.expected is None else "its bytes could not be read"
        return [finding("DEC001", f"{facts.key}: cannot be compared with the manifest: {problem}", sensor=facts.sensor)]
    if not found:
        return []
    return [finding("DEC001", f"{facts.key}: {'; '.join(found)}", sensor=facts.sensor, measured=len(found))]


def _contents(facts: ObjectFacts) -> list[Finding]:
    found = []
    if facts.faults:
        named = "; ".join(facts.faults[:MAX_FAULTS_NAMED])
        more = f" and {len(facts.faults) - MAX_FAULTS_NAMED} more" if len(facts.faults) > MAX_FAULTS_NAMED else ""
        found.append(finding("DEC002", f"{facts.key}: {named}{more}", sensor=facts.sensor, measured=len(facts.faults)))
    if facts.unknown_types:
        named = ", ".join(f"{name} ({count})" for name, count in sorted(facts.unknown_types.items()))
        measured = sum(facts.unknown_types.values())
        found.append(finding("DEC004", f"{facts.key}: messages of unknown type: {named}", sensor=facts.sensor, measured=measured))
    return found
