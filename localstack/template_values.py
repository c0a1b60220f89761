"""Resolves enough of a CloudFormation template to compare its buckets, queues and tables with what exists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_REFERENCE = re.compile(r"\$\{(!?)([^}]+)\}")
_NAME_PROPERTY = {
    "AWS::S3::Bucket": "BucketName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::DynamoDB::Table": "TableName",
}
_ARN = {
    "AWS::S3::Bucket": "arn:{partition}:s3:::{name}",
    "AWS::SQS::Queue": "arn:{partition}:sqs:{region}:{account}:{name}",
    "AWS::DynamoDB::Table": "arn:{partition}:dynamodb:{region}:{account}:table/{name}",
}


class TemplateError(Exception):
    """The template uses an unsupported feature."""


@dataclass(frozen=True, slots=True)
class StackPlace:
    """Partition, region and account of a stack."""

    partition: str
    region: str
    account: str

    @classmethod
    def of_stack(cls, stack_arn: str) -> StackPlace:
        """Parse `arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/…`."""
        parts = stack_arn.split(":")
        if len(parts) < 6 or parts[2] != "cloudformation":
            raise TemplateError(f"{stack_arn!r} is not a stack ARN")
        return cls(parts[1], parts[3], parts[4])


class _Loader(yaml.SafeLoader):
    """YAML loader that expands CloudFormation's short forms (`!Ref x`, `!Sub …`) to the long forms."""


def _short_form(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        raise TemplateError(f"line {node.start_mark.line + 1}: !{tag} of a mapping is not supported")
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _short_form)


class Template:
    """A template with its parameters and stack location bound."""

    def __init__(self, path: Path, parameters: Mapping[str, str], place: StackPlace) -> None:
        self._document: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506 - derived from SafeLoader
        self._place = place
        declared = self._document.get("Parameters", {})
        self._values = {name: str(parameters.get(name, about.get("Default"))) for name, about in declared.items()}
        self._values |= {
            "AWS::Partition": place.partition,
            "AWS::Region": place.region,
            "AWS::AccountId": place.account,
        }

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Resolved properties of every resource of a type, by logical id."""
        found = {name: about for name, about in self._document["Resources"].items() if about["Type"] == kind}
        return {name: self.resolve(about.get("Properties", {})) for name, about in found.items()}

    def name_of(self, logical_id: str) -> str:
        """The physical name of a bucket, queue or table."""
        about = self._document["Resources"][logical_id]
        name_property = _NAME_PROPERTY.get(about["Type"])
        if name_property is None:
            raise TemplateError(f"{logical_id} ({about['Type']}) has no fixed name in the template")
        return str(self.resolve(about["Properties"][name_property]))

    def resolve(self, value: Any) -> Any:
        """`value` with every Ref, Sub, GetAtt Arn and GetAtt QueueName resolved. A queue's Ref becomes its name, not its URL.

        Raises:
            TemplateError: `value` uses any other function.
        """
        if isinstance(value, list):
            return [self.resolve(element) for element in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref":
                return self._ref(argument)
            if function == "Fn::Sub" and isinstance(argument, str):
                return _REFERENCE.sub(self._substitute, argument)
            if function == "Fn::GetAtt":
                return self._attribute(argument[0], argument[1])
            if function.startswith("Fn::"):
                raise TemplateError(f"{function} is not supported; refer to buckets, queues and tables by Ref, Sub and GetAtt")
        return {name: self.resolve(element) for name, element in value.items()}

    def _substitute(self, match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal:
            return "${" + name + "}"
        logical_id, _, attribute = name.partition(".")
        return self._attribute(logical_id, attribute) if attribute else self._ref(name)

    def _ref(self, name: str) -> str:
        return self._values[name] if name in self._values else self.name_of(name)

    def _attribute(self, logical_id: str, attribute: str) -> str:
        kind = self._document["Resources"][logical_id]["Type"]
        name = self.name_of(logical_id)
        if attribute == "QueueName":
            return name
        if attribute == "Arn" and kind in _ARN:
            place = self._place
            return _ARN[kind].format(partition=place.partition, region=place.region, account=place.account, name=name)
        raise TemplateError(f"GetAtt {logical_id}.{attribute} is not supported")
