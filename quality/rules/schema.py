"""The JSON Schema of a rig's `policy.rules`, from the catalogue: an override is accepted or rejected when the rig is loaded."""

from __future__ import annotations

import json
from typing import Any

from quality.rules.catalogue import RULES, Rule

_ID = "https://scenelake.example/schemas/rules.json"


def render() -> str:
    """`lake/schemas/rules.json`. Each `description` states what is allowed; a rejection quotes it."""
    entries = {entry.code: _entry(entry) for entry in RULES if entry.leeway}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _ID,
        "title": "Quality rules that a rig sets otherwise; generated from quality/rules/catalogue.py",
        "description": f"overrides of {', '.join(entries)}",
        "type": "object",
        "additionalProperties": False,
        "properties": entries,
    }
    return json.dumps(document, indent=2) + "\n"


def allowed(entry: Rule) -> str:
    """The allowed overrides of a rule as text: `threshold 1 to 10000 ppm; severity error or warning`."""
    return "; ".join(f"{name} {value['description']}" for name, value in _values(entry).items())


def _entry(entry: Rule) -> dict[str, Any]:
    return {
        "description": allowed(entry),
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": _values(entry),
    }


def _values(entry: Rule) -> dict[str, dict[str, Any]]:
    leeway, values = entry.leeway, {}
    if leeway.low is not None and leeway.high is not None:
        words = f"{leeway.low:.10g} to {leeway.high:.10g} {entry.unit}"
        values["threshold"] = {"description": words, "type": "number", "minimum": leeway.low, "maximum": leeway.high}
    if leeway.severities:
        words = " or ".join(leeway.severities)
        values["severity"] = {"description": words, "enum": [severity.value for severity in leeway.severities]}
    return values
