"""Clients that others wrote."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import smtplib
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path

import aiosmtplib
import pytest
from mailchute.subjects import MAIL

from tests.ingress.edge_process import EdgeProcess, Jet, new_content, until
from tests.ingress.test_tls import anyone, write_certificate

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


POSTFIX = """
    queue_directory = {home}/queue
    data_directory = {home}/data
    maillog_file = /var/log/{log}
    compatibility_level = 3.6
    myhostname = peer.test
    mydestination =
    inet_interfaces = 127.0.0.1
    smtp_dns_support_level = disabled
    smtp_host_lookup = native
    relayhost = [127.0.0.1]:{port}
    smtp_tls_security_level = may
    smtputf8_enable = no
    alias_maps =
    alias_database =
"""
MASTER = """
    pickup unix n - n 1 1 pickup
    cleanup unix n - n - 0 cleanup
    qmgr unix n - n 1 1 qmgr
    rewrite unix - - n - - trivial-rewrite
    bounce unix - - n - 0 bounce
    defer unix - - n - 0 bounce
    trace unix - - n - 0 bounce
    smtp unix - - n - - smtp
    error unix - - n - - error
    retry unix - - n - - error
    tlsmgr unix - - n 1000? 1 tlsmgr
    postlog unix-dgram n - n - 1 postlogd
    showq unix n - n - - showq
"""


@pytest.fixture
def postfix(edge: EdgeProcess, tmp_path: Path) -> Iterator[Path]:
    if shutil.which("postfix") is None:
        pytest.skip("postfix is not installed")
    for part in ("queue", "data"):
        (tmp_path / part).mkdir()
    user = pwd.getpwnam("postfix")
    os.chown(tmp_path / "data", user.pw_uid, user.pw_gid)
    for parent in (tmp_path, *tmp_path.parents[:3]):  # pytest-xdist has a level of its own
        parent.chmod(0o755)
    text = POSTFIX.format(home=tmp_path, log=f"mailchute-test-{os.getpid()}.log", port=edge.port)
    (tmp_path / "main.cf").write_text(textwrap.dedent(text))
    (tmp_path / "master.cf").write_text(textwrap.dedent(MASTER))
    log = Path("/var/log") / f"mailchute-test-{os.getpid()}.log"
    started = subprocess.run(["postfix", "-c", tmp_path, "start"], check=False, timeout=60)
    if started.returncode != 0:
        told = log.read_text().splitlines()[-1:] if log.exists() else []
        log.unlink(missing_ok=True)
        pytest.skip(f"postfix does not start here: {told}")
    yield tmp_path
    subprocess.run(["postfix", "-c", tmp_path, "stop"], check=False, timeout=60)
    log.unlink(missing_ok=True)


def test_postfix_sends_what_it_was_given(postfix: Path, streams: Jet) -> None:
    for _ in range(10):
        subprocess.run(
            ["sendmail", "-C", postfix, "-f", "ann@sender.test", "support@inbox.test"],
            input=message("support@inbox.test").as_bytes(),
            check=True,
            timeout=60,
        )
    until(lambda: streams.count(MAIL) == 10, "ten mails from postfix")
