"""Answers of moto after `bound_cost` are those of before; `moto_answers` compares them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("moto_answers.py")


def test_answers_stay_as_they_are() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, check=False, timeout=240)
    assert (done.returncode, done.stdout) == (0, "equal\n"), done.stderr
