"""A plain LZF compressor, for tests: the longest match of at least three bytes by brute force over short inputs."""

from __future__ import annotations

MAX_DISTANCE, MAX_LENGTH, MAX_RUN = 8192, 264, 32


def compress(raw: bytes) -> bytes:
    out, literals, at = bytearray(), bytearray(), 0
    seen: dict[bytes, int] = {}

    def flush() -> None:
        for start in range(0, len(literals), MAX_RUN):
            run = literals[start : start + MAX_RUN]
            out.append(len(run) - 1)
            out.extend(run)
        literals.clear()

    while at < len(raw):
        start = seen.get(raw[at : at + 3], -1) if at + 3 <= len(raw) else -1
        seen[raw[at : at + 3]] = at
        if start < 0 or at - start > MAX_DISTANCE:
            literals.append(raw[at])
            at += 1
            continue
        length = 3
        while length < MAX_LENGTH and at + length < len(raw) and raw[start + length] == raw[at + length]:
            length += 1
        flush()
        distance, code = at - start - 1, length - 2
        out += bytes([min(code, 7) << 5 | distance >> 8, *([code - 7] if code >= 7 else []), distance & 0xFF])
        at += length
    flush()
    return bytes(out)
