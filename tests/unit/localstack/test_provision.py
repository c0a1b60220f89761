"""A stack that does not come up ends the provisioning with its reason, in bounded time."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.localstack.stack_tools import provision


def refused(status: int) -> ClientError:
    return ClientError({"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetThing")  # type: ignore[typeddict-item]


def test_an_endpoint_that_never_answers_is_an_error_in_bounded_time() -> None:
    class Silent:
        calls = 0

        def describe_stacks(self, StackName: str) -> Any:
            self.calls += 1
            raise refused(503)

    silent = Silent()
    with pytest.raises(provision.ProvisionError, match="does not respond"):
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
