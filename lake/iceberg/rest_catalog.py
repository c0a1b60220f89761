"""Iceberg's REST protocol as a catalog that drives are published through.

Tables are committed together by `POST /v1/{prefix}/transactions/commit` (Iceberg REST catalog specification, "Commit updates to
multiple tables in an atomic operation"). A server that lacks it, as AWS Glue's does, is refused when it is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import CommitTableRequest, Namespace, TableIdentifier
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.update import AssertRefSnapshotId, AssertTableUUID, SetSnapshotRefUpdate, TableRequirement

from lake.errors import SettingsError, TableError
from lake.iceberg.internals import changes_of, post_to, serves, table_of
from lake.iceberg.replace_files import replace_files

if TYPE_CHECKING:
    from pyiceberg.table import Transaction

SCHEMES = ("rest+http", "rest+https")
COMMIT = "transactions/commit"
OK, NO_CONTENT, BAD_REQUEST, NOT_FOUND, CONFLICT, SERVER_ERROR = 200, 204, 400, 404, 409, 500
MAX_ROUNDS = 10


class RestLakeCatalog(RestCatalog):
    """A REST catalog that can commit several tables at once: an adapter of `lake.iceberg.publisher.Publisher`.

    Atomic: the changes of all tables, in one request to the server, which checks the requirements of each and moves all or none.

    The protocol can require that a branch still is at a snapshot, and not that a table is unchanged. So every commit moves
    `main`, if need be by an empty snapshot, and requires that it is where it was when the transaction began: no commit of
    another publisher goes unnoticed. A change by other software that makes no snapshot (a property, a tag) does.
    """

    def __init__(self, name: str, **properties: str) -> None:
        super().__init__(name, **properties)
        if not serves(self, COMMIT):
            raise TableError(
                f"the catalog at {self.uri} cannot commit several tables at once (POST {COMMIT})",
                hint="use an SQL catalog, or a REST catalog that announces this endpoint in its configuration",
            )

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        """Make the staged changes of all transactions visible, or none of them (`Publisher.commit_together`).

        Raises:
            CommitFailedException: Another commit moved one of the tables, or one of them is gone, and nothing has changed; or
                the server failed or did not answer, and it is not known whether anything has.
            TableError: The server refuses the request.
        """
        body = {"table-changes": [_change(one) for one in transactions]}
        answer = post_to(self, COMMIT, body)
        if answer is None or answer.status >= SERVER_ERROR:
            raise CommitFailedException(f"the catalog did not say whether it committed: {answer or 'no answer'}")
        if answer.status in (CONFLICT, NOT_FOUND):
            raise CommitFailedException(f"a table was changed by another commit, or is gone: {answer}")
        if answer.status not in (OK, NO_CONTENT):
            raise TableError(f"the catalog refuses to commit: {answer}")

    def pointers(self) -> dict[str, str]:
        """The current metadata file of every table, by table name, as of one moment: when none changed while all were read.

        Raises:
            TableError: Some table changed each time.
        """
        before = self._pointers()
        for _ in range(MAX_ROUNDS):
            now = self._pointers()
            if now == before:
                return now
            before = now
        raise TableError(f"tables changed in each of {MAX_ROUNDS} rounds of reading them; run it again")

    def _pointers(self) -> dict[str, str]:
        names = [name for namespace in self.list_namespaces() for name in self.list_tables(namespace)]
        return {".".join(name): self.load_table(name).metadata_location for name in names}


def rest_properties(uri: str) -> dict[str, str]:
    """The properties of a REST catalog, from its address as in the settings.

    `rest+https://HOST/PATH?NAME=VALUE&…`: each NAME is a property of the catalog, such as `warehouse` or `oauth2-server-uri`.
    `rest+https://TOKEN@HOST` is a bearer token, `rest+https://ID:SECRET@HOST` are credentials of OAuth2.

    Raises:
        SettingsError: The address has another scheme, or no host. The message does not repeat it.
    """
    parts = urlsplit(uri)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise SettingsError(f"a REST catalog's address begins with {' or '.join(f'{one}://HOST' for one in SCHEMES)}")
    host = parts.netloc.rpartition("@")[2]
    properties = dict(parse_qsl(parts.query))
    properties["uri"] = f"{parts.scheme.removeprefix('rest+')}://{host}{parts.path}"
    if parts.username and parts.password:
        properties["credential"] = f"{unquote(parts.username)}:{unquote(parts.password)}"
    elif parts.username:
        properties["token"] = unquote(parts.username)
    return properties


def _change(transaction: Transaction) -> dict[str, Any]:
    table = table_of(transaction)
    _, updates = changes_of(transaction)
    if not any(isinstance(update, SetSnapshotRefUpdate) and update.ref_name == MAIN_BRANCH for update in updates):
        replace_files(transaction, table.io, (), (), {}, same_rows=True)
    requirements, updates = changes_of(transaction)
    main = table.metadata.refs.get(MAIN_BRANCH)
    required: list[TableRequirement] = [
        AssertTableUUID(uuid=table.metadata.table_uuid),
        AssertRefSnapshotId.model_validate({"ref": MAIN_BRANCH, "snapshot-id": main.snapshot_id if main else None}),
    ]
    required += [one for one in requirements if not (isinstance(one, AssertRefSnapshotId) and one.ref == MAIN_BRANCH)]
    namespace, name = table.name()[:-1], table.name()[-1]
    request = CommitTableRequest(
        identifier=TableIdentifier(namespace=Namespace(list(namespace)), name=name), requirements=tuple(required), updates=updates
    )
    found: dict[str, Any] = request.model_dump(mode="json", by_alias=True)
    return found
