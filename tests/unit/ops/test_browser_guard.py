"""Which requests a server on loopback answers: those of programs, and of nobody's web page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ops.browser_guard import BrowserGuard, names_of

Headers = dict[str, str]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


class Inner:
    """Counts the requests that reach it, and allows every origin, as moto does."""

    def __init__(self) -> None:
        self.reached = 0

    def __call__(self, _environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.reached += 1
        cors = [("Access-Control-Allow-Origin", "*"), ("access-control-expose-headers", "ETag")]
        start_response("200 OK", [("Content-Type", "text/xml"), *cors, ("ETag", '"1"')])
        return [b"answer"]


def ask(hosts: tuple[str, ...] = (), method: str = "GET", **environ: str) -> tuple[str, list[tuple[str, str]], bytes, int]:
    """Status, headers and body of the answer, and how many requests reached the application."""
    inner, seen = Inner(), []
    guard = BrowserGuard(inner, hosts)
    request = {"REQUEST_METHOD": method, "PATH_INFO": "/", "HTTP_HOST": "127.0.0.1:5000"} | environ
    body = b"".join(guard(request, lambda status, headers: seen.append((status, headers))))
    [(status, headers)] = seen
    return status, headers, body, inner.reached


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:5000", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:65535", "[::1]"],
)
@pytest.mark.parametrize("agent", ["Boto3/1.43.106 md/Botocore", "aws-sdk-cpp/1.11", ""])
def test_programs_on_this_machine_are_answered_without_cors_headers(host: str, agent: str) -> None:
    status, headers, body, reached = ask(HTTP_HOST=host, HTTP_USER_AGENT=agent)
    assert (status, body, reached) == ("200 OK", b"answer", 1)
    assert headers == [("Content-Type", "text/xml"), ("ETag", '"1"')]


def test_an_address_that_the_user_typed_is_answered() -> None:
    assert ask(HTTP_SEC_FETCH_SITE="none", HTTP_USER_AGENT=FIREFOX)[3] == 1


@pytest.mark.parametrize(
    "of_page",
    [
        {"HTTP_ORIGIN": "https://evil.example"},
        {"HTTP_ORIGIN": "null"},
        {"HTTP_ORIGIN": ""},
        {"HTTP_ORIGIN": "http://127.0.0.1:5000"},  # a page that this server itself delivered: an uploaded object
        {"HTTP_ORIGIN": "http://localhost:8080", "HTTP_SEC_FETCH_SITE": "none"},
        {"HTTP_SEC_FETCH_SITE": "cross-site"},  # an image or a link needs no Origin
        {"HTTP_SEC_FETCH_SITE": "same-site"},
        {"HTTP_SEC_FETCH_SITE": "same-origin"},
        {"HTTP_SEC_FETCH_SITE": ""},
        {"HTTP_SEC_FETCH_SITE": "none,cross-site"},
        {"HTTP_USER_AGENT": FIREFOX},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT", "DELETE", "HEAD"])
def test_a_request_that_a_page_can_cause_is_refused(of_page: Headers, method: str) -> None:
    status, headers, body, reached = ask(method=method, **of_page)
    assert status == "403 Forbidden"
    assert reached == 0
    assert not [name for name, _ in headers if name.lower().startswith("access-control")]
    assert body.startswith(b"refused: this server does not answer")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:5000",  # resolves to 127.0.0.1
        "127.0.0.1.evil.example",
        "127.0.0.1,evil.example",  # two Host headers, as servers join them
        "0.0.0.0:5000",
        "10.0.0.7:5000",
        "motoapi.amazonaws.com",
        "scenelake-lake.s3.amazonaws.com",
        "user@127.0.0.1:5000",
        "127.0.0.1:5000:5000",
        "127.0.0.1:",
        "127.0.0.1:port",
        "127.0.0.1:5000\n",
        "::1",
        "",
    ],
)
def test_another_host_is_refused(host: str) -> None:
    status, _, body, reached = ask(HTTP_HOST=host)
    assert (status, reached) == ("403 Forbidden", 0)
    assert b"127.0.0.1, [::1], localhost" in body


def test_a_request_without_a_host_is_refused() -> None:
    guard = BrowserGuard(Inner())
    assert guard.refusal({"REQUEST_METHOD": "GET"}) is not None


def test_a_configured_name_is_answered_and_no_other() -> None:
    assert ask(("Metrics",), HTTP_HOST="metrics:9464")[3] == 1
    assert ask(("metrics",), HTTP_HOST="metrics.evil.example")[3] == 0
    assert ask(("metrics",), HTTP_HOST="metrics:9464", HTTP_ORIGIN="http://metrics:9464")[3] == 0


def test_an_address_is_its_own_name_unless_it_stands_for_all() -> None:
    assert [names_of(address) for address in ("10.0.0.7", "fd00::7")] == [("10.0.0.7",), ("[fd00::7]",)]
    assert [names_of(address) for address in ("0.0.0.0", "::", "")] == [(), (), ()]
    assert ask(names_of("fd00::7"), HTTP_HOST="[fd00::7]:9464")[3] == 1
