"""Reviewers' decisions about a drive, as part of the drive's input and so of its revision (ADR 0016).

A decision names its targets and the input that the reviewer saw. Data that lands afterwards makes a new input, about which
nothing is decided yet: a decision never covers bytes that its reviewer could not see. It holds no time (promise P7); the
ledger records when a decision was made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from lake.documents import canonical_json
from lake.drive_input import DriveInput
from lake.errors import OverrideError

MAX_TARGETS = 5000
MAX_RULES = 64
MAX_REASON_CHARACTERS = 500
MAX_OVERRIDE_BYTES = 200 * 1024  # an item of the ledger holds 400 KB
_INPUT = re.compile(r"[0-9a-f]{64}")
_RULE = re.compile(r"[A-Z]{3}[0-9]{3}")
_REVIEWER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
_TARGET = re.compile(r"drive|scene:-?[0-9]{1,19}|frame:[a-z0-9][a-z0-9_-]{0,62}:-?[0-9]{1,19}|object:[!-~]{1,2200}")
_FIELDS = frozenset({"verdict", "input", "targets", "rules", "reviewer", "reason"})

DRIVE = "drive"


class Verdict(StrEnum):
    """The possible decisions of a reviewer."""

    RELEASE = "release"
    REJECT = "reject"


def object_target(key: str, version_id: str | None) -> str:
    """One version of a raw object; without a version, an object that never landed."""
    return f"object:{key}@{version_id or ''}"


def frame_target(sensor: str, stamp_ns: int) -> str:
    """One frame: of frames with equal stamps only one is ever processed."""
    return f"frame:{sensor}:{stamp_ns}"


def scene_target(anchor_ns: int) -> str:
    """One scene, by its anchor."""
    return f"scene:{anchor_ns}"


@dataclass(frozen=True, slots=True)
class Override:
    """One reviewer's verdict on the findings `rules` of some targets of one drive, as they were judged from `input`.

    `input` is `DriveInput.base` of what the reviewer saw. Targets and rules are sorted.

    Raises:
        OverrideError: A value is outside its bounds; the message names it and the bound.
    """

    verdict: Verdict
    input: str
    targets: tuple[str, ...]
    rules: tuple[str, ...]
    reviewer: str
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(sorted(set(self.targets))))
        object.__setattr__(self, "rules", tuple(sorted(set(self.rules))))
        if _INPUT.fullmatch(self.input) is None:
            raise OverrideError(f"input {self.input[:80]!r} is not 64 hexadecimal digits")
        if not 1 <= len(self.targets) <= MAX_TARGETS:
            raise OverrideError(f"a decision is about 1 to {MAX_TARGETS} things of a drive, not {len(self.targets)}")
        if not 1 <= len(self.rules) <= MAX_RULES:
            raise OverrideError(f"a decision names 1 to {MAX_RULES} rules, not {len(self.rules)}")
        for pattern, what, values in ((_TARGET, "target", self.targets), (_RULE, "rule", self.rules)):
            wrong = next((value for value in values if pattern.fullmatch(value) is None), None)
            if wrong is not None:
                raise OverrideError(f"{what} {wrong[:200]!r} of a decision does not match {pattern.pattern}")
        check_person(self.reviewer, self.reason)

    def to_string(self) -> str:
        """As canonical JSON; `Override.parse` reads it back to an equal one.

        Raises:
            OverrideError: It takes more than 200 KiB.
        """
        body = canonical_json(asdict(self))
        if len(body) > MAX_OVERRIDE_BYTES:
            raise OverrideError(
                f"a decision of {len(body)} bytes exceeds {MAX_OVERRIDE_BYTES}: decide about fewer things at once"
            )
        return body.decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `to_string` wrote.

        Raises:
            OverrideError: Too large, not JSON, other fields, or a value outside its bounds.
        """
        if len(text) > MAX_OVERRIDE_BYTES:
            raise OverrideError(f"an override of {len(text)} characters exceeds {MAX_OVERRIDE_BYTES} bytes")
        try:
            document: dict[str, Any] = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OverrideError(f"an override is not JSON: {error}") from error
        if not isinstance(document, dict) or set(document) != _FIELDS:
            raise OverrideError(f"an override must have exactly the fields {', '.join(sorted(_FIELDS))}")
        lists = [document.pop("targets"), document.pop("rules")]
        words_only = all(isinstance(value, str) for value in document.values())
        if not words_only or not all(isinstance(one, list) and all(isinstance(word, str) for word in one) for one in lists):
            raise OverrideError("an override holds strings, and lists of strings in targets and rules")
        if document["verdict"] not in tuple(Verdict):
            raise OverrideError(f"an override has the verdict {document['verdict'][:80]!r}; known are {', '.join(Verdict)}")
        document["verdict"] = Verdict(document["verdict"])
        return cls(**document, targets=tuple(lists[0]), rules=tuple(lists[1]))


def check_person(reviewer: str, reason: str) -> None:
    """Refuse a decision without a valid reviewer and reason.

    Raises:
        OverrideError: The reviewer does not match `[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}`, or the reason is not 3 to 500
            printable characters without blanks around them.
    """
    if _REVIEWER.fullmatch(reviewer) is None:
        raise OverrideError(f"reviewer {reviewer[:120]!r} must match {_REVIEWER.pattern}")
    if not 3 <= len(reason) <= MAX_REASON_CHARACTERS or reason != reason.strip() or not reason.isprintable():
        raise OverrideError(f"a reason has 3 to {MAX_REASON_CHARACTERS} printable characters, and no blanks around them")


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions in effect for one input: the released and the rejected rules by target. A rejection wins."""

    released: Mapping[str, Override]
    rejected: Mapping[str, Override]

    def __bool__(self) -> bool:
        return bool(self.released or self.rejected)

    @classmethod
    def of(cls, drive_input: DriveInput) -> Self:
        """The decisions in a drive's input; a decision about another input has no effect.

        Raises:
            OverrideError: An override that this code cannot read.
        """
        return cls.among(map(Override.parse, sorted(drive_input.overrides)), drive_input.base)

    @classmethod
    def among(cls, overrides: Iterable[Override], base: str) -> Self:
        """Those of `overrides` that were made on the input `base`."""
        found: dict[Verdict, dict[str, Override]] = {verdict: {} for verdict in Verdict}
        for override in overrides:
            if override.input == base:
                found[override.verdict] |= dict.fromkeys(override.targets, override)
        rejected = found[Verdict.REJECT]
        released = {target: override for target, override in found[Verdict.RELEASE].items() if target not in rejected}
        return cls(released, rejected)

    def of_target(self, target: str) -> Override | None:
        """The decisions about one target."""
        return self.rejected.get(target) or self.released.get(target)


NONE = Decisions({}, {})
