"""Settings: typed values that a process reads once from its environment, in `main`, and passes down (ADR 0023).

Every process has one model. It is composed of parts that several processes share: access to AWS (`AwsSettings`), and the
names of a deployment (`Settings`). `docs/configuration.md` is generated from the models.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import Field, FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from lake.errors import SettingsError

PREFIX = "SCENELAKE_"
_LOCAL = "`scenelake up` starts a local stack, `scenelake status --env` prints its variables"


def inherited() -> dict[str, str]:
    """A copy of this process's environment: for settings that depend on it, and as the base of a child process's environment."""
    return dict(os.environ)


class Named:
    """Annotation of a field whose variable is not the model's prefix and the field's name; the first one set wins."""

    def __init__(self, *variables: str) -> None:
        self.variables = variables


class SettingsModel(BaseSettings):
    """Base of every model: frozen, and filled by keywords or by `from_env`, never silently.

    A field `raw_bucket` is the variable `SCENELAKE_RAW_BUCKET`. A field that is a model itself is a part of this one and reads
    its own variables. A variable that is unset or empty leaves its field at the default.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keywords only: a value built in a test must not depend on the shell that runs it."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read the variables of the model and of its parts.

        Args:
            env: Used instead of the environment of this process.

        Raises:
            SettingsError: Names every variable that is missing, or else each value that cannot be used, and what it must be.
        """
        found = inherited() if env is None else env
        try:
            return cls(**_Variables(cls, found)())
        except ValidationError as error:
            problem = _problem(cls, found, error)
        raise problem  # outside of the handler: the library's error shows values, some of them secret


@dataclass(frozen=True, slots=True)
class Variable:
    """One field of a model as its user sees it.

    Attributes:
        names: The environment variable, then those that stand in for it.
        kind: Type, with its bounds or choices, in words: `whole number from 0 to 10`.
        default: As it would be written in the environment; None where the variable has none: it may be absent, or it must be
            set (`required`).
    """

    names: tuple[str, ...]
    kind: str
    default: str | None
    required: bool
    description: str


def variables(model: type[SettingsModel]) -> Iterator[Variable]:
    """The variables of a model and of its parts, in their order."""
    for field_name, field in model.model_fields.items():
        part = _part(field)
        if part is not None:
            yield from variables(part)
            continue
        names = _names(model, field_name, field)
        yield Variable(names, _kind(field), _default(field), field.is_required(), field.description or "")


class _Variables(PydanticBaseSettingsSource):
    """Values of a model's fields from a mapping of variables."""

    def __init__(self, model: type[SettingsModel], env: Mapping[str, str]) -> None:
        super().__init__(model)
        self._model, self._env = model, env

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        for name in _names(self._model, field_name, field):
            if self._env.get(name) or (name in self._env and not self._model.model_config.get("env_ignore_empty")):
                return self._env[name], name, False
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for field_name, field in self._model.model_fields.items():
            part = _part(field)
            value = self.get_field_value(field, field_name)[0] if part is None else _Variables(part, self._env)()
            if value is not None:
                values[field_name] = value
        return values


def _part(field: FieldInfo) -> type[SettingsModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, SettingsModel) else None


def _names(model: type[SettingsModel], field_name: str, field: FieldInfo) -> tuple[str, ...]:
    for entry in field.metadata:
        if isinstance(entry, Named):
            return entry.variables
    return (f"{model.model_config.get('env_prefix', '')}{field_name}".upper(),)


def _default(field: FieldInfo) -> str | None:
    if field.is_required() or field.default is None:
        return None
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


def _kind(field: FieldInfo) -> str:
    (annotation,) = [kind for kind in get_args(field.annotation) if kind is not type(None)] or [field.annotation]
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return "one of " + ", ".join(annotation)
    name = {int: "whole number", float: "number", SecretStr: "text, secret", Path: "path"}.get(annotation) or "text"
    least = [entry.ge for entry in field.metadata if hasattr(entry, "ge")]
    most = [entry.le for entry in field.metadata if hasattr(entry, "le")]
    bounds = [f"from {bound:.0f}" for bound in least] + [f"to {bound:.0f}" for bound in most]
    return " ".join([name, *bounds])


