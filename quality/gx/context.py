"""Great Expectations, imported late because the import takes seconds, and a context that leaves nothing behind."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any


def load() -> ModuleType:
    """Import Great Expectations without its own deprecation warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations
    return great_expectations


def ephemeral_context() -> Any:
    """A context in memory: no files, no Data Docs site, no progress bars, no usage statistics."""
    gx = load()
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults, ProgressBarsConfig

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    return gx.get_context(mode="ephemeral", project_config=config)
