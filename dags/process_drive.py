"""# process_drive: from a complete drive to scenes in gold

One run takes up to `SCENELAKE_DAG_DRIVES_PER_RUN` drives from the queue `drive-work` and brings each of them, side by side,
to its end: **published** in `gold.scenes`, or **quarantined** with its reasons. Nothing runs, and no worker slot is held,
while the queue is empty.

```
lease ─▶ drive (one per leased drive)
           inspect ─▶ gate ─▶ build_scenes ─▶ audit ─▶ publish ─▶ acknowledge
              └─────────────────────┴───────────┴─────────┴──────▶ give_back   (only after a failure)
```

| step | does | worker |
| --- | --- | --- |
| `lease` | receives messages, asks the ledger which of them still need work | task |
| `inspect` | checksums, container index, clocks, rates, calibration | Spark |
| `gate` | a drive that fails as a whole skips `build_scenes` | task |
| `build_scenes` | matches, reads payload by reference, writes Parquet; nothing is visible yet | Spark |
| `audit` | frames read = gold + quarantined + unmatched; expectations on the drive's metrics | job |
| `publish` | one atomic commit of scenes and quarantine records, fenced by the batch identity | job |
| `acknowledge` | final state in the ledger, then deletes the message | task |
| `give_back` | state `failed` in the ledger, then lets the message come back | task |

## How a run starts

The asset `drive-work` is watched by a *doorbell* in the triggerer: it looks at the number of visible messages and rings when
that becomes positive, rises, or stays positive for 30 s. It never receives, so it can lose nothing; rings that Airflow
merges into one run are answered by the next ring.

## Parameters (environment of scheduler and DAG processor)

| variable | default | unit | is |
| --- | --- | --- | --- |
| `SCENELAKE_DAG_DRIVES_PER_RUN` | 4 | drives | leased by one run at most |
| `SCENELAKE_DAG_ACTIVE_RUNS` | 4 | runs | at the same time |
| `SCENELAKE_DAG_JOBS_AT_ONCE` | 4 | tasks | of one job step at the same time, over all runs |
| `SCENELAKE_DAG_RETRIES` | 2 | tries | after the first |
| `SCENELAKE_DAG_RETRY_DELAY_S` | 10 | s | before a try is repeated |
| `SCENELAKE_DAG_INSPECT_TIMEOUT_S` | 1800 | s | longest run of `inspect` |
| `SCENELAKE_DAG_BUILD_TIMEOUT_S` | 7200 | s | longest run of `build_scenes` |
| `SCENELAKE_DAG_AUDIT_TIMEOUT_S` | 1800 | s | longest run of `audit` |
| `SCENELAKE_DAG_PUBLISH_TIMEOUT_S` | 1800 | s | longest run of `publish` |
| `SCENELAKE_DAG_STEP_TIMEOUT_S` | 120 | s | longest run of the other steps |
| `SCENELAKE_DAG_LEASE_S` | 600 | s | a message stays invisible after its drive's last sign of life |
| `SCENELAKE_DAG_GIVE_BACK_S` | 30 | s | a failed drive waits, times its deliveries so far |
| `SCENELAKE_DAG_KILL_GRACE_S` | 3 | s | between SIGTERM and SIGKILL for a job that must end |

## When something fails

* **A step fails, times out or is killed**: its job is ended with everything that it started, and the step is tried again;
  the message stays invisible meanwhile. Steps of one attempt share a work area and may be repeated.
* **All tries of a step have failed**: `give_back` writes `failed` and the reason into the ledger and lets the message become
  visible after `GIVE_BACK_S` times its delivery count. The next delivery begins a new attempt with a new work area
  (`failed` → `processing`). After as many deliveries as the queue allows (`maxReceiveCount`), SQS moves the message to the
  dead-letter queue; the ledger keeps saying `failed`. The run is red; the other drives of the run are not touched.
* **Worker, scheduler or machine is gone**: nobody extends the lease, so the message comes back after `LEASE_S`. If the run
  itself is resumed first, its steps go on with the same lease.
* **The lease is lost** (paused longer than `LEASE_S`, then delivered to another run): the job is ended and not tried again; the
  other run has the drive. `give_back` leaves message and ledger alone.
* **Two runs work on one drive at once** (an expired lease, a message sent twice): both may get as far as `publish`. The commit is
  the fence: it finds the batch identity in the table and adds nothing.
* **A message for a revision that is finished or superseded** is deleted by `lease` without work.
* **A message that was delivered before** closes its run: it is leased alone if it comes first, and after it no other is
  leased, so that a drive that takes a worker down takes as few innocent ones with it as possible.
* **A message that cannot be read** is neither deleted nor extended: SQS moves it to the dead-letter queue.

## Replay

`scenelake replay ID`, or a message with the reason `reprocess`, makes a new generation of the drive and the same steps run.
Clearing tasks of an old run is safe for the data but pointless: its lease has ended.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher, TriggerRule, dag, get_current_context, task, task_group
from airflow.sdk.exceptions import DownstreamTasksSkipped
from scenelake_airflow.doorbell import DriveWorkDoorbell
from scenelake_airflow.job_operator import JobOperator
from scenelake_airflow.policy import Policy

from lake.settings import Settings

POLICY = Policy.from_env()
DRIVE_WORK = Asset("drive-work", watchers=[AssetWatcher(name="doorbell", trigger=DriveWorkDoorbell())])
OF_LEASE = "{{ task.op_kwargs['lease']['vehicle_id'] }}/{{ task.op_kwargs['lease']['drive_id'] }}"
OF_JOB = "{{ task.lease['vehicle_id'] }}/{{ task.lease['drive_id'] }}"


def job(name: str, lease: Any, timeout_s: int, **more: Any) -> JobOperator:
    """One job step, within the policy."""
    return JobOperator(
        task_id=name,
        job=name,
        lease=lease,
        lease_s=POLICY.lease_s,
        kill_grace_s=POLICY.kill_grace_s,
        execution_timeout=timedelta(seconds=timeout_s),
        max_active_tis_per_dag=POLICY.jobs_at_once,
        map_index_template=OF_JOB,
        **more,
    )


@dag(
    dag_id="process_drive",
    doc_md=__doc__,
    schedule=[DRIVE_WORK],
    catchup=False,
    max_active_runs=POLICY.active_runs,
    default_args={
        "retries": POLICY.retries,
        "retry_delay": timedelta(seconds=POLICY.retry_delay_s),
        "execution_timeout": timedelta(seconds=POLICY.step_timeout_s),
    },
    tags=["scenelake"],
)
def process_drive() -> None:
    """Lease drives and bring each of them to its end."""

    @task
    def lease() -> list[dict[str, Any]]:
        from scenelake_airflow import lease_steps

        run_id = get_current_context()["run_id"]
        return lease_steps.lease(Settings.from_env(), run_id, POLICY)

    @task(map_index_template=OF_LEASE)
    def gate(lease: dict[str, Any], inspection: Any) -> None:
        from scenelake_airflow import lease_steps

        if not lease_steps.passes_gate(lease, inspection):
            # A short-circuit task would skip nothing here: the scheduler looks for its decision without the map index (3.3.2).
            build_scenes = ("drive.build_scenes", get_current_context()["ti"].map_index)
            raise DownstreamTasksSkipped(tasks=[build_scenes])  # type: ignore[no-untyped-call]  # Airflow's is not annotated

    @task(map_index_template=OF_LEASE)
    def acknowledge(lease: dict[str, Any], publication: Any) -> str:
        from scenelake_airflow import lease_steps

        return lease_steps.acknowledge(Settings.from_env(), lease, publication)

    @task(map_index_template=OF_LEASE, trigger_rule=TriggerRule.ONE_FAILED)
    def give_back(lease: dict[str, Any]) -> None:
        from scenelake_airflow import lease_steps

        lease_steps.give_back(Settings.from_env(), lease, get_current_context()["ti"], POLICY)

    @task_group
    def drive(lease: dict[str, Any]) -> None:
        inspect = job("inspect", lease, POLICY.inspect_timeout_s)
        build_scenes = job("build_scenes", lease, POLICY.build_timeout_s)
        # After a skipped build, too: a quarantined drive is accounted for and published like any other. Not after a failure.
        audit = job("audit", lease, POLICY.audit_timeout_s, trigger_rule=TriggerRule.NONE_FAILED)
        publish = job("publish", lease, POLICY.publish_timeout_s)
        gate(lease=lease, inspection=inspect.output) >> build_scenes >> audit >> publish
        # A leaf of its own: were it upstream of nothing but a give_back that succeeds, a failed drive would leave a green run.
        acknowledge(lease=lease, publication=publish.output)
        # Where `gate` fails, build_scenes counts as failed upstream.
        [inspect, build_scenes, audit, publish] >> give_back(lease=lease)

    drive.expand(lease=lease())


process_drive()
