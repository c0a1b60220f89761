"""Keeps web pages away from servers on loopback, which every page in the developer's browser can send requests to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_PORT = re.compile(r":\d{1,5}\Z")


class BrowserGuard:
    """WSGI application that passes requests of programs to `inner`, refuses those of web pages, and sends no CORS headers.

    A page needs no permission to send a form or to load an image, and none to read the answers if it makes its own name resolve
    to 127.0.0.1 (DNS rebinding). Refused with status 403 are therefore requests with an `Origin`; with a `Sec-Fetch-Site` other
    than `none`, which browsers set for what the user typed; from browsers too old for that header; and to any other host than
    loopback and `hosts`.
    """

    def __init__(self, inner: Application, hosts: Iterable[str] = ()) -> None:
        """
        Args:
            inner: The application to guard.
            hosts: Further names, without port, under which its clients reach it.
        """
        self._inner = inner
        self._hosts = frozenset((*LOOPBACK_HOSTS, *(host.lower() for host in hosts)))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reason = self.refusal(environ)
        if reason is None:
            return self._inner(environ, _without_cors(start_response))
        body = f"refused: {reason}\n".encode("utf-8", "replace")
        start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [body]

    def refusal(self, environ: dict[str, Any]) -> str | None:
        """Why a request is refused; None if it is not."""
        site = environ.get("HTTP_SEC_FETCH_SITE")
        if "HTTP_ORIGIN" in environ or site not in (None, "none"):
            return "this server does not answer web pages"
        if site is None and environ.get("HTTP_USER_AGENT", "").startswith("Mozilla/"):
            return "this server does not answer browsers that hide where a request comes from"
        host = environ.get("HTTP_HOST", "").lower()
        if _PORT.sub("", host) not in self._hosts:
            return f"the request is for {host!r}, this server answers to {', '.join(sorted(self._hosts))}"
        return None


def names_of(address: str) -> tuple[str, ...]:
    """The host names in requests to a server that listens on `address`; none for all interfaces, where any name may lead."""
    if address in ("", "0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
        return ()
    return (f"[{address}]" if ":" in address else address,)


def _without_cors(start_response: Callable[..., Any]) -> Callable[..., Any]:
    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        kept = [(name, value) for name, value in headers if not name.lower().startswith("access-control-")]
        return start_response(status, kept, *rest)

    return start
