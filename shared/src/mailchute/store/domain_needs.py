"""The token, the DKIM key and the records of a domain: made once, kept, worked out anew when it changes."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from mailchute.domain_records import wanted_records
from mailchute.errors import SecretUnreadable
from mailchute.sealing import Place, Sealer
from mailchute.store.domain_checks import CheckedDomain
from mailchute.tables import domain

TOKEN_OCTETS = 16
DKIM_BITS = 2_048  # RFC 8301, 3.2: at least 1024, should be 2048


def prepare(
    connection: sa.Connection, one: CheckedDomain, *, hostname: str, sealer: Sealer, now: datetime
) -> CheckedDomain:
    """
    Return the domain with the records it needs now; its token and DKIM key are made the first time.

    Raises:
        SecretUnreadable: Its DKIM key does not open.
    """
    row = connection.execute(sa.select(domain).where(domain.c.id == one.id)).one()
    place = Place(table="domain", column="dkim_key", row_id=one.id, account_id=one.account_id)
    columns: dict[str, Any] = {}
    token, selector, sealed = row.ownership_token, row.dkim_selector, row.dkim_key
    if token is None:
        token = columns["ownership_token"] = secrets.token_hex(TOKEN_OCTETS)
    if sealed is None:
        selector = columns["dkim_selector"] = f"mc{now:%Y%m}"
        sealed = columns["dkim_key"] = sealer.seal(_new_dkim_key(), place)
    wanted = wanted_records(
        one.name, hostname=hostname, token=token, selector=selector,
        dkim_record=_dkim_record(sealer.open(bytes(sealed), place)), requires_tls=one.requires_tls,
    )  # fmt: skip
    known = {(each.kind, each.name, each.expected): each for each in one.records}
    records = tuple(known.get((each.kind, each.name, each.expected), each) for each in wanted)
    if columns or records != one.records:
        # Not checked: a check of the former records that is under way is not kept (see keep_check).
        columns |= {"records": msgspec.to_builtins(records), "checked_at": None}
        connection.execute(sa.update(domain).where(domain.c.id == one.id).values(columns))
        one = msgspec.structs.replace(one, checked_at=None)
    return msgspec.structs.replace(one, records=records)


def _new_dkim_key() -> str:
    key = generate_private_key(public_exponent=65_537, key_size=DKIM_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _dkim_record(pem: str) -> str:
    """Return the TXT text of the public half (RFC 6376, 3.6.1)."""
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise SecretUnreadable("the domain's DKIM key is no RSA key")
    octets = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(octets).decode()}"
