"""Great Expectations, imported late because that takes seconds, and a context without side effects."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any


def load() -> ModuleType:
    """Import Great Expectations without its own deprecation warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations
    return great_expectations


def ephemeral_context(site: Path | None = None) -> Any:
    """A context in memory: no progress bars, no usage statistics, and no files but those of a Data Docs `site`."""
    gx = load()
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults, ProgressBarsConfig

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        data_docs_sites={} if site is None else {"data_docs": _site(site)},
        progress_bars=ProgressBarsConfig(globally=False),
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _site(folder: Path) -> dict[str, Any]:
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
    return {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}}
