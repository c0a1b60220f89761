"""# replay_quarantine: process quarantined drives again after a rule or a calibration was corrected

Finds the drives that have quarantined records of one rule and queues each of them as a new generation of the same data;
`process_drive` does the rest. By default it is a **dry run**: it lists the drives and changes nothing.

```
find ─▶ replay   (skipped by a dry run)
```

| parameter | default | meaning |
| --- | --- | --- |
| `rule` | – | code of the rule, e.g. `LID001` (`quality/rules/RULES.md` lists them) |
| `drive` | all | only this drive, `VEHICLE/DRIVE` |
| `dry_run` | `true` | list the drives and change nothing |
| `most` | 100 | most drives that one run queues |

## What it keeps

Every reviewer's decision about the data stays in force: released data stays released and rejected data stays out, whatever
the corrected rule finds. Other drives are not touched. A new calibration is a new object of the drive: its landing makes a
new revision, and earlier decisions, which were made on other data, no longer apply.

## When something fails

* **A drive is being processed, or newer data of it has landed**: it is processed again anyway, so it is skipped, and the
  result says so.
* **A task is killed**: drives that were queued stay queued, and their messages are sent by the outbox sweep. Run it again: drives
  that are being processed by then are skipped, those that have finished are processed once more, with the same result.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from lake.settings import Settings


@dag(
    dag_id="replay_quarantine",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={
        "rule": Param(None, type="string", pattern="^[A-Z]{3}[0-9]{3}$", description="code of the rule"),
        "drive": Param(None, type=["null", "string"], maxLength=127, description="only this drive, VEHICLE/DRIVE"),
        "dry_run": Param(True, type="boolean", description="list the drives and change nothing"),
        "most": Param(100, type="integer", minimum=1, maximum=1000, description="most drives that are queued"),
    },
    tags=["scenelake"],
)
def replay_quarantine() -> None:
    """Queue again the drives that have records of a rule."""

    @task
    def find() -> dict[str, int]:
        from scenelake_airflow import replay_steps

        params = get_current_context()["params"]
        return replay_steps.find(Settings.from_env(), params["rule"], params["drive"], params["most"])

    @task
    def replay(drives: Any) -> dict[str, str]:
        from scenelake_airflow import replay_steps

        if get_current_context()["params"]["dry_run"]:
            raise AirflowSkipException(f"a dry run: {len(drives)} drives would be processed again; set dry_run to false")
        return replay_steps.replay(Settings.from_env(), drives)

    replay(find())


replay_quarantine()
