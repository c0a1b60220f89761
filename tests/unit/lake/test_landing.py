"""Keys of the raw bucket: every written key can be read back, and nothing else is a key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import LandingError
from lake.landing import MAX_KEY_BYTES, MAX_START_NS, MODALITIES, DocumentKey, DriveId, SensorKey, parse_raw_key

IDS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
DRIVES = st.builds(DriveId, IDS, IDS)
SENSOR_KEYS = st.builds(SensorKey, DRIVES, st.sampled_from(MODALITIES), IDS, st.integers(0, MAX_START_NS))
DOCUMENT_KEYS = st.builds(DocumentKey, DRIVES, st.sampled_from(("manifest.json", "calibration.json")))
WHOLE = "car-1/d-1/lidar/top/1700000000000000000.mcap"


@given(SENSOR_KEYS | DOCUMENT_KEYS)
def test_a_key_that_was_written_is_read_back(key: SensorKey | DocumentKey) -> None:
    assert parse_raw_key(str(key)) == key


@given(st.text() | st.text(alphabet="ab/.-_0123456789mcapjson\n").map(lambda tail: f"a/b/lidar/{tail}"))
def test_whatever_is_accepted_says_exactly_what_it_means(text: str) -> None:
    try:
        key = parse_raw_key(text)
    except LandingError:
        return
    assert str(key) == text


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        WHOLE + "\n",
        "/" + WHOLE,
        WHOLE + "/",
        WHOLE.replace("top", "../top"),
        WHOLE.replace("top", ".."),
        WHOLE.replace("top", "Top"),
        WHOLE.replace("top", "-top"),
        WHOLE.replace("top", "a" * 64),
        WHOLE.replace("top", "tóp"),
        WHOLE.replace("top", "top\x00"),
        WHOLE.replace("d-1/", "d-1//"),
        WHOLE.replace("lidar", "sonar"),
        WHOLE.replace(".mcap", ".pkl"),
        WHOLE.replace(".mcap", ".MCAP"),
        WHOLE.replace("1700", "170"),
        WHOLE.replace("1700", "17000"),
        WHOLE.replace("1700", "١٧٠٠"),
        WHOLE.replace("1700", "-700"),
        WHOLE.replace("1700000000000000000", str(MAX_START_NS + 1)),
        "car-1/manifest.json",
        "car-1/d-1/manifest.json.bak",
        "car-1/d-1/lidar/manifest.json",
        "car-1/d-1/rig.json",
        "\ud800/d-1/manifest.json",
    ],
)
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(LandingError, match="key"):
        parse_raw_key(key)


def test_a_key_is_measured_in_bytes_before_it_is_looked_at() -> None:
    with pytest.raises(LandingError, match=f"more than {MAX_KEY_BYTES} bytes"):
        parse_raw_key("ü" * (MAX_KEY_BYTES // 2 + 1))


def test_the_layout_of_a_drive() -> None:
    drive = DriveId("car-1", "d-1")
    assert (drive.prefix, drive.manifest_key, drive.calibration_key) == (
        "car-1/d-1/",
        "car-1/d-1/manifest.json",
        "car-1/d-1/calibration.json",
    )
    assert str(SensorKey(drive, "radar", "front", 7)) == "car-1/d-1/radar/front/0000000000000000007.mcap"


@pytest.mark.parametrize("value", ["", "A", "a b", "a/b", "a\n", "a.b", "_a", "a" * 64])
def test_an_id_outside_the_alphabet_is_refused(value: str) -> None:
    with pytest.raises(LandingError, match="vehicle id"):
        DriveId(value, "d-1")
    with pytest.raises(LandingError, match="drive id"):
        DriveId("car-1", value)
