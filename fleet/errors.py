"""Errors before a drive has landed.

FleetError
├── SpecError           a drive or fault that cannot be generated as specified
├── SourceError         a dataset folder that an importer cannot, or will not, read
├── DriveFolderError    a drive folder that breaks the landing layout; lists every problem
└── UploadError         the raw bucket cannot be reached, or did not keep what was sent
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sensors.errors import ScenelakeError


class FleetError(ScenelakeError):
    """Base of every error of this package."""


class SpecError(FleetError):
    """A drive or fault that cannot be generated as specified."""


class SourceError(FleetError):
    """A dataset folder that an importer cannot, or will not, read."""


class UploadError(FleetError):
    """The raw bucket cannot be reached, or did not keep what was sent."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a drive folder: the file (relative to the folder), the cause, and the remedy."""

    file: str
    cause: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.file}: {self.cause}; {self.next_step}"


class DriveFolderError(FleetError):
    """A drive folder that breaks the landing layout; `problems` lists all violations."""

    def __init__(self, folder: Path, problems: Sequence[Problem]) -> None:
        self.folder = folder
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        super().__init__("\n".join([f"{folder} cannot be uploaded, {count}:", *(f"  - {problem}" for problem in self.problems)]))

    def __reduce__(self) -> tuple[type[DriveFolderError], tuple[Path, tuple[Problem, ...]]]:
        return type(self), (self.folder, self.problems)
