"""Drive folders in the landing layout, made by a seeded generator or by importers of public datasets, and their upload.

A drive folder is checked before any of it is sent; the uploader puts the manifest last, so a drive without a manifest is
still being uploaded.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as `progress(step, done, total)`; `step` names the work (a sensor, a file), `done` grows from 0 to `total`."""


def silent(step: str, done: int, total: int) -> None:
    """Report nothing."""
