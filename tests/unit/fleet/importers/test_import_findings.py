"""What an import loses is counted once, kept within the manifest's limits, and told in words."""

from __future__ import annotations

from fleet.importers.import_findings import MAX_MESSAGE, ImportFindings
from lake.documents import MAX_LOSSES, SourceLoss


def test_a_loss_is_a_finding_and_an_entry_of_the_manifest() -> None:
    findings = ImportFindings(["first"])
    findings.lose("cam", 3, "three images are absent")
    findings += ["last"]
    findings.record_loss("cam", None, "and something else")
    assert list(findings) == ["first", "three images are absent", "last"]
    assert findings.losses == (SourceLoss("cam", 3, "three images are absent"), SourceLoss("cam", None, "and something else"))


def test_long_words_are_cut_for_the_manifest_only() -> None:
    findings = ImportFindings()
    findings.lose(None, 1, "x" * 2000)
    assert len(findings[0]) == 2000
    assert findings.losses[0].message == "x" * MAX_MESSAGE


def test_losses_beyond_the_limit_are_added_up() -> None:
    findings = ImportFindings()
    for number in range(MAX_LOSSES + 5):
        findings.lose("cam", 2, f"loss {number}")
    assert len(findings.losses) == MAX_LOSSES
    assert findings.losses[-1] == SourceLoss(None, 12, "6 more losses")
    findings.lose("cam", None, "unknown")
    assert findings.losses[-1] == SourceLoss(None, None, "7 more losses")
