"""A mail is ours exactly when it lies on the stream."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Callable

import pytest
from mailchute import wire
from mailchute.journal import JournalBatch
from mailchute.mail import ContentRef, fingerprint_of
from mailchute.objects import read_object
from mailchute.subjects import JOURNAL, MAIL, REF_LIMIT_OCTETS

from tests.ingress.edge_process import EdgeProcess, Jet, new_content
from tests.servers.nats import NatsServer

Start = Callable[..., EdgeProcess]


def test_a_mail_answered_250_lies_on_the_stream_as_it_was_sent(edge: EdgeProcess, streams: Jet) -> None:
    content = new_content()
    reply = edge.send(content, "support+invoice@inbox.test")
    assert (found := re.fullmatch(r"250 2\.0\.0 accepted (msg_\w{26})", reply)), reply
    (mail,) = streams.mails()
    assert mail.id == found[1]
    assert isinstance(mail.content, bytes)
    assert mail.content[mail.trace_octets :] == content
    assert mail.size_octets == len(content)
    assert str(mail.envelope.reverse_path) == "ann@sender.test"
    assert str(mail.envelope.forward_path) == "support+invoice@inbox.test"
    assert (mail.envelope.client_ip, mail.envelope.helo) == ("127.0.0.1", "client.test")
    assert (mail.alias.address, mail.alias.tag) == ("support@inbox.test", "invoice")
    digest = hashlib.sha256(content).digest()
    assert mail.fingerprint == fingerprint_of(mail.envelope.reverse_path, mail.envelope.forward_path, digest)


def test_trace_fields_stand_before_the_content(edge: EdgeProcess, streams: Jet) -> None:
    content = new_content()
    edge.send(content, "support@inbox.test")
    (mail,) = streams.mails()
    assert isinstance(mail.content, bytes)
    trace = mail.content[: mail.trace_octets].decode()
    assert trace.startswith("Return-Path: <ann@sender.test>\r\nReceived: from client.test ([127.0.0.1])\r\n")
    assert f"by mx.test with ESMTP id {mail.id}\r\n\tfor <support@inbox.test>; " in trace


def test_several_recipients_are_several_mails_with_one_content(edge: EdgeProcess, streams: Jet) -> None:
    content = new_content()
    reply = edge.send(content, "support@inbox.test", "sales@inbox.test", "any@catch.test")
    mails = streams.mails()
    assert reply == f"250 2.0.0 accepted {' '.join(mail.id for mail in mails)}"
    assert [mail.alias.address for mail in mails] == [
        "support@inbox.test",
        "sales@inbox.test",
        "*@catch.test",
    ]
    assert len({mail.fingerprint for mail in mails}) == 3


def test_the_same_recipient_twice_is_one_mail(edge: EdgeProcess, streams: Jet) -> None:
    content = new_content()
    edge.send(content, "support@inbox.test", "support@inbox.test")
    assert len(streams.mails()) == 1


def test_a_resend_is_answered_with_the_first_id_and_journaled(edge: EdgeProcess, streams: Jet) -> None:
    content = new_content()
    first = edge.send(content, "support@inbox.test").split()[-1]
    assert edge.send(content, "support@inbox.test") == f"250 2.0.0 already have {first}"
    assert streams.count(MAIL) == 1
    (batch,) = (wire.decode(body, JournalBatch) for body in streams.bodies(JOURNAL))
    assert [(event.kind, event.mail_id) for event in batch.events] == [("duplicate", first)]


def test_of_several_recipients_only_the_new_one_is_stored(edge: EdgeProcess, streams: Jet) -> None:
    content = new_content()
    first = edge.send(content, "support@inbox.test").split()[-1]
    reply = edge.send(content, "support@inbox.test", "sales@inbox.test")
    assert reply.startswith(f"250 2.0.0 accepted {first} msg_")
    assert streams.count(MAIL) == 2


def test_big_content_goes_to_the_object_store(edge: EdgeProcess, streams: Jet) -> None:
    content = b"Subject: big\r\n\r\n" + (b"x" * 998 + b"\r\n") * (2 * REF_LIMIT_OCTETS // 1_000)
    assert edge.send(content, "support@inbox.test", "sales@inbox.test").startswith("250 2.0.0 accepted")
    for mail in streams.mails():
        ref = mail.content
        assert isinstance(ref, ContentRef)
        stored = streams.ask(lambda client, ref=ref: read_object(client, ref))
        assert stored[mail.trace_octets :] == content
        assert mail.size_octets == len(content)


def test_a_resend_of_big_content_leaves_no_second_object(edge: EdgeProcess, streams: Jet) -> None:
    content = b"Subject: big\r\n\r\n" + (b"x" * 998 + b"\r\n") * 1_000
    edge.send(content, "support@inbox.test")
    before = streams.held("OBJ_content")
    assert edge.send(content, "support@inbox.test").startswith("250 2.0.0 already have msg_")
    assert streams.held("OBJ_content") == before


@pytest.mark.parametrize(
    ("mailbox", "reply"),
    [
        ("nobody@inbox.test", b"5.1.1 no such address here"),
        ("someone@elsewhere.test", b"5.7.1 we do not relay"),
        ("user%elsewhere.test@catch.test", b"5.7.1 we do not relay"),
        ("elsewhere.test!user@catch.test", b"5.7.1 we do not relay"),
        ("noreply@catch.test", b"5.7.1 this address takes no mail"),
    ],
)
def test_mail_for_others_is_refused(edge: EdgeProcess, mailbox: str, reply: bytes) -> None:
    with edge.client() as client:
        client.ehlo()
        client.mail("ann@sender.test")
        assert client.rcpt(mailbox) == (550, reply)


def test_a_source_route_is_stripped(edge: EdgeProcess, streams: Jet) -> None:
    content = new_content()
    with edge.client() as client:
        client.ehlo()
        client.docmd("MAIL FROM:<@relay.test,@other.test:ann@sender.test>")
        assert client.docmd("RCPT TO:<@relay.test:support@inbox.test>")[0] == 250
        client.data(content)
    (mail,) = streams.mails()
    assert str(mail.envelope.reverse_path) == "ann@sender.test"
    assert str(mail.envelope.forward_path) == "support@inbox.test"


def test_without_the_stream_the_client_is_asked_to_come_again(jet: Jet, start_edge: Start) -> None:
    content = new_content()
    edge = start_edge()
    jet.delete(MAIL)
    assert edge.send(content, "support@inbox.test").startswith("451 4.3.0 ")


def test_while_nats_hangs_the_client_is_asked_to_come_again_and_its_resend_is_known(
    jet: Jet, start_edge: Start, nats_server: NatsServer
) -> None:
    content = new_content()
    edge = start_edge(PUBLISH_TIMEOUT_S="0.5")
    nats_server.pause()
    assert edge.send(content, "support@inbox.test").startswith("451 4.3.0 ")
    nats_server.resume()
    deadline = time.monotonic() + 20
    while not (reply := edge.send(content, "support@inbox.test")).startswith("250"):
        assert time.monotonic() < deadline, reply
    assert jet.count(MAIL) == 1


def test_a_full_stream_says_452(jet: Jet, start_edge: Start) -> None:
    content = new_content()
    jet.delete(MAIL)
    jet.create(MAIL, ["mail.accepted"], max_bytes=3_000, duplicate_window=7_200_000_000_000)
    edge = start_edge()
    assert edge.send(content + b"x" * 5_000 + b"\r\n", "support@inbox.test").startswith("452 4.3.1 ")


def test_from_ninety_percent_on_mail_waits_at_its_sender(jet: Jet, start_edge: Start) -> None:
    content = new_content()
    jet.delete(MAIL)
    jet.create(MAIL, ["mail.accepted"], max_bytes=10_000, duplicate_window=7_200_000_000_000)
    edge = start_edge()
    assert edge.send(content + b"x" * 8_800 + b"\r\n", "support@inbox.test").startswith("250")
    deadline = time.monotonic() + 20
    with edge.client() as client:
        client.ehlo()
        while client.mail("ann@sender.test")[0] != 452:
            assert time.monotonic() < deadline
            client.rset()
            time.sleep(0.05)


def test_content_over_the_limit_is_refused_in_mid_stream(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(MAX_MESSAGE_OCTETS="100000")
    for newline in (b"", b"\r\n"):
        with edge.client() as client:
            client.ehlo()
            assert client.docmd("MAIL FROM:<ann@sender.test> SIZE=100001")[0] == 552
            client.mail("ann@sender.test")
            client.rcpt("support@inbox.test")
            client.putcmd("data")
            client.getreply()
            sent_octets = 0
            with contextlib.suppress(ConnectionError):
                while sent_octets < 64_000_000:  # no final dot ever comes
                    client.sock.sendall((b"x" * 998 + newline) * 64)
                    sent_octets += 64_000
            assert sent_octets < 64_000_000
    assert jet.count(MAIL) == 0


@pytest.mark.parametrize(
    ("octets", "line", "reply", "goes_on"),
    [
        (140_000, b"0123456789\r\n", (552, b"5.3.4"), True),
        (140_000, b"x" * 70_000 + b"\r\n", (554, b"5.6.0"), True),
        (8_000_000, b"0123456789\r\n", (552, b"5.3.4"), False),
        (8_000_000, b"0123456789", (554, b"5.6.0"), False),
        (8_000_000, b"0123456789\n", (521, b"5.5.2"), False),
    ],
)
def test_a_client_that_reads_nothing_before_its_dot_hears_why_it_was_refused(
    standing_small_edge: EdgeProcess, octets: int, line: bytes, reply: tuple[int, bytes], *, goes_on: bool
) -> None:
    with standing_small_edge.client() as client:
        client.ehlo()
        client.mail("ann@sender.test")
        client.rcpt("support@inbox.test")
        client.putcmd("data")
        assert client.getreply()[0] == 354
        client.sock.sendall(b"x: y\r\n\r\n" + line * (octets // len(line)) + b"\r\n.\r\n")
        code, text = client.getreply()
        assert (code, text.split()[0]) == reply
        if goes_on:
            assert client.noop()[0] == 250
        else:
            assert client.sock.recv(1) == b""


def test_at_sigterm_fifty_sessions_end_with_a_reply_and_what_is_stored_was_answered_250(
    jet: Jet, start_edge: Start
) -> None:
    edge = start_edge(SMTP_PROCESSES="2")
    clients = [edge.client() for _ in range(50)]
    sending = clients[10:]
    for client in sending:
        client.ehlo()
        client.mail("ann@sender.test")
        client.rcpt("support@inbox.test")
        client.putcmd("data")
        assert client.getreply()[0] == 354
        client.send(new_content())
    for client in sending[:20]:
        client.send(b".\r\n")
    edge.process.terminate()
    for client in sending[20:]:
        client.send(b".\r\n")
    replies = [client.getreply() for client in sending]
    assert all(code in (250, 421, 451, 452) for code, _ in replies), replies
    assert [client.getreply()[0] for client in clients[:10]] == [421] * 10
    answered = {text.decode().split()[-1] for code, text in replies if code == 250}
    assert len(answered) >= 20
    assert edge.process.wait(timeout=60) == 0
    assert {mail.id for mail in jet.mails()} == answered


def test_at_sigterm_a_mail_on_its_way_is_finished(jet: Jet, start_edge: Start) -> None:
    content = new_content()
    edge = start_edge()
    idle, busy = edge.client(), edge.client()
    busy.ehlo()
    busy.mail("ann@sender.test")
    busy.rcpt("support@inbox.test")
    busy.putcmd("data")
    assert busy.getreply()[0] == 354
    busy.send(content)
    edge.process.terminate()
    edge.event("draining")
    assert idle.docmd("noop")[0] == 421
    busy.send(b".\r\n")
    assert busy.getreply()[0] == 250
    assert edge.process.wait(timeout=20) == 0
    assert jet.count(MAIL) == 1
