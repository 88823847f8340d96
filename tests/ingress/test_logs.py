"""What the edge writes down: events with the same keys, and nothing of who wrote what to whom."""

from __future__ import annotations

import contextlib
import smtplib
import socket
from collections.abc import Callable

from mailchute.subjects import MAIL

from tests.ingress.edge_process import EdgeProcess, Jet, new_content, until

Start = Callable[..., EdgeProcess]
KEYS = {"at", "level", "room", "event", "mail_id", "reason", "count", "host", "port"}
SECRETS = ("whistleblower", "confidential-77", "informant", "sender.test", "spam.test", "helo-name")


def test_no_address_no_subject_and_no_content_is_logged_whatever_happens(
    jet: Jet, start_edge: Start, database: str
) -> None:
    edge = start_edge(MAX_MAILS_PER_ALIAS_MINUTE="3", MAX_ERRORS="50", PUBLISH_TIMEOUT_S="1")
    content = new_content().replace(
        b"\r\n\r\n", b"\r\nSubject: confidential-77\r\n\r\nconfidential-77\r\n", 1
    )
    for _ in range(2):  # the second is a resend
        edge.send(content, "support@inbox.test", sender="whistleblower@sender.test")
    with edge.client() as client:
        client.ehlo("helo-name.test")
        for command in (
            "MAIL FROM:<whistleblower@sender.test",
            "MAIL FROM:<whistleblower@sender.test> SIZE=x",
            "RCPT TO:<informant@inbox.test>",
            "MAIL FROM:<whistleblower@sender.test>",
            "RCPT TO:<informant@inbox.test>",
            "RCPT TO:<informant@spam.test>",
            "RCPT TO:<informant%spam.test@catch.test>",
            "RCPT TO:<informant@catch.test>",
            "VRFY informant@inbox.test",
            "XYZZY whistleblower",
        ):
            client.docmd(command)
        client.data(b"Subject: confidential-77\r\n\r\n" + b"confidential-77" * 10_000 + b"\r\n")
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as cut:
        cut.sendall(b"EHLO helo-name\r\nMAIL FROM:<whistleblower@sender.test>\r\nRCPT TO:<inform")
    jet.delete(MAIL)
    with contextlib.suppress(smtplib.SMTPException):
        edge.send(content + b"more\r\n", "sales@inbox.test", sender="whistleblower@sender.test")
    until(lambda: any(event["event"] == "duplicate" for event in edge.events), "the resend in the log")
    until(lambda: any(event["event"] == "not-now" for event in edge.events), "the lost stream in the log")
    edge.stop()
    assert [line for line in edge.lines if any(secret in line.lower() for secret in SECRETS)] == []
    assert {key for event in edge.events for key in event} <= KEYS
    assert all({"at", "level", "room", "event"} <= event.keys() for event in edge.events)
