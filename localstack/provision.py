"""Create Scenelake's AWS resources on an endpoint: `python localstack/provision.py --endpoint URL`.

Waits for the endpoint, creates or updates the stack from template.yaml, then verifies what the pipeline cannot work without:
bucket versioning, bucket notifications and dead-letter queues. Emulators silently drop parts of a template; missing
versioning and notifications are set directly. Idempotent. On success, prints the SCENELAKE_* variables (and writes them to
--env-file); otherwise exits with status 1 and the reason.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from template_values import StackPlace, Template, TemplateError

TEMPLATE = Path(__file__).with_name("template.yaml")
TEMPLATE_TAG = "scenelake-template"
POLL_S = 0.25
VARIABLES = {  # variable: logical id of the bucket, queue or table it names
    "SCENELAKE_RAW_BUCKET": "RawBucket",
    "SCENELAKE_LAKE_BUCKET": "LakeBucket",
    "SCENELAKE_QUARANTINE_BUCKET": "QuarantineBucket",
    "SCENELAKE_LEDGER_TABLE": "Ledger",
    "SCENELAKE_OBJECT_EVENTS_URL": "ObjectEvents",
    "SCENELAKE_DRIVE_WORK_URL": "DriveWork",
}
URLS = {"SCENELAKE_OBJECT_EVENTS_URL", "SCENELAKE_DRIVE_WORK_URL"}


class ProvisionError(Exception):
    """The endpoint does not match the template and cannot be made to."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The variables to run with, and the settings that the endpoint had dropped from the template and that were applied."""

    variables: Mapping[str, str]
    applied: tuple[str, ...]


def provision(endpoint: str, stack: str, region: str, timeout_s: float = 120.0) -> Provisioned:
    """Create or update `stack` at `endpoint` and verify it.

    Raises:
        ProvisionError: The endpoint timed out, the stack failed, or an essential setting differs from the template and cannot
            be applied.
    """
    deadline_s = time.monotonic() + timeout_s
    cloudformation = _client("cloudformation", endpoint, region)
    existing = _await_endpoint(cloudformation, stack, deadline_s)
    parameters = {"NamePrefix": stack, "RequireTls": "false" if endpoint.startswith("http://") else "true"}
    stack_arn = _apply_stack(cloudformation, stack, parameters, existing, deadline_s)
    template = Template(TEMPLATE, parameters, StackPlace.of_stack(stack_arn))
    s3, sqs = _client("s3", endpoint, region), _client("sqs", endpoint, region)
    _check_dead_letters(template, sqs)
    applied = [what for settle in (_version_buckets, _notify_queues) for what in settle(template, s3)]
    variables = {}
    for variable, logical_id in VARIABLES.items():
        name = template.name_of(logical_id)
        variables[variable] = sqs.get_queue_url(QueueName=name)["QueueUrl"] if variable in URLS else name
    return Provisioned(variables, tuple(applied))


def _await_endpoint(cloudformation: Any, stack: str, deadline_s: float) -> dict[str, Any] | None:
    """Wait for the endpoint; the existing stack, or None."""
    while True:
        try:
            return _describe(cloudformation, stack)
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() >= deadline_s:
                raise ProvisionError(f"the endpoint does not respond: {error}; is the emulator running?") from error
        time.sleep(POLL_S)


def _apply_stack(
    cloudformation: Any, stack: str, parameters: Mapping[str, str], existing: dict[str, Any] | None, deadline_s: float
) -> str:
    body = TEMPLATE.read_text()
    digest = hashlib.sha256(body.encode()).hexdigest()
    arguments: dict[str, Any] = {
        "StackName": stack,
        "TemplateBody": body,
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        "Capabilities": ["CAPABILITY_IAM"],
        "Tags": [{"Key": TEMPLATE_TAG, "Value": digest}],
    }
    if existing is None:
        cloudformation.create_stack(**arguments)
    elif {tag["Key"]: tag["Value"] for tag in existing.get("Tags", [])}.get(TEMPLATE_TAG) != digest:
        try:
            cloudformation.update_stack(**arguments)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
    while True:
        found = _describe(cloudformation, stack)
        status = "DELETED" if found is None else str(found["StackStatus"])
        if found is not None and status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return str(found["StackId"])
        if not status.endswith("_IN_PROGRESS"):
            why = "" if found is None else found.get("StackStatusReason", "")
            raise ProvisionError(f"stack {stack} is {status}: {why or 'no reason given'}; delete it and retry")
        if time.monotonic() >= deadline_s:
            raise ProvisionError(f"stack {stack} is still {status}")
        time.sleep(POLL_S)


