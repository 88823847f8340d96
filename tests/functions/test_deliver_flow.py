"""One mail through the whole of `mailchute up` into every format, each as its own signature has it."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import json
import urllib.request
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from mailchute import signing
from mailchute.alias import Format

from tests.e2e.system import System
from tests.functions.test_deliver_formats import RSA, RSA_PEM
from tests.servers.dns import DnsServer
from tests.servers.sink import Post, Sink
from tests.unit.deliver.given import SECRET

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.slow]

FORMATS: tuple[str, ...] = Format.__args__


def routes(sink: Sink) -> str:
    aliases = {}
    for form in FORMATS:
        endpoint = {"url": sink.url(f"/{form}"), "secret": SECRET, "format": form}
        if form == "postal":
            endpoint["signing_key"] = RSA_PEM
        aliases[form] = {"endpoints": [endpoint]}
    own = {"url": sink.url("/own"), "secret": SECRET, "format": "postal", "signature": "v1a"}
    aliases["own"] = {"endpoints": [own]}  # signed by the installation's keys
    return yaml.safe_dump({"version": 1, "domains": {"inbox.test": aliases}})


def mail() -> bytes:
    message = EmailMessage()
    message["From"] = "Ada Lovelace <ada@example.org>"
    message["To"] = "Somebody <somebody@inbox.test>"
    message["Subject"] = "Grüße"
    message["Message-ID"] = "<flow@example.org>"
    message.set_content("Hello wörld\n")
    message.add_attachment(b"\x00\xff", maintype="application", subtype="octet-stream", filename="a.bin")
    return message.as_bytes(policy=email.policy.SMTP)


def signature(octets: bytes) -> str:
    return hmac.new(SECRET.encode(), octets, hashlib.sha256).hexdigest()


def shown(form: str, post: Post) -> tuple[str, str | bytes]:
    """Return the subject, and the attachment's octets or the mail as received, after the peer's own check."""
    if form == "native":
        message = post.json["message"]
        return message["subject"], base64.b64decode(message["attachments"][0]["content"])
    if form == "postmark":
        return post.json["Subject"], base64.b64decode(post.json["Attachments"][0]["Content"])
    if form == "cloudmailin":
        attachment = post.json["attachments"][0]
        return post.json["headers"]["subject"], base64.b64decode(attachment["content"])
    if form == "mailersend":
        assert post.header("Signature") == signature(post.body)
        return post.json["data"]["subject"], post.json["data"]["raw"].encode()
    if form == "forwardemail":
        assert post.header("X-Webhook-Signature") == signature(post.body)
        return post.json["subject"], post.json["raw"].encode()
    if form == "postal":
        given = base64.b64decode(post.header("X-Postal-Signature") or "")
        RSA.public_key().verify(given, post.body, PKCS1v15(), SHA1())
        return "Grüße", base64.b64decode(post.json["message"])
    if form == "rfc822":
        credentials = base64.b64encode(f"actionmailbox:{SECRET}".encode()).decode()
        assert post.header("Authorization") == f"Basic {credentials}"
        trace, _, raw = post.body.partition(b"X-Original-To: rfc822@inbox.test\r\n")
        assert trace.startswith(b"Return-Path: <ada@example.org>\r\n")
        return "Grüße", raw
    if form == "mailgun-mime":
        fields = {name: values[0] for name, values in parse_qs(post.body.decode()).items()}
        assert fields["signature"] == signature(f"{fields['timestamp']}{fields['token']}".encode())
        return fields["subject"], fields["body-mime"].encode()
    octets = f"Content-Type: {post.header('Content-Type')}\r\n\r\n".encode() + post.body
    parts = {
        part.get_param("name", header="Content-Disposition"): part.get_payload(decode=True)
        for part in email.message_from_bytes(octets).get_payload()
    }
    if form == "mailgun":
        assert parts["signature"].decode() == signature(parts["timestamp"] + parts["token"])
        assert "from" in json.dumps(json.loads(parts["message-headers"])).lower()
        return parts["subject"].decode(), parts["attachment-1"]
    return parts["subject"].decode(), parts["attachment1"]


def check_own_keys(post: Post, http: str) -> None:
    """Verify both signatures with nothing but what the installation shows to anyone."""
    with urllib.request.urlopen(f"{http}/.well-known/jwks.json") as answer:
        shown_keys = {key["kty"]: key for key in json.load(answer)["keys"]}
    rsa = shown_keys["RSA"]
    assert post.header("X-Postal-Signature-KID") == rsa["kid"]
    numbers = RSAPublicNumbers(*(int.from_bytes(octets_of(rsa[name])) for name in ("e", "n")))
    given = base64.b64decode(post.header("X-Postal-Signature-256") or "")
    numbers.public_key().verify(given, post.body, PKCS1v15(), SHA256())
    v1a = (post.header("webhook-signature") or "").split()[1]
    signed = f"{post.header('webhook-id')}.{post.header('webhook-timestamp')}.".encode() + post.body
    Ed25519PublicKey.from_public_bytes(octets_of(shown_keys["OKP"]["x"])).verify(
        base64.b64decode(v1a.removeprefix("v1a,")), signed
    )


def octets_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_one_mail_arrives_in_every_format(sink: Sink, dns: DnsServer, tmp_path: Path) -> None:
    system = System(tmp_path, routes=routes(sink), dns=dns.address)
    content = mail()
    try:
        system.start()
        replies, accepted = system.send(content, *(f"{form}@inbox.test" for form in (*FORMATS, "own")))
        assert {code for code, _ in replies.values()} == {250}
        assert accepted[0] == 250
        for form in FORMATS:
            [post] = sink.wait_for(f"/{form}", timeout_s=60)
            # Not by post.verify: its library reads the body as UTF-8, and forms hold octets.
            stamp = int(post.header("webhook-timestamp") or "")
            signed = signing.sign_v1(SECRET, post.header("webhook-id") or "", stamp, post.body)
            assert post.header("webhook-signature") == signed, form
            subject, octets = shown(form, post)
            assert subject == "Grüße", form
            assert octets in (b"\x00\xff", content), form
        check_own_keys(sink.wait_for("/own", timeout_s=60)[0], system.http)
        system.stop()
    finally:
        system.clear_away()
