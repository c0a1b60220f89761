"""# maintain_lake: what keeps the lake from growing with its age

Runs once a day. By default it is a **dry run**: every step says what it would do, and changes nothing.

```
expire ─▶ compact ─▶ sweep
```

| step | does |
| --- | --- |
| `expire` | removes old snapshots from the tables' metadata, never what a tag, a run, a hold or a live reader pins |
| `compact` | merges small data files of the drives published lately, if the rows are proved to be the same, then metadata |
| `sweep` | deletes, by version id, what no snapshot leads to and two sweeps in a row have listed |

The log of each step has a line for each thing that it keeps, and why. `scenelake gold expire`, `gold compact` and `gold sweep`
do the same. `compact` merges 16 GB a run at most, the oldest days first, and says what waits for the next one.

| parameter | default | meaning |
| --- | --- | --- |
| `dry_run` | `true` | say what would be done and change nothing |
| `older_than_h` | 24 | hours; younger snapshots stay |
| `published_h` | 168 | hours; files of drives that were published since are merged |
| `keep_last` | 10 | so many of the newest snapshots of each table stay, however old |

`SCENELAKE_DAG_MAINTAIN_MODE=apply` in the environment of the DAG processor makes the daily runs change something.

## When something fails

* **A step is killed or fails**: it is tried again, and goes on with what remains. Nothing that it did needs to be undone.
* **A publication or a tag comes meanwhile**: it wins; the step reads the tables again.
* **`sweep` refuses its last listing**: somebody has changed it. `scenelake gold sweep --relist --apply` begins a new one.
* **Two at once**: one run at a time, and a missed one is not made up for. A command beside it does no harm.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, chain, dag, get_current_context, task
from scenelake_airflow.maintenance_steps import STEPS
from scenelake_airflow.settings import MaintenanceMode, MaintenanceSettings, SchedulingSettings

from lake.settings import Settings

SCHEDULING = SchedulingSettings.from_env()
MAINTENANCE = MaintenanceSettings.from_env()


@dag(
    dag_id="maintain_lake",
    doc_md=__doc__,
    schedule="@daily",
    catchup=False,
    max_active_runs=1,
    params={
        "dry_run": Param(
            MAINTENANCE.mode is MaintenanceMode.DRY_RUN, type="boolean", description="say what would be done and change nothing"
        ),
        "older_than_h": Param(24, type="number", minimum=0, maximum=8760, description="hours; younger snapshots stay"),
        "published_h": Param(168, type="number", minimum=0, maximum=8760, description="hours; drives published since are merged"),
        "keep_last": Param(10, type="integer", minimum=1, maximum=10000, description="newest snapshots of a table that stay"),
    },
    default_args={
        "retries": SCHEDULING.retries,
        "retry_delay": timedelta(seconds=SCHEDULING.retry_delay_s),
        "execution_timeout": timedelta(seconds=MAINTENANCE.timeout_s),
    },
    tags=["scenelake"],
)
def maintain_lake() -> None:
    """The steps, one after another."""

    @task
    def maintain(step: str) -> dict[str, Any]:
        from scenelake_airflow import maintenance_steps

        return maintenance_steps.run(step, Settings.from_env(), get_current_context()["params"])

    chain(*(maintain.override(task_id=step)(step) for step in STEPS))


maintain_lake()
