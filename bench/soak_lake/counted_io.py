"""A file access that counts what a commit reads and writes, in this process."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

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


class CountedFileIO(PyArrowFileIO):
    """As PyArrowFileIO, with every file of metadata noted in `COUNTS`."""

    def new_input(self, location: str) -> PyArrowFile:
        """A file to be read."""
        if is_metadata(location):
            COUNTS.read.append(location)
        return super().new_input(location)

    def new_output(self, location: str) -> PyArrowFile:
        """A file to be written."""
        if is_metadata(location):
            COUNTS.written.append(location)
        return super().new_output(location)


def is_metadata(location: str) -> bool:
    """Whether a table's metadata is stored under a URI or key: a metadata file, a manifest list or a manifest."""
    return "/metadata/" in location
