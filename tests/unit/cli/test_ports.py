"""Free ports are free, taken ones are seen, whatever options their owners set."""

from __future__ import annotations

import socket

import pytest
from mailchute_cli.ports import HIGHEST, LOWEST, becomes_free, free_port, is_free


@pytest.mark.parametrize("option", [None, socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_a_port_somebody_listens_on_is_taken(option: int | None) -> None:
    with socket.socket() as other:
        if option is not None:
            other.setsockopt(socket.SOL_SOCKET, option, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert not becomes_free("127.0.0.1", port, 0.1)
    assert becomes_free("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_not_free() -> None:
    assert not is_free("192.0.2.1", 2525)


def test_the_first_choice_is_taken_when_it_is_free_and_nobody_elses() -> None:
    port = free_port()
    assert LOWEST <= port < HIGHEST
    assert free_port(first=port) == port
    assert free_port({port}, first=port) != port
