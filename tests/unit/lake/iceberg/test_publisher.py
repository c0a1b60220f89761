"""The SQL catalog on SQLite passes the cases of every publisher."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.lake.iceberg.publisher_cases import PublisherCases, Setting, SqlSetting


class TestSqlite(PublisherCases):
    @pytest.fixture
    def setting(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
        return SqlSetting(f"sqlite:///{tmp_path}/catalog.db", tmp_path, monkeypatch)
