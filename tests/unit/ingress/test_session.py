"""A session against stand-ins: what is said when something of ours breaks."""

import asyncio
import logging

import pytest
from mailchute.errors import StreamFull, StreamUnavailable
from mailchute.eventlog import EventLog
from smtp_ingress.acceptance import Acceptance
from smtp_ingress.admission import Admission
from smtp_ingress.blocklist import Blocklist
from smtp_ingress.board import Board
from smtp_ingress.dnsbl import DnsLists
from smtp_ingress.edge import Edge
from smtp_ingress.recipients import Recipients
from smtp_ingress.session import Session
from smtp_ingress.settings import Settings
from smtp_ingress.through import Through

from tests.unit.ingress.fakes import FakeClient, FakeDirectory, FakePublisher, FakeWriter, snapshot

LOG = EventLog(logging.getLogger("test"))
UP_TO_DATA = [b"EHLO x", b"MAIL FROM:<a@b.test>", b"RCPT TO:<a@inbox.test>", b"DATA"]


class Roomy:
    is_ready = True
    is_full = False


def made(publisher, directory):
    settings = Settings.read({"MAILCHUTE_HOSTNAME": "mx.test"})
    row = Board(1).row(0)
    admission = Admission(settings.limits, row, hostname="mx.test")
    return Edge(
        settings=settings,
        row=row,
        admission=admission,
        recipients=Recipients(directory, hostname="mx.test", postmaster_alias="", protected=frozenset()),
        acceptance=Acceptance(publisher, None, None, row=row, timeout_s=5, log=LOG),
        through=Through(
            FakeClient(),
            FakeWriter,
            None,
            admission=admission,
            row=row,
            limit=1,
            timeout_s=5,
            log=LOG,
        ),
        stocks=(Roomy(),),
        blocklist=Blocklist(None, log=LOG),
        lists=DnsLists((), lambda: None, log=LOG),
        log=LOG,
    )


async def talk(edge, *lines):
    """Return the last line of each reply, the greeting first."""
    server = await asyncio.get_running_loop().create_server(lambda: Session(edge), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    heard = []
    for line in (b"", *lines):
        if line:
            writer.write(line + b"\r\n")
        while (reply := await reader.readline())[3:4] == b"-":
            pass
        heard.append(reply.decode().rstrip())
    writer.close()
    server.close()
    await edge.drain()
    return heard


def send(publisher, directory=None):
    edge = made(publisher, directory or FakeDirectory(snapshot("a@inbox.test")))
    return asyncio.run(talk(edge, *UP_TO_DATA, b"x: y\r\n\r\n.", b"NOOP")), edge


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (StreamFull("MAIL: maximum bytes exceeded"), "452 4.3.1 no room for more mail now, try again later"),
        (StreamUnavailable("no receipt"), "451 4.3.0 temporary failure on our side, try again later"),
        (RuntimeError("nats: secret=abc"), "451 4.3.0 temporary failure on our side, try again later"),
        (KeyError("secret"), "451 4.3.0 temporary failure on our side, try again later"),
    ],
)
def test_whatever_breaks_the_client_comes_again_and_learns_nothing(error, reply):
    publisher = FakePublisher()
    publisher.raises = error
    heard, edge = send(publisher)
    assert heard[-2:] == [reply, "250 2.0.0 OK"]
    assert edge.row.held("octets") == 0


def test_memory_and_connections_are_given_back():
    heard, edge = send(FakePublisher())
    assert heard[-2].startswith("250 2.0.0 accepted")
    assert (edge.row.held("octets"), edge.row.held("connections")) == (0, 0)


def test_a_directory_that_is_away_says_451():
    directory = FakeDirectory()
    directory.is_away = True
    heard = asyncio.run(talk(made(FakePublisher(), directory), *UP_TO_DATA[:3]))
    assert heard[-1] == "451 4.3.0 temporary failure on our side, try again later"


def test_a_directory_that_breaks_in_a_new_way_says_451_too():
    class Broken(FakeDirectory):
        def find(self, path):
            raise ZeroDivisionError

    heard = asyncio.run(talk(made(FakePublisher(), Broken()), *UP_TO_DATA[:3]))
    assert heard[-1].startswith("451 4.3.0")


def test_a_publish_outlives_the_client_that_hung_up():
    class Slow(FakePublisher):
        is_done = asyncio.Event()

        async def publish_all(self, publications, *, timeout_s):
            await asyncio.sleep(0.05)
            self.is_done.set()
            return await super().publish_all(publications, timeout_s=timeout_s)

    publisher = Slow()

    async def work():
        edge = made(publisher, FakeDirectory(snapshot("a@inbox.test")))
        server = await asyncio.get_running_loop().create_server(lambda: Session(edge), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await reader.readline()
        for line in UP_TO_DATA:
            writer.write(line + b"\r\n")
            while (await reader.readline())[3:4] == b"-":
                pass
        writer.write(b"x: y\r\n\r\n.\r\n")
        await writer.drain()
        writer.transport.abort()
        server.close()
        await publisher.is_done.wait()
        await edge.drain()
        assert edge.row.held("octets") == 0
        assert len(publisher.stored) == 1

    asyncio.run(asyncio.wait_for(work(), 20))
