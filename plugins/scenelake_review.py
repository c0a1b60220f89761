"""Airflow plugin: the quarantine review in Airflow's own UI, behind its login.

Airflow imports this file in every process, so it imports nothing heavy: the pages, and what they read, are loaded when the
API server serves the first of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/scenelake-review"


class LazyApp:
    """The ASGI application, loaded at its first request."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request."""
        if self._app is None:
            from cli.review.airflow_login import airflow_review_app

            self._app = airflow_review_app()
        await self._app(scope, receive, send)


class ScenelakeReview(AirflowPlugin):
    """The review application, and its entry in the navigation."""

    name = "scenelake_review"
    fastapi_apps: ClassVar = [{"app": LazyApp(), "url_prefix": PREFIX, "name": "Scenelake review"}]
    external_views: ClassVar = [
        {
            "name": "Quarantine",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "quarantine",
        }
    ]
