"""What the tests of deliver are given: a mail, an endpoint, a directory that knows it."""

from __future__ import annotations

import functools
import ipaddress
from datetime import UTC, datetime
from typing import Any

from mailchute import wire
from mailchute.delivery import AttemptRequest, WebhookDelivery, delivery_id_of
from mailchute.endpoint import Endpoint
from mailchute.errors import DirectoryUnavailable, SecretUnreadable
from mailchute.payload import (
    Content,
    EnvelopeFacts,
    HeaderField,
    Integrity,
    Mailbox,
    Message,
    Payload,
    Recipient,
)
from mailchute.verdicts import Auth, Security, Spam

from functions.deliver.attempt import Attempts
from functions.deliver.client import Client
from functions.deliver.destination import Address
from functions.deliver.egress import Egress
from functions.deliver.identity import Identities

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
MAIL_ID = "msg_01JD5W0000000000000000MAIL"
LOOPBACK = "127.0.0.0/8"

PAYLOAD = Payload(
    id=MAIL_ID,
    received_at=AT,
    domain_id="dom_1",
    alias_id="als_1",
    envelope=EnvelopeFacts(
        mail_from="ann@sender.test",
        rcpt_to="support+t7@inbox.test",
        helo="mx.sender.test",
        client_ip="192.0.2.7",
        ptr="mx.sender.test",
        tls=None,
    ),
    message=Message(
        message_id="<1@sender.test>",
        date=AT,
        subject="Grüße, 你好",
        sender=Mailbox(name="Ann Example", email="ann@sender.test"),
        recipient=Recipient(name=None, email="support+t7@inbox.test", tag="t7"),
        to=(Mailbox(name="Support", email="support+t7@inbox.test"),),
        content=Content(text="Hello\nwörld\n", html="<p>Hello wörld</p>", markdown="Hello wörld"),
        headers=(
            HeaderField(name="From", value="Ann Example <ann@sender.test>"),
            HeaderField(name="To", value="Support <support+t7@inbox.test>"),
            HeaderField(name="Subject", value="Grüße, 你好"),
        ),
    ),
    auth=Auth(),
    spam=Spam(is_spam=False, score=-0.5, threshold=5, probability=0.1, engine="builtin", action="no action"),
    security=Security(),
    integrity=Integrity(raw_hash="sha256:" + "0" * 64, content_hash="sha256:" + "1" * 64),
)


class Known:
    """A directory that is a dict."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self.endpoints = {endpoint.id: endpoint for endpoint in endpoints}
        self.trouble: DirectoryUnavailable | SecretUnreadable | None = None

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        if self.trouble is not None:
            raise self.trouble
        return self.endpoints.get(endpoint_id)


def endpoint(url: str, **more: Any) -> Endpoint:
    return Endpoint(**{"id": "end_1", "account_id": "acc_1", "url": url, "secrets": (SECRET,)} | more)


def request(
    payload: Payload | bytes = PAYLOAD, *, delivery: dict[str, Any] | None = None, **more: Any
) -> AttemptRequest:
    octets = payload if isinstance(payload, bytes) else wire.encode_json(payload)
    fields = {
        "id": delivery_id_of(MAIL_ID, "end_1", "0"),
        "run": "0",
        "mail_id": MAIL_ID,
        "account_id": "acc_1",
        "domain_id": "dom_1",
        "alias_id": "als_1",
        "endpoint_id": "end_1",
        "payload": octets,
        "mail_stream": "MAIL",
        "mail_sequence": 1,
        "created_at": AT,
    }
    return AttemptRequest(delivery=WebhookDelivery(**fields | (delivery or {})), payload=octets, **more)


def no_names(name: str, ends_at: float) -> tuple[Address, ...]:
    raise AssertionError(f"{name} was looked up")


@functools.cache
def identities(authority_file: str) -> Identities:
    """Return TLS contexts; made once, for reading the system's authorities takes a while."""
    return Identities(authority_file)


def attempts(
    *endpoints: Endpoint,
    allowed: str = LOOPBACK,
    resolve: Any = no_names,
    authority_file: str = "",
    ports: frozenset[int] = frozenset({443}),
    **more: Any,
) -> Attempts:
    networks = tuple(ipaddress.ip_network(part) for part in allowed.split(",") if part)
    egress = Egress(resolve=resolve, allowed=networks, ports=ports)
    client = Client(egress=egress, identities=identities(authority_file))
    return Attempts(**{"endpoints": Known(*endpoints), "client": client} | more)
