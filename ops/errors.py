"""What a command may answer instead of doing its work, and the one place where errors become messages.

    CliError
    ├── NoDeploymentError     no endpoint given and no local stack up
    ├── NotFoundError         the scene, drive, record or file that was named does not exist
    ├── InputError            a file or option that cannot be used as asked
    └── WaitTimeoutError      the drive did not reach its end in time

`explain` turns every `ScenelakeError`, and what S3, the catalog and the file system raise, into a message with a next step.
Anything else is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from sensors.errors import ScenelakeError


class CliError(ScenelakeError):
    """Base of every error of this package."""


class NoDeploymentError(CliError):
    """No endpoint was given and no local stack is up."""


class NotFoundError(CliError):
    """What was named does not exist."""


class InputError(CliError):
    """A file or option that cannot be used as asked."""


class WaitTimeoutError(CliError):
    """The drive did not reach its end in time."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What went wrong, and what to do next (None: the message says it)."""

    cause: str
    hint: str | None = None
    exit_code: int = ScenelakeError.exit_code


def explain(error: BaseException) -> Explanation | None:
    """Say what an expected error means; None for an unexpected one, which deserves its traceback."""
    if isinstance(error, ScenelakeError):
        return Explanation(str(error), error.hint, error.exit_code)
    for module, name, words in _FOREIGN:
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and isinstance(error, kind):
            return words(error)
    if isinstance(error, OSError) and error.filename is not None:
        return Explanation(f"{error.filename}: {error.strerror}")
    return None


def _unreachable(error: BaseException) -> Explanation:
    return Explanation(
        f"the endpoint does not answer: {error}",
        "`scenelake status` says what is up, `scenelake up` starts the local stack; check --endpoint or AWS_ENDPOINT_URL",
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
        f"{operation} was answered with {code}: {details.get('Message', error)}",
        "check the names (SCENELAKE_…) and the role's permissions; `scenelake status --env` prints the local names",
    )


def _no_table(error: BaseException) -> Explanation:
    hint = "`scenelake up` creates the tables of a local stack; check SCENELAKE_CATALOG_URI"
    return Explanation(f"the lake has no such table: {error}", hint)


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
    ("pyiceberg.exceptions", "NoSuchTableError", _no_table),
    ("pyiceberg.exceptions", "NoSuchNamespaceError", _no_table),
    ("requests.exceptions", "ConnectionError", _unreachable),
)
