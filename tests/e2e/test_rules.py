"""Rules of a routes file reach the mail; explain says beforehand what they will do, and sends nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.e2e.system import SECRET, System
from tests.servers.dns import DnsServer
from tests.servers.sink import Sink

ADDRESS = "orders+vip@rules.test"


def routes(sink: Sink) -> str:
    every, invoices = sink.url("/every"), sink.url("/invoices")
    return f"""
version: 1
domains:
  rules.test:
    rules:
      - {{if: {{header.x-kind: cleaned}}, then: drop, attachments: [.exe]}}
    orders:
      endpoints:
        - {{url: "{every}", secret: {SECRET}, headers: {{X-Team: hush-hush}}}}
        - {{url: "{invoices}", secret: {SECRET}}}
      rules:
        - {{if: {{all: [{{header.x-kind: invoice}}, {{recipient.tag: vip}}]}}, then: route, to: "{invoices}"}}
        - {{if: "header.x-kind == 'bad' and attachments.extensions contains 'exe'", then: block}}
    "*": {{endpoints: [{{url: "{every}", secret: {SECRET}}}]}}
"""


@pytest.fixture(scope="module")
def ruled(
    tmp_path_factory: pytest.TempPathFactory, zone: DnsServer, sink_of_session: Sink
) -> Iterator[System]:
    home = tmp_path_factory.mktemp("ruled")
    environ = {"MAILCHUTE_EXPIRE_INTERVAL_S": "1"}
    system = System(home, routes=routes(sink_of_session), dns=zone.address, environ=environ)
    system.start()
    yield system
    status = system.stop()
    system.clear_away()
    assert status == 0, "\n".join(system.lines)


def mail(kind: str) -> bytes:
    made = EmailMessage()
    made["From"] = "Ada <ada@example.org>"
    made["Subject"] = kind
    made["X-Kind"] = kind
    made["Message-ID"] = f"<{kind}@example.org>"
    made.set_content(f"this one is {kind}")
    made.add_attachment(b"MZ", maintype="application", subtype="octet-stream", filename="setup.EXE")
    made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="a.pdf")
    return made.as_bytes(policy=SMTP)


def explain(system: System, kind: str, address: str, *options: str, status: int = 0) -> Any:
    file = system.home / f"{kind}.eml"
    file.write_bytes(mail(kind))
    return explained(system, file, address, *options, status=status)


def mailchute(system: System, *arguments: str, dns: str = "") -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAILCHUTE_")}
    environ |= {"MAILCHUTE_HOSTNAME": "mx.rules.test", "MAILCHUTE_DNS": dns}
    command = [sys.executable, "-m", "mailchute_cli", *arguments, "--data", str(system.data)]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=True).stdout


def explained(system: System, file: Path, address: str, *options: str, status: int = 0) -> Any:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAILCHUTE_")}
    given = [address, str(file), *options, "--data", str(system.data)]
    done = subprocess.run(
        [sys.executable, "-m", "mailchute_cli", "explain", *given],
        capture_output=True, text=True, env=environ, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if "--json" in options else done.stdout


def test_a_mail_is_routed_rejected_or_loses_attachments_as_the_rules_say(ruled: System, sink: Sink) -> None:
    for kind in ("invoice", "bad", "cleaned"):
        _, (code, _) = ruled.send(mail(kind), ADDRESS)
        assert code == 250
    both = sink.wait_for("/invoices", 2, timeout_s=60)
    [cleaned] = sink.wait_for("/every", 1, timeout_s=60)
    assert sorted(post.json["message"]["subject"] for post in both) == ["cleaned", "invoice"]
    assert cleaned.json["message"]["subject"] == "cleaned"
    exe, pdf = cleaned.json["message"]["attachments"]
    assert (exe["status"], exe["excludeReason"]) == ("excluded", "dropped-by-rule")
    assert "content" not in exe
    assert pdf["status"] == "completed"


def test_explain_shows_the_alias_the_rules_and_the_signed_request_and_sends_nothing(
    ruled: System, sink: Sink
) -> None:
    told = explain(ruled, "invoice", ADDRESS, "--json", "--envelope", '{"reverse_path": "ada@example.org"}')
    assert [one["address"] for one in told["candidates"]] == ["orders@rules.test", "*@rules.test"]
    first, second, third = told["rules"]
    assert (first["holds"], second["holds"], third["holds"]) == (True, False, False)
    assert first["because"][0]["facts"] == {"header.x-kind": "invoice"}
    [request] = told["requests"]
    assert request["url"] == sink.url("/invoices")
    lines = request["head"].split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:] if line)
    Webhook(SECRET).verify(request["body"].encode(), fields, json_parse=False)
    assert json.loads(request["body"])["envelope"]["mailFrom"] == "ada@example.org"
    shown = explain(ruled, "plain", ADDRESS)
    assert "request 2 of 2" in shown
    for secret in (SECRET, "hush-hush"):
        assert secret not in json.dumps(told) + shown
    assert "rejected" in explain(ruled, "bad", ADDRESS, status=3)
    assert "catch-all" in explain(ruled, "plain", "anyone@rules.test")
    assert "550 5.1.1" in explain(ruled, "plain", "anyone@else.test", status=4)
    assert sink.posts("/every") == sink.posts("/invoices") == []


def test_a_large_attachment_of_an_explained_mail_is_not_stored(ruled: System) -> None:
    file = ruled.home / "large.eml"
    made = EmailMessage()
    made["From"] = "ada@example.org"
    made.set_content("big")
    made.add_attachment(b"x" * 400_000, maintype="application", subtype="zip", filename="a.zip")
    file.write_bytes(bytes(made))
    before = stored(ruled.data / "s3")
    told = explained(ruled, file, ADDRESS, "--json")
    [attachment] = json.loads(told["requests"][0]["body"])["message"]["attachments"]
    assert attachment["url"].startswith("https://storage.invalid/msg_")
    assert stored(ruled.data / "s3") - before < 400_000


def stored(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_the_records_of_a_domain_are_checked_by_the_running_system_and_its_policy_is_served(
    ruled: System, zone: DnsServer
) -> None:
    for one in json.loads(mailchute(ruled, "domains", "add", "shop.test", "--json"))["records"]:
        known = zone.zone.get(one["name"], {})
        assert isinstance(known, dict)
        zone.zone[one["name"]] = {**known, one["type"]: [one["expected"]], "TTL": 0}

    def shown() -> Any:
        return json.loads(mailchute(ruled, "domains", "show", "shop.test", "--json"))

    ruled.until(lambda: shown()["checkedAt"] is not None, 60)  # nobody asked for it
    assert "verified, checked" in mailchute(ruled, "domains", "verify", "shop.test", dns=zone.address)
    assert {one["state"] for one in shown()["records"]} == {"ok"}
    request = urllib.request.Request(
        f"{ruled.http}/.well-known/mta-sts.txt", headers={"Host": "mta-sts.shop.test"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert b"mx: mx.rules.test\r\n" in answer.read()
