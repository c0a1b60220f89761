"""Output: results to stdout, progress, notes and errors to stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

import msgspec
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Table

from sensors.printable import printable


def out() -> Console:
    """The console of results."""
    return _console(sys.stdout)


def err() -> Console:
    """The console of progress, notes and errors."""
    return _console(sys.stderr)


def at_terminal() -> bool:
    """Whether stderr is a terminal, where a progress bar makes sense."""
    return sys.stderr.isatty()


def say(message: str) -> None:
    """Print one line on stderr; never interpreted as markup."""
    err().print(printable(message), markup=False, highlight=False)


def complain(cause: str, hint: str | None) -> None:
    """Print an error and the next step on stderr; further lines are indented, so that none poses as the next step."""
    console = err()
    console.print(f"[bold red]error:[/] {_indented(cause)}", highlight=False, soft_wrap=True)
    if hint:
        console.print(f"[bold]next:[/]  {_indented(hint)}", highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print indented JSON on stdout; dataclasses and structs become objects, paths and enums strings."""
    sys.stdout.write(_json(value, indent=2) + "\n")


class JsonStream:
    """A JSON object on stdout whose first field is a list that is printed as it grows, an element a line.

    Nothing is printed before the first element or the end.
    """

    def __init__(self, name: str) -> None:
        self._begin = "{" + json.dumps(name) + ": ["
        self._printed = 0

    def add(self, element: object) -> None:
        """Print the next element of the list."""
        sys.stdout.write(("," if self._printed else self._begin) + "\n" + _json(element))
        self._printed += 1

    def end(self, fields: Mapping[str, object]) -> None:
        """Print the other fields, and end the object."""
        rest = "".join(f",\n{json.dumps(name)}: {_json(value)}" for name, value in fields.items())
        sys.stdout.write(("" if self._printed else self._begin) + "\n]" + rest + "}\n")


def _json(value: object, indent: int | None = None) -> str:
    document = json.dumps(value, default=_encoded, indent=indent, ensure_ascii=False, allow_nan=False)
    if not document.isascii():  # JSON itself escapes the control characters of ASCII but one
        document = "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in document)
    return document.replace("\x7f", "\\u007f")


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[str] = ()) -> Table:
    """A table of plain cells; columns in `numbers` are right-aligned. Rich renderables are kept as they are."""
    right = frozenset(numbers)
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if hasattr(cell, "__rich_console__") else escape(printable(str(cell))) for cell in row))
    return made


def counted(count: int, noun: str) -> str:
    """A count with its noun: 1 frame, 2 frames."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class Bars:
    """One progress bar per running step; called as `bars(step, done, total)`, from any thread."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __call__(self, step: str, done: int, total: int) -> None:
        with self._lock:
            if step not in self._tasks:
                self._tasks[step] = self._bar.add_task(escape(printable(step)), total=total)
        self._bar.update(self._tasks[step], completed=done, total=total, visible=done < total)

    def say(self, message: str) -> None:
        """Show a step whose total is unknown."""
        self("work", 0, 1)
        self._bar.update(self._tasks["work"], description=escape(printable(message)), total=None)


@contextmanager
def progress() -> Iterator[Bars]:
    """Progress bars on stderr; silent unless it is a terminal."""
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


class PrintableConsole(Console):
    """A console on which nothing but its own styles reaches the terminal as a control sequence, whatever text holds."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """The segments of anything that is shown."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control or text.isprintable() else Segment(printable(text, keep="\n"), style)


def _indented(text: str) -> str:
    return escape(printable(text, keep="\n").replace("\n", "\n       "))


def _console(stream: TextIO) -> Console:
    at_terminal = stream.isatty()
    return PrintableConsole(file=stream, width=None if at_terminal else _pipe_width(), emoji=False)


def _pipe_width() -> int:
    from lake.errors import SettingsError
    from ops.settings import PIPE_WIDTH, CommandSettings

    try:
        return CommandSettings.from_env().columns
    except SettingsError:
        return PIPE_WIDTH  # COLUMNS is set by the shell; like rich, ignore a value that is not a number


def _encoded(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path | date):
        return str(value)
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
