"""An aspect is read, set if it differs, and read again; nothing passes that is not as told."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.localstack.stack_tools import aspects, provision


def aspect(values: list[Any], writes: list[str], essential: bool = True, writable: bool = True) -> Any:
    def read() -> Any:
        value = values.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    return aspects.Aspect("thing", "on", read, (lambda: writes.append("w")) if writable else None, essential)


def refused(status: int) -> ClientError:
    return ClientError({"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetThing")  # type: ignore[typeddict-item]


def test_as_told_is_left_alone() -> None:
    writes: list[str] = []
    assert provision._settle(aspect(["on"], writes)) == "as told"
    assert writes == []


def test_left_out_is_set_and_read_again() -> None:
    writes: list[str] = []
    assert provision._settle(aspect([None, "on"], writes)) == "applied"
    assert writes == ["w"]


def test_ignored_twice_is_an_error() -> None:
    with pytest.raises(provision.ProvisionError, match="thing: None after it was set to on"):
        provision._settle(aspect([None, None], []))


def test_what_cannot_be_set_later_is_an_error() -> None:
    with pytest.raises(provision.ProvisionError, match="the template says on"):
        provision._settle(aspect(["off"], [], writable=False))


@pytest.mark.parametrize(("status", "essential"), [(501, True), (500, False), (403, False)])
def test_refusals_are_errors(status: int, essential: bool) -> None:
    with pytest.raises(provision.ProvisionError, match="thing"):
        provision._settle(aspect([refused(status)], [], essential=essential))


def test_a_protection_that_an_emulator_does_not_offer_is_told() -> None:
    assert provision._settle(aspect([refused(501)], [], essential=False)) == "not offered"


def test_no_plain_http_statement_survives_at_a_plain_http_endpoint() -> None:
    deny = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    allow = {"Effect": "Allow"}
    assert aspects._policy({"Version": "v", "Statement": [allow, deny]}, True) == {"Version": "v", "Statement": [allow]}
    assert aspects._policy({"Version": "v", "Statement": [deny]}, True) is None
    assert aspects._policy({"Version": "v", "Statement": [deny]}, False) == {"Version": "v", "Statement": [deny]}


def test_an_endpoint_that_never_answers_is_an_error_in_bounded_time() -> None:
    class Silent:
        calls = 0

        def describe_stacks(self, StackName: str) -> Any:
            self.calls += 1
            raise refused(503)

    silent = Silent()
    with pytest.raises(provision.ProvisionError, match="does not answer"):
        provision._await_endpoint(silent, "s", provision.time.monotonic() + 0.5)
    assert silent.calls >= 2


def test_a_stack_that_fails_is_an_error_with_its_reason() -> None:
    class Failing:
        def create_stack(self, **_: Any) -> None:
            pass

        def describe_stacks(self, StackName: str) -> Any:
            return {"Stacks": [{"StackStatus": "ROLLBACK_COMPLETE", "StackStatusReason": "no such thing", "StackId": "x"}]}

    with pytest.raises(provision.ProvisionError, match="ROLLBACK_COMPLETE: no such thing"):
        provision._apply_stack(Failing(), "s", {}, None, provision.time.monotonic() + 5)
