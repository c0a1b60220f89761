"""Finds the process of a running job, and may kill it: `python job_process.py JOB DRIVE [--kill]`.

Runs where the jobs run: in the test's own process, or in a container that gets this file on standard input. Exit status 0 where
the job was found.
"""

from __future__ import annotations

import sys

import psutil


def find(job: str, drive_id: str) -> psutil.Process | None:
    """The Python process that is the Spark driver of a job of a drive."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if f"spark_jobs.{job}" in words and drive_id in words and "-m" in words:
            children = [child for child in process.children() if f"spark_jobs.{job}" in " ".join(child.cmdline())]
            return children[0] if children else process
    return None


def main() -> int:
    """Run from the command line."""
    found = find(sys.argv[1], sys.argv[2])
    if found is not None and "--kill" in sys.argv:
        found.kill()
    return 0 if found is not None else 1


if __name__ == "__main__":
    sys.exit(main())
