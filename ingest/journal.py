"""Log lines that a program can read: one JSON object each."""

from __future__ import annotations

import json
import logging

_logger = logging.getLogger("ingest")
MAX_VALUE_CHARACTERS = 2000


def note(event: str, level: int = logging.INFO, exc_info: bool = False, **fields: object) -> None:
    """Write one line: `event` and its facts; long values are cut to 2,000 characters, `exc_info` adds the traceback."""
    line = {"event": event} | {name: _bounded(value) for name, value in fields.items()}
    _logger.log(level, "%s", json.dumps(line, ensure_ascii=True), exc_info=exc_info)


def _bounded(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:MAX_VALUE_CHARACTERS]
