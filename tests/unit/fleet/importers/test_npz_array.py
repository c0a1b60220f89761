"""Arrays of .npz archives are read as numpy wrote them, or refused before they allocate memory."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fleet.errors import SourceError
from fleet.importers import npz_array
from fleet.importers.npz_array import read_array

CLOUD = np.random.default_rng(4).normal(size=(300, 4))


def npy(array: np.ndarray) -> bytes:  # type: ignore[type-arg]
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(path: Path, body: bytes, compression: int = zipfile.ZIP_DEFLATED, name: str = "data.npy") -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr(name, body)
    return path


@given(
    array=arrays.arrays(
        st.sampled_from(["<f8", "<f4", ">f8", "|u1", "<i8"]), arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
    ),
    fortran=st.booleans(),
    packed=st.booleans(),
)
def test_as_numpy_wrote_it(
    tmp_path_factory: pytest.TempPathFactory,
    array: np.ndarray,
    fortran: bool,
    packed: bool,  # type: ignore[type-arg]
) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    array = np.asfortranarray(array) if fortran else array
    (np.savez_compressed if packed else np.savez)(path, other=np.ones(3), data=array)
    found = read_array(path, "data")
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_a_header_that_asks_for_a_terabyte_is_refused(tmp_path: Path) -> None:
    body = npy(CLOUD)
    oversized = body.replace(b"(300, 4), }" + b" " * 8, b"(30000000000, 4), }", 1)
    assert len(oversized) == len(body) and oversized != body
    with pytest.raises(SourceError, match=r"declares 960000000000 bytes of shape .*, 9600 follow it"):
        read_array(archive(tmp_path / "a.npz", oversized), "data")


def test_a_bomb_is_refused_by_what_the_directory_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "a.npz", npy(np.zeros((200_000, 4))))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(npz_array, "MAX_ARRAY_BYTES", 6_000_000)
    with pytest.raises(SourceError, match="it would need 6400128 bytes, the limit is 6000000"):
        read_array(path, "data")


def test_a_bomb_whose_directory_lies_is_inflated_no_further_than_it_says(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", npy(np.zeros((200_000, 4))))
    honest, lie = struct.pack("<I", 6_400_128), struct.pack("<I", 928)
    body = path.read_bytes()
    assert body.count(honest) == 2  # in the local header and in the directory
    path.write_bytes(body.replace(honest, lie))
    with pytest.raises(SourceError, match="Bad CRC-32"):
        read_array(path, "data")


def test_pickles_and_other_types_are_never_opened(tmp_path: Path) -> None:
    for array in (np.array([{"a": 1}], dtype=object), np.array(["text"]), np.array([1j]), np.zeros(2, dtype=[("x", "<f4")])):
        path = tmp_path / "a.npz"
        np.savez(path, data=array)
        with pytest.raises(SourceError, match="does not describe an array of numbers"):
            read_array(path, "data")


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", npy(CLOUD))
    body = path.read_bytes()
    for length in [*range(0, len(body), 211), len(body) - 1]:
        path.write_bytes(body[:length])
        with pytest.raises(SourceError, match="holds no array 'data' that can be read"):
            read_array(path, "data")


def test_damage_anywhere_gives_the_array_or_a_reason(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", npy(CLOUD[:40]))
    body = path.read_bytes()
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(600):
        damaged = bytearray(body)
        damaged[int(rng.integers(len(body)))] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read_array(path, "data"), CLOUD[:40])
        except SourceError:
            refused += 1
    assert 300 < refused < 600


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "does not begin as an array"),
        (b"\x93NUMPY\x09\x00" + bytes(9), "does not begin as an array"),
        (npy(CLOUD)[:-8], "declares 9600 bytes of shape .*, 9592 follow it"),
        (npy(CLOUD) + b"x", "9601 follow it"),
        (b"\x93NUMPY\x01\x00\xff\xff{}", "does not describe"),
        (b"\x93NUMPY\x02\x00\x01", "requires a buffer"),
        (npy(np.zeros((1, 1, 1, 1, 1))), "shape"),
    ],
)
def test_what_is_not_an_array_is_explained(tmp_path: Path, body: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_array(archive(tmp_path / "a.npz", body), "data")


def test_a_file_that_is_not_such_an_archive_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(SourceError, match="is missing"):
        read_array(path, "data")
    with pytest.raises(SourceError, match=r"0 entries data\.npy"):
        read_array(archive(path, npy(CLOUD), name="points.npy"), "data")
    with pytest.raises(SourceError, match="compressed otherwise"):
        read_array(archive(path, npy(CLOUD), zipfile.ZIP_LZMA), "data")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "w") as file:
        file.writestr("data.npy", npy(CLOUD))
        file.writestr("data.npy", npy(CLOUD))
    with pytest.raises(SourceError, match=r"2 entries data\.npy"):
        read_array(path, "data")
