"""How files of facts, all but those of scenes, are written, by whoever writes them."""

from __future__ import annotations

from typing import Any

WRITE_OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    # The stored Arrow schema would repeat the description of every column in every file.
    "store_schema": False,
    "write_page_checksum": True,
}
"""Arguments of pyarrow's Parquet writer; equal rows give equal bytes."""
