"""Hypothesis profiles: by default the same examples in every run, so that a failure points to the change at hand.
`HYPOTHESIS_PROFILE=explore make unit` looks for new examples; each one found becomes a test of its own.
"""

from __future__ import annotations

import gc
import os
import sys

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# pyspark takes a process whose main module has no file for one of its own doctests, and ends it. So begin the workers among
# which tests are shared out.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__


def pytest_sessionstart() -> None:
    """Modules and tests stay until the end: a quarter of collecting seven thousand tests would go to looking for garbage among
    them again and again."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
