"""What each format makes of a mail, where no peer's code is at hand to read it."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from mailchute import signing, wire
from mailchute.alias import RAW_FORMATS, Format
from mailchute.errors import ContentMissing, Undecodable
from mailchute.payload import Attachment, Payload, Reply

from functions.deliver.formats import SHAPES, Mail, Shape
from functions.deliver.formats.files import File
from functions.deliver.formats.form import multipart
from tests.unit.deliver.given import AT, PAYLOAD, SECRET, endpoint, request

TRACE = b"Received: by us\r\n"
RAW = b"From: a@b.test\r\nSubject: caf\xe9\r\n\r\nHello\r\n.\r\n"
KEY = generate_private_key(65537, 2048)


def attachment(**more: Any) -> Attachment:
    fields: dict[str, Any] = {"filename": "a.bin", "content_type": "application/x", "detected_type": None}
    fields |= {"size": 3, "sha256": "0" * 64, "content_id": None, "disposition": "attachment"}
    return Attachment(**fields | more)


def with_attachments(*attachments: Attachment) -> Payload:
    return msgspec.structs.replace(
        PAYLOAD, message=msgspec.structs.replace(PAYLOAD.message, attachments=attachments)
    )


HELD = attachment(content=b"\x00\xff\n")
LINKED = attachment(filename="big.zip", url="https://files.test/d/token")
LEFT_OUT = attachment(filename="bad.exe", status="excluded", exclude_reason="virus-detected")


def shaped(form: Format, payload: Payload = PAYLOAD, **changes: Any) -> Shape:
    known = endpoint("https://hooks.test/hook" + changes.pop("query", ""), format=form, **changes)
    brought = request(payload, raw=TRACE + RAW, raw_trace_octets=len(TRACE))
    return SHAPES[form](Mail(request=brought, endpoint=known, timestamp=int(AT.timestamp()), keys=(KEY,)))


def told(form: Format, payload: Payload = PAYLOAD, **changes: Any) -> Any:
    return json.loads(shaped(form, payload, **changes).body)


def test_every_format_has_its_module() -> None:
    assert set(SHAPES) == set(Format.__args__)


def test_native_is_the_payload_octet_for_octet() -> None:
    assert shaped("native").body == wire.encode_json(PAYLOAD)


EVERYTHING = msgspec.structs.replace(
    with_attachments(HELD),
    reply=Reply(text="a", quoted="b", signature="c"),
    message=msgspec.structs.replace(
        with_attachments(HELD).message,
        content=msgspec.structs.replace(PAYLOAD.message.content, html_safe="safe", html_clean="clean"),
        received=(),
    ),
)


@pytest.mark.parametrize(
    ("include", "content", "message", "top"),
    [
        ((), {"text", "html", "markdown", "links", "parts"}, {"attachments", "headers"}, {"reply"}),
        (
            ("html_safe",),
            {"text", "html", "markdown", "links", "parts", "htmlSafe"},
            {"attachments", "headers"},
            {"reply"},
        ),
        (("text",), {"text"}, set(), set()),
        (("text", "htmlClean"), {"text", "htmlClean"}, set(), set()),
        (("markdown", "links", "attachments"), {"markdown", "links"}, {"attachments"}, set()),
        (("text", "reply", "raw"), {"text"}, set(), {"reply", "raw"}),
        (("text", "received"), {"text"}, {"received"}, set()),
    ],
)
def test_an_endpoint_gets_the_parts_it_names(
    include: tuple[str, ...], content: set[str], message: set[str], top: set[str]
) -> None:
    payload = told("native", EVERYTHING, include=include)
    assert set(payload["message"]["content"]) == content
    assert {"attachments", "headers", "received"} & set(payload["message"]) == message
    assert {"reply", "raw"} & set(payload) == top
    assert payload["id"] == PAYLOAD.id
    assert payload["auth"]["sender"]["authenticated"] is False


def test_raw_is_the_mail_as_received_without_our_trace_fields() -> None:
    payload = told("native", include=("raw",))
    assert base64.b64decode(payload["raw"]) == RAW
    assert wire.decode_json(shaped("native", include=("raw",)).body, Payload).raw == RAW


def test_raw_that_was_not_brought_along_is_left_out_and_the_mail_still_goes() -> None:
    known = endpoint("https://hooks.test", include=("raw",))
    shape = SHAPES["native"](Mail(request=request(), endpoint=known, timestamp=0))
    assert "raw" not in json.loads(shape.body)


def test_a_payload_that_is_none_is_never_sent() -> None:
    for octets in (b"", b"[]", b"{}", b'{"message": 1}', b"\xff"):
        mail = Mail(
            request=request(octets), endpoint=endpoint("https://h.test", include=("text",)), timestamp=0
        )
        with pytest.raises(Undecodable):
            SHAPES["native"](mail)
        with pytest.raises(Undecodable):
            SHAPES["postmark"](mail)


@pytest.mark.parametrize("form", sorted(RAW_FORMATS))
def test_a_raw_format_without_the_mail_says_so(form: Format) -> None:
    mail = Mail(request=request(), endpoint=endpoint("https://h.test", format=form), timestamp=0, keys=(KEY,))
    with pytest.raises(ContentMissing):
        SHAPES[form](mail)


@pytest.mark.parametrize("form", ["mailersend", "forwardemail", "postal", "mailgun-mime"])
def test_raw_formats_show_the_mail_as_received(form: Format) -> None:
    body = shaped(form).body
    if form == "mailgun-mime":
        [raw] = parse_qs(body.decode(), encoding="latin-1")["body-mime"]
        assert raw.encode("latin-1") == RAW
    elif form == "postal":
        assert base64.b64decode(json.loads(body)["message"]) == RAW
    else:
        shown = json.loads(body)
        shown = shown["data"]["raw"] if form == "mailersend" else shown["raw"]
        assert shown == RAW.decode(errors="replace")


def test_rfc822_is_what_a_relay_would_hand_over() -> None:
    shape = shaped("rfc822")
    assert shape.body == TRACE + b"X-Original-To: support+t7@inbox.test\r\n" + RAW
    assert shape.content_type == "message/rfc822"
    assert email.message_from_bytes(shape.body, policy=email.policy.default)["From"] == "a@b.test"


@pytest.mark.parametrize(
    ("changes", "has_own"),
    [
        ({}, True),
        ({"basic_auth": "actionmailbox:other"}, False),
        ({"headers": (("authorization", "Bearer x"),)}, False),
        ({"secrets": ()}, False),
    ],
)
def test_rfc822_shows_the_secret_as_action_mailboxs_password(changes: dict[str, Any], has_own: bool) -> None:
    credentials = base64.b64encode(f"actionmailbox:{SECRET}".encode()).decode()
    expected = (("Authorization", f"Basic {credentials}"),) if has_own else ()
    assert shaped("rfc822", **changes).fields == expected


def test_postal_signs_with_the_key_that_the_jwks_shows() -> None:
    shape = shaped("postal")
    fields = dict(shape.fields)
    KEY.public_key().verify(
        base64.b64decode(fields["X-Postal-Signature-256"]), shape.body, PKCS1v15(), SHA256()
    )
    assert fields["X-Postal-Signature-KID"] in [key["kid"] for key in signing.jwks_of((KEY,))["keys"]]
    identity = json.loads(shape.body)["id"]
    assert isinstance(identity, int)
    assert 0 < identity < 1 << 53
    assert identity == told("postal")["id"]


def test_forwardemail_signs_the_body_in_hex() -> None:
    shape = shaped("forwardemail")
    digest = hmac.new(SECRET.encode(), shape.body, hashlib.sha256).hexdigest()
    assert dict(shape.fields) == {"X-Webhook-Signature": digest}


def test_forwardemail_shows_files_as_node_writes_a_buffer() -> None:
    [shown] = told("forwardemail", with_attachments(HELD))["attachments"]
    assert shown["content"] == {"type": "Buffer", "data": [0, 255, 10]}


def test_forwardemail_is_slimmed_by_its_urls_query() -> None:
    shown = told("forwardemail", with_attachments(HELD), query="?attachments=false&raw=false")
    assert "raw" not in shown
    assert "attachments" not in shown
    assert shown["session"]["sender"] == "ann@sender.test"


def test_cloudmailin_lists_a_field_that_stands_more_than_once() -> None:
    header = msgspec.structs.replace(PAYLOAD.message.headers[0], name="X-Two", value="1")
    message = msgspec.structs.replace(
        PAYLOAD.message, headers=(*PAYLOAD.message.headers, header, header, header)
    )
    shown = told("cloudmailin", msgspec.structs.replace(PAYLOAD, message=message))
    assert shown["headers"]["x_two"] == ["1", "1", "1"]
    assert shown["headers"]["from"] == "Ann Example <ann@sender.test>"
    assert shown["envelope"] == {
        "to": "support+t7@inbox.test",
        "recipients": ["support+t7@inbox.test"],
        "from": "ann@sender.test",
        "helo_domain": "mx.sender.test",
        "remote_ip": "192.0.2.7",
        "tls": False,
        "spf": {"result": "none", "domain": None},
    }


def test_cloudmailin_has_links_of_its_own() -> None:
    held, linked, left_out = told("cloudmailin", with_attachments(HELD, LINKED, LEFT_OUT))["attachments"]
    assert base64.b64decode(held["content"]) == b"\x00\xff\n"
    assert linked["url"] == "https://files.test/d/token"
    assert not {"url", "content"} & set(left_out)


def test_where_a_peer_knows_no_links_a_file_says_where_the_attachment_lies() -> None:
    held, linked, left_out = told("postmark", with_attachments(HELD, LINKED, LEFT_OUT))["Attachments"]
    assert (held["Name"], base64.b64decode(held["Content"])) == ("a.bin", b"\x00\xff\n")
    assert (linked["Name"], linked["ContentType"]) == ("big.zip.uri", "text/uri-list")
    assert base64.b64decode(linked["Content"]) == b"https://files.test/d/token\r\n"
    assert left_out["Name"] == "bad.exe.txt"
    assert b"virus-detected" in base64.b64decode(left_out["Content"])


def test_postmark_shows_a_recipient_that_no_field_names_as_bcc() -> None:
    message = msgspec.structs.replace(PAYLOAD.message, to=())
    shown = told("postmark", msgspec.structs.replace(PAYLOAD, message=message))
    assert shown["BccFull"] == [{"Email": "support+t7@inbox.test", "Name": "", "MailboxHash": "t7"}]
    assert "BccFull" not in told("postmark")


def test_mailguns_token_is_new_each_time_and_the_rest_is_not() -> None:
    first, second = (parse_qs(shaped("mailgun").body.decode()) for _ in range(2))
    assert first.pop("token") != second.pop("token")
    assert first.pop("signature") != second.pop("signature")
    assert first == second


@pytest.mark.parametrize(
    "file",
    [
        File(name='a".txt', content_type="text/plain", content=b"x", content_id=None, disposition="inline"),
        File(
            name="a\r\nContent-Type: text/html\r\n\r\nx",
            content_type="text/plain\r\nX: y",
            content=b"--boundary\r\n",
            content_id=None,
            disposition="inline",
        ),
        File(name="ü.txt", content_type="text/ü", content=b"\r\n--", content_id=None, disposition="inline"),
    ],
)
def test_a_file_cannot_leave_its_place_in_a_form(file: File) -> None:
    shape = multipart([("field", "välue\r\n--x")], [("file", file)])
    octets = f"Content-Type: {shape.content_type}\r\n\r\n".encode() + shape.body
    field, shown = email.message_from_bytes(octets).get_payload()
    assert field.get_payload(decode=True) == "välue\r\n--x".encode()
    assert shown.get_payload(decode=True) == file.content
    assert shown.get_content_type() in ("text/plain", "application/octet-stream")
    assert len(shown.items()) == 2


def test_nothing_of_the_mail_reaches_the_header_section_of_the_post() -> None:
    for form in Format.__args__:
        for name, value in shaped(form).fields:
            assert value.isascii()  # the subject is "Grüße, 你好"
            assert "=?utf-8?" not in value.lower()
            assert "\n" not in name + value
