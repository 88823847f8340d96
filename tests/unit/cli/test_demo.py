"""The demo's own parts: its mail is proved by its zone, its receiver believes nobody else."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import dkim
import dns.message
import dns.rcode
import pytest
from mailchute_cli.demo_dns import DemoDns
from mailchute_cli.ports import free_port
from mailchute_cli.sample import DOMAIN, SELECTOR, new_private_key, sample, zone_of
from mailchute_cli.webhook_view import WIDTH, shown
from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module")
def key() -> str:
    return new_private_key()


def test_the_mail_is_signed_by_the_key_that_the_zone_shows(key: str) -> None:
    zone = zone_of(key)

    def texts(name: bytes, timeout: int = 5) -> bytes:
        return zone[name.decode().rstrip(".")][0].encode()

    assert dkim.verify(sample(key), dnsfunc=texts)


def test_two_mails_are_no_resend_of_one_another(key: str) -> None:
    assert sample(key) != sample(key)


@pytest.mark.parametrize(
    ("name", "kind", "rcode", "count"),
    [
        (f"{SELECTOR}._domainkey.{DOMAIN}", "TXT", dns.rcode.NOERROR, 1),
        (f"_DMARC.{DOMAIN}", "TXT", dns.rcode.NOERROR, 1),
        (f"_domainkey.{DOMAIN}", "TXT", dns.rcode.NOERROR, 0),  # a name between is there, and empty
        (DOMAIN, "MX", dns.rcode.NOERROR, 0),
        ("elsewhere.test", "TXT", dns.rcode.NXDOMAIN, 0),
    ],
)
def test_the_zone_is_answered_and_nothing_else(
    key: str, name: str, kind: str, rcode: int, count: int
) -> None:
    served = DemoDns(zone_of(key), upstream=None)
    query = dns.message.make_query(name, kind)
    reply = served.reply(query.to_wire())
    assert reply is not None
    answer = dns.message.from_wire(reply)
    assert (answer.id, answer.rcode(), len(answer.answer)) == (query.id, rcode, count)


@pytest.mark.parametrize("octets", [b"", b"x", b"\0" * 12, b"\xff" * 600])
def test_octets_that_are_no_query_are_left_unanswered(key: str, octets: bytes) -> None:
    assert DemoDns(zone_of(key), upstream=None).reply(octets) is None


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    (tmp_path / "secret").write_text(SECRET)
    port = free_port()
    command = [sys.executable, "-m", "mailchute_cli.receiver", str(port), str(tmp_path / "secret")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}/webhook"
    while process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            continue
        break
    yield process, url
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("secret", "status", "is_verified"), [(SECRET, 204, True), ("whsec_" + "A" * 32, 401, False)]
)
def test_the_receiver_answers_what_its_secret_proves(
    receiver: tuple[subprocess.Popen[str], str], secret: str, status: int, is_verified: bool
) -> None:
    process, url = receiver
    now = datetime.now(UTC)
    fields = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, "{}"),
    }
    request = urllib.request.Request(url, b"{}", fields, method="POST")
    try:
        answered = urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        answered = error.code
    assert answered == status
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    assert (told["is_verified"], told["body"]) == (is_verified, "{}")


def test_the_view_is_json_a_line_where_it_fits_one_and_shortened(tmp_path: Path) -> None:
    payload = {
        "id": "msg_1", "event": "email.received", "empty": {}, "text": "x" * 5_000,
        "list": [{"number": number, "text": "y" * 100} for number in range(40)],
    }  # fmt: skip
    told = {"is_verified": True, "fields": {"webhook-id": "msg_1"}, "body": json.dumps(payload)}
    lines = click.unstyle(shown(told, payload, tmp_path / "msg_1.json")).splitlines()
    assert "verified by standardwebhooks" in lines[1]
    assert lines[2] == "─" * WIDTH
    body = json.loads("\n".join(lines[lines.index("  {") : lines.index("  }") + 1]))
    assert body["text"].endswith("… (5,000 characters)")
    assert len(body["list"]) == 7
    assert body["list"][-1] == "… 34 more"


def test_a_webhook_that_is_not_verified_is_told_as_such(tmp_path: Path) -> None:
    told = {"is_verified": False, "fields": {}, "body": "{}"}
    assert "NOT verified" in shown(told, {"id": "msg_1", "event": "email.received"}, tmp_path / "x")
