"""The import of Great Expectations: late, because it takes seconds, and silent."""

from __future__ import annotations

import os
import warnings
from types import ModuleType


def load() -> ModuleType:
    """Import Great Expectations: telemetry off, whatever the environment says, and without its own deprecation warnings."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # it reads this once, at the import
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations
    return great_expectations
