"""What is sent to an endpoint to try it: a sample mail of its alias, or a challenge that verifies it."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import sqlalchemy as sa

from mailchute.alias import AliasSnapshot, EndpointSnapshot
from mailchute.commands import Command
from mailchute.envelope import Envelope, Path
from mailchute.ids import new_id
from mailchute.mail import MailObject, fingerprint_of
from mailchute.tables import alias, domain, endpoint

SENDER = Path("sample", "mailchute.invalid")  # RFC 6761, 6.4: nobody's, now or ever
SUBJECT = "A test mail from Mailchute"
TEXT = (
    "Your endpoint works when you can read this.\n\nIt was sent by a person who is trying it, by no sender.\n"
)
HTML = "<p>Your endpoint <b>works</b> when you can read this.</p>"
CHALLENGE_OCTETS = 24


def sample_order(
    connection: sa.Connection, account_id: str, endpoint_id: str, *, now: datetime
) -> Command | None:
    """Return the order to POST a sample mail to the account's endpoint; None: it has no such endpoint."""
    row = connection.execute(_ENDPOINT, {"of_id": endpoint_id, "of_account": account_id}).first()
    if row is None:
        return None
    domain_name = row.domain.removeprefix("*.")
    recipient = Path(row.name if row.kind == "exact" else "sample", domain_name)
    content = _content(recipient, now)
    mail = MailObject(
        id=new_id("msg"),
        envelope=Envelope(
            reverse_path=SENDER, forward_path=recipient, client_ip="127.0.0.1", helo=SENDER.domain
        ),
        alias=AliasSnapshot(
            account_id=account_id,
            domain_id=row.domain_id,
            alias_id=row.alias_id,
            address=f"{row.name}@{row.domain}",
            endpoints=(EndpointSnapshot(id=row.id, format=row.format, include=tuple(row.include)),),
            inline_limit_octets=row.inline_limit_octets,
            body_limit_octets=row.body_limit_octets,
            spam_enabled=False,  # no rules and no spam check: whoever tries it wants to see it arrive
        ),
        received_at=now,
        content=content,
        fingerprint=fingerprint_of(SENDER, recipient, hashlib.sha256(content).digest()),
        size_octets=len(content),
    )
    return Command(id=new_id("cmd"), kind="test", endpoint_id=endpoint_id, mail=mail)


def challenge_order(endpoint_id: str) -> Command:
    """Return the order to have the endpoint echo what nobody can guess."""
    challenge = secrets.token_urlsafe(CHALLENGE_OCTETS)
    return Command(id=new_id("cmd"), kind="challenge", endpoint_id=endpoint_id, challenge=challenge)


def note_verified(connection: sa.Connection, account_id: str, endpoint_id: str, *, now: datetime) -> None:
    """The endpoint echoed its challenge: mail may go there."""
    ours = sa.and_(endpoint.c.id == endpoint_id, endpoint.c.account_id == account_id)
    connection.execute(sa.update(endpoint).where(ours).values(verified_at=now))


def _content(recipient: Path, now: datetime) -> bytes:
    message = EmailMessage()
    message["From"] = f"Mailchute <{SENDER}>"
    message["To"] = str(recipient)
    message["Subject"] = SUBJECT
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{new_id('msg')}@{SENDER.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834, 5: nobody answers it
    message.set_content(TEXT)
    message.add_alternative(HTML, subtype="html")
    message.add_attachment("an attachment\n", filename="sample.txt")
    return message.as_bytes(policy=SMTP)


_ENDPOINT = (
    sa.select(
        endpoint.c.id, endpoint.c.format, endpoint.c.include, endpoint.c.alias_id, alias.c.name, alias.c.kind,
        alias.c.domain_id, alias.c.inline_limit_octets, alias.c.body_limit_octets,
        domain.c.name.label("domain"),
    )
    .join(alias, alias.c.id == endpoint.c.alias_id)
    .join(domain, domain.c.id == alias.c.domain_id)
    .where(
        endpoint.c.id == sa.bindparam("of_id"),
        endpoint.c.account_id == sa.bindparam("of_account"),
        endpoint.c.deleted_at.is_(None),
    )
)  # fmt: skip
