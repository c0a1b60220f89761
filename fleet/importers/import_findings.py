"""What the user of an import should know, and what of it the manifest keeps: the frames that the source has lost."""

from __future__ import annotations

from collections.abc import Iterable

from lake.documents import MAX_LOSSES, SourceLoss

MAX_MESSAGE = 500  # characters, as in the manifest's schema


class ImportFindings(list[str]):
    """Findings in words, in the order in which they were made; some of them are losses, too."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        super().__init__(words)
        self._losses: list[SourceLoss] = []

    def lose(self, sensor: str | None, frames: int | None, words: str) -> None:
        """Add a finding that frames are lost.

        `sensor`: its name in the rig, None where it is not in the rig or several are concerned. `frames`: None if unknown.
        """
        self.append(words)
        self.record_loss(sensor, frames, words)

    def record_loss(self, sensor: str | None, frames: int | None, words: str) -> None:
        """Add a loss whose words are among the findings already."""
        self._losses.append(SourceLoss(sensor, frames, words[:MAX_MESSAGE]))

    @property
    def losses(self) -> tuple[SourceLoss, ...]:
        """All losses; what is beyond the manifest's limit is added up in the last one."""
        if len(self._losses) <= MAX_LOSSES:
            return tuple(self._losses)
        kept, rest = self._losses[: MAX_LOSSES - 1], self._losses[MAX_LOSSES - 1 :]
        counts = [loss.frames for loss in rest if loss.frames is not None]
        frames = sum(counts) if len(counts) == len(rest) else None
        return (*kept, SourceLoss(None, frames, f"{len(rest)} more losses"))
