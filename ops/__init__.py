"""What operators use: audit, metrics, quarantine review, reports, the local stack and sync analysis."""

from __future__ import annotations

from pathlib import Path

DEFAULT_HOME = Path(".scenelake")
"""Folder of the local stack unless `--home` or `SCENELAKE_HOME` names another; here, so that `--help` imports no settings."""
