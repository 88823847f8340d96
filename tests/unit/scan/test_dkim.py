"""What is honoured about DKIM signatures beyond that they verify."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping

import dkim
import pytest
from mailchute.verdicts import DkimVerdict, Evidence
from nacl.signing import SigningKey

from functions.scan.authentication import SIGNATURES_MAX_COUNT
from functions.scan.dkim import check_signature, signatures_of
from functions.scan.lookups import EvidenceSource, Lookups
from tests.servers.dns import DnsServer
from tests.unit.scan.given import Signer, honest_zone, mail, message, scan, signer

JOE = signer("example.org")
NOW = time.time()


def verdict(
    content: bytes, records: Mapping[str, list[str]] | None = None, *, now: float = NOW, index: int = 0
) -> DkimVerdict:
    zone = {JOE.name: [JOE.record()]} if records is None else records
    said = [Evidence(name=name, type="TXT", answers=tuple(texts)) for name, texts in zone.items()]
    received = message(content)
    signature = signatures_of(received)[index]
    return check_signature(received, signature, now, Lookups(EvidenceSource(said)))


def test_a_signature_that_verifies_passes() -> None:
    found = verdict(JOE.sign(mail()))
    assert (found.result, found.reason) == ("pass", None)
    assert (found.domain, found.selector, found.algorithm) == ("example.org", "s1", "rsa-sha256")


def test_a_changed_body_fails() -> None:
    found = verdict(JOE.sign(mail()).replace(b"Hello.\r\n", b"Hullo.\r\n"))
    assert (found.result, found.reason) == ("fail", "body hash mismatch")


def test_a_changed_field_fails() -> None:
    assert verdict(JOE.sign(mail()).replace(b"Subject: Hello", b"Subject: Hullo")).result == "fail"


KEYS = {
    "there is no key": ([], "permerror", "no key"),
    "the key is revoked": (["v=DKIM1; p="], "permerror", "revoked"),
    "no p=": (["v=DKIM1; k=rsa"], "permerror", "no key"),
    "another version": ([JOE.record("v=DKIM2; ")], "permerror", "version"),
    "not for mail": ([JOE.record("v=DKIM1; s=tlsrpt; ")], "permerror", "not for mail"),
    "for mail among others": ([JOE.record("v=DKIM1; s=other:email; ")], "pass", ""),
    "another hash": ([JOE.record("v=DKIM1; h=sha1; ")], "permerror", "sha256"),
    "this hash among others": ([JOE.record("v=DKIM1; h=sha1:sha256; ")], "pass", ""),
    "an unknown kind": ([JOE.record("v=DKIM1; k=dsa; ")], "permerror", "kind"),
    "another algorithm's key": (
        ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
        "permerror",
        "algorithm",
    ),
    "garbage": (["v=DKIM1; p=AAAA"], "permerror", "cannot be read"),
    "no tag list": (["hello"], "permerror", "tag list"),
    "for testing": ([JOE.record("v=DKIM1; t=y; ")], "policy", "testing"),
    "strict, same domain": ([JOE.record("v=DKIM1; t=s; ")], "pass", ""),
    "the second record": (["v=spf1 -all", JOE.record()], "pass", ""),
    "another key": ([signer("other.example").record()], "fail", "does not verify"),
}


@pytest.mark.parametrize(("records", "result", "reason"), KEYS.values(), ids=KEYS)
def test_the_key_record_is_honoured(records: list[str], result: str, reason: str) -> None:
    found = verdict(JOE.sign(mail()), {JOE.name: records})
    assert found.result == result
    assert reason in (found.reason or "")


def test_a_key_of_less_than_1024_bits_proves_nothing() -> None:
    weak = (  # 384 bits: as long as such keys were when they were still in use
        "MEwwDQYJKoZIhvcNAQEBBQADOwAwOAIxALtX+Jxc2VTMHMf9zYzuTvGxmjvZQYcX"
        "B9IOkSGVRWbqSCw8wTHM0yB/RXwm+o1GHwIDAQAB"
    )
    found = verdict(JOE.sign(mail()), {JOE.name: [f"v=DKIM1; p={weak}"]})
    assert (found.result, found.reason) == ("fail", "the key is too weak: 384 bits")


def test_a_strict_key_wants_the_very_domain_in_i() -> None:
    content = JOE.sign(mail(), identity=b"joe@sub.example.org")
    strict = {JOE.name: [JOE.record("v=DKIM1; t=s; ")]}
    assert verdict(content).result == "pass"
    assert verdict(content, strict).result == "permerror"


def test_an_expired_signature_fails_at_its_time() -> None:
    now = time.time()  # it is signed now, which may be long after this file was read
    content = resigned(b"t=", b"x=%d; t=" % int(now + 100))
    assert verdict(content, now=now).reason != "the signature has expired"
    assert verdict(content, now=now + 1000).reason == "the signature has expired"


def test_a_signature_from_the_future_fails() -> None:
    assert verdict(JOE.sign(mail()), now=NOW - 100_000).reason == "the signature is from the future"


def test_rsa_sha1_proves_nothing() -> None:
    assert verdict(JOE.sign(mail(), signature_algorithm=b"rsa-sha1")).result == "fail"


def test_text_after_what_l_covers_is_not_vouched_for() -> None:
    content = JOE.sign(mail(), length=True)
    assert verdict(content).result == "pass"
    found = verdict(content + b"<b>Pay me.</b>\r\n")
    assert (found.result, found.reason) == ("policy", "text follows what is signed (l=)")


def test_l_beyond_the_body_is_an_error() -> None:
    assert verdict(resigned(b"l=8;", b"l=9999;", length=True)).result == "permerror"


@pytest.mark.parametrize("name", ["From", "Subject", "To", "Date", "Content-Type"])
def test_a_second_field_that_was_not_signed_is_not_vouched_for(name: str) -> None:
    body = mail(more="Content-Type: text/plain\r\n")
    content = JOE.sign(body, include_headers=[b"From", b"Subject", b"To", b"Date", b"Content-Type"])
    found = verdict(f"{name}: other\r\n".encode() + content)
    assert found.result in ("policy", "fail")
    assert found.result != "pass"


def test_from_must_be_signed() -> None:
    field, _, rest = resigned(b"v=1;", b"v=1;").partition(b"\r\n")
    content = field.replace(b"from", b"date") + b"\r\n" + rest
    assert verdict(content).reason == "From is not signed"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"v=1;", b"v=2;"),
        (b"v=1;", b""),
        (b"a=rsa-sha256;", b"a=rsa-md5;"),
        (b"d=example.org;", b""),
        (b"d=example.org;", b"d=exa mple.org;"),
        (b"s=s1;", b"s=s1\x00;"),
        (b"q=dns/txt;", b"q=http;"),
        (b"v=1;", b"v=1; v=1;"),
        (b"c=relaxed/simple;", b"c=other/simple;"),
        (b"i=@example.org;", b"i=@other.example;"),
        (b"bh=", b"bh=="),
        (b"; b=", b"; b=*"),
        (b"v=1;", b"v=1" + b" " * 200 + b";"),
        (b"v=1;", b"v=1;" + b"z=" + b"x" * 20_000 + b";"),
        (b"h=from", b"h=" + b"x:" * 600 + b"from"),
        (b"t=", b"t=x"),
        (b"v=1;", b"v=1; x=1;"),
    ],
)
def test_a_malformed_signature_never_passes_and_never_raises(old: bytes, new: bytes) -> None:
    assert verdict(resigned(old, new)).result in ("permerror", "fail")


def test_q_may_name_more_ways_to_the_key() -> None:
    found = verdict(resigned(b"q=dns/txt;", b"q=dns/txt:other;"))
    assert found.reason == "the signature does not verify"  # it was looked at: q= itself is signed


def test_of_many_signatures_the_aligned_ones_are_checked(dns: DnsServer) -> None:
    dns.zone.update(honest_zone("example.org"))
    other = signer("other.example")
    dns.zone[other.name] = {"TXT": [other.record()]}
    content = JOE.sign(mail())
    for _ in range(SIGNATURES_MAX_COUNT + 2):
        content = other.sign(content)
    found = scan(dns, content).auth.dkim
    assert (found[0].domain, found[0].result, found[0].aligned) == ("example.org", "pass", True)
    assert [v.result for v in found].count("policy") == 3
    assert found[-1].reason == "not checked: too many signatures"
    assert len(found) == SIGNATURES_MAX_COUNT + 3


def test_ed25519_passes() -> None:
    key = SigningKey.generate()
    content = mail()
    signature = dkim.sign(
        content,
        b"ed",
        b"example.org",
        base64.b64encode(bytes(key)),
        signature_algorithm=b"ed25519-sha256",
    )
    record = f"v=DKIM1; k=ed25519; p={base64.b64encode(bytes(key.verify_key)).decode()}"
    assert verdict(signature + content, {"ed._domainkey.example.org": [record]}).result == "pass"


def resigned(old: bytes, new: bytes, **options: object) -> bytes:
    """Return a signed mail whose signature field was changed, on one line so that tags are found."""
    content = JOE.sign(mail(), **options)
    field, _, rest = content.partition(b"\r\nFrom:")
    field = field.replace(b"\r\n ", b" ").replace(b"; ", b";").replace(b";", b"; ")
    field = field.replace(b"h=from ", b"h=from").replace(b" : ", b":")
    assert old in field, field
    return field.replace(old, new, 1) + b"\r\nFrom:" + rest


def test_signers_are_made_once() -> None:
    assert signer("example.org") is JOE
    assert isinstance(JOE, Signer)
