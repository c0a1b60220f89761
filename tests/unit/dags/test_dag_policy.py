from __future__ import annotations

import pytest
from scenelake_airflow.policy import DAG_PREFIX, SchedulingSettings

from lake.errors import SettingsError


def test_defaults_without_an_environment() -> None:
    assert SchedulingSettings.from_env({"SCENELAKE_DAG": "1", "RETRIES": "9"}) == SchedulingSettings()


def test_the_environment_changes_what_it_names() -> None:
    policy = SchedulingSettings.from_env({"SCENELAKE_DAG_RETRIES": "0", "SCENELAKE_DAG_LEASE_S": "43200"})
    assert (policy.retries, policy.lease_s, policy.active_runs) == (0, 43200, 4)


@pytest.mark.parametrize(
    ("name", "value"),
    [("retries", "-1"), ("retries", "11"), ("lease_s", "1"), ("lease_s", "43201"), ("drives_per_run", "0"), ("retries", "two"),
     ("retries", "1.5"), ("retries", "")],
)  # fmt: skip
def test_a_value_outside_its_bounds_is_refused_by_name(name: str, value: str) -> None:
    variable = DAG_PREFIX + name.upper()
    with pytest.raises(SettingsError, match=rf"{variable}='{value}' must be a whole number from \d+ to \d+; unset it for"):
        SchedulingSettings.from_env({variable: value})
