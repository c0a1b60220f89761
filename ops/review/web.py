"""The review as a web application, mounted in Airflow's API server: list, pictures, release, reject.

Server-side pages without a script. Every page needs Airflow's login (a mounted application is not protected by itself), and
a decision needs the right to start runs of `process_drive`: it does just that. A form carries a token that only this server
can make for the user who asked for the page, so no other site, nor another port of this host, can submit one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException

from lake.errors import LakeError
from lake.overrides import Verdict, check_person
from ops.errors import CliError, Explanation, explain
from ops.review import page, service
from ops.review.desk import Review, Row
from ops.review.listing import Filter

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
    """The pages. `review` opens the deployment at the first request; `key` is a secret of the server.

    The user's name is in `request.state.reviewer`, where the checks of `review_app` leave it.
    """

    def __init__(self, review: Callable[[], Review], key: str) -> None:
        self._review, self._key = review, key

    def listed(self, request: Request) -> HTMLResponse:
        """The list, as the query says."""
        chosen = Filter(**{name: request.query_params.get(name) or None for name in FILTERS})
        return HTMLResponse(page.list_page(self._review().rows(), chosen, self.frame(request)))

    def record(self, request: Request, record_id: str) -> HTMLResponse:
        """One record with its pictures."""
        rows = self._review().rows()
        row = _one(rows, record_id)
        return HTMLResponse(page.record_page(row, self._review().evidence(row, rows), frame=self.frame(request)))

    async def planned(self, request: Request) -> HTMLResponse:
        """What the form would do, to be confirmed."""
        form = await self._form(request)
        verdict, reason = _verdict(form), form["reason"][0].strip()
        check_person(request.state.reviewer, reason)
        wanted = await run_in_threadpool(self._plan, form, verdict)
        return HTMLResponse(page.plan_page(wanted, request.state.reviewer, reason, self.frame(request)))

    async def decided(self, request: Request) -> HTMLResponse:
        """Do what was confirmed, and say what came of it."""
        form = await self._form(request)
        verdict, reason = _verdict(form), form["reason"][0].strip()
        wanted = await run_in_threadpool(self._plan, form, verdict)
        results = await run_in_threadpool(service.carry_out, self._review().desk, wanted, request.state.reviewer, reason)
        refused = [service.Result(row["record_id"][:12], (), problem=why) for row, why in wanted.refused]
        return HTMLResponse(page.results_page([*results, *refused], verdict, self.frame(request)))

    def frame(self, request: Request) -> dict[str, str]:
        """What every page needs besides its content."""
        user = getattr(request.state, "reviewer", "")
        return {"root": request.scope.get("root_path", ""), "user": user, "token": self._token(user)}

    def _token(self, user: str) -> str:
        return hmac.new(self._key.encode(), f"scenelake-review:{user}".encode(), hashlib.sha256).hexdigest()

    def _plan(self, form: Mapping[str, list[str]], verdict: Verdict) -> service.Plan:
        rows = self._review().rows()
        return service.plan([_one(rows, record_id) for record_id in dict.fromkeys(form["record"])], verdict)

    async def _form(self, request: Request) -> dict[str, list[str]]:
        """The fields of a form of ours, bounded, and its token checked before anything is done."""
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.url.netloc:
            raise HTTPException(403, "The form comes from another site.")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                raise HTTPException(413, "The form is too large: choose fewer records.")
        try:
            form = parse_qs(body.decode(), max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise HTTPException(400, "The form cannot be read.") from error
        if not hmac.compare_digest(form.get("token", [""])[0].encode(), self._token(request.state.reviewer).encode()):
            raise HTTPException(403, "The form is not one of yours: load the page again.")
        if not form.get("reason"):
            raise HTTPException(400, "Say why.")
        return form


def review_app(review: Callable[[], Review], may_look: Check, may_decide: Check, key: str) -> FastAPI:
    """The application.

    Args:
        review: Opens the deployment; called at requests only.
        may_look: FastAPI dependency that leaves the user's name in `request.state.reviewer`, or raises 401 or 403.
        may_decide: As `may_look`, for those who may decide.
        key: Secret of the server, from which the forms' tokens are made.
    """
    pages = ReviewPages(review, key)
    app = FastAPI(title="Scenelake review", openapi_url=None, docs_url=None, redoc_url=None)
    for path, method, endpoint, check in (
        ("/", "GET", pages.listed, may_look),
        ("/records/{record_id}", "GET", pages.record, may_look),
        ("/plan", "POST", pages.planned, may_decide),
        ("/decide", "POST", pages.decided, may_decide),
    ):
        app.add_api_route(path, endpoint, methods=[method], dependencies=[Depends(check)], response_class=HTMLResponse)

    @app.middleware("http")
    async def closed(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            response = await call_next(request)
        except Exception as error:
            told = explain(error) or (Explanation(str(error)) if isinstance(error, OSError) else None)
            if told is None:
                raise
            words = told.cause if told.hint is None else f"{told.cause}; {told.hint}"
            response = HTMLResponse(page.message_page("The lake does not answer", words, pages.frame(request)), 503)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(CliError)
    @app.exception_handler(LakeError)
    async def refused(request: Request, error: Exception) -> Response:
        return HTMLResponse(page.message_page("Nothing was done", str(error), pages.frame(request)), 400)

    @app.exception_handler(AnyHTTPException)
    async def answered(request: Request, error: AnyHTTPException) -> Response:
        said = "Log in to Airflow first, then open this page again." if error.status_code == 401 else str(error.detail)
        return HTMLResponse(page.message_page(f"{error.status_code}", said, pages.frame(request)), error.status_code)

    return app


def _one(rows: list[Row], record_id: str) -> Row:
    found = next((row for row in rows if row["record_id"] == record_id), None)
    if found is None:
        raise HTTPException(404, "There is no such record; its drive may have been processed again.")
    return found


def _verdict(form: Mapping[str, list[str]]) -> Verdict:
    said = form.get("verdict", [""])[0]
    if said not in tuple(Verdict) or not form.get("record"):
        raise HTTPException(400, "Choose records, and release or reject them.")
    return Verdict(said)
