"""Airflow plugin: the quarantine review in Airflow's own UI, behind its login.

Airflow imports this file in every process, so it imports nothing heavy: the pages and their dependencies are loaded when the
API server serves the first of them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/scenelake-review"


class LazyApp:
    """The ASGI application, loaded at its first request."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request."""
        if self._app is None:
            self._app = await asyncio.to_thread(_load)
        await self._app(scope, receive, send)


def _load() -> Any:
    from ops.review.airflow_login import airflow_review_app

    return airflow_review_app()


class ScenelakeReview(AirflowPlugin):
    """The review application, and its entry in the navigation."""

    name = "scenelake_review"
    fastapi_apps = [{"app": LazyApp(), "url_prefix": PREFIX, "name": "Scenelake review"}]  # noqa: RUF012 - as its base declares them
    external_views = [  # noqa: RUF012
        {
            "name": "Quarantine",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "quarantine",
        }
    ]
