"""Names of tags, and what each kind promises.

| prefix | kind | expires |
| --- | --- | --- |
| `run-` | a training run | never; removed only where the caller says that it may be a run's |
| `hold-` | evidence that must survive | never; removed only where the caller says that it may be a hold |
| `reader-` | a reader at work | at its deadline, which the reader moves on while it works |
| anything else | a user's | never; removed by `untag` |
"""

from __future__ import annotations

import re
from enum import StrEnum

from lake.errors import VersionError

MAIN = "main"  # Iceberg's name of the current state
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
RULE = "lower-case letters, digits, `.`, `_` and `-`, 100 at most, the first a letter or digit, and not digits alone"


class TagKind(StrEnum):
    """Whose a tag is; the value is also the prefix of its name, `-` after it."""

    RUN = "run"
    HOLD = "hold"
    READER = "reader"
    USER = "user"


PROTECTED = frozenset({TagKind.RUN, TagKind.HOLD})
_PREFIXED = (TagKind.RUN, TagKind.HOLD, TagKind.READER)


def kind_of(name: str) -> TagKind:
    """The kind that a name stands for."""
    return next((kind for kind in _PREFIXED if name.startswith(f"{kind}-")), TagKind.USER)


def is_snapshot_id(name: str) -> bool:
    """Whether a name is taken for the id of a snapshot: a number of 64 bits."""
    return name.isascii() and name.isdigit() and len(name) < 20


def check_name(name: str) -> TagKind:
    """The kind of a name that a tag may have. A name cannot be taken for a snapshot id, nor for a drive.

    Raises:
        VersionError: It may not be given to a tag; the message says which names may.
    """
    kind = kind_of(name)
    bare = name.removeprefix(f"{kind}-") if kind is not TagKind.USER else name
    if not bare or name == MAIN or name.isdigit() or _NAME.fullmatch(name) is None:
        raise VersionError(f"{name!r} cannot be the name of a tag: {RULE}; `{MAIN}` is the current state")
    return kind
