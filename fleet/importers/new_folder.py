"""What an import that fails leaves behind: nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

Write = TypeVar("Write", bound=Callable[..., Any])


def into_new_folder(write: Write) -> Write:
    """Wrap `write(src, out, ...)`, which fills the new folder `out`: if it raises or is interrupted, `out` is as it was before.

    A folder that held something before is left alone: `write` refuses it.
    """

    @wraps(write)
    def written(src: Path, out: Path, *args: Any, **options: Any) -> Any:
        there = [folder for folder in (out, *out.parents) if folder.exists()]
        if out in there and (not out.is_dir() or any(out.iterdir())):
            return write(src, out, *args, **options)
        try:
            return write(src, out, *args, **options)
        except BaseException:  # an interrupt, too, leaves half a drive
            _restore(out, there)
            raise

    return cast(Write, written)


def _restore(out: Path, there: list[Path]) -> None:
    if out in there:
        for entry in out.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        return
    shutil.rmtree(out, ignore_errors=True)
    for folder in out.parents:
        if folder in there:
            return
        folder.rmdir()
