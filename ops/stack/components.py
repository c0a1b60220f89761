"""The processes of the local stack: their names and command lines."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ops.stack.choices import Choices
from ops.stack.environment import PROJECT
from ops.stack.ports import LOOPBACK

EMULATOR = "emulator"
EMULATOR_SERVER = PROJECT / "localstack" / "emulator.py"
MAPPING = "event-source-mapping"
SCHEDULER, DAG_PROCESSOR, API_SERVER, TRIGGERER = "scheduler", "dag-processor", "api-server", "triggerer"
# In the order in which they start: the slowest first.
AIRFLOW = (API_SERVER, DAG_PROCESSOR, SCHEDULER, TRIGGERER)


def expected(choices: Choices) -> tuple[str, ...]:
    """The components that this stack consists of; an endpoint that somebody else runs is none of them."""
    return (*(() if choices.external_endpoint else (EMULATOR,)), MAPPING, *AIRFLOW)


def command_lines(choices: Choices) -> Mapping[str, tuple[str, ...]]:
    """What each component runs. All listen on loopback only: Airflow's two log servers, which cannot, are left out."""
    module = (sys.executable, "-m")
    return {
        EMULATOR: (sys.executable, str(EMULATOR_SERVER), "-H", LOOPBACK, "-p", str(choices.emulator_port)),
        MAPPING: (*module, "ingest.event_source_mapping"),
        API_SERVER: (*module, "airflow", "api-server"),
        DAG_PROCESSOR: (*module, "airflow", "dag-processor"),
        SCHEDULER: (*module, "airflow", "scheduler", "--skip-serve-logs"),
        TRIGGERER: (*module, "airflow", "triggerer", "--skip-serve-logs"),
    }


def addresses(choices: Choices) -> Mapping[str, str]:
    """Where the components that listen do so."""
    return {EMULATOR: choices.endpoint, API_SERVER: choices.airflow_url}
