"""Stamp streams from a drive folder, a recording, or a table `sensor,stamp_ns[,log_ns]` (CSV or Parquet).

Tables are read in batches, of which only sensor codes and integers are kept, so memory is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fleet import Progress, silent
from fleet.recordings.stamp_streams import stamp_streams
from lake.documents import parse_document
from lake.landing import CALIBRATION, MODALITIES
from ops.errors import InputError
from ops.sync.streams import Stream, guessed_modality
from sensors.container.mcap import scan
from sensors.container.recorded import ContainerFault
from sensors.decode.messages import MESSAGE_TYPES, peek_stamp_ns
from sensors.errors import DecodeError
from sensors.rig import Modality, Rig
from sensors.stamps import MAX_STAMP_NS, Nanoseconds, recording_order

MAX_ROWS = 50_000_000
MAX_SENSORS = 1024
BATCH_BYTES = 16 * 1024**2
_LINE = 65_536  # no line of a timeline is longer
DIGITS = {"ns": 0, "100ns": 2, "us": 3, "ms": 6, "s": 9}  # decimals of each unit that make a nanosecond
_HINT = (
    "it needs a column with the sensor's name and one with stamps, integers or decimals: sensor,stamp_ns[,log_ns]; "
    "or set --sensor-column, --stamp-column, --log-column and --stamp-unit"
)


@dataclass(frozen=True, slots=True)
class TableLayout:
    """Names of the columns and the unit of the stamps. `log`: None for the column `log_ns` if there is one.

    `sort`: rows are in no particular order; sort them by stamp.
    """

    sensor: str = "sensor"
    stamp: str = "stamp_ns"
    log: str | None = None
    unit: str = "ns"
    sort: bool = False


DEFAULT_LAYOUT = TableLayout()


def read_table(path: Path, layout: TableLayout = DEFAULT_LAYOUT) -> tuple[Stream, ...]:
    """The streams of a `.csv` or `.parquet`, by sensor name; rows are in the order of logging.

    Raises:
        InputError: Not such a table, a missing column or one of another type, an invalid row (with its number), a stamp
            beyond the year 2096, or too many rows or sensors.
    """
    parts: list[tuple[np.ndarray[tuple[int], np.dtype[np.int16]], Nanoseconds, Nanoseconds | None]] = []
    names: dict[str, int] = {}
    first_row = 1
    try:
        for batch in _batches(path, layout):
            parts.append(_decoded(path, batch, names, layout, first_row))
            first_row += batch.num_rows
            if first_row > MAX_ROWS:
                raise InputError(f"{path} has more than {MAX_ROWS} rows", "split it into shorter timelines")
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:  # what pyarrow raises for damaged pages
        raise _malformed(path, layout, str(error).partition("\n")[0]) from error
    if not parts:
        return ()
    codes = np.concatenate([part[0] for part in parts])
    stamps = np.concatenate([part[1] for part in parts])
    logs = None if any(part[2] is None for part in parts) else np.concatenate([part[2] for part in parts])
    del parts
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(names) + 1))
    found = []
    for name, code in sorted(names.items()):
        rows = order[bounds[code] : bounds[code + 1]]
        if layout.sort:
            rows = rows[np.argsort(stamps[rows], kind="stable")]
        elif logs is not None:
            rows = rows[_recorded_order(stamps[rows], logs[rows])]
        found.append(Stream(name, guessed_modality(name), stamps[rows], None if logs is None else logs[rows]))
    return tuple(found)


def _recorded_order(stamps_ns: Nanoseconds, log_ns: Nanoseconds) -> npt.NDArray[np.intp]:
    """By log time, ties by position; by position alone where the log times are the stamps, as if nobody had recorded them."""
    return np.arange(stamps_ns.size) if np.array_equal(stamps_ns, log_ns) else recording_order(log_ns)


def _batches(path: Path, layout: TableLayout) -> Iterator[pa.RecordBatch]:
    if path.suffix.lower() == ".csv":
        from pyarrow import csv

        with path.open("rb") as head:
            columns = _columns(path, head.readline(_LINE).decode("utf-8-sig").rstrip("\r\n").replace('"', "").split(","), layout)
        # Types are declared, not inferred: a stamp read as a float loses its nanoseconds.
        digits = DIGITS[layout.unit]
        stamps = pa.decimal128(38, digits) if digits else pa.int64()
        types = {layout.sensor: pa.dictionary(pa.int32(), pa.string()), **dict.fromkeys(columns[1:], stamps)}
        options = csv.ConvertOptions(column_types=types, include_columns=columns, strings_can_be_null=True, null_values=[""])
        reader = csv.open_csv(path, read_options=csv.ReadOptions(block_size=BATCH_BYTES), convert_options=options)
        with reader:
            yield from reader
        return
    from pyarrow import parquet

    with parquet.ParquetFile(path, read_dictionary=[layout.sensor]) as file:
        columns = _columns(path, file.schema_arrow.names, layout)
        for name in columns[1:]:
            kind = file.schema_arrow.field(name).type
            if not pa.types.is_integer(kind):
                raise InputError(f"{path}: {name} is {kind}", "stamps must be integers: a float loses nanoseconds")
        for batch in file.iter_batches(columns=columns, batch_size=1 << 20):
            batch.validate(full=True)  # a damaged page can name an entry that its dictionary does not have
            yield batch.select(columns)  # columns come in the order of the file


def _columns(path: Path, present: list[str], layout: TableLayout) -> list[str]:
    """Sensor, stamp and, where there is one, log time."""
    log = layout.log or ("log_ns" if "log_ns" in present else None)
    columns = [layout.sensor, layout.stamp, *([log] if log else [])]
    absent = [name for name in columns if name not in present]
    if absent:
        has = ", ".join(name[:40] for name in present[:12])
        raise InputError(f"{path} is not a timeline: it has no column {', '.join(absent)} among {has}", _HINT)
    return columns


def _decoded(
    path: Path, batch: pa.RecordBatch, names: dict[str, int], layout: TableLayout, first_row: int
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int16]], Nanoseconds, Nanoseconds | None]:
    sensors = batch.column(0)
    for column in batch.columns:
        if column.null_count:
            row = first_row + pc.index(column.is_null(), True).as_py()
            raise InputError(f"{path}: row {row} has no sensor or no stamp", "remove the row: every row is one frame")
    if not pa.types.is_dictionary(sensors.type):
        sensors = sensors.cast(pa.string()).dictionary_encode()
    known = [names.setdefault(str(name), len(names)) for name in sensors.dictionary.to_pylist()]
    if len(names) > MAX_SENSORS:
        raise InputError(
            f"{path} names {len(names)} sensors, more than {MAX_SENSORS}", f"does {layout.sensor} hold sensor names?"
        )
    codes = np.array(known, dtype=np.int16)[sensors.indices.to_numpy()]
    times = [_nanoseconds(path, column, layout, first_row) for column in batch.columns[1:]]
    return codes, times[0], times[1] if len(times) > 1 else None


def _nanoseconds(path: Path, column: pa.Array, layout: TableLayout, first_row: int) -> Nanoseconds:
    if pa.types.is_decimal(column.type):
        # A decimal with as many digits after the point as its unit has for a nanosecond is, unscaled, in nanoseconds.
        words = np.frombuffer(column.buffers()[1], dtype="<i8").reshape(-1, 2)[column.offset : column.offset + len(column)]
        values, factor = words[:, 0], 1
        far = (words[:, 1] != values >> 63) | (np.abs(np.clip(values, -MAX_STAMP_NS - 1, MAX_STAMP_NS + 1)) > MAX_STAMP_NS)
    else:
        values, factor = column.cast(pa.int64()).to_numpy(), 10 ** DIGITS[layout.unit]
        far = (values > MAX_STAMP_NS // factor) | (values < -(MAX_STAMP_NS // factor))
    if far.any():
        at = int(np.argmax(far))
        stamp = column[at].as_py()
        raise InputError(
            f"{path}: row {first_row + at} has the stamp {int(stamp)} {layout.unit}, not between 1843 and 2096",
            _likely_unit(int(stamp)),
        )
    return np.asarray(values * factor)


def _likely_unit(value: int) -> str:
    """The unit in which the stamp would be a present-day time."""
    for unit, digits in DIGITS.items():
        if 9 * 10**17 < value * 10**digits <= MAX_STAMP_NS:
            return f"stamps of this size usually count {unit}: --stamp-unit {unit}"
    return "stamps count from 1970"


def _malformed(path: Path, layout: TableLayout, cause: str) -> InputError:
    """The error for a table that Arrow could not read. Arrow does not name the row, so the file is searched line by line."""
    if path.suffix.lower() != ".csv":
        return InputError(f"{path} is not a timeline: {cause}", _HINT)
    number_in_unit = re.compile(
        rf"-?[0-9]{{1,20}}(\.[0-9]{{0,{DIGITS[layout.unit]}}})?" if DIGITS[layout.unit] else "-?[0-9]{1,19}"
    )
    with path.open("r", encoding="utf-8", errors="replace", newline="") as lines:
        header = lines.readline(_LINE).lstrip("\ufeff").rstrip("\r\n").replace('"', "").split(",")
        places = [header.index(name) for name in (layout.stamp, layout.log or "log_ns") if name in header]
        for number, line in enumerate(iter(lambda: lines.readline(_LINE), ""), start=2):
            cells = line.rstrip("\r\n").split(",")
            if cells == [""] or '"' in line:  # blank lines are ignored; quoted cells are left to Arrow
                continue
            whole = len(cells) == len(header)
            if not whole or not all(number_in_unit.fullmatch(cells[place].strip()) for place in places):
                shown = f"{line.strip()[:80]!r} is not a row of {','.join(header)[:120]}"
                if whole and any(_WENT_THROUGH_A_FLOAT.fullmatch(cells[place].strip()) for place in places):
                    shown += "; its time was written as a float, which holds nanoseconds since 1970 to 256 ns at best"
                    return InputError(f"{path}, line {number}: {shown}", _EXACT)
                return InputError(f"{path}, line {number}: {shown}", _HINT)
    return InputError(f"{path} is not a timeline: {cause}", _HINT)


_WENT_THROUGH_A_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_EXACT = "write integers from where the stamps are still exact, as with pandas' int64 instead of float64"
MAX_NOTES = 20
TABLES = (".csv", ".parquet")
RECORDINGS = (".mcap", ".bag", ".db3")
_KNOWN_TYPES = frozenset(name for names in MESSAGE_TYPES.values() for name in names)
_EXPECTED = "give a drive folder, a recording (.mcap, .bag, .db3), or a .csv or .parquet with sensor,stamp_ns"


@dataclass(frozen=True, slots=True)
class Timeline:
    """The streams, the rig (given, or from the input), and notes about faults of the input."""

    streams: tuple[Stream, ...]
    rig: Rig | None
    notes: tuple[str, ...]


def read_timeline(
    path: Path, progress: Progress = silent, rig: Rig | None = None, layout: TableLayout = DEFAULT_LAYOUT
) -> Timeline:
    """Read a drive folder, a recording or a table. `rig` overrides that of the folder, and maps a recording's topics.

    Raises:
        InputError: Not one of these, or a table without its columns.
        LakeError, RigError: The folder's calibration is invalid.
        FleetError: A recording without usable streams.
    """
    if path.is_dir() and any(_sensor_files(path)):
        return _drive_folder(path, progress, rig)
    if path.is_dir() and any(file.suffix in RECORDINGS for file in path.iterdir()):
        return _recording(path, rig)  # a ROS 2 bag is a folder
    if path.is_dir():
        raise InputError(
            f"{path} holds no MODALITY/SENSOR/START_NS.mcap", "`scenelake drive import` makes a drive folder of other data"
        )
    if not path.is_file():
        raise InputError(f"{path} does not exist", _EXPECTED)
    kind = path.suffix.lower()
    if kind in RECORDINGS:
        return _recording(path, rig)
    if kind in TABLES:
        return Timeline(_known(read_table(path, layout), rig), rig, ())
    raise InputError(f"{path} is not a recording or timeline", _EXPECTED)


def read_rig(path: Path) -> Rig:
    """A rig from a `calibration.json`.

    Raises:
        LakeError, RigError: It is invalid.
    """
    return Rig.from_dict(parse_document(path.read_bytes(), "calibration"))


def _known(streams: Sequence[Stream], rig: Rig | None) -> tuple[Stream, ...]:
    """The same streams, with their modalities from the rig."""
    if rig is None:
        return tuple(streams)
    return tuple(
        Stream(one.sensor, rig[one.sensor].modality if one.sensor in rig else one.modality, one.stamps_ns, one.log_ns)
        for one in streams
    )


def _recording(path: Path, rig: Rig | None) -> Timeline:
    found, notes = stamp_streams(path, rig)
    streams = tuple(Stream(one.sensor, one.modality, one.stamps_ns, one.log_ns) for one in found)
    return Timeline(streams, rig, tuple(notes))


def _sensor_files(folder: Path) -> list[Path]:
    return sorted(file for modality in MODALITIES for file in folder.glob(f"{modality}/*/*.mcap"))


def _drive_folder(folder: Path, progress: Progress, rig: Rig | None) -> Timeline:
    stamps: dict[tuple[str, str], list[int]] = {}
    logs: dict[tuple[str, str], list[int]] = {}
    notes: list[str] = []
    files = _sensor_files(folder)
    for done, file in enumerate(files):
        progress(folder.name, done, len(files))
        owner = (file.parent.name, file.parent.parent.name)
        _read_file(file, stamps.setdefault(owner, []), logs.setdefault(owner, []), notes)
    progress(folder.name, len(files), len(files))
    calibration = folder / CALIBRATION
    if rig is None and calibration.is_file():
        rig = read_rig(calibration)
    streams = tuple(_logged(owner, stamps[owner], logs[owner]) for owner in sorted(stamps) if stamps[owner])
    more = [f"{len(notes) - MAX_NOTES} more notes of this kind"] if len(notes) > MAX_NOTES else []
    return Timeline(streams, rig, (*notes[:MAX_NOTES], *more))


def _logged(owner: tuple[str, str], stamps: list[int], logs: list[int]) -> Stream:
    stamps_ns, log_ns = np.array(stamps, dtype=np.int64), np.array(logs, dtype=np.int64)
    order = _recorded_order(stamps_ns, log_ns)
    return Stream(owner[0], Modality(owner[1]), stamps_ns[order], log_ns[order])


def _read_file(file: Path, stamps: list[int], logs: list[int], notes: list[str]) -> None:
    with file.open("rb") as stream:
        for item in scan(stream):
            if isinstance(item, ContainerFault):
                notes.append(f"{file.name}: {item.kind} at byte {item.offset}: {item.message}")
            elif item.message_type in _KNOWN_TYPES:
                try:
                    stamp_ns = peek_stamp_ns(item.data)
                except DecodeError as error:
                    notes.append(f"{file.name}: a {item.message_type} without a stamp: {error}")
                    continue
                stamps.append(stamp_ns)
                logs.append(item.log_ns)
