from __future__ import annotations

import pytest
from scenelake_airflow.settings import DAG_PREFIX, SchedulingSettings

from lake.errors import SettingsError


def test_defaults_without_an_environment() -> None:
    assert SchedulingSettings.from_env({"SCENELAKE_DAG": "1", "RETRIES": "9"}) == SchedulingSettings()


def test_the_environment_changes_what_it_names() -> None:
    scheduling = SchedulingSettings.from_env({"SCENELAKE_DAG_RETRIES": "0", "SCENELAKE_DAG_LEASE_S": "43200"})
    assert (scheduling.retries, scheduling.lease_s, scheduling.active_runs) == (0, 43200, 4)


def test_the_delay_of_a_redelivery_keeps_the_variable_that_deployments_set() -> None:
    assert SchedulingSettings.from_env({"SCENELAKE_DAG_GIVE_BACK_S": "7"}).redelivery_delay_s == 7
    assert SchedulingSettings.from_env({"SCENELAKE_DAG_REDELIVERY_DELAY_S": "7"}) == SchedulingSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("retries", "-1"), ("retries", "11"), ("lease_s", "1"), ("lease_s", "43201"), ("drives_per_run", "0"), ("retries", "two"),
     ("retries", "1.5"), ("retries", "")],
)  # fmt: skip
def test_a_value_outside_its_bounds_is_refused_by_name(name: str, value: str) -> None:
    variable = DAG_PREFIX + name.upper()
    with pytest.raises(SettingsError, match=rf"{variable}='{value}' must be a whole number from \d+ to \d+; unset it for"):
        SchedulingSettings.from_env({variable: value})
