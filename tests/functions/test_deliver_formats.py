"""Drop-in formats, POSTed to the inbound views of django-anymail: what it understands is what was sent."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from mailchute.alias import RAW_FORMATS
from mailchute.payload import Attachment, Mailbox, Payload
from mailchute.verdicts import Spam, Symbol

from tests.unit.deliver.given import PAYLOAD, attempts, endpoint, request

SIGNING_KEY = "a key of ours"
BASIC_AUTH = "user:password"
RSA = generate_private_key(65537, 2048)
RSA_PEM = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
RSA_PUBLIC = base64.b64encode(
    RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()

TRACE = b"Return-Path: <ann@sender.test>\r\nReceived: from mx by us; Sat, 21 Nov 2026 10:30:00 +0000\r\n"
PDF = b"%PDF-1.4\n\x00\xff" + b"x" * 1_000
PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(range(64))


def attachment(name: str, content_type: str, content: bytes, content_id: str | None) -> Attachment:
    return Attachment(
        filename=name,
        content_type=content_type,
        detected_type=None,
        size=len(content),
        sha256="0" * 64,
        content_id=content_id,
        disposition="inline" if content_id else "attachment",
        content=content,
    )


SENDER = Mailbox(name="Doe, Jane <ceo@victim.test>", email="ann@sender.test")  # a name that could be two
MESSAGE = msgspec.structs.replace(
    PAYLOAD.message,
    sender=SENDER,
    to=(
        Mailbox(name="Süpport", email="support+t7@inbox.test"),
        Mailbox(name=None, email="other@inbox.test"),
    ),
    cc=(Mailbox(name='The "Boss"', email="boss@inbox.test"),),
    reply_to=(Mailbox(name=None, email="answers@sender.test"),),
    content=msgspec.structs.replace(
        PAYLOAD.message.content,
        text="Hello\nwörld\n",
        html='<p>Hello wörld <img src="cid:pixel@sender"></p>',
    ),
    attachments=(
        attachment("Rechnung März.pdf", "application/pdf", PDF, None),
        attachment("pixel.png", "image/png", PIXEL, "pixel@sender"),
    ),
    headers=(
        *[
            msgspec.structs.replace(PAYLOAD.message.headers[0], name=name, value=value)
            for name, value in (
                ("Received", "from a by b; Sat, 21 Nov 2026 10:00:00 +0000"),
                ("Received", "from c by a; Sat, 21 Nov 2026 09:00:00 +0000"),
                ("From", "Doe, Jane <ceo@victim.test> <ann@sender.test>"),  # as naive decoding leaves it
                ("To", "Süpport <support+t7@inbox.test>, other@inbox.test"),
                ("Cc", 'The "Boss" <boss@inbox.test>'),
                ("Reply-To", "answers@sender.test"),
                ("Subject", "Grüße, 你好"),
                ("Subject", "A second one, which nobody may send"),
                ("Date", "Sat, 21 Nov 2026 10:30:00 +0000"),
                ("Message-ID", "<1@sender.test>"),
                ("X-Spam-Status", "No, says the spammer"),
                ("X-Mailgun-Sflag", "No, says the spammer"),
                ("X-Broken", "a\r\n b\nInjected: yes"),
                ("Content-Type", "multipart/mixed; boundary=gone"),
            )
        ],
    ),
)
MAIL = msgspec.structs.replace(
    PAYLOAD,
    message=MESSAGE,
    spam=Spam(
        is_spam=True,
        score=7.5,
        threshold=5,
        probability=0.9,
        engine="builtin",
        action="add header",
        symbols=(Symbol(name="BAD_WORDS", score=7.5),),
    ),
)


def raw_mail() -> bytes:
    """Return the mail of MAIL as its sender wrote it."""
    mail = EmailMessage()
    mail["From"] = '"Doe, Jane <ceo@victim.test>" <ann@sender.test>'
    mail["To"] = "Süpport <support+t7@inbox.test>, other@inbox.test"
    mail["Cc"] = '"The \\"Boss\\"" <boss@inbox.test>'
    mail["Subject"] = "Grüße, 你好"
    mail["Message-ID"] = "<1@sender.test>"
    mail.set_content(MESSAGE.content.text)
    mail.add_alternative(MESSAGE.content.html, subtype="html")
    html = mail.get_payload()[1]
    html.add_related(PIXEL, "image", "png", cid="<pixel@sender>", filename="pixel.png", disposition="inline")
    mail.add_attachment(PDF, maintype="application", subtype="pdf", filename="Rechnung März.pdf")
    return mail.as_bytes().replace(b"\n", b"\r\n")


RAW = raw_mail()


@dataclass
class Receiver:
    """A Django application with the views of anymail, and what it was told."""

    url: str
    events: list[Any]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None: ...


def configure_django() -> None:
    """Set Django up, once in a process: its settings are those of all."""
    import django  # noqa: PLC0415 (slow to import)
    from django.conf import settings  # noqa: PLC0415

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF="anymail.urls",
            INSTALLED_APPS=["anymail"],
            SECRET_KEY="test",
            DATA_UPLOAD_MAX_MEMORY_SIZE=100_000_000,
            DATA_UPLOAD_MAX_NUMBER_FILES=5_000,
            ANYMAIL={
                "WEBHOOK_SECRET": BASIC_AUTH,
                "MAILGUN_WEBHOOK_SIGNING_KEY": SIGNING_KEY,
                "MAILERSEND_INBOUND_SECRET": SIGNING_KEY,
                "POSTAL_WEBHOOK_KEY": RSA_PUBLIC,
            },
        )
        django.setup()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    configure_django()
    from anymail.signals import inbound  # noqa: PLC0415
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415

    events: list[Any] = []

    def told(sender: object, event: Any, **_: object) -> None:
        events.append(event)

    inbound.connect(told)
    server = make_server("127.0.0.1", 0, get_wsgi_application(), _Server, _Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Receiver(f"http://127.0.0.1:{server.server_port}", events)
    server.shutdown()
    server.server_close()
    thread.join()
    inbound.disconnect(told)


VIEWS = {
    "postmark": "/postmark/inbound/",
    "mailgun": "/mailgun/inbound/",
    "mailgun-mime": "/mailgun/inbound_mime/",
    "sendgrid": "/sendgrid/inbound/",
    "mailersend": "/mailersend/inbound/",
    "postal": "/postal/inbound/",
}


def posted(receiver: Receiver, form: str, payload: Payload = MAIL, raw: bytes = RAW, **changes: Any) -> Any:
    receiver.events.clear()
    fields: dict[str, Any] = {"format": form, "secrets": (SIGNING_KEY,), "basic_auth": BASIC_AUTH}
    fields |= {"signing_key": RSA_PEM} if form == "postal" else {}
    brought = {"raw": TRACE + raw, "raw_trace_octets": len(TRACE)} if form in RAW_FORMATS else {}
    known = endpoint(receiver.url + VIEWS[form], **fields | changes)
    return attempts(known).make(request(payload, **brought))


@pytest.mark.parametrize("form", sorted(VIEWS))
@pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid")
def test_the_peers_receiver_understands_the_mail_as_it_was_sent(receiver: Receiver, form: str) -> None:
    outcome = posted(receiver, form)
    assert (outcome.status, outcome.reason) == (200, ""), outcome.response
    [event] = receiver.events
    message = event.message
    assert (message.from_email.display_name, message.from_email.addr_spec) == (SENDER.name, SENDER.email)
    assert [(one.display_name, one.addr_spec) for one in message.to] == [
        ("Süpport", "support+t7@inbox.test"),
        ("", "other@inbox.test"),
    ]
    assert [(one.display_name, one.addr_spec) for one in message.cc] == [('The "Boss"', "boss@inbox.test")]
    assert message.subject == "Grüße, 你好"
    assert message.text.rstrip("\n") == "Hello\nwörld"
    assert message.html.rstrip("\n") == MESSAGE.content.html
    [pdf] = message.attachments
    assert (pdf.get_filename(), pdf.get_content_type()) == ("Rechnung März.pdf", "application/pdf")
    assert pdf.get_content_bytes() == PDF
    [pixel] = message.inlines
    assert pixel.get_content_bytes() == PIXEL
    assert message.content_id_map["pixel@sender"] is pixel
    assert message.envelope_sender == "ann@sender.test"
    assert message.envelope_recipient == "support+t7@inbox.test"
    assert "Injected" not in message


@pytest.mark.parametrize("form", ["postmark", "mailgun"])
def test_the_spam_verdict_is_ours_and_not_what_the_mail_says_of_itself(receiver: Receiver, form: str) -> None:
    posted(receiver, form)
    [event] = receiver.events
    assert event.message.spam_detected is True
    assert event.message.spam_score == 7.5


@pytest.mark.parametrize(
    ("form", "changes"),
    [
        ("postmark", {"basic_auth": "user:other"}),
        ("mailgun", {"secrets": ("another key",)}),
        ("mailgun-mime", {"secrets": ("another key",)}),
        ("mailersend", {"secrets": ("another key",)}),
        ("postal", {"signing_key": generate_private_key(65537, 2048).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()}),
        ("sendgrid", {"basic_auth": None}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid")
def test_the_peers_receiver_refuses_another_key(
    receiver: Receiver, form: str, changes: dict[str, Any]
) -> None:
    outcome = posted(receiver, form, **changes)
    assert outcome.status == 400
    assert not receiver.events


@pytest.mark.parametrize("form", ["postmark", "mailgun", "sendgrid"])
@pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid")
def test_a_mail_without_anything_is_understood_too(receiver: Receiver, form: str) -> None:
    bare = msgspec.structs.replace(
        PAYLOAD,
        spam=None,
        envelope=msgspec.structs.replace(PAYLOAD.envelope, mail_from=""),
        message=msgspec.structs.replace(
            PAYLOAD.message,
            message_id=None,
            date=None,
            subject="",
            sender=None,
            to=(),
            headers=(),
            content=msgspec.structs.replace(PAYLOAD.message.content, text="", html=None),
        ),
    )
    outcome = posted(receiver, form, bare)
    assert outcome.status == 200, outcome.response
    [event] = receiver.events
    assert event.message.envelope_recipient == "support+t7@inbox.test"
    assert not event.message.attachments


def test_octets_that_are_no_text_arrive_by_mailgun_mime(receiver: Receiver) -> None:
    raw = b"From: a@b.test\r\nTo: c@d.test\r\nContent-Transfer-Encoding: 8bit\r\n\r\ncaf\xe9 &=+%\r\n"
    outcome = posted(receiver, "mailgun-mime", raw=raw)
    assert outcome.status == 200
    assert "&=+%" in receiver.events[0].message.text
