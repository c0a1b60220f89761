"""# process_drive: from a complete drive to scenes in gold

One run leases up to `SCENELAKE_DAG_DRIVES_PER_RUN` drives from the queue `drive-work` and processes them in parallel. Each
ends **published** in `gold.scenes`, or **quarantined** with its reasons. While the queue is empty nothing runs, and no worker
slot is held.

```
lease ─▶ drive (one per leased drive)
           inspect ─▶ gate ─▶ build_scenes ─▶ audit ─▶ publish ─▶ acknowledge
              └─────────────────────┴───────────┴─────────┴──────▶ abandon       (only after a failure)
```

| step | does | worker |
| --- | --- | --- |
| `lease` | receives messages, and checks in the ledger which of them still need work | task |
| `inspect` | checksums, container index, clocks, rates, calibration | Spark |
| `gate` | a drive that fails as a whole skips `build_scenes` | task |
| `build_scenes` | matches, reads payload by reference, writes Parquet; nothing is visible yet | Spark |
| `audit` | frames read = gold + quarantined + unmatched; expectations on the drive's metrics | job |
| `publish` | one atomic commit of scenes and quarantine records, fenced by the batch identity | job |
| `acknowledge` | final state in the ledger, then deletes the message | task |
| `abandon` | state `failed` in the ledger, then returns the message to the queue | task |

The number of mapped `drive` groups is the number of drives that `lease` received, so the grid shows one placeholder until
`lease` has ended. A run that finds the queue empty ends with all of them skipped.

## How a run starts

The asset `drive-work` is watched by a *doorbell* in the triggerer: it reads the number of visible messages and fires when
that becomes positive, rises, or stays positive for 30 s. It never receives, so it cannot lose anything; the next event makes
up for events that Airflow merges into one run.

## What a run publishes

`publish` has the outlet `gold.scenes`: a DAG that is scheduled on this asset runs after each publication. The event's `extra`
holds `drive` (VEHICLE/DRIVE), `revision`, `generation`, `outcome` (`published`, `quarantined` or `superseded`) and
`snapshot_id`, the Iceberg snapshot to read, `null` if superseded.

## Parameters (environment of scheduler and DAG processor)

| variable | default | unit | meaning |
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
| `SCENELAKE_DAG_LEASE_S` | 600 | s | a message stays invisible after each extension of its lease |
| `SCENELAKE_DAG_GIVE_BACK_S` | 30 | s | a failed drive waits, times its deliveries so far |
| `SCENELAKE_DAG_KILL_GRACE_S` | 3 | s | between SIGTERM and SIGKILL when a job is ended |

## When something fails

* **A step fails, times out or is killed**: its job and all its processes are ended, and the step is retried; the message
  stays invisible meanwhile. The steps of one attempt share a work area and are idempotent.
* **All tries of a step have failed**: `abandon` writes `failed` and the reason into the ledger and makes the message visible
  again after `GIVE_BACK_S` times its delivery count. The next delivery begins a new attempt with a new work area
  (`failed` → `processing`). After as many deliveries as the queue allows (`maxReceiveCount`), SQS moves the message to the
  dead-letter queue; the ledger state stays `failed`. The run is red; its other drives are not affected.
* **Worker, scheduler or machine is lost**: the lease is no longer extended, so the message is redelivered after `LEASE_S`. If
  the run itself is resumed first, its steps continue with the same lease.
* **The lease is lost** (paused longer than `LEASE_S`, then delivered to another run): the job is ended and not retried; the
  other run has the drive. `abandon` touches neither message nor ledger.
* **Two runs work on one drive at once** (an expired lease, a message sent twice): both may get as far as `publish`. The commit is
  the fence: it finds the batch identity in the table and adds nothing.
* **A message for a revision that is finished or superseded** is deleted by `lease` without work.
* **A message that was delivered before** is the last that a run leases, and the only one if it comes first, so that a drive
  that kills its worker interrupts as few others as possible.
* **A message that cannot be read** is neither deleted nor extended: SQS moves it to the dead-letter queue.

## Replay

The DAG `replay_quarantine`, or a release by a reviewer, queues a new generation of the drive, and the same steps run.
Clearing tasks of an old run is safe for the data but has no effect: its lease has ended.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher, TriggerRule, dag, get_current_context, task, task_group
from airflow.sdk.exceptions import DownstreamTasksSkipped
from scenelake_airflow.doorbell import DriveWorkDoorbell
from scenelake_airflow.job_operator import JobOperator
from scenelake_airflow.settings import SchedulingSettings

from lake.settings import Settings

SCHEDULING = SchedulingSettings.from_env()
DRIVE_WORK = Asset("drive-work", watchers=[AssetWatcher(name="doorbell", trigger=DriveWorkDoorbell())])
GOLD_SCENES = Asset("gold.scenes")
OF_LEASE = "{{ task.op_kwargs['lease']['vehicle_id'] }}/{{ task.op_kwargs['lease']['drive_id'] }}"
OF_JOB = "{{ task.lease['vehicle_id'] }}/{{ task.lease['drive_id'] }}"


def job(name: str, lease: Any, timeout_s: int, **more: Any) -> JobOperator:
    """One job step with the limits of the settings."""
    return JobOperator(
        task_id=name,
        job=name,
        lease=lease,
        lease_s=SCHEDULING.lease_s,
        kill_grace_s=SCHEDULING.kill_grace_s,
        execution_timeout=timedelta(seconds=timeout_s),
        max_active_tis_per_dag=SCHEDULING.jobs_at_once,
        map_index_template=OF_JOB,
        **more,
    )


@dag(
    dag_id="process_drive",
    doc_md=__doc__,
    schedule=[DRIVE_WORK],
    catchup=False,
    max_active_runs=SCHEDULING.active_runs,
    default_args={
        "retries": SCHEDULING.retries,
        "retry_delay": timedelta(seconds=SCHEDULING.retry_delay_s),
        "execution_timeout": timedelta(seconds=SCHEDULING.step_timeout_s),
    },
    tags=["scenelake"],
)
def process_drive() -> None:
    """Lease drives and process each of them."""

    @task
    def lease() -> list[dict[str, Any]]:
        from scenelake_airflow import lease_steps

        run_id = get_current_context()["run_id"]
        return lease_steps.lease(Settings.from_env(), run_id, SCHEDULING)

    @task(map_index_template=OF_LEASE)
    def gate(lease: dict[str, Any], inspection: Any) -> None:
        from scenelake_airflow import lease_steps

        if not lease_steps.passes_gate(lease, inspection):
            # A short-circuit task would skip nothing here: the scheduler looks up its decision without the map index (3.3.2).
            build_scenes = ("drive.build_scenes", get_current_context()["ti"].map_index)
            raise DownstreamTasksSkipped(tasks=[build_scenes])  # type: ignore[no-untyped-call]  # Airflow's is not annotated

    @task(map_index_template=OF_LEASE)
    def acknowledge(lease: dict[str, Any], publication: Any) -> str:
        from scenelake_airflow import lease_steps

        return lease_steps.acknowledge(Settings.from_env(), lease, publication)

    @task(map_index_template=OF_LEASE, trigger_rule=TriggerRule.ONE_FAILED)
    def abandon(lease: dict[str, Any]) -> None:
        from scenelake_airflow import lease_steps

        lease_steps.abandon(Settings.from_env(), lease, get_current_context()["ti"], SCHEDULING)

    @task_group
    def drive(lease: dict[str, Any]) -> None:
        inspect = job("inspect", lease, SCHEDULING.inspect_timeout_s)
        build_scenes = job("build_scenes", lease, SCHEDULING.build_timeout_s)
        # After a skipped build, too: a quarantined drive is accounted for and published like any other. Not after a failure.
        audit = job("audit", lease, SCHEDULING.audit_timeout_s, trigger_rule=TriggerRule.NONE_FAILED)
        publish = job("publish", lease, SCHEDULING.publish_timeout_s, outlets=[GOLD_SCENES])
        gate(lease=lease, inspection=inspect.output) >> build_scenes >> audit >> publish
        # A leaf: if only a successful `abandon` came after it, a failed drive would leave a green run.
        acknowledge(lease=lease, publication=publish.output)
        # Where `gate` fails, build_scenes counts as failed upstream.
        [inspect, build_scenes, audit, publish] >> abandon(lease=lease)

    drive.expand(lease=lease())


process_drive()
