"""A REST catalog on loopback passes the cases of every publisher; and what is its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from pyiceberg.exceptions import CommitFailedException

from lake.errors import SettingsError, TableError
from lake.iceberg.catalog import open_catalog
from lake.iceberg.rest_catalog import RestLakeCatalog, rest_properties
from lake.settings import AwsSettings, Settings
from lake.tables.creation import ensure_tables
from tests.integration.catalogs.rest_server import Fault, RestStore, rest_server
from tests.unit.lake.iceberg.publisher_cases import FRAMES_TABLE, PublisherCases, frames, stamps


class RestSetting:
    def __init__(self, store: RestStore, address: str) -> None:
        self.store, self.address, self.folder = store, address, store.folder
        ensure_tables(self.open())

    def open(self) -> RestLakeCatalog:
        return RestLakeCatalog("unit", **rest_properties(self.address))

    def lose_answer(self) -> None:
        self.store.faults.append(Fault.SILENT_AFTER)

    def fail_midway(self) -> None:
        self.store.faults.append(Fault.UNAVAILABLE_BEFORE)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[RestSetting]:
    store = RestStore(tmp_path)
    with rest_server(store) as address:
        yield RestSetting(store, address)


class TestRest(PublisherCases):
    pass


@pytest.mark.parametrize(("fault", "done"), [(fault, "after" in fault) for fault in Fault])
def test_whatever_fails_in_the_server_the_caller_is_to_read_again(setting: RestSetting, fault: Fault, *, done: bool) -> None:
    catalog = setting.open()
    change = frames(catalog, 1)
    setting.store.faults.append(fault)
    with pytest.raises(CommitFailedException, match="did not say"):
        catalog.commit_together([change])
    assert stamps(setting.open(), FRAMES_TABLE) == ([1] if done else [])


def test_a_server_that_cannot_commit_several_tables_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    with (
        rest_server(RestStore(tmp_path, transactions=False)) as address,
        pytest.raises(TableError, match="several tables") as caught,
    ):
        RestLakeCatalog("unit", **rest_properties(address))
    assert caught.value.hint


def test_the_address_in_the_settings_opens_the_catalog_with_its_token(tmp_path: Path) -> None:
    store = RestStore(tmp_path, token="secret-1")
    with rest_server(store) as address:
        settings = Settings(
            raw_bucket="raw",
            lake_bucket="lake",
            quarantine_bucket="quarantine",
            ledger_table="ledger",
            object_events_url="unused",
            drive_work_url="unused",
            catalog_uri=SecretStr(address.replace("://", "://secret-1@")),
            aws=AwsSettings(),
        )
        catalog = open_catalog(settings)
        assert isinstance(catalog, RestLakeCatalog)
        ensure_tables(catalog)
        assert catalog.pointers().keys() == {".".join(name) for name in store.locations}


@pytest.mark.parametrize("wrong", ["rest+ftp://secret@host", "rest+http://secret@", "http://secret@host"])
def test_an_address_that_is_none_is_refused_and_not_repeated(wrong: str) -> None:
    with pytest.raises(SettingsError) as caught:
        rest_properties(wrong)
    assert "secret" not in str(caught.value)
