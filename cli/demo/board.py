"""What the demo shows while it runs: a live table at a terminal, a line for every change elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli import console
from ops.following import Sighting

STYLES = {"published": "green", "quarantined": "yellow", "failed": "red"}
PREPARING = "preparing"


@dataclass(slots=True)
class Row:
    """A drive on the board."""

    name: str
    phase: str = "waiting"
    frames: str = ""
    sighting: Sighting | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.sighting is not None and self.sighting.final

    @property
    def state(self) -> str:
        """What it is doing."""
        return self.phase if self.sighting is None else self.sighting.state

    @property
    def step(self) -> str:
        """The Airflow step that works on it."""
        return (self.sighting.step or "") if self.sighting is not None else ""

    @property
    def landed(self) -> int:
        """Its objects in the ledger."""
        return self.sighting.landed if self.sighting is not None else 0


class Board:
    """Shared by the threads of the demo; every change is shown at once."""

    def __init__(self, names: Sequence[str]) -> None:
        self.rows = [Row(name) for name in names]
        self._stack = "starting the stack"
        self._lock = threading.Lock()
        self._started_s = time.monotonic()
        self._told: dict[str, str] = {}
        self._live = (
            Live(console=console.err(), get_renderable=self._render, refresh_per_second=5) if console.at_terminal() else None
        )

    def __enter__(self) -> Board:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def stack(self, words: str) -> None:
        """What the stack is doing."""
        with self._lock:
            self._stack = words
        self._tell("stack", words)

    def phase(self, index: int, words: str, *, loud: bool = True) -> None:
        """What happens to a drive before it has landed; a quiet change is shown at a terminal only."""
        with self._lock:
            self.rows[index].phase = words
        if loud:
            self._tell(self.rows[index].name, words)

    def rename(self, index: int, name: str) -> None:
        """Give a drive the name that its folder says."""
        with self._lock:
            self.rows[index].name = name

    def seen(self, index: int, sighting: Sighting) -> None:
        """The newest sighting of a drive."""
        with self._lock:
            self.rows[index].sighting = sighting
        self._tell(self.rows[index].name, f"{sighting.words}, {sighting.landed} objects landed")

    def frames(self, index: int, words: str) -> None:
        """What the accounting says of a drive that has ended."""
        with self._lock:
            self.rows[index].frames = words
        self._tell(self.rows[index].name + " frames", words)

    def _tell(self, subject: str, words: str) -> None:
        if self._live is None and self._told.get(subject) != words:
            self._told[subject] = words
            console.say(f"{time.monotonic() - self._started_s:5.0f} s  {subject}: {words}")

    def _render(self) -> Table:
        with self._lock:
            rows = [(row.name, row.landed, row.state, row.step, row.frames, row.ended) for row in self.rows]
            stack = self._stack
        grid = Table.grid(padding=(0, 2))
        grid.add_row(Text(f"{time.monotonic() - self._started_s:4.0f} s", style="bold"), Text(f"stack: {stack}"))
        board = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("", "drive", "objects", "state", "step", "frames"):
            board.add_column(column, justify="right" if column == "objects" else "left", no_wrap=column == "drive")
        for name, landed, state, step, frames, ended in rows:
            mark = Text("✓", style="green") if ended else Spinner("dots")
            board.add_row(mark, Text(name), str(landed or ""), Text(state, style=STYLES.get(state, "")), Text(step), Text(frames))
        outer = Table.grid()
        outer.add_row(grid)
        outer.add_row(board)
        return outer
