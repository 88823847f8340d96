"""A mail goes in over SMTP, a signed webhook comes out: the main job, through every real part."""

from __future__ import annotations

import base64
import email.policy
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from email.message import EmailMessage

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.system import SECRET, System
from tests.servers.dns import DnsServer
from tests.servers.sink import Sink


def mail(subject: str = "Hello", *, text: str = "Hello.\n", sender: str = "ada@example.org") -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"Ada <{sender}>"
    message["To"] = "support@inbox.test"
    message["Subject"] = subject
    message["Message-ID"] = f"<{os.urandom(8).hex()}@example.org>"
    message.set_content(text)
    return message


def octets_of(message: EmailMessage) -> bytes:
    return message.as_bytes(policy=email.policy.SMTP)


def test_a_mail_becomes_a_webhook_that_standardwebhooks_verifies(system: System, sink: Sink) -> None:
    message = mail("Grüße", text="See https://shop.example/orders/7 please.\n")
    message.add_alternative(
        "<p>See <a href='https://shop.example/orders/7'>it</a>, <b>please</b>.</p>", subtype="html"
    )
    message.add_attachment(b"a;b\n1;2\n", maintype="text", subtype="csv", filename="Übersicht.csv")
    replies, accepted = system.send(octets_of(message), "support+vip@inbox.test")
    assert replies["support+vip@inbox.test"][0] == accepted[0] == 250
    [post] = sink.wait_for("/support")
    post.verify(SECRET)
    payload = post.json
    assert payload["id"] == post.header("webhook-id")
    assert payload["id"] in accepted[1]
    assert payload["event"] == "email.received"
    assert payload["message"]["subject"] == "Grüße"
    assert payload["message"]["recipient"]["tag"] == "vip"
    assert payload["message"]["content"]["markdown"].strip() == (
        "See [it](https://shop.example/orders/7), **please**."
    )
    assert [link["url"] for link in payload["message"]["content"]["links"]] == [
        "https://shop.example/orders/7"
    ]
    [attachment] = payload["message"]["attachments"]
    assert (attachment["filename"], attachment["content"]) == ("Übersicht.csv", "YTtiCjE7Mgo=")
    assert payload["spam"]["engine"] == "builtin"


def test_the_body_signature_of_the_product_stands_beside_it(system: System, sink: Sink) -> None:
    system.send(octets_of(mail()), "support@inbox.test")
    [post] = sink.wait_for("/support")
    expected = hmac.new(SECRET.encode(), post.body, "sha256").hexdigest()
    assert post.header("X-EmailConnect-Signature") == expected


def test_who_really_sent_it_is_told_from_a_dkim_signature(
    system: System, sink: Sink, zone: DnsServer
) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    encoded = base64.b64encode(public).decode()
    zone.zone["s1._domainkey.signed.example"] = {"TXT": [f"v=DKIM1; k=rsa; p={encoded}"]}
    zone.zone["_dmarc.signed.example"] = {"TXT": ["v=DMARC1; p=reject"]}
    content = octets_of(mail(sender="ada@signed.example"))
    signature = dkim.sign(content, b"s1", b"signed.example", private, include_headers=[b"from", b"subject"])
    system.send(signature + content, "support@inbox.test", sender="bounces@elsewhere.example")
    system.send(content, "sales@inbox.test", sender="bounces@elsewhere.example")
    [signed], [unsigned] = sink.wait_for("/support"), sink.wait_for("/sales")
    sender = signed.json["auth"]["sender"]
    assert (sender["authenticated"], sender["address"], sender["via"]) == (True, "ada@signed.example", "dkim")
    assert signed.json["auth"]["dmarc"]["result"] == "pass"
    assert unsigned.json["auth"]["sender"]["authenticated"] is False
    assert unsigned.json["auth"]["dmarc"]["result"] == "fail"


def test_one_unknown_recipient_among_two_is_refused_alone(system: System, sink: Sink) -> None:
    replies, accepted = system.send(octets_of(mail()), "support@inbox.test", "nobody@inbox.test")
    assert replies["support@inbox.test"][0] == 250
    assert (replies["nobody@inbox.test"][0], replies["nobody@inbox.test"][1][:5]) == (550, "5.1.1")
    assert accepted[0] == 250
    [post] = sink.wait_for("/support")
    assert post.json["message"]["recipient"]["email"] == "support@inbox.test"


@pytest.mark.parametrize(
    ("recipient", "status"),
    [
        ("nobody@inbox.test", "5.1.1"),
        ("supporter@inbox.test", "5.1.1"),
        ("support@other.test", "5.7.1"),  # not a domain of ours: no relaying
    ],
)
def test_an_unknown_alias_is_refused_for_good(system: System, recipient: str, status: str) -> None:
    replies, _ = system.send(octets_of(mail()), recipient)
    assert (replies[recipient][0], replies[recipient][1][:5]) == (550, status)


