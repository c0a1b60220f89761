"""Loopback ports, probed on the real system."""

from __future__ import annotations

import socket

import pytest

from ops.stack.choices import choose_port, is_free


@pytest.mark.enable_socket
def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken = server.getsockname()[1]
        assert not is_free(taken)
        chosen = choose_port(None, taken)
        assert chosen != taken
        assert is_free(chosen)
        assert choose_port(taken, chosen) == chosen
    assert is_free(taken)
    assert choose_port(taken) == taken
