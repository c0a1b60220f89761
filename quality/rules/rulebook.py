"""The rules of one rig: the catalogue with the overrides of its policy, resolved once per drive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from quality.errors import RuleOverrideError, UnknownRuleError
from quality.rules.catalogue import RULES, Outcome, Rule, Severity, rule
from quality.rules.findings import Finding, finding
from sensors.policy import Policy, RuleOverride
from sensors.rig import Rig


@dataclass(frozen=True, slots=True)
class RuleBook:
    """`rules` by code, with the thresholds and severities for the drive; `severities` are those that the rig sets."""

    rules: Mapping[str, Rule]
    severities: Mapping[str, Severity]

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """The catalogue under `policy`.

        Raises:
            RuleOverrideError: An override that the catalogue does not allow. The schema of `calibration.json`, generated from
                the same table, rejects it earlier: no document can cause this.
            UnknownRuleError: The policy names an unknown rule.
        """
        rules = {entry.code: entry for entry in RULES}
        severities = {}
        for override in policy.rules:
            rules[override.code] = _overridden(rule(override.code), override)
            if override.severity is not None:
                severities[override.code] = rules[override.code].severity
        return cls(rules, severities)

    def __getitem__(self, code: str) -> Rule:
        """The rule `code`, as set for the drive.

        Raises:
            UnknownRuleError: The catalogue holds no such code.
        """
        try:
            return self.rules[code]
        except KeyError:
            raise UnknownRuleError(f"no rule {code!r}; quality/rules/RULES.md lists all {len(self.rules)}") from None

    def judge(self, code: str, measured: float | None) -> Outcome:
        """Evaluate rule `code` on a value; None or NaN is unknown."""
        return self[code].judge(measured)

    def severity(self, code: str, usual: Severity | None = None) -> Severity:
        """The rig's severity, else `usual` (from the sensor's role, or another key of the policy), else the rule's."""
        return self.severities.get(code) or usual or self[code].severity

    def finding(
        self,
        code: str,
        message: str,
        *,
        sensor: str | None = None,
        measured: float | None = None,
        threshold: float | None = None,
        severity: Severity | None = None,
    ) -> Finding:
        """A finding with the drive's threshold and severity; `threshold` and `severity` are for the rule's exceptions."""
        limit = self[code].threshold if threshold is None else threshold
        stands = self.severity(code, severity)
        return finding(code, message, sensor=sensor, measured=measured, threshold=limit, severity=stands)


def _overridden(entry: Rule, override: RuleOverride) -> Rule:
    leeway = entry.leeway
    if override.threshold is not None:
        if not leeway.allows_threshold(override.threshold):
            raise RuleOverrideError(f"policy.rules.{entry.code}.threshold is {override.threshold}; allowed: {_range(entry)}")
        entry = replace(entry, threshold=override.threshold)
    if override.severity is not None:
        if override.severity not in leeway.severities:
            allowed = ", ".join(leeway.severities) or "none, the rule cannot be overridden"
            raise RuleOverrideError(f"policy.rules.{entry.code}.severity is {override.severity}; allowed: {allowed}")
        entry = replace(entry, severity=Severity(override.severity))
    return entry


def _range(entry: Rule) -> str:
    low, high = entry.leeway.low, entry.leeway.high
    return "none, the threshold is fixed" if low is None or high is None else f"{low:g} to {high:g} {entry.unit}"


DEFAULT_RULES = RuleBook.of(Policy())


def rules_of(rig: Rig | None) -> RuleBook:
    """The rules of a rig; those of the catalogue without a valid rig."""
    return DEFAULT_RULES if rig is None else RuleBook.of(rig.policy)
