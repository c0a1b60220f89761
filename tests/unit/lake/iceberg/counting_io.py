"""File access that counts, for tables whose catalog names it as `py-io-impl`."""

from __future__ import annotations

from typing import ClassVar

from pyiceberg.io import InputFile
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO


class CountingIO(PyArrowFileIO):
    opened: ClassVar[list[str]] = []
    made: ClassVar[list[str]] = []

    def new_input(self, location: str) -> PyArrowFile:
        self.opened.append(location)
        return super().new_input(location)

    def new_output(self, location: str) -> PyArrowFile:
        self.made.append(location)
        return super().new_output(location)

    @classmethod
    def start(cls) -> None:
        """Count from here."""
        cls.opened.clear()
        cls.made.clear()

    @classmethod
    def manifests(cls) -> int:
        """Manifests opened; lists and metadata are other files."""
        return sum(uri.endswith(".avro") and "/snap-" not in uri for uri in cls.opened)

    @classmethod
    def metadata_bytes(cls) -> int:
        """Bytes of metadata written."""
        return sum(len(_file(uri)) for uri in cls.made if "/metadata/" in uri)


def _file(uri: str) -> InputFile:
    return PyArrowFileIO().new_input(uri)
