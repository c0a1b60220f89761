"""Container health checks: exit status 0 if healthy, else 1 with the reason. Starts in tens of milliseconds.

python -S healthy.py http://localhost:8081/json/    the URL returns 2xx
python -S healthy.py airflow scheduler              Airflow reports the component as healthy
python -S healthy.py file /tmp/alive 30             the file was written in the last 30 s
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from pathlib import Path

AIRFLOW_HEALTH = "http://airflow-api-server:8080/api/v2/monitor/health"
TIMEOUT_S = 5


def problem(arguments: list[str]) -> str | None:
    """The problem, or None."""
    match arguments:
        case ["airflow", component]:
            state = json.loads(_get(AIRFLOW_HEALTH)).get(component) or {}
            return None if state.get("status") == "healthy" else f"Airflow reports {component} as {state}"
        case ["file", path, seconds]:
            age_s = time.time() - Path(path).stat().st_mtime
            return None if age_s <= float(seconds) else f"{path} was last written {age_s:.0f} s ago"
        case [url]:
            _get(url)
            return None
    return f"invalid arguments: {arguments}"


def _get(url: str) -> bytes:
    # The host's proxy must not come between two containers.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=TIMEOUT_S) as answer:
        return bytes(answer.read())


def main() -> int:
    """Run from the command line."""
    try:
        found = problem(sys.argv[1:])
    except (OSError, ValueError) as error:
        found = str(error)
    if found is not None:
        print(found, file=sys.stderr)
    return 0 if found is None else 1


if __name__ == "__main__":
    sys.exit(main())
