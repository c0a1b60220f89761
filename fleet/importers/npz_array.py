"""One array of a numpy `.npz` archive: bounded by what its headers declare before anything is decompressed or allocated.

numpy's own reader allocates the size in an array's header before it checks whether the file holds that much. Here the
archive's directory and the array's header must first agree with each other and with the limit. Pickles are never opened: an
array of objects has no number type.

Formats: PKWARE APPNOTE 6.3 (zip); numpy.lib.format (magic, version, header as a Python dictionary in ASCII).
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.errors import SourceError
from fleet.importers.source import read_bounded

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_ARRAY_BYTES = 256 * 1024 * 1024  # once decompressed, its header included
MAX_DIMENSIONS = 4

_MAGIC = b"\x93NUMPY"
_HEADER_SIZES = {1: struct.Struct("<H"), 2: struct.Struct("<I"), 3: struct.Struct("<I")}
_HEADER = re.compile(
    r"\{'descr': '(?P<dtype>[<>|=]?[fiu][1248])', 'fortran_order': (?P<order>True|False), "
    r"'shape': \((?P<shape>[0-9]{0,12}(?:, ?[0-9]{1,12})*),?\), \} *\n?"
)


def read_array(path: Path, name: str) -> npt.NDArray[Any]:
    """The array `name` of the archive, read-only, of any shape and of integers or floats.

    Raises:
        SourceError: The file is missing, damaged or too large, or holds no such array of numbers.

    """
    file = read_bounded(path, MAX_FILE_BYTES)
    try:
        return _array(_member(file, f"{name}.npy"))
    except (ValueError, zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, OSError, EOFError) as error:
        raise SourceError(f"{path} holds no array {name!r} that can be read: {error or type(error).__name__}") from error


def _member(file: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename == name]
        if len(entries) != 1:
            raise ValueError(f"the archive has {len(entries)} entries {name}, there must be one")
        entry = entries[0]
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is encrypted, or compressed otherwise than by deflate")
        if entry.file_size > MAX_ARRAY_BYTES:
            raise ValueError(f"it would need {entry.file_size} bytes, the limit is {MAX_ARRAY_BYTES}")
        with archive.open(entry) as stream:
            body = stream.read(entry.file_size)  # no more is inflated than the directory declares
    if len(body) != entry.file_size:
        raise ValueError(f"it ends after {len(body)} of {entry.file_size} bytes")
    return body


def _array(body: bytes) -> npt.NDArray[Any]:
    form = _HEADER_SIZES.get(body[6]) if body.startswith(_MAGIC) and len(body) > 8 else None
    if form is None:
        raise ValueError("it does not begin as an array of numpy does")
    start = 8 + form.size + form.unpack_from(body, 8)[0]
    header = _HEADER.fullmatch(body[8 + form.size : start].decode("latin-1"))
    if header is None:
        raise ValueError("its header does not describe an array of numbers")
    dtype = np.dtype(header["dtype"])
    shape = tuple(int(length) for length in header["shape"].split(",") if length.strip())
    expected = math.prod(shape) * dtype.itemsize
    if len(shape) > MAX_DIMENSIONS or expected != len(body) - start:
        raise ValueError(f"its header declares {expected} bytes of shape {shape}, {max(0, len(body) - start)} follow it")
    flat = np.frombuffer(body, dtype=dtype, offset=start)
    return flat.reshape(shape, order="F" if header["order"] == "True" else "C")
