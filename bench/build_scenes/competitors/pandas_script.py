"""A pandas script: read everything into memory, `merge_asof`, write.

One process, as such scripts are. Tuned: hashing and writing in as many threads as others have processes (both leave the
interpreter lock), payload as references to the bytes read, no compression, and a file for each stretch of scenes, so that
the Arrow copy of the payload never holds the whole drive. The dictionary that pyarrow makes by default is kept: it stores an
image that several scenes of a file share once, which is faster than writing it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from bench.build_scenes.competitors.pandas_match import PLACES, plan_matches
from bench.build_scenes.contest import Task, Work, run
from bench.build_scenes.raw import ObjectIndex, message_places, payload_place, raw_objects

WINDOW_SCENES = 40


@contextmanager
def pandas_script(task: Task) -> Iterator[Work]:
    """Nothing to start except threads."""
    with ThreadPoolExecutor(task.processes) as threads:
        yield lambda request: build(request, threads)


def build(task: Task, threads: ThreadPoolExecutor) -> Mapping[str, str]:
    """Read, match, write."""
    read = list(threads.map(_read, raw_objects(task.drive)))
    objects = [entry for entry, _ in read]
    contents = [memoryview(content) for _, content in read]
    plan = plan_matches(objects, task.rig, task.mode)
    write = partial(_write, plan, contents, task.rig.names, task.out)
    list(threads.map(write, range(0, len(plan), WINDOW_SCENES)))
    return {entry.path: entry.sha256 for entry in objects}


def _read(path: Path) -> tuple[ObjectIndex, bytes]:
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    frames = np.array([payload_place(content, at) for at in message_places(content)], np.int64).reshape(-1, 3)
    return ObjectIndex(str(path), path.parent.name, sha256, frames[:, 0], frames[:, 1], frames[:, 2]), content


def _write(plan: pd.DataFrame, contents: Sequence[memoryview], sensors: Sequence[str], out: Path, first: int) -> None:
    scenes = plan.iloc[first : first + WINDOW_SCENES].reset_index(drop=True)
    for name in sensors:
        places = zip(*(scenes[f"{name}_{what}"].to_list() for what in PLACES), strict=True)
        scenes[f"{name}_payload"] = pd.Series(
            [None if number < 0 else bytes(contents[number][place : place + length]) for number, place, length in places],
            dtype=object,
        )
    scenes = scenes.drop(columns=[f"{name}_{what}" for name in sensors for what in PLACES])
    scenes.to_parquet(out / f"{first:06d}.parquet", compression=None, index=False)


if __name__ == "__main__":
    run(pandas_script)
