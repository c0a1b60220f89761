"""Settings come from the environment whole, or not at all."""

from __future__ import annotations

from dataclasses import fields

import pytest

from lake.errors import LakeError
from lake.settings import PREFIX, Settings

SETTINGS = Settings("raw-b", "lake-b", "quarantine-b", "ledger", "http://events", "http://work", "sqlite:////tmp/catalog.db")


def test_what_is_written_to_an_environment_is_read_back() -> None:
    env = SETTINGS.to_env()
    assert Settings.from_env({**env, "PATH": "/bin"}) == SETTINGS
    assert len(env) == len(fields(Settings))
    assert env["SCENELAKE_CATALOG_URI"] == "sqlite:////tmp/catalog.db"


def test_every_absent_variable_is_named_and_so_is_the_next_step() -> None:
    env = SETTINGS.to_env()
    env[PREFIX + "LAKE_BUCKET"] = ""
    del env[PREFIX + "LEDGER_TABLE"]
    with pytest.raises(LakeError, match=r"SCENELAKE_LAKE_BUCKET, SCENELAKE_LEDGER_TABLE; `scenelake up`") as caught:
        Settings.from_env(env)
    assert "RAW_BUCKET" not in str(caught.value)


def test_the_warehouse_lies_in_the_lake_bucket() -> None:
    assert SETTINGS.warehouse == "s3://lake-b/warehouse"


def test_a_catalog_address_with_its_password_is_not_shown() -> None:
    names = dict.fromkeys(Settings("", "", "", "", "", "", "").to_env(), "x")
    found = Settings.from_env({**names, "SCENELAKE_CATALOG_URI": "postgresql+psycopg2://catalog:hunter2@db/catalog"})
    assert found.catalog_uri.endswith("hunter2@db/catalog")
    assert "hunter2" not in repr(found)
