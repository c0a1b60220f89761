"""Views of payload as the limit hands them to the library: ordinary values, and no copies."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bench.build_scenes.library_file import payload_array


@given(st.lists(st.none() | st.binary(max_size=40)), st.data())
def test_views_hold_the_bytes_they_were_made_of(payloads: list[bytes | None], data: st.DataObject) -> None:
    wholes = [None if payload is None else b"<" + payload + b">" for payload in payloads]
    views = [None if whole is None else memoryview(whole)[1:-1] for whole in wholes]
    array = payload_array(views)
    array.validate(full=True)
    assert array.cast(pa.binary()).to_pylist() == payloads
    start = data.draw(st.integers(0, len(payloads)))
    assert array.slice(start).cast(pa.binary()).to_pylist() == payloads[start:]


def test_payload_is_not_copied() -> None:
    whole = bytearray(b"before" + b"x" * 100)
    array = payload_array([memoryview(whole)[6:]])
    whole[6:10] = b"seen"
    assert array.buffers()[2].to_pybytes().startswith(b"seen")
