"""Definition of a fuzz target: a decoder of untrusted bytes, and its promises for any input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutation import Mutate, mutate_bytes

MIB = 1024 * 1024
CPU_LIMIT_S = 2.0
PYTHON_BYTES = 1 * MIB  # objects, messages and tracebacks that any input costs


def any_input(_: bytes) -> int:
    """The bound of a decoder that allocates little for any input."""
    return PYTHON_BYTES


def proportional(factor: int, constant: int = PYTHON_BYTES) -> Callable[[bytes], int]:
    """`factor` bytes for each byte of input."""
    return lambda data: factor * len(data) + constant


@dataclass(frozen=True, slots=True)
class Target:
    """A decoder under test.

    `run` decodes an input (in a folder where it may write one file), checks what it got, and returns a word for it; it may
    raise `refusals` and nothing else. `memory_bytes`: the limit of simultaneous allocation for an input, as measured by
    `tracemalloc`; `native_bytes`: what the C libraries below may take beyond that (buffers that numpy and Python do not know
    of).
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[bytes, Path], str]
    refusals: tuple[type[Exception], ...]
    mutate: Mutate = mutate_bytes
    memory_bytes: Callable[[bytes], int] = any_input
    native_bytes: int = 32 * MIB
    cpu_limit_s: float = CPU_LIMIT_S
    slice_inputs: int = 2000
