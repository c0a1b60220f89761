"""The demo's display while it runs: a live table on a terminal, otherwise one line per change."""

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
from ops.drives.follower import Sighting

STYLES = {"published": "green", "quarantined": "yellow", "failed": "red"}


@dataclass(slots=True)
class Row:
    """A drive on the board."""

    name: str
    phase: str = "waiting"
    frames: str = ""
    sighting: Sighting | None = None

    @property
    def ended(self) -> bool:
        """Whether the drive has finished."""
        return self.sighting is not None and self.sighting.final

    @property
    def state(self) -> str:
        """Its state in the ledger, or its phase before it has landed."""
        return self.phase if self.sighting is None else self.sighting.state

    @property
    def step(self) -> str:
        """The current Airflow step."""
        return (self.sighting.step or "") if self.sighting is not None else ""

    @property
    def landed(self) -> int:
        """Its objects in the ledger."""
        return self.sighting.landed if self.sighting is not None else 0


class Board:
    """Shared by the threads of the demo; every change is shown immediately."""

    def __init__(self, names: Sequence[str]) -> None:
        self.rows = [Row(name) for name in names]
        self._stack = "starting the stack"
        self._lock = threading.Lock()
        self._started_s = time.monotonic()
        self._printed: dict[str, str] = {}
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

    def stack(self, status: str) -> None:
        """Show the state of the stack."""
        with self._lock:
            self._stack = status
        self._print("stack", status)

    def phase(self, index: int, phase: str, *, live_only: bool = False) -> None:
        """Show a drive's phase before it has landed; `live_only`: on a terminal only."""
        with self._lock:
            self.rows[index].phase = phase
        if not live_only:
            self._print(self.rows[index].name, phase)

    def rename(self, index: int, name: str) -> None:
        """Show a drive under the name from its folder."""
        with self._lock:
            self.rows[index].name = name

    def update(self, index: int, sighting: Sighting) -> None:
        """Show the latest sighting of a drive."""
        with self._lock:
            self.rows[index].sighting = sighting
        self._print(self.rows[index].name, f"{sighting.summary}, {console.counted(sighting.landed, 'object')} landed")

    def frames(self, index: int, accounting: str) -> None:
        """Show the accounting of a finished drive."""
        with self._lock:
            self.rows[index].frames = accounting
        self._print(self.rows[index].name + " frames", accounting)

    def _print(self, subject: str, message: str) -> None:
        if self._live is None and self._printed.get(subject) != message:
            self._printed[subject] = message
            console.say(f"{time.monotonic() - self._started_s:5.0f} s  {subject}: {message}")

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
