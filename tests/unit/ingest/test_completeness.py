from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.assess import Lack, missing_objects
from lake.documents import Manifest
from tests.unit.ingest.ingest_fakes import DRIVE, drive_files

FILES = drive_files()
MANIFEST = Manifest.parse(FILES[DRIVE.manifest_key], DRIVE)
SIZES = {key: len(body) for key, body in FILES.items()}


def test_complete() -> None:
    assert missing_objects(MANIFEST, SIZES) == ()


def test_more_than_the_manifest_names_does_not_matter() -> None:
    assert missing_objects(MANIFEST, SIZES | {f"{DRIVE}/lidar/other/{'1' * 19}.mcap": 5}) == ()


@given(st.sets(st.sampled_from(sorted(SIZES))), st.sets(st.sampled_from([entry.key for entry in MANIFEST.objects])))
def test_names_exactly_what_is_absent_or_differs(absent: set[str], other_size: set[str]) -> None:
    sizes = {key: size + (key in other_size) for key, size in SIZES.items() if key not in absent}
    found = {missing.key: missing.lack for missing in missing_objects(MANIFEST, sizes)}
    expected = dict.fromkeys(other_size - absent, Lack.SIZE_DIFFERS)
    expected |= dict.fromkeys(absent - {DRIVE.manifest_key}, Lack.ABSENT)
    assert found == expected


def test_tells_sizes() -> None:
    key = MANIFEST.objects[0].key
    [found] = missing_objects(MANIFEST, SIZES | {key: 3})
    assert (found.key, found.expected_bytes, found.found_bytes) == (key, MANIFEST.objects[0].size_bytes, 3)
