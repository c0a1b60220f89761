"""Commands of the project in processes of their own, with what they cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.figures import PROJECT
from bench.soak_lake.endpoint import SoakError

_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended with status 0: what it printed as JSON, and what it cost, the start of the interpreter included."""

    document: Any
    wall_s: float
    cpu_s: float
    peak_bytes: int


def run_command(environment: Mapping[str, str], *arguments: str) -> Finished:
    """Run `scenelake` with these arguments, which must make it print JSON.

    Raises:
        SoakError: It ended with another status than 0.
    """
    command = [sys.executable, "-m", "cli.main", *arguments]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began_s = time.monotonic()
        process = subprocess.Popen(command, env=dict(environment), cwd=PROJECT, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # `wait4` has reaped it
        wall_s = time.monotonic() - began_s
        output.seek(0)
        errors.seek(0)
        printed, said = output.read(), errors.read().decode(errors="replace")
    if process.returncode != 0:
        raise SoakError(f"scenelake {' '.join(arguments)} ended with {process.returncode}: {said[-_SHOWN:]}{printed[-_SHOWN:]!r}")
    return Finished(json.loads(printed), wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
