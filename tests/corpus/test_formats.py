"""Every mail of the corpus in every format: nothing breaks, and nobody becomes somebody else on the way."""

from __future__ import annotations

import json
from email.headerregistry import AddressHeader
from email.policy import default
from typing import Any
from urllib.parse import parse_qs

import pytest
from mailchute import wire
from mailchute.alias import Format
from mailchute.delivery import AttemptRequest
from mailchute.parsed import ParseRequest
from mailchute.payload import Payload

from functions.deliver.formats import SHAPES, Mail, Shape
from functions.parse.settings import WorkerSettings
from functions.parse.worker import draft_of
from tests.corpus.material import corpus
from tests.functions.test_deliver_formats import RSA, SIGNING_KEY, configure_django
from tests.functions.test_parse import TRACE, request_of
from tests.unit.deliver.given import AT, endpoint, request

pytestmark = [pytest.mark.corpus, pytest.mark.slow]

VIEWED_MAX_OCTETS = 50_000  # the views are slow with large mails, and no less right
MESSAGES = ("*.eml", "*.msg", "*.txt", "*.mime")


def payloads() -> list[tuple[str, bytes, Payload]]:
    """Return every mail of the corpus as parse has it."""
    folder = corpus("mime", cases=412)
    found = []
    for path in sorted(path for pattern in MESSAGES for path in folder.rglob(pattern)):
        octets = path.read_bytes()
        draft = draft_of(wire.decode(wire.encode(request_of(octets)), ParseRequest), WorkerSettings())
        found.append((str(path.relative_to(folder)), octets, draft.payload))
    return found


def brought(octets: bytes, payload: Payload) -> AttemptRequest:
    return request(payload, raw=TRACE + octets, raw_trace_octets=len(TRACE))


def senders_of(shape: Any, form: str) -> str:
    """Return the From that a receiver of this format parses."""
    if form == "postmark":
        return str((json.loads(shape.body)["FromFull"] or {"Email": ""})["Email"])
    if form == "mailgun" and shape.content_type.startswith("application/x-www-form-urlencoded"):
        fields = json.loads(parse_qs(shape.body.decode())["message-headers"][0])
        texts = [value for name, value in fields if name.lower() == "from"]
        header: Any = default.header_factory("From", texts[0] if texts else "")
        assert isinstance(header, AddressHeader)
        return ", ".join(address.addr_spec for address in header.addresses)
    return ""


@pytest.fixture(scope="module")
def mails() -> list[tuple[str, bytes, Payload]]:
    return payloads()


def made(form: Format, octets: bytes, payload: Payload) -> Shape:
    known = endpoint("https://hooks.test/", format=form, secrets=(SIGNING_KEY,))
    timestamp = int(AT.timestamp())
    return SHAPES[form](
        Mail(request=brought(octets, payload), endpoint=known, timestamp=timestamp, keys=(RSA,))
    )


def test_every_mail_takes_every_shape_and_keeps_its_author(mails: list[tuple[str, bytes, Payload]]) -> None:
    count = 0
    for name, octets, payload in mails:
        for form in SHAPES:
            shape = made(form, octets, payload)
            count += 1
            sender = payload.message.sender
            if sender is not None and (read := senders_of(shape, form)):
                # A receiver that parses strictly sees quotes where the sender forgot them.
                assert read.replace('"', "") == sender.email.replace('"', ""), f"{name} in {form}"
    assert count >= 10 * 400


@pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid")
def test_no_mail_is_more_than_the_peers_receiver_can_take(mails: list[tuple[str, bytes, Payload]]) -> None:
    configure_django()
    from anymail.webhooks import mailgun, postmark, sendgrid  # noqa: PLC0415
    from django.test import RequestFactory  # noqa: PLC0415

    views: dict[Format, Any] = {
        "postmark": postmark.PostmarkInboundWebhookView(),
        "mailgun": mailgun.MailgunInboundWebhookView(),
        "sendgrid": sendgrid.SendGridInboundWebhookView(),
    }
    for name, octets, payload in mails:
        if len(octets) > VIEWED_MAX_OCTETS:
            continue
        for form, view in views.items():
            shape = made(form, octets, payload)
            call = RequestFactory().post("/", data=shape.body, content_type=shape.content_type)
            [event] = view.parse_events(call)
            text = payload.message.content.text.replace("\r\n", "\n").replace("\r", "\n")
            assert event.message.text == text, f"{name} in {form}"
