"""What vehicles upload: drive folders in the landing layout, made by a seeded generator or by importers of public datasets.

A drive folder is checked before anything of it is sent; the uploader puts the manifest last, so that a drive without a
manifest is a drive that is still on its way.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as `progress(step, done, total)`; `step` names the work (a sensor, a file), `done` grows from 0 to `total`."""


def silent(step: str, done: int, total: int) -> None:
    """Report nothing."""
