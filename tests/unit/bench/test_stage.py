"""A server that answers 250 and loses a mail is found out; one that passes all on is not blamed."""

from __future__ import annotations

import http.client
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from bench.child import free_port
from bench.processes import Cpu
from bench.stage import Pace, Stage, stage
from bench.system import System


class Relay:
    """POSTs each mail to the sink before 250, except what it is told to spoil."""

    def __init__(self, sink_port: int, loses: str = "", doubles: str = "", refuses: str = "") -> None:
        self.sink_port, self.loses, self.doubles, self.refuses = sink_port, loses, doubles, refuses

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        text = envelope.content
        if self.refuses and self.refuses.encode() in text:
            return "451 4.3.0 not now"
        times = 1 + bool(self.doubles and self.doubles.encode() in text)
        if self.loses and self.loses.encode() in text:
            times = 0
        for _ in range(times):
            client = http.client.HTTPConnection("127.0.0.1", self.sink_port, timeout=10)
            client.request("POST", "/ok", text)
            client.getresponse().read()
            client.close()
        return "250 OK"


class FakeSystem(System):
    """The relay as a system under measurement; it runs in this process and costs nothing."""

    name = version = "relay"

    def __init__(self, port: int) -> None:
        self.smtp_port = port

    def cpu(self) -> Cpu:
        return {}


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("stage")
    with stage(folder, 1, quiet_s=1.0) as around:
        yield around


def run(around: Stage, *, reuse: bool = True, **spoils: str) -> Any:
    port = free_port()
    controller = Controller(Relay(around.sink_port, **spoils), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        kinds = itertools.repeat("small", 20)
        return around.drive(FakeSystem(port), kinds, Pace(connections=3, reuse=reuse), posts=True)  # type: ignore[arg-type]
    finally:
        controller.stop()


@pytest.mark.parametrize("reuse", [True, False])
def test_an_honest_server_is_clean(around: Stage, reuse: bool) -> None:
    result = run(around, reuse=reuse)
    assert result.account.is_clean
    assert result.account.delivered == result.account.accepted == 20
    assert len(result.dot_to_post_ms()) == 20  # the POST may even be seen before the client reads its 250
    assert result.delivered_per_s > 0


def test_a_mail_lost_after_250_is_named(around: Stage) -> None:
    result = run(around, loses=".000007@")
    assert [token.rpartition(".")[2] for token in result.account.lost] == ["000007"]


def test_a_mail_posted_twice_is_named(around: Stage) -> None:
    result = run(around, doubles=".000003@")
    assert [token.rpartition(".")[2] for token in result.account.doubled] == ["000003"]
    assert not result.account.lost


def test_a_refused_mail_is_counted_as_refused(around: Stage) -> None:
    result = run(around, refuses=".000011@")
    assert result.account.is_clean
    assert (result.account.accepted, result.account.refused) == (19, 1)
