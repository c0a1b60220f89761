"""How many drives at once, how long a step may take, how often it is tried: defaults, and what the environment changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Self

from scenelake_airflow.errors import PolicyError

_BOUNDS = "bounds"


def _tunable(default: int, least: int, most: int) -> int:
    value: int = field(default=default, metadata={_BOUNDS: (least, most)})
    return value


@dataclass(frozen=True, slots=True)
class Policy:
    """Tunables of `process_drive`; the field `retries` is `SCENELAKE_DAG_RETRIES` in the environment, and so on.

    Attributes:
        drives_per_run: Drives that one run leases at most.
        active_runs: Runs at the same time; more wait as queued runs and hold no lease.
        jobs_at_once: Instances of one job step at the same time, over all runs: each is a Spark driver.
        retries: Tries of a failed step after its first.
        retry_delay_s: Wait before a try is repeated.
        inspect_timeout_s: Longest run of `inspect`.
        build_timeout_s: Longest run of `build_scenes`.
        audit_timeout_s: Longest run of `audit`.
        publish_timeout_s: Longest run of `publish`.
        step_timeout_s: Longest run of a step that starts no job.
        lease_s: How long a drive's message stays invisible after its last sign of life; longer than any wait for a worker slot.
        give_back_s: How long a failed drive's message stays invisible, times the number of deliveries so far.
        kill_grace_s: How long a job may take to end when asked, before it is killed.
    """

    drives_per_run: int = _tunable(4, 1, 64)
    active_runs: int = _tunable(4, 1, 64)
    jobs_at_once: int = _tunable(4, 1, 256)
    retries: int = _tunable(2, 0, 10)
    retry_delay_s: int = _tunable(10, 0, 3600)
    inspect_timeout_s: int = _tunable(1800, 1, 43200)
    build_timeout_s: int = _tunable(7200, 1, 43200)
    audit_timeout_s: int = _tunable(1800, 1, 43200)
    publish_timeout_s: int = _tunable(1800, 1, 43200)
    step_timeout_s: int = _tunable(120, 1, 3600)
    lease_s: int = _tunable(600, 2, 43200)
    give_back_s: int = _tunable(30, 0, 3600)
    kill_grace_s: int = _tunable(3, 1, 60)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read `SCENELAKE_DAG_<FIELD>`; what is not set keeps its default.

        Raises:
            PolicyError: A value is not a whole number, or lies outside its bounds.
        """
        chosen: dict[str, int] = {}
        for tunable in fields(cls):
            name = variable(tunable.name)
            if name in env:
                chosen[tunable.name] = _bounded(name, env[name], *tunable.metadata[_BOUNDS])
        return cls(**chosen)


def variable(tunable: str) -> str:
    """Name of the environment variable of a tunable."""
    return f"SCENELAKE_DAG_{tunable.upper()}"


def _bounded(name: str, text: str, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise PolicyError(f"{name}={text!r} must be a whole number from {least} to {most}")
    return value
