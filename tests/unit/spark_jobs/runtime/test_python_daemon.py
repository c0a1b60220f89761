"""A worker whose socket Spark has closed ends quietly; any other error is reported."""

from __future__ import annotations

import socket

import pytest

from spark_jobs.runtime import python_daemon
from spark_jobs.runtime.session import spark_properties
from spark_jobs.runtime.settings import SparkSettings


def test_it_is_the_daemon_of_every_job() -> None:
    assert spark_properties("inspect", SparkSettings())["spark.python.daemon.module"] == python_daemon.__name__


def test_a_worker_whose_socket_was_closed_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = socket.socketpair()

    def say_good_bye(sock: socket.socket, authenticated: bool) -> int:
        assert authenticated
        theirs.close()
        sock.sendall(b"an exception that nobody reads")
        return 0

    monkeypatch.setattr(python_daemon, "_worker", say_good_bye)
    with ours:
        assert python_daemon.worker(ours, True) == python_daemon.ENDED
    assert capfd.readouterr() == ("", "")


def test_the_code_of_a_worker_and_its_other_errors_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_daemon, "_worker", lambda sock, authenticated: 0 if authenticated else 1)
    with socket.socket(socket.AF_UNIX) as sock:
        assert [python_daemon.worker(sock, known) for known in (True, False)] == [0, 1]
        monkeypatch.setattr(python_daemon, "_worker", lambda sock, authenticated: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            python_daemon.worker(sock, True)
