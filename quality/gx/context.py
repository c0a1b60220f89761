"""The import of Great Expectations: late, because it takes seconds, and silent; and a context that leaves nothing behind."""

from __future__ import annotations

import os
import warnings
from types import ModuleType
from typing import Any


def load() -> ModuleType:
    """Import Great Expectations: telemetry off, whatever the environment says, and without its own deprecation warnings."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # it reads this once, at the import
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations
    return great_expectations


def ephemeral_context() -> Any:
    """A context in memory, without progress bars and without the site and temporary folder that it comes with."""
    context = load().get_context(mode="ephemeral")
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    for name in list(context.variables.data_docs_sites or {}):
        context.delete_data_docs_site(name)
    return context
