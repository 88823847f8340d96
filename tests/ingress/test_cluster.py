"""Three nats-servers, each stream on all of them: one is killed while mail comes in."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mailchute.subjects import MAIL
from nats.errors import Error as NatsError

from tests.ingress.edge_process import EdgeProcess, Jet, environ_of, new_database, until
from tests.ingress.test_faults import Ledger, send_on_and_on, stored_ids
from tests.servers.nats import NatsServer, _binary

CLUSTER = """
cluster {{ name: test, host: 127.0.0.1, port: {port}, routes: [{routes}], no_advertise: true }}
"""


class Member(NatsServer):
    """One of three; it starts without waiting for the others."""

    def __init__(self, home: Path, port: int, routes: list[int]) -> None:
        super().__init__(home)
        listed = ", ".join(f'"nats://127.0.0.1:{each}"' for each in routes)
        text = (home / "nats.conf").read_text() + CLUSTER.format(port=port, routes=listed)
        (home / "nats.conf").write_text(text)

    def start(self) -> None:
        with (self.home / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_binary(), "-c", str(self.home / "nats.conf")], stdout=log, stderr=log
            )


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


@pytest.fixture
def members(tmp_path: Path) -> Iterator[list[Member]]:
    ports = free_ports(3)
    members = [Member(tmp_path / f"n{number}", port, ports) for number, port in enumerate(ports)]
    for member in members:
        member.start()
    until(lambda: all(member._is_healthy() for member in members), "three healthy members")
    yield members
    for member in members:
        member.kill9()


def is_made(jet: Jet, name: str, subjects: list[str], **more: object) -> bool:
    """Make the stream on three members; False while there is no leader to do so."""
    try:
        jet.create(name, subjects, num_replicas=3, **more)
    except (AssertionError, NatsError, TimeoutError):
        return False
    return True


def leader_of(jet: Jet) -> str:
    async def work(client: Any) -> str:
        return str((await client.jetstream().stream_info(MAIL)).cluster.leader)

    return jet.ask(work)


@pytest.mark.slow
def test_of_three_servers_one_is_killed_and_nothing_that_was_answered_250_is_lost(
    members: list[Member], tmp_path: Path
) -> None:
    jet = Jet(members[0])
    for name, subjects, more in (
        (MAIL, ["mail.accepted"], {"duplicate_window": 7_200_000_000_000, "allow_atomic": True}),
        ("JOURNAL", ["journal"], {}),
        ("OBJ_content", ["$O.content.C.>", "$O.content.M.>"], {"allow_rollup_hdrs": True}),
    ):
        until(partial(is_made, jet, name, subjects, **more), f"{name} on three members")
    database = new_database(tmp_path, "support@inbox.test")
    environ = environ_of(members[0], database, PUBLISH_TIMEOUT_S="5")
    environ["MAILCHUTE_NATS_URL"] = ",".join(member.url for member in members)
    edge = EdgeProcess(environ).listening()
    ledger = Ledger()
    load = threading.Thread(
        target=lambda: asyncio.run(send_on_and_on(edge.port, ledger, workers=8, seconds=150))
    )
    load.start()
    leader = next(member for member in members if member.home.name == leader_of(jet))
    other = next(member for member in members if member is not leader)

    def more_accepted() -> bool:
        return len(ledger.accepted) > before + 50

    for victim in (leader, other):
        before = len(ledger.accepted)
        until(more_accepted, "mails on three members")
        victim.kill9()
        before = len(ledger.accepted)
        until(more_accepted, "mails on two members")
        victim.start()
        until(victim._is_healthy, "the third to be back")
    ledger.is_over = True
    load.join()
    edge.stop()
    until(lambda: leader_of(jet), "a leader to read from")
    lost = set(ledger.accepted) - stored_ids(jet)
    print(f"{len(ledger.accepted)} answered 250, {len(ledger.other)} otherwise, {len(lost)} lost")
    assert not lost
    assert len(ledger.accepted) > 200
    assert all(reply.startswith((b"451 4.3.0", b"452", b"421")) or not reply for reply in ledger.other)
