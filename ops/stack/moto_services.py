"""The AWS services of the embedded endpoint. Whatever else moto can serve does not exist here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from posixpath import normpath
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from ops.browser_guard import Application

SERVED = frozenset({"awslambda", "cloudformation", "dynamodb", "events", "iam", "s3", "sqs", "sts"})
"""moto's names of the services that the project uses.

moto's own API, with which any request may reset, seed, record or replay everything, is a service like the others. It is left out
where moto has decided which service a request is for, because that decision depends on more than the path.
"""
_OWN_API = "/moto-api"
_HOSTS = 256  # whose service is remembered


def served_application() -> Application:
    """moto's WSGI application, limited to `SERVED`; for everything else the status is 404."""
    create: Any = _application  # moto's type wants one of its own names and a Flask application
    dispatcher: Any = DomainDispatcherApplication(create)
    # To tell whether a host is the name of a service, moto lists its two hundred folders, for each request.
    dispatcher.get_backend_for_host = lru_cache(maxsize=_HOSTS)(dispatcher.get_backend_for_host)

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # What moto would take for a bucket or a key of S3 gets the same answer.
        path = normpath("/" + environ.get("PATH_INFO", "").lstrip("/")).lower()
        application: Application = _not_served if path.startswith(_OWN_API) else dispatcher
        return application(environ, start_response)

    return serve


def _application(service: Any) -> Application:
    if service not in SERVED:
        return _not_served
    application: Application = create_backend_app(service)
    return application


def _not_served(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = b"not served by this endpoint\n"
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
