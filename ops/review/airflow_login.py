"""The review behind Airflow's login: the current user, and their permissions. Imported in Airflow's API server only."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
from airflow.configuration import conf
from fastapi import Depends, FastAPI, Request

from ops import deployment
from ops.review.session import ReviewSession
from ops.review.web import review_app
from ops.settings import CommandSettings

DECIDES_ABOUT = "process_drive"  # a release starts a run of it


def airflow_review_app() -> FastAPI:
    """The application for users who may see, or start, runs of `process_drive`."""
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
    return ReviewSession(deployment.enter(None, CommandSettings.from_env().home))
