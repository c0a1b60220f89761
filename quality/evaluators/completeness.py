"""Whether a drive has the scenes that it promised: what only its built scenes can say."""

from __future__ import annotations

from collections.abc import Sequence

from quality.rules.catalogue import Outcome
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook


def evaluate_completeness(whole: Sequence[bool], rules: RuleBook) -> tuple[Finding, ...]:
    """CMP006 of a built drive; `whole` says of each of its scenes whether it has a frame of every required sensor."""
    share = sum(whole) / len(whole) if whole else None
    outcome = rules.judge("CMP006", share)
    if outcome is Outcome.PASSED:
        return ()
    if share is None:
        return (rules.finding("CMP006", "the drive has no scene, so whether its scenes are complete is not known"),)
    message = f"{sum(whole)} of {len(whole)} scenes have a frame of every required sensor ({share:.1%})"
    return (rules.finding("CMP006", message, measured=share),)
