"""The JSON Schemas in the tree are valid, and the documents that the project writes follow them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sensors.policy import FrameUse, Matcher
from sensors.rig import Modality, Stamp, TimeBase
from tests.unit.architecture.source_tree import ROOT

SCHEMAS = sorted((ROOT / "lake" / "schemas").glob("*.json"))


def nodes(schema: Any) -> list[dict[str, Any]]:
    inside = list(schema.values()) if isinstance(schema, dict) else schema if isinstance(schema, list) else []
    return [*([schema] if isinstance(schema, dict) else []), *(node for value in inside for node in nodes(value))]


def test_every_document_has_one_and_what_they_share_is_beside_them() -> None:
    assert [path.name for path in SCHEMAS] == ["baseline.json", "calibration.json", "manifest.json", "rules.json"]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_schema_is_valid_draft_2020_12_and_bounds_everything(path: Path) -> None:
    schema = json.loads(path.read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    for node in nodes(schema):
        if node.get("type") == "object":
            assert node["additionalProperties"] is False, node
        if node.get("type") == "array":
            assert "maxItems" in node, node
        if node.get("type") == "string":
            assert {"maxLength", "pattern"} & set(node), node
        if node.get("type") == "integer":
            assert {"minimum", "maximum"} <= set(node), node
        if "pattern" in node:
            # `lake.documents` matches whole strings, which is the same only for a pattern anchored at both ends.
            assert node["pattern"].startswith("^")
            assert node["pattern"].endswith("$")
            re.compile(node["pattern"])


def test_the_words_of_the_schemas_are_those_of_the_code() -> None:
    ours = [{word.value for word in words} for words in (Modality, Stamp, Matcher, FrameUse, TimeBase)]
    for path in SCHEMAS[:3]:
        choices = [set(node["enum"]) for node in nodes(json.loads(path.read_text())) if "enum" in node]
        assert {kind.value for kind in Modality} in choices
        assert all(found in ours for found in choices)
