"""A real edge and a real nats-server; the connector that answers is written by hand."""

from __future__ import annotations

import asyncio
import smtplib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import nats
import pytest
from mailchute import wire
from mailchute.mail import ContentRef
from mailchute.objects import read_object
from mailchute.subjects import MAIL, THROUGH_MAIL, THROUGH_QUEUE
from mailchute.through import PROGRESS, PROGRESS_EVERY_S, Result, ThroughAnswer, ThroughRequest
from nats.aio.msg import Msg

from tests.ingress.edge_process import EdgeProcess, Jet, add_aliases, new_content, until

Start = Callable[..., EdgeProcess]


class Connector:
    """Hears each question, shows progress, and answers when the test says so."""

    def __init__(self, url: str) -> None:
        self.asked: list[ThroughRequest] = []
        self.contents: list[bytes] = []
        self.is_beating = True
        self._url = url
        self._result: Result | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._listens = threading.Event()

    def start(self) -> None:
        self._thread.start()
        assert self._listens.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def answers(self, result: Result) -> None:
        self._result = result

    async def _run(self) -> None:
        self._client = await nats.connect(self._url)
        await self._client.subscribe(THROUGH_MAIL, queue=THROUGH_QUEUE, cb=self._heard)
        await self._client.flush()
        self._listens.set()
        await self._stop.wait()
        await self._client.close()

    async def _heard(self, message: Msg) -> None:
        request = wire.decode(message.data, ThroughRequest)
        mail = request.mail
        is_ref = isinstance(mail.content, ContentRef)
        self.contents.append(await read_object(self._client, mail.content) if is_ref else mail.content)  # type: ignore[arg-type]
        self.asked.append(request)
        self._loop.create_task(self._work(request, message.reply))

    async def _work(self, request: ThroughRequest, inbox: str) -> None:
        while self._result is None:
            if self.is_beating:
                await self._client.publish(inbox, PROGRESS)
            await asyncio.sleep(PROGRESS_EVERY_S / 10)
        answer = ThroughAnswer(result=self._result, mail_id=request.mail.id)
        await self._client.publish(inbox, wire.encode(answer))


@pytest.fixture
def connector(jet: Jet) -> Iterator[Connector]:
    made = Connector(jet.server.url)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def waiting(jet: Jet, database: str, start_edge: Start) -> Start:
    """Start an edge with the aliases wait@inbox.test and tarry@inbox.test of mode through."""
    jet.create("OBJ_through", ["$O.through.C.>", "$O.through.M.>"], allow_rollup_hdrs=True, allow_direct=True)
    add_aliases(database, "wait@inbox.test", "tarry@inbox.test", mode="through")
    return start_edge


@contextmanager
def sending(edge: EdgeProcess, content: bytes) -> Iterator[list[str]]:
    """One mail on its way; its reply, or what went wrong, is in the list afterwards."""
    heard: list[str] = []

    def run() -> None:
        client = edge.client()
        try:
            client.ehlo()
            client.mail("ann@sender.test")
            client.rcpt("wait@inbox.test")
            code, text = client.data(content)
            heard.append(f"{code} {text.decode()}")
        except (OSError, smtplib.SMTPException) as error:
            heard.append(type(error).__name__)
        finally:
            client.close()  # without QUIT, which a server that is closing answers otherwise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield heard
    finally:
        thread.join()


def test_a_mail_that_waits_is_not_on_mail_and_big_content_goes_with_the_answer(
    jet: Jet, waiting: Start, connector: Connector
) -> None:
    edge = waiting()
    for result, code in (("delivered", "250 2.0.0"), ("declined", "550 5.7.1"), ("failed", "451 4.2.0")):
        connector.answers(result)  # type: ignore[arg-type]
        for content in (new_content(), new_content("\r\n".join(["y" * 1_000] * 2_000))):
            assert edge.send(content, "wait@inbox.test").startswith(code)
            assert connector.contents[-1].endswith(content)
    assert jet.count(MAIL) == 0
    until(lambda: jet.held("OBJ_through") == 0, "objects gone")
    assert jet.held("OBJ_content") == 0


def test_without_a_connector_the_client_hears_451_at_once(waiting: Start) -> None:
    edge = waiting(THROUGH_TIMEOUT_S="300")
    assert edge.send(new_content(), "wait@inbox.test").startswith("451 4.3.0")


