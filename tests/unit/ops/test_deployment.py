"""Which deployment a command talks to."""

from __future__ import annotations

import pytest

from ops.deployment import choose
from ops.errors import NoDeploymentError

LOCAL = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5000", "AWS_REGION": "us-east-1", "SCENELAKE_RAW_BUCKET": "local-raw"}


def test_the_local_stack_wins_over_what_the_shell_holds() -> None:
    found = choose({"AWS_REGION": "eu-west-1", "PATH": "/bin"}, None, LOCAL)
    assert found == {**LOCAL, "PATH": "/bin"}


def test_an_endpoint_leaves_the_local_stack_aside() -> None:
    process = {"SCENELAKE_RAW_BUCKET": "far-raw", "AWS_REGION": "eu-west-1"}
    found = choose(process, "http://far:4566", LOCAL)
    assert found == {**process, "AWS_ENDPOINT_URL": "http://far:4566"}
    assert choose({**process, "AWS_ENDPOINT_URL": "http://far:4566"}, None, LOCAL) == found


def test_the_option_wins_over_the_variable() -> None:
    assert choose({"AWS_ENDPOINT_URL": "http://one"}, "http://two", None)["AWS_ENDPOINT_URL"] == "http://two"


def test_the_local_stacks_own_endpoint_is_the_local_stack() -> None:
    assert choose({"AWS_ENDPOINT_URL": LOCAL["AWS_ENDPOINT_URL"]}, None, LOCAL)["SCENELAKE_RAW_BUCKET"] == "local-raw"


def test_real_aws_needs_no_endpoint() -> None:
    assert choose({"SCENELAKE_RAW_BUCKET": "prod"}, None, None) == {"SCENELAKE_RAW_BUCKET": "prod"}


def test_nothing_to_talk_to_is_said() -> None:
    with pytest.raises(NoDeploymentError, match="no local stack is up"):
        choose({"PATH": "/bin"}, None, None)
