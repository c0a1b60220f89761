"""The template itself: lint, and its required settings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cfnlint.api import lint_file

from lake.drive_input import baseline_key
from lake.settings import Settings, variables
from tests.unit.localstack.stack_tools import provision, template, template_values

DOCUMENT: dict[str, Any] = template_values.yaml.load(provision.TEMPLATE.read_text(), template_values._Loader)
RESOURCES: dict[str, Any] = DOCUMENT["Resources"]


def of_kind(kind: str) -> dict[str, Any]:
    return {name: about for name, about in RESOURCES.items() if about["Type"] == kind}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_cfn_lint_has_nothing_to_say() -> None:
    assert [str(match) for match in lint_file(provision.TEMPLATE)] == []


def test_the_template_is_small_enough_to_be_sent_inline() -> None:
    assert provision.TEMPLATE.stat().st_size < 51_200  # AWS CloudFormation User Guide, "CloudFormation quotas"


@pytest.mark.parametrize("name", sorted(of_kind("AWS::S3::Bucket")))
def test_every_bucket_is_versioned_encrypted_closed_and_keeps_its_data(name: str) -> None:
    about = RESOURCES[name]
    properties = about["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert [rule for rule in properties["LifecycleConfiguration"]["Rules"] if "AbortIncompleteMultipartUpload" in rule]
    assert (about["DeletionPolicy"], about["UpdateReplacePolicy"]) == ("Retain", "Retain")
    policies = [each["Properties"] for each in of_kind("AWS::S3::BucketPolicy").values()]
    [document] = [each["PolicyDocument"] for each in policies if each["Bucket"] == {"Ref": name}]
    [deny] = document["Statement"]
    assert (deny["Effect"], deny["Principal"], deny["Condition"]) == ("Deny", "*", {"Bool": {"aws:SecureTransport": "false"}})


def lifecycle(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = RESOURCES[name]["Properties"]["LifecycleConfiguration"]["Rules"]
    return found


def test_old_versions_of_raw_objects_never_expire() -> None:
    assert [sorted(set(rule) - {"Id", "Status"}) for rule in lifecycle("RawBucket")] == [["AbortIncompleteMultipartUpload"]]


@pytest.mark.parametrize("name", ["LakeBucket", "QuarantineBucket"])
def test_old_versions_expire_after_time_to_notice_and_current_ones_never(name: str) -> None:
    old = [rule for rule in lifecycle(name) if "NoncurrentVersionExpiration" in rule]
    assert old
    assert all(rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30} for rule in old)
    assert all(rule["ExpiredObjectDeleteMarker"] is True and rule["Status"] == "Enabled" for rule in old)
    forbidden = {"ExpirationInDays", "ExpirationDate", "Transition", "Transitions"}
    assert not any(forbidden & set(rule) for rule in lifecycle(name))


def test_versions_of_baselines_which_inputs_pin_do_not_expire() -> None:
    prefixes = [rule.get("Prefix", "") for rule in lifecycle("LakeBucket") if "NoncurrentVersionExpiration" in rule]
    assert sorted(prefixes) == ["inputs/", "maintenance/", "warehouse/", "work/"]
    assert not any(baseline_key("car-1").startswith(prefix) for prefix in prefixes)


def test_every_work_queue_has_its_dead_letters_after_at_least_five_receives() -> None:
    queues = of_kind("AWS::SQS::Queue")
    policies = {name: about["Properties"].get("RedrivePolicy") for name, about in queues.items()}
    redriven = {name: policy for name, policy in policies.items() if policy is not None}
    assert {name: policy["deadLetterTargetArn"]["Fn::GetAtt"][0] for name, policy in redriven.items()} == {
        "ObjectEvents": "ObjectEventsDeadLetters",
        "DriveWork": "DriveWorkDeadLetters",
    }
    assert all(policy["maxReceiveCount"] >= 5 for policy in redriven.values())
    assert all(about["Properties"]["SqsManagedSseEnabled"] is True for about in queues.values())


def test_only_the_raw_bucket_of_this_account_may_send_events() -> None:
    [allow, unless_plain] = RESOURCES["ObjectEventsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert allow["Principal"] == {"Service": "s3.amazonaws.com"}
    assert template().resolve(allow["Condition"]) == {
        "ArnEquals": {"aws:SourceArn": "arn:aws:s3:::scenelake-raw-123456789012"},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }
    [condition, deny, otherwise] = unless_plain["Fn::If"]
    assert (condition, otherwise) == ("TlsRequired", {"Ref": "AWS::NoValue"})
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_plain_http_is_refused_unless_an_emulator_asks_for_it() -> None:
    assert DOCUMENT["Parameters"]["RequireTls"]["Default"] == "true"
    assert DOCUMENT["Conditions"]["TlsRequired"] == {"Fn::Equals": [{"Ref": "RequireTls"}, "true"]}
    conditional = {name for name, about in RESOURCES.items() if about.get("Condition") == "TlsRequired"}
    assert conditional == {*of_kind("AWS::S3::BucketPolicy"), "DriveWorkPolicy"}


def test_events_go_to_the_queue_that_the_function_reads() -> None:
    [configuration] = template().resources("AWS::S3::Bucket")["RawBucket"]["NotificationConfiguration"]["QueueConfigurations"]
    assert configuration == {"Event": "s3:ObjectCreated:*", "Queue": "arn:aws:sqs:us-east-1:123456789012:scenelake-object-events"}
    mapping = RESOURCES["RegisterEvents"]["Properties"]
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": ["ObjectEvents", "Arn"]}
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    function, queue = RESOURCES["RegisterFunction"]["Properties"], RESOURCES["ObjectEvents"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]


ROLES = {
    name: [statement for policy in about["Properties"]["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
    for name, about in of_kind("AWS::IAM::Role").items()
}


def test_one_role_for_each_component() -> None:
    assert set(ROLES) == {
        "RegisterRole", "SweepRole", "OrchestratorRole", "SparkRole", "OperatorRole", "MaintenanceRole", "MetricsRole",
        "EraserRole", "VehicleRole",
    }  # fmt: skip
    functions = {name: about["Properties"]["Role"]["Fn::GetAtt"][0] for name, about in of_kind("AWS::Lambda::Function").items()}
    assert functions == {"RegisterFunction": "RegisterRole", "SweepFunction": "SweepRole"}


@pytest.mark.parametrize("role", sorted(ROLES))
def test_roles_name_their_actions_and_resources(role: str) -> None:
    for statement in ROLES[role]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action]
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert "*" not in resources
        assert all(isinstance(resource, dict) for resource in resources), "resources are named by reference"


def actions_on(role: str, part: str) -> set[str]:
    found: set[str] = set()
    for statement in ROLES[role]:
        if part in json.dumps(statement["Resource"]):
            found |= set(statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]])
    return found


def test_only_the_vehicle_writes_raw_objects_and_only_the_eraser_deletes_them() -> None:
    expected = {"VehicleRole": {"s3:PutObject"}, "EraserRole": {"s3:DeleteObjectVersion"}}
    for role in ROLES:
        writes = {action for action in actions_on(role, "RawBucket") if "Put" in action or "Delete" in action}
        assert writes == expected.get(role, set()), role


def test_the_exporter_changes_nothing() -> None:
    actions = {action for part in ("Bucket", "Ledger", "ObjectEvents", "DriveWork") for action in actions_on("MetricsRole", part)}
    assert {action.partition(":")[2] for action in actions} == {
        "GetQueueAttributes", "GetQueueUrl", "GetItem", "Query", "ListBucket", "ListBucketVersions", "GetObject",
        "GetObjectVersion",
    }  # fmt: skip


def test_a_vehicle_reaches_only_below_its_own_name() -> None:
    [put, listing] = ROLES["VehicleRole"]
    assert put["Resource"] == {"Fn::Sub": "${RawBucket.Arn}/${!credentials-iot:ThingName}/*"}
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["${credentials-iot:ThingName}/*"]}}


def test_every_index_that_the_ledger_queries_exists() -> None:
    indexes = {index["IndexName"] for index in RESOURCES["Ledger"]["Properties"]["GlobalSecondaryIndexes"]}
    assert indexes == {"by-state", "by-outbox", "by-settling"}
    ledger = RESOURCES["Ledger"]["Properties"]
    assert ledger["BillingMode"] == "PAY_PER_REQUEST"
    assert ledger["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert ledger["SSESpecification"] == {"SSEEnabled": True}


def test_the_variables_are_those_of_the_settings() -> None:
    names = {one.names[0] for one in variables(Settings) if one.required}
    assert set(provision.VARIABLES) == names - {"SCENELAKE_CATALOG_URI"}
    assert set(provision.VARIABLES.values()) <= set(RESOURCES)