def test_a_connector_that_falls_silent_is_451_long_before_the_time_is_over(
    waiting: Start, connector: Connector
) -> None:
    edge = waiting(THROUGH_TIMEOUT_S="300")
    with sending(edge, new_content()) as heard:
        until(lambda: connector.asked, "asked")
        connector.is_beating = False
    assert heard[0].startswith("451 4.3.0")
    connector.answers("delivered")
    assert edge.send(new_content(), "wait@inbox.test").startswith("250")


def test_an_answer_that_does_not_come_in_time_is_451_though_there_is_progress(
    waiting: Start, connector: Connector
) -> None:
    edge = waiting(THROUGH_TIMEOUT_S="5")
    assert edge.send(new_content(), "wait@inbox.test").startswith("451 4.3.0")
    assert connector.asked[0].left_s == 5


def test_nats_killed_while_a_client_waits_is_451_and_afterwards_all_is_well(
    jet: Jet, waiting: Start, connector: Connector
) -> None:
    edge = waiting(THROUGH_TIMEOUT_S="300")
    with sending(edge, new_content()) as heard:
        until(lambda: connector.asked, "asked")
        jet.server.kill9()
    assert heard[0].startswith("451 4.3.0")
    assert edge.send(new_content(), "wait@inbox.test").startswith("451 4.3.0")
    jet.server.start()
    connector.answers("delivered")
    until(lambda: edge.send(new_content(), "wait@inbox.test").startswith("250"), "served again")


def test_at_sigterm_a_client_that_waits_has_its_answer(waiting: Start, connector: Connector) -> None:
    edge = waiting()
    with sending(edge, new_content()) as heard:
        until(lambda: connector.asked, "asked")
        edge.process.terminate()
        edge.event("draining")
        connector.answers("delivered")
    assert heard[0].startswith("250 2.0.0")
    assert edge.process.wait(30) == 0


def test_at_sigterm_a_client_whose_answer_does_not_come_hears_4yz_within_the_drain_time(
    waiting: Start, connector: Connector
) -> None:
    edge = waiting(DRAIN_TIMEOUT_S="1", PUBLISH_TIMEOUT_S="300", THROUGH_TIMEOUT_S="300")
    with sending(edge, new_content()) as heard:
        until(lambda: connector.asked, "asked")
        edge.process.terminate()
    assert heard[0].startswith(("421 4.3.2", "451 4.3.2"))
    assert edge.process.wait(30) == 0


def test_over_the_limit_a_client_hears_so_before_it_sends_its_content(
    waiting: Start, connector: Connector
) -> None:
    edge = waiting(MAX_THROUGH="1")
    with sending(edge, new_content()) as heard:
        until(lambda: connector.asked, "asked")
        with edge.client() as client:
            client.ehlo()
            client.mail("ann@sender.test")
            client.rcpt("tarry@inbox.test")
            code, text = client.docmd("DATA")
            assert (code, text[:5]) == (451, b"4.3.2")
        assert edge.send(new_content(), "support@inbox.test").startswith("250")  # async
        connector.answers("delivered")
    assert heard[0].startswith("250")
    assert edge.send(new_content(), "tarry@inbox.test").startswith("250")


def test_a_client_that_hangs_up_leaves_nothing_and_its_resend_is_the_same_mail(
    jet: Jet, waiting: Start, connector: Connector
) -> None:
    edge = waiting()
    content = new_content("\r\n".join(["z" * 1_000] * 1_500))
    client = edge.client()
    client.ehlo()
    client.mail("ann@sender.test")
    client.rcpt("wait@inbox.test")
    client.docmd("DATA")
    client.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    until(lambda: connector.asked, "asked")
    client.close()
    connector.answers("delivered")
    until(lambda: jet.held("OBJ_through") == 0, "objects gone")
    assert edge.send(content, "wait@inbox.test").startswith("250")
    first, second = (request.mail for request in connector.asked)
    assert first.fingerprint == second.fingerprint


def test_each_of_two_clients_hears_its_own_answer(waiting: Start, connector: Connector) -> None:
    edge = waiting()
    with sending(edge, new_content()) as one, sending(edge, new_content()) as other:
        until(lambda: len(connector.asked) == 2, "asked twice")
        connector.answers("delivered")
    assert {one[0], other[0]} == {f"250 2.0.0 accepted {request.mail.id}" for request in connector.asked}
