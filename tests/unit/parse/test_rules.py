"""What each action of a rule makes of a mail."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from mailchute.alias import AliasSnapshot, EndpointSnapshot, Rule
from mailchute.envelope import Envelope, Path, Tls
from mailchute.mail import MailObject, fingerprint_of
from mailchute.parsed import ParseRequest
from mailchute.presets import rules_of
from mailchute.verdicts import Auth, ScanReport, SenderVerdict, Spam

from functions.parse.draft import Draft
from functions.parse.settings import WorkerSettings
from functions.parse.work import parsed


def content_of(*files: tuple[str, bytes]) -> bytes:
    mail = EmailMessage()
    mail["From"] = "Ada Lovelace <ada@example.org>"
    mail["Subject"] = "invoice 7"
    mail.set_content("hello")
    for name, octets in files:
        mail.add_attachment(octets, maintype="application", subtype="octet-stream", filename=name)
    return bytes(mail)


def drafted(
    *rules: Rule,
    files: tuple[tuple[str, bytes], ...] = (),
    score: float = 0.0,
    is_authenticated: bool = False,
    content: bytes | None = None,
    **settings: Any,
) -> Draft:
    octets = content_of(*files) if content is None else content
    forward_path = Path("Support+bills", "inbox.test")
    alias = AliasSnapshot(
        account_id="acc_1", domain_id="dom_1", alias_id="als_1", address="support@inbox.test", tag="bills",
        endpoints=(EndpointSnapshot(id="end_1"), EndpointSnapshot(id="end_2")), rules=rules,
    )  # fmt: skip
    mail = MailObject(
        id="msg_1", alias=alias, received_at=datetime(2026, 11, 21, tzinfo=UTC), content=octets,
        envelope=Envelope(
            reverse_path=None, forward_path=forward_path, client_ip="192.0.2.1", helo="x.test",
            tls=Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        ),
        fingerprint=fingerprint_of(None, forward_path, hashlib.sha256(octets).digest()),
        size_octets=len(octets),
    )  # fmt: skip
    sender = SenderVerdict(authenticated=is_authenticated, address="ada@example.org")
    spam = Spam(is_spam=score >= 5, score=score, threshold=5, probability=0.5, engine="builtin", action="x")
    report = ScanReport(auth=Auth(sender=sender), spam=spam)
    return parsed(ParseRequest(mail=mail, report=report), WorkerSettings(authserv_id="mx.test", **settings))


@pytest.mark.parametrize(
    "condition",
    [
        'sender.address == "ada@example.org" and sender.domain == "example.org" and not sender.authenticated',
        'sender.name contains "lovelace"',
        'recipient.tag == "bills" and recipient.domain == "inbox.test"',
        'recipient.local_part == "support+bills" and recipient.address == "support+bills@inbox.test"',
        'envelope.from == "" and envelope.tls and envelope.helo == "x.test" and envelope.ip == "192.0.2.1"',
        'subject matches "^invoice [0-9]+$" and header.subject contains "7"',
        "size > 10 and size < 1MiB",
        'attachments.count == 2 and attachments.extensions contains "exe"',
        'attachments.names contains "a.pdf" and attachments.names matches "^b[.]"',
        'attachments.types contains "application/octet-stream" and attachments.octets == 7',
        "attachments.largest == 4 and spam.score == 3 and spam.is_spam == false",
        'spf == "none" and dkim == "none" and dmarc == "none" and arc == "none" and iprev == "none"',
    ],
)
def test_every_kind_of_fact_can_be_asked_for(condition: str) -> None:
    draft = drafted(
        Rule(when=condition, then="block"), files=(("a.pdf", b"%PDF"), ("b.exe", b"MZ.")), score=3.0
    )
    assert draft.answer.decision == "reject"
    assert draft.answer.rule == condition


def test_a_mail_is_routed_to_one_endpoint_or_to_all_where_that_one_is_gone() -> None:
    for endpoint_id, owed_to in (("end_2", "end_2"), ("end_gone", None), (None, None)):
        answer = drafted(
            Rule(when='subject contains "invoice"', then="route", endpoint_id=endpoint_id)
        ).answer
        assert (answer.decision, answer.endpoint_id) == ("deliver", owed_to)
    assert (
        drafted(Rule(when='subject contains "x"', then="route", endpoint_id="end_2")).answer.endpoint_id
        is None
    )


def test_dropped_attachments_leave_their_description_and_why() -> None:
    files = (("a.pdf", b"%PDF-1.4"), ("b.exe", b"MZ" * 200), ("c.png", b"\x89PNG\r\n\x1a\n"))
    for drop, left in (
        ((".exe",), [True, False, True]),
        (("image/*", "a.*"), [False, True, False]),
        (("*",), [False] * 3),
    ):
        draft = drafted(Rule(when="attachments.count > 0", then="drop", drop=drop), files=files)
        attachments = draft.payload.message.attachments
        assert [one.status == "completed" for one in attachments] == left
        for one, is_left in zip(attachments, left, strict=True):
            assert (one.exclude_reason == "dropped-by-rule") is not is_left
            assert isinstance(one.content, bytes) is is_left
        assert len(draft.answer.summary.attachments) == 3
        content_hash = drafted(files=files).payload.integrity.content_hash
        assert draft.payload.integrity.content_hash == content_hash


def test_what_is_dropped_is_not_uploaded_and_a_nested_mail_leaves_no_text() -> None:
    big = (("a.bin", b"x" * 300_000), ("b.exe", b"y" * 300_000))
    draft = drafted(Rule(when="size > 1", then="drop", drop=(".bin",)), files=big, has_storage=True)
    assert [(one.index, one.octets[:1]) for one in draft.uploads] == [(1, b"y")]
    outer = EmailMessage()
    outer["From"] = "a@example.org"
    outer.set_content("see inside")
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("a secret")
    outer.add_attachment(inner)
    draft = drafted(Rule(when="size > 1", then="drop", drop=("message/rfc822",)), content=bytes(outer))
    (attachment,) = draft.payload.message.attachments
    assert attachment.exclude_reason == "dropped-by-rule"
    assert "secret" not in repr(attachment)


@pytest.mark.parametrize(
    ("preset", "outcomes"),
    [
        ("public", {4.9: "deliver", 5.0: "tagged", 6.9: "tagged", 7.0: "reject"}),
        ("transactional", {4.9: "deliver", 5.0: "tagged", 9.9: "tagged", 10.0: "reject"}),
        ("internal", {4.9: "deliver", 5.0: "reject", 12.0: "reject"}),
    ],
)
def test_a_preset_follows_the_table_of_scores(preset: Any, outcomes: dict[float, str]) -> None:
    for score, outcome in outcomes.items():
        answer = drafted(*rules_of(preset), score=score).answer
        assert ("tagged" if answer.tags else answer.decision) == outcome, score


def test_a_known_sender_is_let_in_only_when_it_proved_to_be_it() -> None:
    for known in ("example.org", "ada@example.org"):
        rules = rules_of("internal", known_senders=(known, "other.example"))
        assert drafted(*rules, score=20, is_authenticated=True).answer.decision == "deliver"
        assert drafted(*rules, score=20).answer.decision == "reject"
