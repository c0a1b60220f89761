"""The ledger's DynamoDB table: its items, and calls whose write conditions come back as booleans.

boto3 serializes the values and renders the conditions (`boto3.dynamodb`); the items' attributes are listed in
`ingest.ledger.repository`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from ingest.errors import ContentionError, LedgerError
from ingest.ledger.records import DecisionRecord, DriveRecord, ObjectHead, ObjectRecord, RefusedRecord
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import WorkReason
from lake.drive_input import InputObject, baseline_key
from lake.landing import DriveId

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Value = str | int | frozenset[str]
Item = dict[str, Value]

DRIVE = "drive"
OBJECT = "object#"
DECISION = "decision#"
REFUSED = "_refused"  # no vehicle id begins with an underscore
MAX_SORT_KEY_BYTES = 1024  # Amazon DynamoDB Developer Guide, "Service quotas"
MAX_VERSION_ID_BYTES = 128
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

    def write_transaction(self, writes: Sequence[Put | Update]) -> bool:
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

    def _transact_item(self, write: Put | Update) -> Any:
        if isinstance(write, Put):
            return {"Put": {"TableName": self._table, "Item": _encode_item(write.item), **_condition_terms(write.condition)}}
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


def object_sort_key(key: str) -> str:
    """Sort key of an object item."""
    return OBJECT + key


def refused_prefix(key: str) -> str:
    """Common prefix of the sort keys of all refused versions of `key`.

    A key near S3's limit does not fit a sort key together with a version id; its SHA-256 takes its place.
    """
    plain = f"{OBJECT}{key}#"
    if len(plain.encode()) + MAX_VERSION_ID_BYTES <= MAX_SORT_KEY_BYTES:
        return plain
    return f"{OBJECT}sha256:{hashlib.sha256(key.encode()).hexdigest()}#"


def refused_sort_key(record: RefusedRecord) -> str:
    """Sort key of a refused version."""
    return refused_prefix(record.head.key) + record.head.version_id


def object_item(drive: DriveId, head: ObjectHead, observed_ns: int) -> Item:
    """Item of a newly landed version."""
    return {
        "pk": str(drive),
        "sk": object_sort_key(head.key),
        **asdict(head),
        "object_state": ObjectState.LANDED.value,
        "observed_ns": observed_ns,
    }


def refused_item(record: RefusedRecord) -> Item:
    """Item of a refused version."""
    return {
        "pk": REFUSED,
        "sk": refused_sort_key(record),
        **asdict(record.head),
        "object_state": ObjectState.REFUSED.value,
        "rule_id": record.rule_id,
        "message": record.message,
        "payload_uri": record.payload_uri,
        "observed_ns": record.observed_ns,
    }


def object_record(item: Item) -> ObjectRecord:
    """Value of an object item."""
    return ObjectRecord(
        head=_head(item),
        state=ObjectState(text(item, "object_state")),
        observed_ns=number(item, "observed_ns"),
        revision=optional_text(item, "revision"),
    )


def refused_record(item: Item) -> RefusedRecord:
    """Value of a refused item."""
    return RefusedRecord(
        head=_head(item),
        rule_id=text(item, "rule_id"),
        message=text(item, "message"),
        payload_uri=text(item, "payload_uri"),
        observed_ns=number(item, "observed_ns"),
    )


def drive_record(item: Item) -> DriveRecord:
    """Value of a drive item.

    Raises:
        LedgerError: An attribute is missing or of another type.
    """
    overrides = item.get("overrides", frozenset())
    reason = optional_text(item, "reason")
    drive = drive_of(item)
    return DriveRecord(
        drive=drive,
        state=DriveState(text(item, "drive_state")),
        revision=optional_text(item, "revision"),
        generation=number(item, "generation"),
        reason=None if reason is None else WorkReason(reason),
        changes=number(item, "changes"),
        created_ns=number(item, "created_ns"),
        updated_ns=number(item, "updated_ns"),
        changed_ns=number(item, "changed_ns"),
        turn_ns=number(item, "turn_ns") if "turn_ns" in item else 0,
        tried_ns=number(item, "tried_ns") if "tried_ns" in item else 0,
        tries=number(item, "tries") if "tries" in item else 0,
        settling="settling" in item,
        unsent="outbox" in item,
        attempts=number(item, "attempts") if "attempts" in item else 0,
        overrides=overrides if isinstance(overrides, frozenset) else frozenset(),
        decisions=number(item, "decisions") if "decisions" in item else 0,
        manifest_version=optional_text(item, "manifest_version"),
        manifest_fault=optional_text(item, "manifest_fault"),
        baseline=_baseline(item, drive),
        detail_json=optional_text(item, "detail"),
    )


def baseline_text(pinned: InputObject) -> str:
    """The attribute of a pinned baseline: its SHA-256 and its version id; the key follows from the vehicle."""
    return f"{pinned.sha256} {pinned.version_id}"


def _baseline(item: Item, drive: DriveId) -> InputObject | None:
    pinned = optional_text(item, "baseline")
    if pinned is None:
        return None
    sha256, _, version_id = pinned.partition(" ")
    return InputObject(baseline_key(drive.vehicle_id), version_id, sha256)


def decision_item(record: DecisionRecord) -> Item:
    """Item of a decision; its number is its sort key."""
    return {
        "pk": str(record.drive),
        "sk": f"{DECISION}{record.number:08d}",
        "overrides": record.overrides,
        "decided_ns": record.decided_ns,
        "revision": record.revision,
        "generation": record.generation,
    }


def decision_record(item: Item) -> DecisionRecord:
    """Value of a decision item."""
    overrides = item.get("overrides")
    if not isinstance(overrides, frozenset):
        raise LedgerError(f"ledger item {item.get('pk')!r} {item.get('sk')!r} has no set of overrides")
    return DecisionRecord(
        drive=drive_of(item),
        number=int(text(item, "sk").removeprefix(DECISION)),
        overrides=overrides,
        decided_ns=number(item, "decided_ns"),
        revision=text(item, "revision"),
        generation=number(item, "generation"),
    )


def drive_of(item: Item) -> DriveId:
    """The drive that an item's partition key names."""
    vehicle_id, _, drive_id = text(item, "pk").partition("/")
    return DriveId(vehicle_id, drive_id)


def text(item: Item, name: str) -> str:
    """A required string attribute."""
    value = item.get(name)
    if not isinstance(value, str):
        raise LedgerError(f"ledger item {item.get('pk')!r} {item.get('sk')!r} has no text {name!r}")
    return value


def optional_text(item: Item, name: str) -> str | None:
    """A string attribute that may be absent."""
    return text(item, name) if name in item else None


def number(item: Item, name: str) -> int:
    """A required integer attribute."""
    value = item.get(name)
    if not isinstance(value, int):
        raise LedgerError(f"ledger item {item.get('pk')!r} {item.get('sk')!r} has no number {name!r}")
    return value


def _head(item: Item) -> ObjectHead:
    return ObjectHead(
        key=text(item, "key"),
        version_id=text(item, "version_id"),
        size_bytes=number(item, "size_bytes"),
        etag=text(item, "etag"),
        last_modified_ns=number(item, "last_modified_ns"),
    )
