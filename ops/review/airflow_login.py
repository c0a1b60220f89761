"""The review behind Airflow's login: who is logged in, and what they may do. Imported in Airflow's API server only."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
from airflow.configuration import conf
from fastapi import Depends, FastAPI, Request

from lake.settings import Settings
from ops import deployment
from ops.review.session import ReviewSession
from ops.review.web import review_app

DECIDES_ABOUT = "process_drive"  # a release starts a run of it


def airflow_review_app() -> FastAPI:
    """The application for whoever may see, or start, runs of `process_drive`."""
    return review_app(_review, _may("GET"), _may("POST"), conf.get_mandatory_value("api", "secret_key"))


def _may(method: ResourceMethod) -> Callable[..., None]:
    allowed = Depends(requires_access_dag(method, DagAccessEntity.RUN, DECIDES_ABOUT))
    known = Depends(get_user)

    def check(request: Request, user: BaseUser = known, _: None = allowed) -> None:
        request.state.reviewer = user.get_name()

    return check


@cache
def _review() -> ReviewSession:
    """The deployment of this process. The API server of a local stack starts before its names are known, and reads them here."""
    if "SCENELAKE_RAW_BUCKET" in os.environ:
        return ReviewSession(Settings.from_env(os.environ))
    return ReviewSession(deployment.enter(None, Path(os.environ.get(deployment.HOME, deployment.DEFAULT_HOME))))
