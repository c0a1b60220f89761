"""A file access that counts what a commit reads and writes, in this process."""

from __future__ import annotations

from dataclasses import dataclass, field

from lake.iceberg.file_io import LakeFile, LakeFileIO, is_metadata

NAME = f"{__name__}.CountedFileIO"


@dataclass(slots=True)
class Counts:
    """Files of metadata that were opened to be read, and that were written, since the counts were cleared."""

    read: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Begin anew."""
        self.read.clear()
        self.written.clear()


COUNTS = Counts()


class CountedFileIO(LakeFileIO):
    """As its base, with every file of metadata noted in `COUNTS`."""

    def new_input(self, location: str) -> LakeFile:
        """A file to be read."""
        if is_metadata(location):
            COUNTS.read.append(location)
        return super().new_input(location)

    def new_output(self, location: str) -> LakeFile:
        """A file to be written."""
        if is_metadata(location):
            COUNTS.written.append(location)
        return super().new_output(location)
