"""Conversion of the ledger's values to DynamoDB's, and of its changes and conditions to one call."""

from __future__ import annotations

from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import LedgerError
from ingest.ledger.dynamodb_table import ItemChange, LedgerTable, Update, decode_item


class RecordingClient:
    """Keeps the arguments of each call."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(arguments)
        return {"Attributes": {}}

    def put_item(self, **arguments: Any) -> None:
        self.calls.append(arguments)

    transact_write_items = put_item


@pytest.fixture
def client() -> Any:
    return RecordingClient()


def test_a_change_and_its_condition_share_one_set_of_names_and_values(client: Any) -> None:
    change = ItemChange({"state": "queued"}, {"created_ns": 5}, {"changes": 1}, ("outbox",))
    LedgerTable(client, "t").update("a/b", "drive", change, Attr("state").is_in(["x", "y"]) & Attr("changes").eq(7))
    assert client.calls == [
        {
            "TableName": "t",
            "Key": {"pk": {"S": "a/b"}, "sk": {"S": "drive"}},
            "ReturnValues": "ALL_NEW",
            "UpdateExpression": (
                "SET #state = :state, #created_ns = if_not_exists(#created_ns, :created_ns) REMOVE #outbox ADD #changes :changes"
            ),
            "ConditionExpression": "(#n0 IN (:v0, :v1) AND #n1 = :v2)",
            "ExpressionAttributeNames": {
                "#state": "state",
                "#created_ns": "created_ns",
                "#changes": "changes",
                "#outbox": "outbox",
                "#n0": "state",
                "#n1": "changes",
            },
            "ExpressionAttributeValues": {
                ":state": {"S": "queued"},
                ":created_ns": {"N": "5"},
                ":changes": {"N": "1"},
                ":v0": {"S": "x"},
                ":v1": {"S": "y"},
                ":v2": {"N": "7"},
            },
        }
    ]


def test_a_change_without_values_sends_none(client: Any) -> None:
    table = LedgerTable(client, "t")
    table.update("a/b", "drive", ItemChange(remove=("settling",)))
    table.write_transaction([Update("a/b", "drive", ItemChange(remove=("settling",)), Attr("pk").exists())])
    [plain, transaction] = client.calls
    [item] = transaction["TransactItems"]
    assert "ExpressionAttributeValues" not in plain
    assert "ExpressionAttributeValues" not in item["Update"]
    assert item["Update"]["ConditionExpression"] == "attribute_exists(#n0)"


VALUES = st.text() | st.integers(-(10**30), 10**30) | st.frozensets(st.text(), min_size=1)


@given(st.dictionaries(st.text(min_size=1), VALUES))
def test_an_item_reads_back_as_it_was_written(item: dict[str, Any]) -> None:
    client: Any = RecordingClient()
    LedgerTable(client, "t").put(item)
    assert decode_item(client.calls[0]["Item"]) == item


@pytest.mark.parametrize(
    "tagged", [{"BOOL": True}, {"NULL": True}, {"B": b"x"}, {"L": []}, {"M": {}}, {"NS": ["1"]}, {"N": "1.5"}, {"N": "1E-2"}]
)
def test_a_foreign_attribute_is_refused_by_name_and_type(tagged: dict[str, Any]) -> None:
    [kind] = tagged
    with pytest.raises(LedgerError, match=rf"'odd' is a DynamoDB {kind}; expected S, an integer N or SS"):
        decode_item({"pk": {"S": "a"}, "odd": tagged})
