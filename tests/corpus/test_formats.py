"""Every mail of the corpus in every format: nothing breaks, and nobody becomes somebody else on the way."""

from __future__ import annotations

import json
from email.headerregistry import AddressHeader
from email.policy import default
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from mailchute import wire
from mailchute.delivery import AttemptRequest
from mailchute.parsed import ParseRequest
from mailchute.payload import Payload

from functions.deliver.formats import SHAPES, Mail
from functions.parse.settings import WorkerSettings
from functions.parse.worker import draft_of
from tests.corpus.material import corpus
from tests.functions.test_parse import TRACE, request_of
from tests.unit.deliver.given import AT, endpoint, request

pytestmark = [pytest.mark.corpus, pytest.mark.slow]

KEY = generate_private_key(65537, 2048)
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


def test_every_mail_takes_every_shape_and_keeps_its_author() -> None:
    count = 0
    for name, octets, payload in payloads():
        for form, shape in SHAPES.items():
            known = endpoint("https://hooks.test/", format=form)
            made = shape(
                Mail(
                    request=brought(octets, payload),
                    endpoint=known,
                    timestamp=int(AT.timestamp()),
                    keys=(KEY,),
                )
            )
            count += 1
            sender = payload.message.sender
            if sender is not None and (read := senders_of(made, form)):
                # A receiver that parses strictly sees quotes where the sender forgot them.
                assert read.replace('"', "") == sender.email.replace('"', ""), f"{name} in {form}"
    assert count >= 10 * 400
