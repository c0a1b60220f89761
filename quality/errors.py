"""Errors of the quality package; bad data itself is a `Finding`, never an exception.

QualityError
├── UnknownRuleError   a code that is not in the catalogue
├── RuleOverrideError  a rig that changes a rule in a way that the catalogue does not allow
├── FindingError       a finding or record that contradicts itself
└── MetricsError       a metric that is impossible: a negative count, a share above 1, a duplicate sensor
"""

from __future__ import annotations

from sensors.errors import ScenelakeError


class QualityError(ScenelakeError):
    """Base of every error of this package."""


class UnknownRuleError(QualityError):
    """A code that is not in the catalogue."""


class RuleOverrideError(QualityError):
    """A rig that changes a rule in a way that the catalogue does not allow."""


class FindingError(QualityError):
    """A finding or record that contradicts itself."""


class MetricsError(QualityError):
    """A metric that is impossible: a negative count, a share above 1, a duplicate sensor."""
