"""Health checks of containers: exit status 0 where all is well, else 1 and why. Starts in a few hundredths of a second.

python -S healthy.py http://localhost:8081/json/    something answers there, with 2xx
python -S healthy.py airflow scheduler              Airflow has heard from this component
python -S healthy.py file /tmp/alive 30             a file was written in the last 30 s
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
    """What is wrong; None where nothing is."""
    match arguments:
        case ["airflow", component]:
            state = json.loads(_get(AIRFLOW_HEALTH)).get(component) or {}
            return None if state.get("status") == "healthy" else f"Airflow says of {component}: {state}"
        case ["file", path, seconds]:
            age_s = time.time() - Path(path).stat().st_mtime
            return None if age_s <= float(seconds) else f"{path} was last written {age_s:.0f} s ago"
        case [url]:
            _get(url)
            return None
    return f"not understood: {arguments}"


def _get(url: str) -> bytes:
    # A proxy of the machine has no business between two containers.
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
