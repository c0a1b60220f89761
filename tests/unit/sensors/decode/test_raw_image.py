"""Raw images become PNG with exactly their pixels."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sensors.decode.images import decode_pixels, inspect_image
from sensors.decode.raw_image import LAYOUTS, decode_raw_image
from sensors.decode.ros1 import ros1_to_cdr
from sensors.errors import DecodeError
from tests.unit.sensors.decode import ros1_messages as made

CHANNELS = {"mono8": 1, "8UC1": 1, "mono16": 1, "16UC1": 1, "rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4}
ORDERS = {"bgr8": [2, 1, 0], "bgra8": [2, 1, 0, 3]}


def pixels(encoding: str, height: int = 5, width: int = 7) -> Any:
    channels = CHANNELS.get(encoding, 1)
    kind = np.uint16 if "16" in encoding else np.uint8
    values = np.random.default_rng(3).integers(0, np.iinfo(kind).max + 1, (height, width, channels), dtype=kind)
    return values[:, :, 0] if channels == 1 else values


def cdr(form: str, image: Any, /, **changes: Any) -> bytes:
    message = made.raw_image(made.STAMP_NS, form, image)
    for name, value in changes.items():
        setattr(message, name, value)
    return ros1_to_cdr(made.RAW_IMAGE, made.serialized(message))


@pytest.mark.parametrize("encoding", sorted(LAYOUTS))
def test_every_encoding_comes_back_from_png_exactly(encoding: str) -> None:
    image = pixels(encoding)
    raw = decode_raw_image(cdr(encoding, image))
    assert (raw.stamp_ns, raw.frame_id, raw.encoding) == (made.STAMP_NS, "camera", encoding)
    png = raw.png()
    info = inspect_image(png)
    assert (info.encoding, info.width_px, info.height_px) == ("png", 7, 5)
    with Image.open(BytesIO(png)) as opened:
        decoded = np.asarray(opened)
    assert decoded.dtype == image.dtype
    np.testing.assert_array_equal(decoded, image[..., ORDERS[encoding]] if encoding in ORDERS else image)


@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "bayer_rggb16"])
@pytest.mark.parametrize("is_bigendian", [0, 1])
def test_sixteen_bits_keep_their_value_in_either_byte_order(encoding: str, is_bigendian: int) -> None:
    image = np.array([[0, 1, 255], [256, 0x1234, 65535]], dtype=">u2" if is_bigendian else "<u2")
    raw = decode_raw_image(cdr(encoding, image, is_bigendian=is_bigendian))
    with Image.open(BytesIO(raw.png())) as opened:
        assert np.asarray(opened).tolist() == [[0, 1, 255], [256, 0x1234, 65535]]
    assert decode_pixels(raw.png())[:, :, 0].tolist() == [[0, 0, 0], [1, 0x12, 255]]


def test_padding_of_rows_is_left_out() -> None:
    padded = np.arange(24, dtype=np.uint8).reshape(3, 8)
    raw = decode_raw_image(cdr("rgb8", padded[:, :6], data=padded.ravel(), step=8, width=2))
    assert raw.pixels.tolist() == padded[:, :6].reshape(3, 2, 3).tolist()


def test_equal_images_give_equal_bytes() -> None:
    image = pixels("bgr8")
    assert decode_raw_image(cdr("bgr8", image)).png() == decode_raw_image(cdr("bgr8", image)).png()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoding": "32FC1"}, "image encoding '32FC1' is not read; mono8, "),
        ({"height": 0}, "7 x 0 px"),
        ({"width": 2**31, "height": 2**31}, "1 to 67108864 px in all"),
        ({"step": 6}, "7 px of mono8 take 7 bytes a row"),
        ({"height": 6}, "6 rows of 7 bytes make 42, but there are 35 bytes"),
    ],
)
def test_contradictions_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode_raw_image(cdr("mono8", pixels("mono8"), **changes))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_is_an_error_or_an_image(draw: st.DataObject) -> None:
    data = bytearray(cdr("mono16", pixels("mono16")))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        raw = decode_raw_image(bytes(data[: draw.draw(st.integers(0, len(data)))]))
    except DecodeError:
        return
    inspect_image(raw.png())
