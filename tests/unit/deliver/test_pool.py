"""Idle connections: kept a moment, handed out once, never mixed up."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import pytest

from functions.deliver.connection import Connection, Route
from functions.deliver.pool import IDLE_MAX_COUNT, IDLE_MAX_S, Pool

ROUTE = Route("http", ipaddress.ip_address("127.0.0.1"), 80, "hooks.test", "")


class Clock:
    seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


class Wires:
    """Connected pairs of sockets; `theirs` are the endpoints' ends."""

    def __init__(self) -> None:
        self.theirs: list[socket.socket] = []
        self._ours: list[socket.socket] = []

    def connection(self, route: Route = ROUTE) -> Connection:
        ours, theirs = socket.socketpair()
        self._ours.append(ours)
        self.theirs.append(theirs)
        return Connection(route, ours)

    def close(self) -> None:
        for wire in (*self._ours, *self.theirs):
            wire.close()


@pytest.fixture
def wires() -> Iterator[Wires]:
    wires = Wires()
    yield wires
    wires.close()


def test_the_newest_comes_back_first_and_each_but_once(wires: Wires) -> None:
    pool, old, new = Pool(), wires.connection(), wires.connection()
    pool.put(old)
    pool.put(new)
    assert [pool.take(ROUTE) for _ in range(3)] == [new, old, None]


@pytest.mark.parametrize(
    "other",
    [
        ROUTE._replace(scheme="https"),
        ROUTE._replace(address=ipaddress.ip_address("127.0.0.2")),
        ROUTE._replace(port=81),
        ROUTE._replace(host="other.test"),
        ROUTE._replace(client="a certificate"),
    ],
)
def test_another_route_gets_none_of_it(wires: Wires, other: Route) -> None:
    pool = Pool()
    pool.put(wires.connection())
    assert pool.take(other) is None


def test_what_the_endpoint_closed_or_spoke_on_is_not_handed_out(wires: Wires) -> None:
    pool = Pool()
    closed, spoken, good = wires.connection(), wires.connection(), wires.connection()
    for connection in (good, spoken, closed):
        pool.put(connection)
    wires.theirs[0].close()
    wires.theirs[1].sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert pool.take(ROUTE) is good
    assert pool.take(ROUTE) is None


def test_what_lay_idle_too_long_is_closed(wires: Wires) -> None:
    clock = Clock()
    pool = Pool(clock)
    pool.put(wires.connection())
    clock.seconds += IDLE_MAX_S + 1
    assert pool.take(ROUTE) is None
    assert wires.theirs[0].recv(1) == b""


def test_old_ones_of_a_route_that_nobody_asks_for_are_swept(wires: Wires) -> None:
    clock = Clock()
    pool = Pool(clock)
    pool.put(wires.connection())
    clock.seconds += IDLE_MAX_S + 1
    pool.put(wires.connection(ROUTE._replace(port=81)))
    assert wires.theirs[0].recv(1) == b""


def test_it_holds_so_many_and_no_more() -> None:
    class Idle(Connection):
        closed_count = 0

        def close(self) -> None:
            Idle.closed_count += 1

    pool = Pool()
    with socket.socket() as wire:
        for _ in range(IDLE_MAX_COUNT + 3):
            pool.put(Idle(ROUTE, wire))
    assert Idle.closed_count == 3
    pool.close()
    assert Idle.closed_count == IDLE_MAX_COUNT + 3
