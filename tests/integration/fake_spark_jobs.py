"""Replaces `spark_jobs`: each job records its call, behaves as the drive's name specifies, and writes a result.

| drive | does |
| --- | --- |
| `dark…` | fails the gate |
| `sick…` | `build_scenes` fails |
| `slow…` | `build_scenes` works until a file `go` appears |
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

PLACE = "SCENELAKE_TEST_FAKE_JOBS"


def run(job: str) -> int:
    """Be the job called `job`."""
    parser = argparse.ArgumentParser()
    for name in ("vehicle", "drive", "revision", "generation", "work", "result"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    place = Path(os.environ[PLACE])
    note = {
        "job": job,
        "pid": os.getpid(),
        "parent": os.environ.get("SCENELAKE_OPENLINEAGE_PARENT"),
        "root": os.environ.get("SCENELAKE_OPENLINEAGE_ROOT"),
        "airflow": sorted(name for name in os.environ if name.startswith("AIRFLOW")),
        **vars(arguments),
    }
    with (place / "calls.jsonl").open("a") as file:
        file.write(json.dumps(note) + "\n")
    print(f"{job} of {arguments.drive} is at work")
    if job == "build_scenes" and arguments.drive.startswith("sick"):
        print("the sensors are sick", file=sys.stderr)
        return 1
    while job == "build_scenes" and arguments.drive.startswith("slow") and not (place / "go").exists():
        time.sleep(0.1)
    dark = arguments.drive.startswith("dark")
    results = {
        "inspect": {"verdict": "quarantine" if dark else "build", "rule_ids": ["CAL001"] if dark else []},
        "build_scenes": {"gold": 2, "quarantined": 0},
        "audit": {"verdict": "quarantine" if dark else "publish"},
        "publish": {"outcome": "quarantined" if dark else "published", "snapshot_id": 7, "scenes": 2, "records": 1},
    }
    Path(arguments.result).write_text(json.dumps(results[job]))
    return 0
