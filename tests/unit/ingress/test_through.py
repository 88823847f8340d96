"""What a client of mode through hears, with a connector written by hand."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import get_args

import pytest
from mailchute import wire
from mailchute.envelope import Envelope, Path
from mailchute.errors import StreamUnavailable
from mailchute.eventlog import EventLog
from mailchute.through import PROGRESS, Result, ThroughAnswer, ThroughRequest
from nats.errors import OutboundBufferLimitError
from smtp_ingress.acceptance import draft
from smtp_ingress.admission import Admission
from smtp_ingress.board import Board
from smtp_ingress.intake import Intake
from smtp_ingress.replies import Refused
from smtp_ingress.settings import Settings
from smtp_ingress.through import REPLIES, Through, Unheard
from smtp_ingress.transaction import Transaction, begin

from tests.unit.ingress.fakes import FakeClient, FakeWriter, snapshot

LOG = EventLog(logging.getLogger("test"))
ALIAS = snapshot("support@inbox.test", mode="through")


class Edge:
    """What one mail of mode through needs around it."""

    def __init__(self, connector=None, *, limit=2, **more):
        settings = Settings.read({"MAILCHUTE_HOSTNAME": "mx.test"})
        self.row = Board(1).row(0)
        self.admission = Admission(settings.limits, self.row, hostname="mx.test")
        self.client = FakeClient(connector)
        self.writers = []
        self.deleted = []
        self.has_deleted = asyncio.Event()
        self.through = Through(
            self.client,
            self._writer,
            self._delete,
            admission=self.admission,
            row=self.row,
            limit=limit,
            log=LOG,
            **{"timeout_s": 20.0, **more},
        )

    async def take(self, *pieces, memory_octets=1_000):
        envelope = Envelope(
            reverse_path=Path("ann", "sender.test"),
            forward_path=Path("support", "inbox.test"),
            client_ip="127.0.0.1",
            helo="x",
        )
        drafts = [draft(envelope, ALIAS, hostname="mx.test", received_at=datetime.now(UTC), is_extended=True)]
        self.intake = Intake(
            limit_octets=10_000,
            memory_octets=memory_octets,
            open_writers=lambda: self.through.open_writers(drafts, 1),
        )
        await self.admission.reserve(500)
        self.intake.reserved_octets = 500
        for piece in pieces or (b"Subject: x\r\n\r\nx\r\n",):
            await self.intake.add(piece)
        return await self.through.accept(drafts, self.intake)

    def _writer(self, name, window):
        self.writers.append(FakeWriter(name))
        return self.writers[-1]

    async def _delete(self, ref):
        self.deleted.append(ref.name)
        self.has_deleted.set()
        raise StreamUnavailable("away just now")


def answering(result, *before):
    async def connector(question, say):
        for each in before:
            await say(each)
        await say(wire.encode(ThroughAnswer(result=result, mail_id="msg_first")))

    return connector


def run(work):
    return asyncio.run(work)


@pytest.mark.parametrize("result", get_args(Result))
def test_each_result_has_a_reply_whose_codes_agree_and_that_tells_nothing_more(result):
    code, status = REPLIES[result].split()[:2]
    assert code[0] == status[0] == ("2" if result in ("delivered", "repeated") else code[0])
    edge = Edge(answering(result, PROGRESS))
    if code == "250":
        assert run(edge.take()) == f"{REPLIES[result]} msg_first"
        return
    with pytest.raises(Refused) as refused:
        run(edge.take())
    assert refused.value.reply == REPLIES[result]
    assert edge.row.counted("mails_deferred" if code[0] == "4" else "mails_refused") == 1
    assert edge.row.held("through") == 0


def test_the_question_is_the_mail_with_its_trace_and_the_time_that_is_left():
    edge = Edge(answering("delivered"))
    run(edge.take(b"Subject: x\r\n", b"\r\nx\r\n"))
    [(subject, body, _)] = edge.client.questions
    asked = wire.decode(body, ThroughRequest)
    assert subject == "through.mail"
    assert asked.left_s == 20.0
    assert asked.mail.alias == ALIAS
    assert asked.mail.content[asked.mail.trace_octets :] == b"Subject: x\r\n\r\nx\r\n"


def test_while_it_waits_no_memory_is_held():
    seen = []

    async def connector(question, say):
        asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(later(say)))

    async def later(say):
        await asyncio.sleep(0.05)
        seen.append((edge.row.held("octets"), edge.intake.pieces, edge.row.held("through")))
        await say(wire.encode(ThroughAnswer(result="delivered", mail_id="msg_first")))

    edge = Edge(connector)
    run(edge.take())
    assert seen == [(0, [], 1)]


def test_big_content_goes_by_an_object_that_is_deleted_after_the_answer():
    async def work():
        edge = Edge(answering("failed"))
        with pytest.raises(Refused):
            await edge.take(b"Subject: x\r\n\r\n", b"x" * 2_000)
        await edge.has_deleted.wait()
        return edge

    edge = run(work())
    [writer] = edge.writers
    assert writer.is_committed
    assert edge.deleted == [writer.name]
    assert edge.intake.is_accepted  # nobody else takes it away


def test_with_nobody_there_the_client_hears_at_once():
    async def connector(question, say):
        await say(b"", Status="503")

    with pytest.raises(Unheard):
        run(Edge(connector).take())


def test_with_nats_away_the_client_hears_at_once():
    edge = Edge()
    edge.client.raises = OutboundBufferLimitError()
    with pytest.raises(Unheard):
        run(edge.take())


def test_silence_ends_the_wait_and_progress_keeps_it():
    async def once(question, say):
        await say(PROGRESS)

    with pytest.raises(Unheard, match="nobody works for it"):
        run(Edge(once, silence_s=0.3).take())

    async def slowly(question, say):
        asyncio.get_running_loop().create_task(beat(say))

    async def beat(say):
        for _ in range(10):
            await asyncio.sleep(0.1)
            await say(PROGRESS)
        await say(wire.encode(ThroughAnswer(result="delivered", mail_id="msg_first")))

    assert run(Edge(slowly, silence_s=0.3).take()).startswith("250")
    with pytest.raises(Unheard, match="no answer in time"):
        run(Edge(slowly, silence_s=0.3, timeout_s=0.5).take())


def test_an_answer_that_cannot_be_read_is_never_a_250():
    async def connector(question, say):
        await say(b"\xc1")

    with pytest.raises(Exception) as error:  # noqa: PT011 - any of ours; the session says 451
        run(Edge(connector).take())
    assert not isinstance(error.value, Refused)


def test_over_the_limit_the_client_comes_again_and_closing_ends_all_waits():
    async def work():
        both = asyncio.Event()

        async def connector(question, say):
            if len(edge.client.questions) == 2:
                both.set()

        edge = Edge(connector, limit=2)
        waiting = [asyncio.ensure_future(edge.take()) for _ in range(2)]
        await both.wait()
        with pytest.raises(Refused, match=r"451 4\.3\.2 too many"):
            await edge.take()
        with pytest.raises(Refused, match=r"451 4\.3\.2"):
            edge.through.check_room()
        edge.through.give_up()
        for each in waiting:
            with pytest.raises(Refused, match=r"451 4\.3\.2 this server is closing"):
                await each
        assert edge.row.held("through") == 0

    run(work())


class Known:
    """Recipients, as far as a transaction asks them."""

    def __init__(self, **modes):
        self.modes = modes

    def path(self, text):
        return Path(*text.split("@"))

    async def resolve(self, path):
        return snapshot(str(path), mode=self.modes[path.local_part])


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        ("a_async", "b_async", True),
        ("a_async", "b_through", False),
        ("a_through", "b_async", False),
        ("a_through", "b_through", False),
        ("a_through", "a_through", True),  # the same recipient, named twice
    ],
)
def test_a_transaction_has_one_recipient_of_mode_through_or_any_of_mode_async(first, second, fits):
    known = Known(**{name: name[2:] for name in (first, second)})

    async def work() -> Transaction:
        begun = begin("FROM:<a@b.test>", limit_octets=1_000)
        for name in (first, second):
            path, alias = await begun.find(f"TO:<{name}@inbox.test>", known, limit=100, has_tls=False)
            begun.recipients[path] = alias
        return begun

    if fits:
        assert len(run(work()).recipients) == len({first, second})
    else:
        with pytest.raises(Refused, match=r"452 4\.5\.3"):
            run(work())
