"""Settings are read from the environment completely, or not at all; invalid values are named, and secrets are not shown."""

from __future__ import annotations

import traceback
from enum import StrEnum
from typing import Annotated

import pytest
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from lake.clients import client
from lake.errors import SettingsError
from lake.iceberg.catalog import open_catalog
from lake.settings import PREFIX, AwsSettings, Named, Settings, SettingsModel, Variable, variables

ENV = {
    "SCENELAKE_RAW_BUCKET": "raw-b",
    "SCENELAKE_LAKE_BUCKET": "lake-b",
    "SCENELAKE_QUARANTINE_BUCKET": "quarantine-b",
    "SCENELAKE_LEDGER_TABLE": "ledger",
    "SCENELAKE_OBJECT_EVENTS_URL": "http://events",
    "SCENELAKE_DRIVE_WORK_URL": "http://work",
    "SCENELAKE_CATALOG_URI": "postgresql+psycopg2://catalog:hunter2@db/catalog",
}
AWS = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:5000",
    "AWS_DEFAULT_REGION": "eu-north-1",
    "AWS_ACCESS_KEY_ID": "AKIA",
    "AWS_SECRET_ACCESS_KEY": "hunter3",
    "AWS_SESSION_TOKEN": "hunter4",
}


class Depth(StrEnum):
    FULL = "full"
    SHALLOW = "shallow"


class Engine(SettingsModel):
    """A part with every kind of field."""

    model_config = SettingsConfigDict(env_prefix="ENGINE_")

    cores: int = Field(default=2, ge=1, le=8, description="Cores.")
    wait_s: float = Field(default=0.5, ge=0, description="Wait.")
    depth: Depth = Field(default=Depth.FULL, description="Depth.")
    key: SecretStr | None = Field(default=None, description="Key.")
    master: Annotated[str | None, Named("MASTER", "OLD_MASTER")] = Field(default=None, description="Master.")


class Process(SettingsModel):
    """A process composed of a part and a field of its own."""

    name: str = Field(description="Name.")
    engine: Engine = Engine()


def test_a_deployment_is_read_with_its_aws() -> None:
    found = Settings.from_env({**ENV, **AWS, "PATH": "/bin"})
    assert (found.raw_bucket, found.object_events_url, found.aws.endpoint_url) == (
        "raw-b",
        "http://events",
        "http://127.0.0.1:5000",
    )
    assert found.warehouse == "s3://lake-b/warehouse"
    assert found == Settings.from_env({**ENV, **AWS})
    assert Settings.from_env(ENV).aws == AwsSettings()


def test_without_a_mapping_it_is_the_process_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_env().lake_bucket == "lake-b"


def test_keywords_alone_make_a_value_whatever_the_shell_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_CORES", "8")
    assert Engine().cores == 2
    with pytest.raises(ValidationError, match="core"):
        Engine(core=3)  # type: ignore[call-arg]


def test_every_absent_variable_is_named_and_so_is_the_next_step() -> None:
    env = {**ENV, "SCENELAKE_LAKE_BUCKET": ""}
    del env[PREFIX + "LEDGER_TABLE"]
    with pytest.raises(SettingsError, match=r"not set: SCENELAKE_LAKE_BUCKET, SCENELAKE_LEDGER_TABLE; `scenelake up`") as caught:
        Settings.from_env(env)
    assert "RAW_BUCKET" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ENGINE_CORES", "9", "ENGINE_CORES='9' must be a whole number from 1 to 8; unset it for the default, 2"),
        ("ENGINE_CORES", "1.5", "ENGINE_CORES='1.5' must be a whole number from 1 to 8"),
        ("ENGINE_WAIT_S", "soon", "ENGINE_WAIT_S='soon' must be a number from 0; unset it for the default, 0.5"),
        ("ENGINE_WAIT_S", "nan", "ENGINE_WAIT_S='nan' must be a number from 0"),
        ("ENGINE_DEPTH", "deep", "ENGINE_DEPTH='deep' must be one of full, shallow; unset it for the default, full"),
    ],
)
def test_a_value_that_cannot_be_used_is_quoted_with_what_it_must_be(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Process.from_env({"SCENELAKE_NAME": "p", name: value})
    assert words in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert "pydantic_core" not in shown, "the library's traceback is nobody's next step"


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(SettingsError, match=r"ENGINE_CORES='x' must .*; ENGINE_DEPTH='y' must"):
        Process.from_env({"SCENELAKE_NAME": "p", "ENGINE_CORES": "x", "ENGINE_DEPTH": "y"})


def test_the_first_name_that_is_set_counts() -> None:
    assert Engine.from_env({"OLD_MASTER": "a"}).master == "a"
    assert Engine.from_env({"OLD_MASTER": "a", "MASTER": "b"}).master == "b"


def test_the_variables_of_a_process_are_its_own_and_those_of_its_parts() -> None:
    assert list(variables(Process)) == [
        Variable(("SCENELAKE_NAME",), "text", None, True, "Name."),
        Variable(("ENGINE_CORES",), "whole number from 1 to 8", "2", False, "Cores."),
        Variable(("ENGINE_WAIT_S",), "number from 0", "0.5", False, "Wait."),
        Variable(("ENGINE_DEPTH",), "one of full, shallow", "full", False, "Depth."),
        Variable(("ENGINE_KEY",), "text, secret", None, False, "Key."),
        Variable(("MASTER", "OLD_MASTER"), "text", None, False, "Master."),
    ]


def test_secrets_are_not_shown() -> None:
    found = Settings.from_env({**ENV, **AWS})
    for shown in (repr(found), str(found), found.model_dump_json()):
        assert "hunter" not in shown
    assert found.catalog_uri.get_secret_value().endswith("hunter2@db/catalog")


def test_a_client_is_made_of_the_value_and_not_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    made = client("sqs", AwsSettings.from_env(AWS))
    assert (made.meta.endpoint_url, made.meta.region_name) == ("http://127.0.0.1:5000", "eu-north-1")
    credentials = made._request_signer._credentials
    assert (credentials.access_key, credentials.secret_key, credentials.token) == ("AKIA", "hunter3", "hunter4")


def test_s3_may_have_an_endpoint_of_its_own() -> None:
    aws = AwsSettings.from_env({**AWS, "AWS_ENDPOINT_URL_S3": "http://s3"})
    assert aws.client_arguments("s3")["endpoint_url"] == "http://s3"
    assert aws.client_arguments("sqs")["endpoint_url"] == "http://127.0.0.1:5000"


def test_the_catalogs_files_are_where_the_value_says(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere")
    settings = Settings.from_env({**ENV, **AWS, "SCENELAKE_CATALOG_URI": f"sqlite:///{tmp_path}/catalog.db"})
    found = open_catalog(settings).properties
    assert {name: value for name, value in found.items() if name.startswith("s3.")} == {
        "s3.endpoint": "http://127.0.0.1:5000",
        "s3.region": "eu-north-1",
        "s3.access-key-id": "AKIA",
        "s3.secret-access-key": "hunter3",
        "s3.session-token": "hunter4",
    }
    bare = open_catalog(settings.model_copy(update={"aws": AwsSettings()})).properties
    assert not [name for name in bare if name.startswith("s3.")]
