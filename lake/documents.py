"""The JSON documents of a drive and a vehicle, size-limited and validated before any of their content is used."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any, Self

import jsonschema

from lake.errors import LandingError
from lake.landing import DriveId, SensorKey, parse_raw_key

MAX_DOCUMENT_BYTES = 32 * 1024 * 1024  # 100,000 manifest entries with ids of usual length need about 27 MB
MAX_CALIBRATION_BYTES = 1024 * 1024  # every scene carries it; 256 sensors with all terms need about 0.3 MB
MAX_BASELINE_BYTES = 1024 * 1024  # 256 sensors with all that is learned of them need about 0.5 MB
MAX_DIGITS = 20  # of an integer, its sign included: int64
MAX_PROBLEMS_NAMED = 5
MAX_ENTRIES, MAX_LOSSES, MAX_LOSS_CHARACTERS = 100_000, 1000, 500  # as in the manifest's schema

# What separates and opens values in the largest valid manifest. Text may hold the same characters: that of losses has
# room here, the few others (recorder, ids) are in the 1,000. A calibration is small enough whatever it holds.
_IN_TEXT = MAX_LOSSES * MAX_LOSS_CHARACTERS + 1000
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
MAX_COUNTS: Mapping[bytes, int] = {
    b",": MAX_ENTRIES * 8 + MAX_LOSSES * 3 + _IN_TEXT,
    b"{": MAX_ENTRIES + MAX_LOSSES + _IN_TEXT,
    b"[": _IN_TEXT,
}


@dataclass(frozen=True, slots=True)
class ManifestObject:
    """One raw file, as the recorder declares it."""

    key: str
    size_bytes: int
    sha256: str
    modality: str
    sensor: str
    start_ns: int
    end_ns: int
    frame_count: int


@dataclass(frozen=True, slots=True)
class SourceLoss:
    """Frames that the source of an imported drive names or holds, and the drive does not.

    `sensor`: None where it is not in the rig, or several are concerned. `frames`: None if they could not be counted.
    """

    sensor: str | None
    frames: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of a drive, as its recorder declares them."""

    drive: DriveId
    rig_id: str
    start_ns: int
    end_ns: int
    recorder: str
    recorder_version: str
    calibration_sha256: str
    objects: tuple[ManifestObject, ...]
    losses: tuple[SourceLoss, ...] = ()

    @classmethod
    def parse(cls, body: bytes, drive: DriveId) -> Self:
        """Read `manifest.json` of `drive`.

        Raises:
            LandingError: Not JSON, not the schema, another drive's manifest, a duplicate object or one outside the drive, or
                an entry that contradicts its own key or ends before it starts.
        """
        document = parse_document(body, "manifest")
        named = DriveId(document["vehicle_id"], document["drive_id"])
        if named != drive:
            raise LandingError(f"manifest under {drive} names the drive {named}")
        objects = tuple(ManifestObject(**entry) for entry in document["objects"])
        _check_objects(objects, drive)
        if document["end_ns"] < document["start_ns"]:
            raise LandingError(f"manifest of {drive} ends ({document['end_ns']} ns) before it starts ({document['start_ns']} ns)")
        values = {name: value for name, value in document.items() if name in cls.__dataclass_fields__}
        losses = tuple(SourceLoss(**loss) for loss in document.get("losses", ()))
        return cls(**values | {"drive": drive, "objects": objects, "losses": losses})

    def to_bytes(self) -> bytes:
        """The document as canonical JSON; `Manifest.parse` reads it back to an equal manifest."""
        document = asdict(self)
        if not self.losses:
            del document["losses"]
        return canonical_json({"schema_version": 1, **document.pop("drive"), **document})


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: equal documents have equal bytes, and so equal hashes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def content_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the document's canonical JSON."""
    return hashlib.sha256(canonical_json(document)).hexdigest()


def max_bytes(kind: str) -> int:
    """The size limit of a `manifest`, `calibration` or `baseline`."""
    return {"calibration": MAX_CALIBRATION_BYTES, "baseline": MAX_BASELINE_BYTES}.get(kind, MAX_DOCUMENT_BYTES)