def test_a_large_attachment_goes_to_s3_and_its_url_gives_the_same_octets(system: System, sink: Sink) -> None:
    octets = os.urandom(5_000_000)
    message = mail()
    message.add_attachment(octets, maintype="application", subtype="zip", filename="big.zip")
    _, accepted = system.send(octets_of(message), "support@inbox.test")
    assert accepted[0] == 250
    [post] = sink.wait_for("/support", timeout_s=60)
    [attachment] = post.json["message"]["attachments"]
    assert "content" not in attachment
    assert attachment["size"] == len(octets)
    with urllib.request.urlopen(attachment["url"], timeout=20) as answer:
        assert answer.read() == octets
    assert attachment["sha256"] == hashlib.sha256(octets).hexdigest()


def test_a_bounce_with_the_null_reverse_path_arrives(system: System, sink: Sink) -> None:
    _, accepted = system.send(octets_of(mail()), "support@inbox.test", sender="")
    assert accepted[0] == 250
    [post] = sink.wait_for("/support")
    assert post.json["envelope"]["mailFrom"] == ""


def test_a_catch_all_takes_any_name(system: System, sink: Sink) -> None:
    system.send(octets_of(mail()), "whoever@all.test", "another@all.test")
    posts = sink.wait_for("/any", 2)
    assert {post.json["message"]["recipient"]["email"] for post in posts} == {
        "whoever@all.test",
        "another@all.test",
    }


def test_a_resend_of_the_same_mail_is_delivered_once(system: System, sink: Sink) -> None:
    content = octets_of(mail())
    first = system.send(content, "support@inbox.test")[1]
    second = system.send(content, "support@inbox.test")[1]
    assert (first[0], second[0]) == (250, 250)
    assert "already have" in second[1]
    system.send(octets_of(mail("the next one")), "support@inbox.test")
    posts = sink.wait_for("/support", 2)
    assert sorted(post.json["message"]["subject"] for post in posts) == ["Hello", "the next one"]


@pytest.mark.skipif(not shutil.which("swaks"), reason="swaks is not installed (Debian: swaks)")
def test_swaks_sends_a_mail(system: System, sink: Sink) -> None:
    server = f"{system.smtp[0]}:{system.smtp[1]}"
    envelope = ("--from", "ada@example.org", "--to", "support@inbox.test")
    command = ["swaks", "--server", server, *envelope, "--header", "Subject: by swaks"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    [post] = sink.wait_for("/support")
    post.verify(SECRET)
    assert post.json["message"]["subject"] == "by swaks"


class TestPeopleOnThisMachine:
    """The HTTP port answers them for scan and parse, and shows strangers nothing."""

    def test_scan_says_who_sent_a_mail(self, system: System) -> None:
        envelope = json.dumps({"client_ip": "192.0.2.1", "helo": "x.test", "reverse_path": "ada@example.org"})
        status, body = system.post(
            "/function/scan", octets_of(mail()), Content_Type="message/rfc822", Mail_Envelope=envelope
        )
        assert status == 200
        assert set(json.loads(body)) >= {"auth", "spam", "security"}

    def test_parse_gives_the_payload(self, system: System) -> None:
        status, body = system.post(
            "/function/parse", octets_of(mail("to parse")), Content_Type="message/rfc822"
        )
        assert (status, json.loads(body)["message"]["subject"]) == (200, "to parse")

    @pytest.mark.parametrize(
        "path", ["/function/deliver", "/function/record", "/function/nothing", "/commands"]
    )
    def test_what_is_not_for_people_is_not_there(self, system: System, path: str) -> None:
        assert system.post(path, b"x", Content_Type="application/msgpack")[0] == 404

    def test_the_api_lists_a_mail_for_who_has_a_key(self, system: System, sink: Sink) -> None:
        made = subprocess.run(
            [sys.executable, "-m", "mailchute_cli", "keys", "create", "--name", "e2e", "--json"],
            cwd=system.home, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        key = json.loads(made.stdout)["key"]
        _, reply = system.send(octets_of(mail("for the API")), "support@inbox.test")
        mail_id = next(word for word in reply[1].split() if word.startswith("msg_"))
        System.until(lambda: mail_id in _get(f"{system.http}/api/v1/emails", key)[1])
        assert _get(f"{system.http}/api/v1/emails", "wrong")[0] == 401

    def test_behind_a_proxy_nothing_answers(self, system: System) -> None:
        status, _ = system.post(
            "/function/scan", octets_of(mail()), Content_Type="message/rfc822", X_Forwarded_For="192.0.2.1"
        )
        assert status == 404


def _get(url: str, key: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers={"X-API-KEY": key}), timeout=20
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
