"""Clients that others wrote."""

from __future__ import annotations

import asyncio
import os
import shutil
import smtplib
import subprocess
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path

import aiosmtplib
import pytest
from mailchute.subjects import MAIL

from tests.ingress.edge_process import EdgeProcess, Jet, new_content, until
from tests.ingress.test_tls import anyone, write_certificate
from tests.servers.postfix import Postfix

Start = Callable[..., EdgeProcess]


def message(to: str, policy: object = SMTP) -> EmailMessage:
    made = EmailMessage(policy=policy)  # type: ignore[arg-type]
    made["From"], made["To"], made["Subject"] = "Ann <ann@sender.test>", to, "grüße"
    made["Message-ID"] = f"<{os.urandom(8).hex()}@sender.test>"
    made.set_content("hello\n.\n..\n")
    return made


def test_smtplib_sends_to_an_address_in_utf_8(edge: EdgeProcess, streams: Jet) -> None:
    with edge.client() as client:
        client.send_message(message("süd@catch.test", SMTPUTF8), "änn@köln.test", ["süd@catch.test"])
    (mail,) = streams.mails()
    assert mail.envelope.smtputf8
    assert (str(mail.envelope.reverse_path), str(mail.envelope.forward_path)) == (
        "änn@köln.test",
        "süd@catch.test",
    )
    assert isinstance(mail.content, bytes)
    assert b" with UTF8SMTP id " in mail.content[: mail.trace_octets]


def test_smtplib_sends_a_notification(edge: EdgeProcess, streams: Jet) -> None:
    with edge.client() as client:
        client.sendmail("", ["support@inbox.test"], new_content())
    assert streams.mails()[0].envelope.reverse_path is None


def test_smtplib_hears_552_for_a_mail_that_is_too_big(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(MAX_MESSAGE_OCTETS="100000")
    with edge.client() as client, pytest.raises(smtplib.SMTPResponseException) as refused:
        client.sendmail("ann@sender.test", ["support@inbox.test"], new_content("x" * 60 + "\r\n" * 60_000))
    assert refused.value.smtp_code == 552


def test_aiosmtplib_sends_over_starttls(jet: Jet, start_edge: Start, tmp_path: Path) -> None:
    edge = start_edge(**write_certificate(tmp_path, "mx.test"))

    async def send() -> None:
        await aiosmtplib.send(
            message("support@inbox.test"),
            hostname="127.0.0.1",
            port=edge.port,
            start_tls=True,
            tls_context=anyone(),
            timeout=30,
        )

    asyncio.run(send())
    assert jet.mails()[0].envelope.tls is not None


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
def test_swaks_understands_a_refusal(edge: EdgeProcess) -> None:
    told = ["swaks", "--server", f"127.0.0.1:{edge.port}", "--from", "<>", "--to", "nobody@inbox.test"]
    done = subprocess.run(told, capture_output=True, timeout=60, check=False)
    assert done.returncode == 24, done.stdout  # no recipient was accepted
    assert b"550 5.1.1 no such address here" in done.stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_s_client_carries_a_whole_mail(jet: Jet, start_edge: Start, tmp_path: Path) -> None:
    edge = start_edge(**write_certificate(tmp_path, "mx.test"))
    command = ["openssl", "s_client", "-starttls", "smtp", "-crlf", "-quiet", "-connect"]
    client = subprocess.Popen(
        [*command, f"127.0.0.1:{edge.port}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    for line, expected in (
        ("EHLO x", "250 CHUNKING"),
        ("MAIL FROM:<ann@sender.test>", "250 2.1.0"),
        ("rcpt to:<support@inbox.test>", "250 2.1.5"),  # a capital R would renegotiate
        ("DATA", "354"),
        ("Subject: by hand\n\nhello\n.", "250 2.0.0 accepted"),
    ):
        client.stdin.write(f"{line}\n")
        client.stdin.flush()
        while (heard := client.stdout.readline())[3:4] == "-":
            pass
        assert heard.startswith(expected), heard
    client.kill()
    client.wait()
    (mail,) = jet.mails()
    assert isinstance(mail.content, bytes)
    assert mail.content.endswith(b"Subject: by hand\r\n\r\nhello\r\n")
    assert b"(using TLSv1.3 with cipher TLS_" in mail.content[: mail.trace_octets]


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
def test_swaks_sends_with_pipelining(edge: EdgeProcess, streams: Jet) -> None:
    done = subprocess.run(
        [
            *("swaks", "--server", f"127.0.0.1:{edge.port}", "--from", "ann@sender.test"),
            *("--to", "support@inbox.test", "--helo", "client.test", "--pipeline"),
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert streams.count(MAIL) == 1


def test_postfix_sends_what_it_was_given(
    edge: EdgeProcess, streams: Jet, new_postfix: Callable[[tuple[str, int]], Postfix]
) -> None:
    postfix = new_postfix(("127.0.0.1", edge.port))
    for _ in range(10):
        content = message("support@inbox.test").as_bytes()
        postfix.sendmail(content, sender="ann@sender.test", recipient="support@inbox.test")
    until(lambda: streams.count(MAIL) == 10, "ten mails from postfix")