def check_bounds(body: bytes, kind: str) -> None:
    """Refuse a `manifest`, `calibration` or `baseline` whose parsing would take too much memory: an empty list takes 64 bytes.

    Raises:
        LandingError: Larger than 32 MiB (calibration and baseline: 1 MiB), or more values than the largest valid manifest holds.
    """
    if len(body) > max_bytes(kind):
        raise LandingError(f"{kind} of {len(body)} bytes exceeds {max_bytes(kind)}")
    for character, most in MAX_COUNTS.items():
        if body.count(character) > most:
            raise LandingError(
                f"{kind} holds {character.decode()!r} more than {most} times: it has more values than {MAX_ENTRIES} entries need"
            )


def parse_document(body: bytes, kind: str) -> dict[str, Any]:
    """Read a `manifest`, `calibration` or `baseline` document and check it against its JSON Schema.

    Integers are integers (1.0 is not), every number is finite, and no name is duplicated in an object.

    Raises:
        LandingError: Out of bounds (`check_bounds`), not UTF-8 JSON, nested too deep, or not the schema; names up to five
            problems.
    """
    check_bounds(body, kind)
    try:
        document = json.loads(
            body.decode(), parse_int=_integer, parse_float=_finite, parse_constant=_finite, object_pairs_hook=_object
        )
        if _SURROGATE.search(body):
            canonical_json(document)  # refuses a lone surrogate, which JSON can escape and UTF-8 cannot hold
        problems = list(islice(_problems(document, kind), MAX_PROBLEMS_NAMED))
    except RecursionError:
        raise LandingError(f"{kind} is nested too deep") from None
    except ValueError as error:
        raise LandingError(f"{kind} is not JSON: {error}") from error
    if problems:
        raise LandingError(f"{kind} does not follow its schema: " + "; ".join(problems))
    return dict(document)


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:MAX_DIGITS]} is not finite")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, value in pairs:
        if name in document:
            raise ValueError(f"the name {name[:64]!r} stands twice in an object")
        document[name] = value
    return document


def _problems(document: Any, kind: str) -> Iterator[str]:
    for problem in _Validator(_schema(kind)).iter_errors(document):
        allowed = problem.schema.get("description", "") if isinstance(problem.schema, Mapping) else ""
        yield f"{problem.json_path}: {problem.message[:200]}" + (f" (allowed: {allowed})" if allowed else "")


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _matches(_: object, pattern: str, value: object, __: object) -> Iterator[jsonschema.ValidationError]:
    # These patterns are anchored at both ends. Python's `$`, unlike that of JSON Schema, matches before a final newline too.
    if isinstance(value, str) and re.fullmatch(pattern, value) is None:
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


_Validator: type[jsonschema.protocols.Validator] = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    {"pattern": _matches},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


@cache
def _schema(kind: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(files("lake").joinpath("schemas", f"{kind}.json").read_bytes())
    if kind == "calibration":  # which refers to it by its `$id`
        document["$defs"]["rules"] = _schema("rules")
    definitions = document.get("$defs", {})
    return {name: part if name == "$defs" else _inlined(part, definitions) for name, part in document.items()}


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema with each local definition where it is referred to: a manifest's objects would look up four of them each."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    if name in definitions and len(schema) == 1:  # keywords beside a `$ref` apply too, and would be lost
        return _inlined(definitions[name], definitions)
    return {key: _inlined(part, definitions) for key, part in schema.items()}


def _check_objects(objects: tuple[ManifestObject, ...], drive: DriveId) -> None:
    seen: set[str] = set()
    for entry in objects:
        key = parse_raw_key(entry.key)
        if not isinstance(key, SensorKey) or key.drive != drive:
            raise LandingError(f"manifest of {drive} names {entry.key!r}, which is no sensor object of that drive")
        if (key.modality, key.sensor, key.start_ns) != (entry.modality, entry.sensor, entry.start_ns):
            raise LandingError(f"manifest entry {entry.key!r} contradicts its own key")
        if entry.end_ns < entry.start_ns:
            raise LandingError(f"manifest entry {entry.key!r} ends ({entry.end_ns} ns) before it starts")
        if entry.key in seen:
            raise LandingError(f"manifest of {drive} names {entry.key!r} twice")
        seen.add(entry.key)
