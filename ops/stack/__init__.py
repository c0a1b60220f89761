"""The local stack: an AWS endpoint, the event-source mapping and Airflow as processes of this machine, on loopback only.

`up`, `down`, `status`, `environment` and `memory` take the state folder and return values; nothing is read at import.
"""

from ops.stack.control import down, up
from ops.stack.inspection import environment, memory, status

__all__ = ["down", "environment", "memory", "status", "up"]
