"""Whether something names a drive.

A drive id is unique within its vehicle only. So what names a drive is a text that holds both ids, or a record (a row, an object
of JSON with all that it lies in, an entry of a manifest) of which one text holds the vehicle and another the drive. A drive id
that stands without any vehicle names nothing, and is not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from lake.landing import DriveId

_WITHIN_ID = "a-z0-9_-"


class Names:
    """The test for one drive."""

    def __init__(self, drive: DriveId) -> None:
        self.drive = drive
        self._vehicle, self._drive = _token(drive.vehicle_id), _token(drive.drive_id)
        self._statistics = re.compile(rf"/[0-9]{{19}}-{re.escape(drive.drive_id)}\.json(?![{_WITHIN_ID}])")

    def text(self, text: str) -> bool:
        """Whether a text names the drive."""
        return self.record((text,))

    def record(self, texts: Iterable[str]) -> bool:
        """Whether a record with these texts names the drive."""
        listed = [text for text in texts if text]
        if not any(self._of_drive(text) for text in listed):
            return False
        return any(self._vehicle.search(text) for text in listed)

    def may_name(self, body: bytes) -> bool:
        """Whether bytes hold the drive id at all: a cheap test before anything is parsed."""
        return self.drive.drive_id.encode() in body

    def document(self, value: Any, around: tuple[str, ...] = ()) -> bool:
        """Whether a JSON value, or a part of it, names the drive; `around`: texts of what it lies in."""
        if isinstance(value, dict):
            own = (*around, *map(str, value), *(one for one in value.values() if isinstance(one, str)))
            return self.record(own) or any(self.document(one, own) for one in value.values() if isinstance(one, dict | list))
        if isinstance(value, list):
            own = (*around, *(one for one in value if isinstance(one, str)))
            return self.record(own) or any(self.document(one, around) for one in value if isinstance(one, dict | list))
        return isinstance(value, str) and self.record((*around, value))

    def _of_drive(self, text: str) -> bool:
        return self._drive.search(text) is not None or self._statistics.search(text) is not None


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a value, at any depth; bytes that are UTF-8 count as text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes | bytearray):
        try:
            yield value.decode()
        except UnicodeDecodeError:
            return
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from texts_of(name)
            yield from texts_of(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_of(one)


def _token(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![{_WITHIN_ID}]){re.escape(name)}(?![{_WITHIN_ID}])")
