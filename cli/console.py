"""Where words go: results to stdout, everything about the work to stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table


def out() -> Console:
    """The console of results."""
    return _console(sys.stdout)


def err() -> Console:
    """The console of progress, notes and errors."""
    return _console(sys.stderr)


def at_terminal() -> bool:
    """Whether somebody watches stderr, and a progress bar makes sense."""
    return sys.stderr.isatty()


def say(message: str) -> None:
    """One plain line about the work, on stderr; data in it is never read as markup."""
    err().print(message, markup=False, highlight=False)


def complain(cause: str, hint: str | None) -> None:
    """An error, and what to do next, on stderr."""
    console = err()
    console.print(f"[bold red]error:[/] {escape(cause)}", highlight=False, soft_wrap=True)
    if hint:
        console.print(f"[bold]next:[/]  {escape(hint)}", highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """A result for a program: indented JSON on stdout; dataclasses as objects, paths and enums as strings."""
    sys.stdout.write(json.dumps(value, default=_plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[str] = ()) -> Table:
    """A table of plain cells; columns in `numbers` are set flush right. Cells that are rich values stay what they are."""
    right = frozenset(numbers)
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if hasattr(cell, "__rich_console__") else escape(str(cell)) for cell in row))
    return made


class Bars:
    """A progress bar for each step under way; called as `bars(step, done, total)`, from any thread."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __call__(self, step: str, done: int, total: int) -> None:
        with self._lock:
            if step not in self._tasks:
                self._tasks[step] = self._bar.add_task(escape(step), total=total)
        self._bar.update(self._tasks[step], completed=done, total=total, visible=done < total)

    def say(self, words: str) -> None:
        """What is going on, where nobody knows how much there is to do."""
        self("work", 0, 1)
        self._bar.update(self._tasks["work"], description=escape(words), total=None)


@contextmanager
def progress() -> Iterator[Bars]:
    """Progress bars on stderr; silent when nobody watches."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=err(),
        transient=True,
        disable=not at_terminal(),
    )
    with bar:
        yield Bars(bar)


def _console(stream: TextIO) -> Console:
    watched = stream.isatty()
    return Console(file=stream, width=None if watched else _pipe_width(), emoji=False)


def _pipe_width() -> int:
    from lake.errors import SettingsError
    from ops.settings import PIPE_WIDTH, CommandSettings

    try:
        return CommandSettings.from_env().columns
    except SettingsError:
        return PIPE_WIDTH  # COLUMNS is the shell's: rich, too, passes over one that is no number


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
