"""DynamoDB under the ledger: plain items, conditional writes as booleans, queries that read every page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ingest.errors import LedgerError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Value = str | int | frozenset[str]
Item = dict[str, Value]

MAX_SORT_KEY_BYTES = 1024  # Amazon DynamoDB Developer Guide, "Service quotas"
_NAME = re.compile(r"#([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Put:
    """A whole item that `LedgerTable.write_together` writes if `condition` holds."""

    item: Item
    condition: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one item that `LedgerTable.write_together` makes if `condition` holds."""

    pk: str
    sk: str
    change: str
    values: Mapping[str, Value]
    condition: str


class LedgerTable:
    """The calls that the ledger needs. Expressions name attributes as `#attribute` and values as `:value`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, pk: str, sk: str) -> Item | None:
        """One item, strongly consistent."""
        answer = self._client.get_item(TableName=self._table, Key=_key(pk, sk), ConsistentRead=True)
        return decode_item(answer["Item"]) if "Item" in answer else None

    def put(self, item: Item, condition: str | None = None, values: Mapping[str, Value] | None = None) -> bool:
        """Write a whole item; False if `condition` did not hold."""
        terms = _terms(condition or "", values or {})
        if condition is not None:
            terms["ConditionExpression"] = condition
        try:
            self._client.put_item(TableName=self._table, Item=_encode_item(item), **terms)
        except ClientError as error:
            return _refused(error)
        return True

    def update(self, pk: str, sk: str, change: str, values: Mapping[str, Value], condition: str | None = None) -> Item | None:
        """Change one item and return it as it is then; None if `condition` did not hold."""
        terms = _terms(f"{change} {condition or ''}", values)
        if condition is not None:
            terms["ConditionExpression"] = condition
        try:
            answer = self._client.update_item(
                TableName=self._table, Key=_key(pk, sk), UpdateExpression=change, ReturnValues="ALL_NEW", **terms
            )
        except ClientError as error:
            _refused(error)
            return None
        return decode_item(answer["Attributes"])

    def write_together(self, writes: Sequence[Put | Change]) -> bool:
        """Make all writes or none; False if a condition did not hold, or another transaction was at one of the items."""
        try:
            self._client.transact_write_items(TransactItems=[self._write(write) for write in writes])
        except ClientError as error:
            reasons: Any = error.response.get("CancellationReasons", ())
            codes = {reason.get("Code") for reason in reasons} - {"None", None}
            if codes and codes <= {"ConditionalCheckFailed", "TransactionConflict"}:
                return False
            raise
        return True

    def _write(self, write: Put | Change) -> Any:
        if isinstance(write, Put):
            terms = _terms(write.condition, {})
            item = {"TableName": self._table, "Item": _encode_item(write.item), "ConditionExpression": write.condition}
            return {"Put": {**item, **terms}}
        return {
            "Update": {
                "TableName": self._table,
                "Key": _key(write.pk, write.sk),
                "UpdateExpression": write.change,
                "ConditionExpression": write.condition,
                **_terms(f"{write.change} {write.condition}", write.values),
            }
        }

    def query(
        self, condition: str, values: Mapping[str, Value], index: str | None = None, page: int | None = None
    ) -> Iterator[Item]:
        """Every item of a key condition in key order, page by page; consistent unless `index` names a secondary index."""
        arguments: dict[str, Any] = {"TableName": self._table, "KeyConditionExpression": condition, **_terms(condition, values)}
        arguments |= {"ConsistentRead": True} if index is None else {"IndexName": index}
        arguments |= {} if page is None else {"Limit": page}
        while True:
            answer = self._client.query(**arguments)
            yield from (decode_item(found) for found in answer["Items"])
            if not answer.get("LastEvaluatedKey"):
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _terms(expressions: str, values: Mapping[str, Value]) -> dict[str, Any]:
    names = {f"#{name}": name for name in _NAME.findall(expressions)}
    terms: dict[str, Any] = {}
    if names:
        terms["ExpressionAttributeNames"] = names
    if values:
        terms["ExpressionAttributeValues"] = {f":{name}": _encode(value) for name, value in values.items()}
    return terms


def _refused(error: ClientError) -> bool:
    if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
        raise error
    return False


def _encode_item(item: Item) -> dict[str, Any]:
    return {name: _encode(value) for name, value in item.items()}


def _encode(value: Value) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"SS": sorted(value)}


def decode_item(item: Mapping[str, Any]) -> Item:
    """A DynamoDB item as plain values.

    Raises:
        LedgerError: An attribute is neither a string, an integer nor a set of strings.
    """
    plain: Item = {}
    for name, tagged in item.items():
        [(kind, value)] = tagged.items()
        if kind == "S":
            plain[name] = str(value)
        elif kind == "N":
            plain[name] = int(value)
        elif kind == "SS":
            plain[name] = frozenset(value)
        else:
            raise LedgerError(f"ledger attribute {name!r} has the type {kind}; known are S, N and SS")
    return plain
