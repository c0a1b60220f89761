"""The ledger's DynamoDB table: its items, and calls whose write conditions come back as booleans.

boto3 serializes the values and renders the conditions (`boto3.dynamodb`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from ingest.errors import ContentionError, LedgerError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Value = str | int | frozenset[str]
Item = dict[str, Value]

_SERIALIZER, _DESERIALIZER = TypeSerializer(), TypeDeserializer()


@dataclass(frozen=True, slots=True)
class ItemChange:
    """An update of one item's attributes.

    Attributes:
        assign: Attributes and their new values.
        assign_if_absent: Attributes that get a value only if the item has none.
        add: Number attributes and what to add to them; an absent one counts as 0.
        remove: Attributes to delete.
    """

    assign: Mapping[str, Value] = field(default_factory=dict)
    assign_if_absent: Mapping[str, Value] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Put:
    """One write of a transaction: a whole item, if `condition` holds."""

    item: Item
    condition: ConditionBase


@dataclass(frozen=True, slots=True)
class Update:
    """One write of a transaction: a change of one item, if `condition` holds; None: in any case."""

    pk: str
    sk: str
    change: ItemChange
    condition: ConditionBase | None = None


@dataclass(frozen=True, slots=True)
class ItemCheck:
    """A condition on an item that a transaction does not write."""

    pk: str
    sk: str
    condition: ConditionBase


Write = Put | Update | ItemCheck


class LedgerTable:
    """The DynamoDB calls that the ledger makes."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, pk: str, sk: str) -> Item | None:
        """One item, strongly consistent."""
        answer = self._client.get_item(TableName=self._table, Key=_key(pk, sk), ConsistentRead=True)
        return decode_item(answer["Item"]) if "Item" in answer else None

    def put(self, item: Item, condition: ConditionBase | None = None) -> bool:
        """Write a whole item; False if `condition` did not hold.

        Raises:
            ContentionError: A transaction held the item.
        """
        try:
            self._client.put_item(TableName=self._table, Item=_encode_item(item), **_condition_terms(condition))
        except ClientError as error:
            _reraise_unless_condition_failed(error)
            return False
        return True

    def update(self, pk: str, sk: str, change: ItemChange, condition: ConditionBase | None = None) -> Item | None:
        """Change one item and return its new state; None if `condition` did not hold.

        Raises:
            ContentionError: A transaction held the item.
        """
        terms = _update_terms(change, condition)
        try:
            answer = self._client.update_item(TableName=self._table, Key=_key(pk, sk), ReturnValues="ALL_NEW", **terms)
        except ClientError as error:
            _reraise_unless_condition_failed(error)
            return None
        return decode_item(answer["Attributes"])

    def delete(self, pk: str, sk: str) -> None:
        """Delete an item, if there is one."""
        self._client.delete_item(TableName=self._table, Key=_key(pk, sk))

    def scan(self) -> Iterator[Item]:
        """Every item of the table, page by page, strongly consistent."""
        arguments: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        while True:
            answer = self._client.scan(**arguments)
            yield from (decode_item(found) for found in answer["Items"])
            if not answer.get("LastEvaluatedKey"):
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def write_transaction(self, writes: Sequence[Write]) -> bool:
        """Make all writes or none; False if a condition did not hold or another transaction held one of the items."""
        try:
            self._client.transact_write_items(TransactItems=[self._transact_item(write) for write in writes])
        except ClientError as error:
            reasons: Any = error.response.get("CancellationReasons", ())
            codes = {reason.get("Code") for reason in reasons} - {"None", None}
            if codes and codes <= {"ConditionalCheckFailed", "TransactionConflict"}:
                return False
            raise
        return True

    def _transact_item(self, write: Write) -> Any:
        if isinstance(write, Put):
            return {"Put": {"TableName": self._table, "Item": _encode_item(write.item), **_condition_terms(write.condition)}}
        if isinstance(write, ItemCheck):
            terms = {"TableName": self._table, "Key": _key(write.pk, write.sk), **_condition_terms(write.condition)}
            return {"ConditionCheck": terms}
        terms = _update_terms(write.change, write.condition)
        return {"Update": {"TableName": self._table, "Key": _key(write.pk, write.sk), **terms}}

    def query(self, condition: ConditionBase, index: str | None = None, page: int | None = None) -> Iterator[Item]:
        """Every item of a key condition in key order, page by page; consistent unless `index` names a secondary index."""
        built = ConditionExpressionBuilder().build_expression(condition, is_key_condition=True)
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": built.condition_expression,
            "ExpressionAttributeNames": built.attribute_name_placeholders,
            "ExpressionAttributeValues": _encode_item(built.attribute_value_placeholders),
        }
        arguments |= {"ConsistentRead": True} if index is None else {"IndexName": index}
        arguments |= {} if page is None else {"Limit": page}
        while True:
            answer = self._client.query(**arguments)
            yield from (decode_item(found) for found in answer["Items"])
            if not answer.get("LastEvaluatedKey"):
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _key(pk: str, sk: str) -> dict[str, Any]:
    return _encode_item({"pk": pk, "sk": sk})


def _condition_terms(condition: ConditionBase | None) -> dict[str, Any]:
    if condition is None:
        return {}
    built = ConditionExpressionBuilder().build_expression(condition)
    return _terms("ConditionExpression", built.condition_expression, built[1], built[2])


def _update_terms(change: ItemChange, condition: ConditionBase | None) -> dict[str, Any]:
    """Terms of an update, which boto3 does not render. Its placeholders are numbered; these are named after the
    attributes."""
    values = {**change.assign, **change.assign_if_absent, **change.add}
    clauses = {
        "SET": [
            *(f"#{name} = :{name}" for name in change.assign),
            *(f"#{name} = if_not_exists(#{name}, :{name})" for name in change.assign_if_absent),
        ],
        "REMOVE": [f"#{name}" for name in change.remove],
        "ADD": [f"#{name} :{name}" for name in change.add],
    }
    expression = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)
    names = {f"#{name}": name for name in (*values, *change.remove)}
    terms = _terms("UpdateExpression", expression, names, {f":{name}": value for name, value in values.items()})
    for name, value in _condition_terms(condition).items():
        terms[name] = {**terms.get(name, {}), **value} if isinstance(value, dict) else value
    return terms


def _terms(parameter: str, expression: str, names: Mapping[str, str], values: Mapping[str, Value]) -> dict[str, Any]:
    terms: dict[str, Any] = {parameter: expression, "ExpressionAttributeNames": dict(names)}
    return terms | ({"ExpressionAttributeValues": _encode_item(values)} if values else {})


def _reraise_unless_condition_failed(error: ClientError) -> None:
    code = error.response.get("Error", {}).get("Code")
    if code == "TransactionConflictException":
        raise ContentionError("a transaction held the ledger's item at the same moment") from error
    if code != "ConditionalCheckFailedException":
        raise error


def _encode_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _SERIALIZER.serialize(value) for name, value in item.items()}


def decode_item(item: Mapping[str, Any]) -> Item:
    """A DynamoDB item as plain values.

    Raises:
        LedgerError: An attribute is neither a string, an integer nor a set of strings.
    """
    return {name: _decode(name, tagged) for name, tagged in item.items()}


def _decode(name: str, tagged: Any) -> Value:
    value = _DESERIALIZER.deserialize(tagged)
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, set) and all(isinstance(member, str) for member in value):
        return frozenset(value)
    raise LedgerError(f"ledger attribute {name!r} is a DynamoDB {next(iter(tagged))}; expected S, an integer N or SS")
