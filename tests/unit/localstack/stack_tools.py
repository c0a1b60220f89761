"""The provisioning scripts as modules (`localstack/` is not a package), and the ledger's table as declared in the template."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
LOCALSTACK = ROOT / "localstack"
if str(LOCALSTACK) not in sys.path:
    sys.path.insert(0, str(LOCALSTACK))

import provision  # noqa: E402
import template_values  # noqa: E402

PLACE = template_values.StackPlace("aws", "us-east-1", "123456789012")

__all__ = ["LOCALSTACK", "PLACE", "ROOT", "provision", "table_arguments", "template", "template_values"]


def template(prefix: str = "scenelake") -> Any:
    """The template with a prefix."""
    return template_values.Template(provision.TEMPLATE, {"NamePrefix": prefix}, PLACE)


def table_arguments() -> dict[str, Any]:
    """The arguments of CreateTable for the ledger."""
    properties = template().resources("AWS::DynamoDB::Table")["Ledger"]
    wanted = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    return {name: properties[name] for name in wanted}
