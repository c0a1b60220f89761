"""Writes `docs/configuration.md` from the settings models: `python -m ops.configuration`, with `dags` on the module path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scenelake_airflow.settings import MaintenanceSettings, QueueSettings, SchedulingSettings

from ingest.environment import IngestSettings, MappingSettings
from lake.settings import Settings, SettingsModel, Variable, variables
from ops.settings import CommandSettings, StackSettings
from scenes.accounting.settings import AuditSettings
from spark_jobs.runtime.settings import JobSettings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"


@dataclass(frozen=True, slots=True)
class Process:
    """A kind of process, and the models that it reads when it starts."""

    name: str
    started_by: str
    models: tuple[type[SettingsModel], ...]


PROCESSES = (
    Process("function", "Lambda, for object events and for the sweep", (IngestSettings,)),
    Process("mapping", "`python -m ingest.event_source_mapping`, where there is no Lambda", (MappingSettings,)),
    Process(
        "DAG",
        "Airflow, whenever it parses `dags/process_drive.py` or `dags/maintain_lake.py`",
        (SchedulingSettings, MaintenanceSettings),
    ),
    Process("task", "Airflow, for the steps that start no job", (Settings,)),
    Process("operator", "Airflow, for the triggerer and for the steps that start a job", (QueueSettings,)),
    Process("job", "the operator: `python -m spark_jobs.…`", (JobSettings,)),
    Process("command", "`scenelake …`", (CommandSettings, Settings, AuditSettings)),
    Process("up", "`scenelake up`, for the processes that it starts; they inherit all others", (StackSettings,)),
    Process("review", "Airflow's API server", (CommandSettings, Settings)),
    Process("tables", "`python -m ops.stack.tables`", (Settings,)),
)

_HEAD = """\
# Configuration

Generated from the settings models by `make configuration`; do not edit. A process reads its variables once, when it starts, and
nothing else reads the environment ([0023](adr/0023-settings.md)). An invalid value is rejected with the name of its
variable, before any work begins.

`scenelake up` sets what its processes need, `scenelake status --env` prints it for a shell, and `docker-compose.yml` sets it for
containers. Where boto3, Arrow, Spark, Java or Airflow read variables of their own (`AWS_PROFILE`, `JAVA_HOME`, `AIRFLOW__…`),
their documentation applies.
"""


def render() -> str:
    """The page: the processes, then every variable in the order of its name."""
    readers: dict[Variable, list[str]] = {}
    for process in PROCESSES:
        for variable in dict.fromkeys(one for model in process.models for one in variables(model)):
            readers.setdefault(variable, []).append(process.name)
    processes = _table(("process", "started by"), ((process.name, process.started_by) for process in PROCESSES))
    rows = (_row(variable, readers[variable]) for variable in sorted(readers, key=lambda one: (one.names, one.description)))
    return "\n".join(
        (_HEAD, *processes, "", "## Variables", "", *_table(("variable", "type", "default", "read by", "description"), rows), "")
    )


def _row(variable: Variable, readers: Iterable[str]) -> tuple[str, ...]:
    default = "must be set" if variable.required else f"`{variable.default}`" if variable.default else "–"
    names = ", else ".join(f"`{name}`" for name in variable.names)
    return names, variable.kind, default, ", ".join(readers), variable.description


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]


def main() -> None:
    """Write the page."""
    PAGE.write_text(render())


if __name__ == "__main__":
    main()