def _describe(cloudformation: Any, stack: str) -> dict[str, Any] | None:
    try:
        return dict(cloudformation.describe_stacks(StackName=stack)["Stacks"][0])
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ValidationError":  # "Stack with id … does not exist"
            return None
        raise


def _version_buckets(template: Template, s3: Any) -> Iterator[str]:
    for properties in template.resources("AWS::S3::Bucket").values():
        name, declared = properties["BucketName"], properties["VersioningConfiguration"]["Status"]
        if _versioning(s3, name) == declared:
            continue
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": declared})
        if (found := _versioning(s3, name)) != declared:
            raise ProvisionError(f"versioning of bucket {name} is {found} after it was set to {declared}")
        yield f"versioning of bucket {name}"


def _versioning(s3: Any, name: str) -> str | None:
    status: str | None = s3.get_bucket_versioning(Bucket=name).get("Status")
    return status


def _notify_queues(template: Template, s3: Any) -> Iterator[str]:
    for properties in template.resources("AWS::S3::Bucket").values():
        name, notifications = properties["BucketName"], properties.get("NotificationConfiguration")
        if notifications is None:
            continue
        if unknown := set(notifications) - {"QueueConfigurations"}:
            raise TemplateError(f"bucket {name} has {', '.join(sorted(unknown))}; only QueueConfigurations are supported")
        declared = [{"QueueArn": entry["Queue"], "Events": [entry["Event"]]} for entry in notifications["QueueConfigurations"]]
        if _notifications(s3, name) == declared:
            continue
        s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"QueueConfigurations": declared})
        if (found := _notifications(s3, name)) != declared:
            raise ProvisionError(f"notifications of bucket {name} are {found} after they were set to {declared}")
        yield f"notifications of bucket {name}"


def _notifications(s3: Any, name: str) -> list[dict[str, Any]]:
    found = s3.get_bucket_notification_configuration(Bucket=name).get("QueueConfigurations", [])
    return [{"QueueArn": entry["QueueArn"], "Events": entry["Events"]} for entry in found]


def _check_dead_letters(template: Template, sqs: Any) -> None:
    for properties in template.resources("AWS::SQS::Queue").values():
        name, declared = properties["QueueName"], properties.get("RedrivePolicy")
        if declared is None:
            continue
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"]).get("Attributes", {})
        redrive = json.loads(found.get("RedrivePolicy", "{}"))
        if redrive.get("deadLetterTargetArn") != declared["deadLetterTargetArn"]:
            raise ProvisionError(f"queue {name} has no dead-letter target {declared['deadLetterTargetArn']}: {redrive}")


def _client(service: Any, endpoint: str, region: str) -> Any:
    config = Config(retries={"mode": "standard", "max_attempts": 2}, connect_timeout=2, read_timeout=30)
    return boto3.client(service, endpoint_url=endpoint, region_name=region, config=config)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description="Provision Scenelake's AWS resources on an emulator.",
        epilog="example: python localstack/provision.py --endpoint http://127.0.0.1:5000 --env-file .scenelake/aws.env",
    )
    parser.add_argument("--endpoint", required=True, help="URL of an AWS-compatible endpoint")
    parser.add_argument("--stack", default="scenelake", help="stack name, and prefix of every resource name")
    parser.add_argument("--region", default="us-east-1", help="region to provision in")
    parser.add_argument("--env-file", type=Path, help="also write the variables here, one NAME=VALUE per line")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S", help="give up after this many seconds")
    arguments = parser.parse_args(argv)
    try:
        made = provision(arguments.endpoint, arguments.stack, arguments.region, arguments.timeout)
    except (ProvisionError, TemplateError, BotoCoreError, ClientError) as error:
        print(f"cannot provision {arguments.endpoint}: {error}", file=sys.stderr)
        return 1
    for what in made.applied:
        print(f"dropped by the endpoint, set directly: {what}", file=sys.stderr)
    lines = "".join(f"{name}={value}\n" for name, value in made.variables.items())
    if arguments.env_file is not None:
        arguments.env_file.parent.mkdir(parents=True, exist_ok=True)
        arguments.env_file.write_text(lines)
    print(lines, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
