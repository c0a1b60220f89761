"""# replay_quarantine: judge quarantined drives again, after a rule or a calibration was mended

Finds the drives that have quarantined records of one rule and queues each of them as a new generation of the same data;
`process_drive` does the rest. By default it is a **dry run**: it lists the drives and touches nothing.

```
find ─▶ replay   (skipped by a dry run)
```

| parameter | default | is |
| --- | --- | --- |
| `rule` | – | code of the rule, e.g. `LID001` (`quality/rules/RULES.md` lists them) |
| `drive` | all | only this drive, `VEHICLE/DRIVE` |
| `dry_run` | `true` | list, and touch nothing |
| `most` | 100 | drives that one run queues at most |

## What it keeps

Every decision that a reviewer took on the data stays in force: what was released stays released, what was rejected stays out,
whatever the mended rule says of it. Other drives are not touched. A new calibration is a new object of the drive: when it lands
it makes a new revision by itself, and earlier decisions, taken on other data, no longer hold.

## When something fails

* **A drive is being processed, or newer data of it has landed**: it is judged again anyway; it is passed over, and the result
  says so.
* **A task is killed**: drives that were queued stay queued, and their messages are sent by the outbox sweep. Run it again: drives
  that are in work by then are passed over, those that are through are judged once more, with the same result.
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
        "dry_run": Param(True, type="boolean", description="list, and touch nothing"),
        "most": Param(100, type="integer", minimum=1, maximum=1000, description="drives that are queued at most"),
    },
    tags=["scenelake"],
)
def replay_quarantine() -> None:
    """Queue again what a rule has quarantined."""

    @task
    def find() -> dict[str, int]:
        from scenelake_airflow import replay_steps

        params = get_current_context()["params"]
        return replay_steps.find(Settings.from_env(), params["rule"], params["drive"], params["most"])

    @task
    def replay(drives: Any) -> dict[str, str]:
        from scenelake_airflow import replay_steps

        if get_current_context()["params"]["dry_run"]:
            raise AirflowSkipException(f"a dry run: {len(drives)} drives would be judged again; set dry_run to false")
        return replay_steps.replay(Settings.from_env(), drives)

    replay(find())


replay_quarantine()
