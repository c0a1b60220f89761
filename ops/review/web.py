"""The review as a web application, mounted in Airflow's API server: list, pictures, release, reject.

Server-rendered pages without scripts. Every page needs an Airflow login (a mounted application is not protected by default),
and a decision needs the right to start runs of `process_drive`, because a release starts one. Each form carries a token that
only this server can make for its user, so neither another site nor another port of this host can submit one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException

from lake.errors import LakeError
from lake.overrides import Verdict, check_person
from lake.tables.planned_files import is_drive
from ops.errors import Explanation, OpsError, explain
from ops.review import decisions, page
from ops.review.listing import Filter, ReviewRecord
from ops.review.session import ReviewSession

MAX_FORM_BYTES = 256 * 1024
MAX_FIELDS = 2048
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FILTERS = ("vehicle", "drive", "level", "rule", "sensor", "status")
Check = Callable[..., Any]


class ReviewPages:
    """The pages. `review` opens the deployment on the first request; `key` is a secret of the server.

    The user's name is in `request.state.reviewer`, where the checks of `review_app` leave it.
    """

    def __init__(self, review: Callable[[], ReviewSession], key: str) -> None:
        self._review, self._key = review, key

    def listed(self, request: Request) -> HTMLResponse:
        """One page of the list, filtered by the query."""
        chosen = Filter(**{name: request.query_params.get(name) or None for name in FILTERS})
        drive_of(chosen.drive)
        found = self._review().records.page(chosen, request.query_params.get("after"))
        return HTMLResponse(page.list_page(found, chosen, self.frame(request)))

    def record(self, request: Request, reference: str) -> HTMLResponse:
        """One record with its pictures."""
        (row,) = self._named([reference])
        return HTMLResponse(page.record_page(row, self._review().evidence(row), frame=self.frame(request)))

    async def planned(self, request: Request) -> HTMLResponse:
        """The effect of the form, for confirmation."""
        form = await self._form(request)
        verdict, reason = _verdict(form), form["reason"][0].strip()
        check_person(request.state.reviewer, reason)
        plan = await run_in_threadpool(self._plan, form, verdict)
        return HTMLResponse(page.plan_page(plan, request.state.reviewer, reason, self.frame(request)))

    async def decided(self, request: Request) -> HTMLResponse:
        """Carry out the confirmed decision and show the results."""
        form = await self._form(request)
        verdict, reason = _verdict(form), form["reason"][0].strip()
        plan = await run_in_threadpool(self._plan, form, verdict)
        results = await run_in_threadpool(decisions.carry_out, self._review().desk, plan, request.state.reviewer, reason)
        refused = [decisions.Result(row.record_id[:12], (), problem=why) for row, why in plan.refused]
        return HTMLResponse(page.results_page([*results, *refused], verdict, self.frame(request)))

    def frame(self, request: Request) -> dict[str, str]:
        """Values that every page needs besides its content."""
        user = getattr(request.state, "reviewer", "")
        return {"root": request.scope.get("root_path", ""), "user": user, "token": self._token(user)}

    def _token(self, user: str) -> str:
        return hmac.new(self._key.encode(), f"scenelake-review:{user}".encode(), hashlib.sha256).hexdigest()

    def _plan(self, form: Mapping[str, list[str]], verdict: Verdict) -> decisions.Plan:
        return decisions.plan(self._named(dict.fromkeys(form["record"])), verdict)

    def _named(self, references: Iterable[str]) -> list[ReviewRecord]:
        found = list(self._review().records.find(references).values())
        if None in found:
            raise HTTPException(404, "No such record; its drive may have been processed again.")
        return [row for row in found if row is not None]

    async def _form(self, request: Request) -> dict[str, list[str]]:
        """The fields of a form, bounded in size; its origin and token are checked before anything is done."""
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.url.netloc:
            raise HTTPException(403, "The form comes from another site.")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                raise HTTPException(413, "The form is too large: select fewer records.")
        try:
            form = parse_qs(body.decode(), max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise HTTPException(400, "The form cannot be read.") from error
        if not hmac.compare_digest(form.get("token", [""])[0].encode(), self._token(request.state.reviewer).encode()):
            raise HTTPException(403, "The form has expired or belongs to another user: reload the page.")
        if not form.get("reason"):
            raise HTTPException(400, "Give a reason.")
        return form


def review_app(review: Callable[[], ReviewSession], may_read: Check, may_decide: Check, key: str) -> FastAPI:
    """The application.

    Args:
        review: Opens the deployment; called at requests only.
        may_read: FastAPI dependency that leaves the user's name in `request.state.reviewer`, or raises 401 or 403.
        may_decide: As `may_read`, for those who may decide.
        key: Secret of the server, from which the forms' tokens are made.
    """
    pages = ReviewPages(review, key)
    app = FastAPI(title="Scenelake review", openapi_url=None, docs_url=None, redoc_url=None)
    for path, method, endpoint, check in (
        ("/", "GET", pages.listed, may_read),
        ("/records/{reference:path}", "GET", pages.record, may_read),
        ("/plan", "POST", pages.planned, may_decide),
        ("/decide", "POST", pages.decided, may_decide),
    ):
        app.add_api_route(path, endpoint, methods=[method], dependencies=[Depends(check)], response_class=HTMLResponse)

    @app.middleware("http")
    async def closed(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            response = await call_next(request)
        except Exception as error:
            explanation = explain(error) or (Explanation(str(error)) if isinstance(error, OSError) else None)
            if explanation is None:
                raise
            message = explanation.cause if explanation.hint is None else f"{explanation.cause}; {explanation.hint}"
            response = HTMLResponse(page.message_page("The lake is not reachable", message, pages.frame(request)), 503)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(OpsError)
    @app.exception_handler(LakeError)
    async def refused(request: Request, error: Exception) -> Response:
        return HTMLResponse(page.message_page("Nothing changed", str(error), pages.frame(request)), 400)

    @app.exception_handler(AnyHTTPException)
    async def answered(request: Request, error: AnyHTTPException) -> Response:
        message = "Log in to Airflow first, then open this page again." if error.status_code == 401 else str(error.detail)
        return HTMLResponse(page.message_page(f"{error.status_code}", message, pages.frame(request)), error.status_code)

    return app


def drive_of(named: str | None) -> None:
    """Refuse what is not the name of a drive."""
    if named is not None and not is_drive(named):
        raise HTTPException(400, "The drive is not VEHICLE/DRIVE.")


def _verdict(form: Mapping[str, list[str]]) -> Verdict:
    verdict = form.get("verdict", [""])[0]
    if verdict not in tuple(Verdict) or not form.get("record"):
        raise HTTPException(400, "Select records, then release or reject them.")
    return Verdict(verdict)
