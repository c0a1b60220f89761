"""Errors of this package, and the one place where expected errors become messages.

    OpsError
    ├── NoDeploymentError     no endpoint given and no local stack is up
    ├── NotFoundError         the scene, drive, record or file does not exist
    ├── InputError            a file or option that cannot be used
    ├── WaitTimeoutError      the drive did not finish in time
    └── StackError            the local stack
        ├── StackConfigError     a prerequisite is missing: Java, the project's files, a reachable endpoint
        ├── ComponentError       a process of the stack exited, or did not become healthy in time
        └── StackDownError       only a running stack can answer

`explain` turns every `ScenelakeError`, and errors of S3, the catalog and the file system, into a message with a next step.
Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from sensors.errors import ScenelakeError


class OpsError(ScenelakeError):
    """Base of every error of this package."""


class NoDeploymentError(OpsError):
    """No endpoint was given and no local stack is up."""


class NotFoundError(OpsError):
    """The scene, drive, record or file does not exist."""


class InputError(OpsError):
    """A file or option that cannot be used."""


class WaitTimeoutError(OpsError):
    """The drive did not finish in time."""


class StackError(OpsError):
    """Base of every error of the local stack."""


class StackConfigError(StackError):
    """A prerequisite is missing: Java, the project's files, or a reachable endpoint."""


class ComponentError(StackError):
    """A process of the stack exited, or did not become healthy in time."""


class StackDownError(StackError):
    """Only a running stack can answer."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The cause of an error, and the next step; None if the cause implies it."""

    cause: str
    hint: str | None = None
    exit_code: int = ScenelakeError.exit_code


def explain(error: BaseException) -> Explanation | None:
    """The explanation of an expected error; None for an unexpected one, which keeps its traceback."""
    if isinstance(error, ScenelakeError):
        return Explanation(str(error), error.hint, error.exit_code)
    for module, name, explanation in _FOREIGN:
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and isinstance(error, kind):
            return explanation(error)
    if isinstance(error, OSError) and error.filename is not None:
        return Explanation(f"{error.filename}: {error.strerror}")
    return None


def _unreachable(error: BaseException) -> Explanation:
    return Explanation(
        f"the endpoint does not answer: {error}",
        "check --endpoint or AWS_ENDPOINT_URL; `scenelake up` starts the local stack, `scenelake status` shows it",
    )


def _credentials(error: BaseException) -> Explanation:
    return Explanation(
        str(error), "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (`scenelake status --env` prints the local ones)"
    )


def _refused(error: BaseException) -> Explanation:
    response = getattr(error, "response", {})
    details = response.get("Error", {}) if isinstance(response, dict) else {}
    code = details.get("Code", "unknown")
    operation = getattr(error, "operation_name", "call")
    return Explanation(
        f"{operation} failed with {code}: {details.get('Message', error)}",
        "check the resource names (SCENELAKE_…) and the role's permissions; `scenelake status --env` prints the local names",
    )


def _no_table(error: BaseException) -> Explanation:
    hint = "`scenelake up` creates the tables of a local stack; check SCENELAKE_CATALOG_URI"
    return Explanation(f"no such table in the lake: {error}", hint)


def _foreign_answer(error: BaseException) -> Explanation:
    return Explanation(str(error), "check what answers at the endpoint: a proxy, or a load balancer, can answer in place of AWS")


_FOREIGN: tuple[tuple[str, str, Callable[[BaseException], Explanation]], ...] = (
    ("botocore.exceptions", "EndpointConnectionError", _unreachable),
    ("botocore.exceptions", "ConnectionClosedError", _unreachable),
    ("botocore.exceptions", "ConnectTimeoutError", _unreachable),
    ("botocore.exceptions", "ReadTimeoutError", _unreachable),
    ("botocore.exceptions", "NoCredentialsError", _credentials),
    ("botocore.exceptions", "PartialCredentialsError", _credentials),
    ("botocore.exceptions", "NoRegionError", _credentials),
    ("botocore.exceptions", "ProfileNotFound", _credentials),
    ("botocore.exceptions", "ClientError", _refused),
    ("lake.clients", "ForeignAnswerError", _foreign_answer),
    ("pyiceberg.exceptions", "NoSuchTableError", _no_table),
    ("pyiceberg.exceptions", "NoSuchNamespaceError", _no_table),
    ("requests.exceptions", "ConnectionError", _unreachable),
)
