"""The capacity model of docs/performance.md, written from `build/bench.json`.

python -m bench.capacity [--results build/bench.json]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.capacity.section import read_results, section
from bench.figures import RESULTS, write_sections

NAME = "capacity"


def main() -> None:
    """Write the model into the document, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    text = section(read_results(parser.parse_args().results))
    write_sections({NAME: text})
    print(text)


if __name__ == "__main__":
    main()
