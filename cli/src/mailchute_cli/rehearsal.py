"""One mail taken through the whole flow by the functions themselves, without anything being kept or sent."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec
import sqlalchemy as sa
from mailchute import subjects
from mailchute.alias import RAW_FORMATS, AliasSnapshot, Rule
from mailchute.delivery import (
    AttemptRequest,
    Rehearsal,
    RehearsalRequest,
    WebhookDelivery,
    delivery_id_of,
)
from mailchute.envelope import Envelope, Path
from mailchute.ids import derived_id
from mailchute.lookup import Candidate, alias_of, candidates_of
from mailchute.mail import MailObject, fingerprint_of
from mailchute.parsed import ParseAnswer, ParseRequest
from mailchute.store.rules import read_rules
from mailchute.tables import domain_rule, rule
from mailchute.verdicts import ScanReport

from .functions import Functions

RUN = "0"


class GivenEnvelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of the SMTP session: --envelope, and the header Mail-Envelope of `curl`."""

    client_ip: str = ""
    helo: str = ""
    reverse_path: str = ""  # "" is the null reverse-path, or not known


class Addressee(msgspec.Struct, frozen=True, kw_only=True):
    """Whose mail it is, as the tables have it now."""

    address: Path
    candidates: list[Candidate]  # the first is the alias
    alias: AliasSnapshot | None  # None: nobody's; the SMTP edge answers 550
    rules: tuple[Rule, ...] = ()  # those of the snapshot as they are written: endpoints by URL
    own_count: int = 0  # how many of them are the alias's own; the rest are its domain's


class Explanation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where one mail would go, and why."""

    addressee: Addressee
    report: ScanReport | None = None
    answer: ParseAnswer | None = None
    requests: list[Rehearsal] = []


def addressee_of(connection: sa.Connection, address: Path) -> Addressee:
    """Return whose mail this address is."""
    candidates, alias = candidates_of(connection, address), alias_of(connection, address)
    if alias is None:
        return Addressee(address=address, candidates=candidates, alias=None)
    own = read_rules(connection, rule, alias.alias_id)
    rules = own + read_rules(connection, domain_rule, alias.domain_id)
    return Addressee(address=address, candidates=candidates, alias=alias, rules=rules, own_count=len(own))


def explained(
    addressee: Addressee,
    functions: Functions,
    *,
    content: bytes,
    given: GivenEnvelope,
    now: datetime,
) -> Explanation:
    """
    Return what would become of this content, were it sent to this address now.

    Raises:
        BadSetting: A function does not answer, or refuses.
    """
    if addressee.alias is None:
        return Explanation(addressee=addressee)
    mail = _mail(addressee.address, addressee.alias, content, given, now)
    report = functions.ask("scan", mail, ScanReport)
    parsed = functions.ask("parse", ParseRequest(mail=mail, report=report, is_rehearsal=True), ParseAnswer)
    requests = [
        functions.ask("deliver", RehearsalRequest(rehearse=each), Rehearsal, **{"Mailchute-Rehearsal": "1"})
        for each in _attempts(mail, parsed)
    ]
    return Explanation(addressee=addressee, report=report, answer=parsed, requests=requests)


def _mail(
    address: Path, alias: AliasSnapshot, content: bytes, given: GivenEnvelope, now: datetime
) -> MailObject:
    reverse_path = Path.parse(given.reverse_path) if given.reverse_path.strip("<>") else None
    fingerprint = fingerprint_of(reverse_path, address, hashlib.sha256(content).digest())
    return MailObject(
        id=derived_id("msg", fingerprint),  # the same mail explained twice is shown with the same id
        envelope=Envelope(
            reverse_path=reverse_path,
            forward_path=address,
            client_ip=given.client_ip,
            helo=given.helo,
        ),
        alias=alias,
        received_at=now,
        content=content,
        fingerprint=fingerprint,
        size_octets=len(content),
    )


def _attempts(mail: MailObject, parsed: ParseAnswer) -> list[AttemptRequest]:
    if parsed.decision == "reject":
        return []
    assert isinstance(mail.content, bytes)
    return [
        AttemptRequest(
            delivery=WebhookDelivery(
                id=delivery_id_of(mail.id, endpoint.id, RUN),
                run=RUN,
                mail_id=mail.id,
                account_id=mail.alias.account_id,
                domain_id=mail.alias.domain_id,
                alias_id=mail.alias.alias_id,
                endpoint_id=endpoint.id,
                format=endpoint.format,
                payload=b"",
                mail_stream=subjects.MAIL,
                mail_sequence=0,
                tags=parsed.tags,
                spam_score=parsed.spam_score,
                created_at=mail.received_at,
            ),
            payload=parsed.payload,
            raw=mail.content if endpoint.format in RAW_FORMATS or "raw" in endpoint.include else None,
        )
        for endpoint in mail.alias.endpoints
        if parsed.endpoint_id in (None, endpoint.id)
    ]
