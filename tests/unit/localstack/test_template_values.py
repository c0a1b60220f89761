from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.localstack.stack_tools import PLACE, template_values

TEXT = """
Parameters:
  Prefix: {Type: String, Default: pre}
  Size: {Type: Number, Default: 3}
Resources:
  Box:
    Type: AWS::S3::Bucket
    Properties: {BucketName: !Sub "${Prefix}-${AWS::AccountId}-${Size}"}
  Line:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Ref Prefix, To: !GetAtt Box.Arn, Literal: !Sub "${!name}/${Line.QueueName}"}
  Role:
    Type: AWS::IAM::Role
    Properties: {Bad: !If [A, b, c], Arn: !GetAtt Role.Arn}
"""


@pytest.fixture
def made(tmp_path: Path) -> template_values.Template:
    path = tmp_path / "t.yaml"
    path.write_text(TEXT)
    return template_values.Template(path, {"Prefix": "mine"}, PLACE)


def test_references_are_replaced(made: template_values.Template) -> None:
    assert made.resources("AWS::S3::Bucket") == {"Box": {"BucketName": "mine-123456789012-3"}}
    assert made.resources("AWS::SQS::Queue") == {
        "Line": {"QueueName": "mine", "To": "arn:aws:s3:::mine-123456789012-3", "Literal": "${name}/mine"}
    }


def test_unsupported_functions_are_errors(made: template_values.Template) -> None:
    with pytest.raises(template_values.TemplateError, match="Fn::If"):
        made.resources("AWS::IAM::Role")
    with pytest.raises(template_values.TemplateError, match="no fixed name"):
        made.name_of("Role")


def test_place_of_a_stack() -> None:
    arn = "arn:aws-cn:cloudformation:cn-north-1:42:stack/s/1"
    assert template_values.StackPlace.of_stack(arn) == template_values.StackPlace("aws-cn", "cn-north-1", "42")
    with pytest.raises(template_values.TemplateError, match="not a stack ARN"):
        template_values.StackPlace.of_stack("arn:aws:s3:::x")
