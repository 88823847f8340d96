"""The trace fields of RFC 5321, 4.4."""

from datetime import UTC, datetime

import pytest
from mailchute.envelope import Envelope, Path, Tls
from smtp_ingress.trace import trace_fields

AT = datetime(2026, 11, 21, 12, 0, 0, 123, tzinfo=UTC)
TLS = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384")


def trace(is_extended=True, **more):
    fields = {
        "reverse_path": Path("ann", "sender.test"),
        "client_ip": "192.0.2.1",
        "helo": "client.test",
        **more,
    }
    envelope = Envelope(forward_path=Path("support", "inbox.test"), **fields)
    return trace_fields(
        envelope, mail_id="msg_1", hostname="mx.test", received_at=AT, is_extended=is_extended
    ).decode()


def test_they_tell_from_whom_how_to_whom_and_when():
    assert trace() == (
        "Return-Path: <ann@sender.test>\r\n"
        "Received: from client.test ([192.0.2.1])\r\n"
        "\tby mx.test with ESMTP id msg_1\r\n"
        "\tfor <support@inbox.test>; Sat, 21 Nov 2026 12:00:00 +0000\r\n"
    )


def test_a_notification_has_an_empty_return_path():
    assert trace(reverse_path=None).startswith("Return-Path: <>\r\n")


@pytest.mark.parametrize(
    ("protocol", "more"),
    [
        ("SMTP", {"is_extended": False}),
        ("ESMTPS", {"tls": TLS}),
        ("UTF8SMTP", {"smtputf8": True}),
        ("UTF8SMTPS", {"smtputf8": True, "tls": TLS}),
    ],
)
def test_the_protocol_is_named_as_registered(protocol, more):
    assert f" with {protocol} id " in trace(**more)


def test_an_ipv6_client_is_a_tagged_literal():
    assert "from client.test ([IPv6:2001:db8::1])" in trace(client_ip="2001:db8::1")
