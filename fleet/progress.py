"""How long work reports back."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as `progress(step, done, total)`; `step` names the work (a sensor, a file), `done` grows from 0 to `total`."""


def silent(step: str, done: int, total: int) -> None:
    """Report nothing."""
