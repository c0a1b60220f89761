"""The structure of a JPEG file (ITU-T T.81, annex B): its size, and whether its scans hold all coefficients."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from sensors.decode.cdr import Bytes
from sensors.errors import DecodeError

# T.81, table B.1: the frame headers (without DHT, JPG and DAC, which share their range), and markers without length.
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
ARITHMETIC_MARKERS = frozenset({0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
START_OF_SCAN, END_OF_IMAGE, HUFFMAN_TABLES = 0xDA, 0xD9, 0xC4
FRAME = struct.Struct(">HBHHB")  # length, precision, height, width, components
LENGTH = struct.Struct(">H")
BLOCK = 64  # coefficients
MAX_SCANS = 1024  # far above what encoders write (about ten); each costs a pass over all coefficients

# What ends entropy-coded data: a marker that is neither a stuffed byte, nor a restart, nor a fill byte (B.1.1.2, B.1.1.5).
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


def jpeg_size(data: Bytes) -> tuple[int, int]:
    """Width and height in pixels, from the first frame header; a height of 0, given later by DNL, stays 0.

    Raises:
        DecodeError: There is no frame header before the first scan.
    """
    frame = _frame_header(data)
    _, _, height_px, width_px, _ = FRAME.unpack_from(data, frame + 2)
    return width_px, height_px


def lacks_huffman_tables(data: Bytes) -> bool:
    """Whether a Huffman-coded JPEG defines no table before its first scan, as the frames of webcams (USB video class, MJPEG).

    Decoders may supply the tables of T.81, annex K.3; the file alone is incomplete. False for what is damaged before that.
    """
    huffman, at = False, 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == HUFFMAN_TABLES:
            return False
        if marker == START_OF_SCAN:
            return huffman
        huffman = huffman or marker in FRAME_MARKERS - ARITHMETIC_MARKERS
        if marker == 0xFF:
            at += 1
        elif marker in BARE_MARKERS:
            at += 2
        else:
            at += 2 + int(LENGTH.unpack_from(data, at + 2)[0])
    return False


def check_scans(data: Bytes) -> None:
    """Refuse an image whose file ends in order before its scans have sent all bits of all coefficients.

    A decoder accepts it without a warning: each scan of a progressive image refines one that is whole already.

    Raises:
        DecodeError: Bits are missing, or a header is damaged.
    """
    frame = _frame_header(data)
    try:
        missing = _bits_after_scans(data, frame)
    except (struct.error, IndexError) as error:
        raise DecodeError(f"the jpeg of {len(data)} bytes ends within a header") from error
    if missing:
        raise DecodeError(f"the jpeg of {len(data)} bytes lacks scans: {missing} of its coefficients are incomplete or absent")


def _bits_after_scans(data: Bytes, frame: int) -> int:
    """How many coefficients of a block, over all components, lack their last bit."""
    count = data[frame + 9]
    progressive = data[frame + 1] in (0xC2, 0xC6, 0xCA, 0xCE)
    lacking = {int(data[frame + 10 + 3 * position]): set(range(BLOCK)) for position in range(count)}
    for number, scan in enumerate(_scans(data, frame)):
        if number == MAX_SCANS:
            raise DecodeError(f"the jpeg has more than {MAX_SCANS} scans")
        members = data[scan + 4]
        first, last, bits = data[scan + 5 + 2 * members], data[scan + 6 + 2 * members], data[scan + 7 + 2 * members] & 0x0F
        sent = range(first, min(last, BLOCK - 1) + 1) if progressive else range(BLOCK)
        for position in range(members):
            component = lacking.get(int(data[scan + 5 + 2 * position]), set())
            component.difference_update(() if progressive and bits else sent)
        if not progressive and not any(lacking.values()):
            return 0  # nothing can follow; the bytes of the only scan need not be searched
    return sum(map(len, lacking.values()))


def _scans(data: Bytes, at: int) -> Iterator[int]:
    """The positions of the scan headers from the frame header on."""
    while at + 1 < len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker == END_OF_IMAGE:
            return
        if marker == 0xFF:
            at += 1
        elif marker in BARE_MARKERS:
            at += 2
        elif marker == START_OF_SCAN:
            yield at
            end = _SCAN_END.search(data, at + 2 + int(LENGTH.unpack_from(data, at + 2)[0]))
            if end is None:
                return
            at = end.start()
        else:
            at += 2 + int(LENGTH.unpack_from(data, at + 2)[0])


def _frame_header(data: Bytes) -> int:
    at = 2
    while at + 2 + FRAME.size <= len(data):
        if data[at] != 0xFF:
            raise DecodeError(f"the jpeg has {data[at]:#04x} at byte {at}, where a marker must be")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in BARE_MARKERS:
            at += 2
        elif marker in FRAME_MARKERS:
            return at
        elif marker == START_OF_SCAN:
            break
        else:
            at += 2 + int(LENGTH.unpack_from(data, at + 2)[0])
    raise DecodeError(f"the jpeg of {len(data)} bytes has no frame header before its first scan")