def _problem(model: type[SettingsModel], env: Mapping[str, str], error: ValidationError) -> SettingsError:
    """One message with all problems; values are quoted unless they are secret."""
    absent, wrong = [], []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        owner, (*parts, field_name) = model, [str(step) for step in one["loc"]]
        for step in parts:
            owner = _part(owner.model_fields[step]) or owner
        field = owner.model_fields[field_name]
        names = _names(owner, field_name, field)
        if one["type"] == "missing":
            absent.append(names[0])
            continue
        name = next(name for name in names if name in env)
        kind = _kind(field)
        value = "" if kind.endswith("secret") else f"={env[name]!r}"
        article = "" if kind.startswith("one of") else "a "
        default = _default(field)
        advice = "" if default is None else f"; unset it for the default, {default}"
        wrong.append(f"{name}{value} must be {article}{kind}{advice}")
    if absent:
        return SettingsError(f"not set: {', '.join(absent)}; {_LOCAL}")
    return SettingsError("; ".join(wrong))


class AwsSettings(SettingsModel):
    """Endpoint, region and credentials of AWS or of its local stand-in. Values that are None are resolved by boto3 and Arrow
    themselves: a profile, the role of the machine, the public endpoints.
    """

    model_config = SettingsConfigDict(env_prefix="AWS_")

    endpoint_url: str | None = Field(default=None, description="Endpoint to use instead of AWS's own.")
    endpoint_url_s3: str | None = Field(default=None, description="The same for S3 alone; it wins over `AWS_ENDPOINT_URL`.")
    region: Annotated[str | None, Named("AWS_REGION", "AWS_DEFAULT_REGION")] = Field(
        default=None, description="Region of the deployment."
    )
    access_key_id: str | None = Field(default=None, description="Access key; without one, the profile or role of the machine.")
    secret_access_key: SecretStr | None = Field(default=None, description="Secret of the access key.")
    session_token: SecretStr | None = Field(default=None, description="Token of temporary credentials.")

    def client_arguments(self, service: str) -> dict[str, Any]:
        """The arguments of `boto3.client` besides the service."""
        endpoint = (self.endpoint_url_s3 if service == "s3" else None) or self.endpoint_url
        chosen = {"endpoint_url": endpoint, "region_name": self.region, "aws_access_key_id": self.access_key_id}
        secret = {"aws_secret_access_key": self.secret_access_key, "aws_session_token": self.session_token}
        shown = {name: None if value is None else value.get_secret_value() for name, value in secret.items()}
        return {name: value for name, value in (chosen | shown).items() if value is not None}


class DeploymentNames(SettingsModel):
    """The buckets, the table and the queue that all processes share, and the AWS account that holds them."""

    raw_bucket: str = Field(description="Bucket that vehicles upload to; its objects are never changed.")
    lake_bucket: str = Field(description="Bucket of the tables, and of the work areas of drives that are being processed.")
    quarantine_bucket: str = Field(description="Bucket with copies of what was kept out of gold.")
    ledger_table: str = Field(description="DynamoDB table of the ledger.")
    drive_work_url: str = Field(description="URL of the SQS queue of drives that wait to be processed.")
    aws: AwsSettings = AwsSettings()


class Settings(DeploymentNames):
    """Names, addresses and credentials of a deployment."""

    object_events_url: str = Field(description="URL of the SQS queue of events about new objects in the raw bucket.")
    catalog_uri: SecretStr = Field(
        description=(
            "Address of the Iceberg catalog, which may hold a password: `sqlite:///…`, `postgresql+psycopg2://…`; or of a REST "
            "catalog that commits several tables at once: `rest+https://[TOKEN|ID:SECRET@]HOST/PATH[?PROPERTY=VALUE&…]`."
        )
    )

    @property
    def warehouse(self) -> str:
        """Root of the Iceberg tables."""
        return f"s3://{self.lake_bucket}/warehouse"
