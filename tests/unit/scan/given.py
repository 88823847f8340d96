"""What tests of scan start from: signed mail, its zone, and a scanner that asks a test's DNS."""

from __future__ import annotations

import base64
import functools
from typing import Any

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from mailchute.envelope import Path
from mailchute.resolver import Resolver
from mailchute.settings import DnsSettings
from mailchute.verdicts import ScanReport

from functions.scan.message import Message
from functions.scan.scan import Scanner
from functions.scan.settings import Settings
from tests.servers.dns import DnsServer


class Signer:
    """Signs mail as a domain's own server would."""

    def __init__(self, domain: str, selector: str = "s1", bits: int = 2048) -> None:
        self.domain, self.selector = domain, selector
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=bits)

    @property
    def name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    def record(self, tags: str = "v=DKIM1; k=rsa; ") -> str:
        spki = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"{tags}p={base64.b64encode(spki).decode()}"

    def sign(self, content: bytes, **options: Any) -> bytes:
        """Return the mail with a signature above it; options are dkimpy's."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        domain = options.pop("domain", self.domain.encode())
        signature: bytes = dkim.sign(content, self.selector.encode(), domain, pem, **options)
        return signature + content


@functools.cache
def signer(domain: str, selector: str = "s1", bits: int = 2048) -> Signer:
    """Return the domain's signer, made once: keys take a while."""
    return Signer(domain, selector, bits)


def honest_zone(domain: str, network: str = "192.0.2.0/24", policy: str = "reject") -> dict[str, Any]:
    """Return the records of a domain that sends from `network`, signs, and asks for a policy."""
    return {
        domain: {
            "TXT": [f"v=spf1 ip4:{network} -all"],
            "MX": [f"10 mx.{domain}"],
            "A": ["192.0.2.1"],
        },
        f"mx.{domain}": {"A": ["192.0.2.1"], "TXT": ["v=spf1 a -all"]},
        signer(domain).name: {"TXT": [signer(domain).record()]},
        f"_dmarc.{domain}": {"TXT": [f"v=DMARC1; p={policy}"]},
    }


def mail(
    *, sender: str = "Joe <joe@example.org>", subject: str = "Hello", body: str = "Hello.\r\n", more: str = ""
) -> bytes:
    return (
        f"From: {sender}\r\nTo: support@inbox.test\r\nSubject: {subject}\r\n"
        f"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n{more}\r\n{body}"
    ).encode()


def settings_for(dns: DnsServer, **changes: Any) -> Settings:
    values: dict[str, Any] = {"authserv_id": "mx.us.example", **changes}
    return Settings(dns=DnsSettings(host=dns.host, port=dns.port), **values)


def message(
    content: bytes,
    *,
    client_ip: str = "192.0.2.1",
    helo: str = "mx.example.org",
    mail_from: str = "joe@example.org",
    listed_by: tuple[str, ...] = (),
    account_id: str = "",
) -> Message:
    path = Path(mail_from.rpartition("@")[0], mail_from.rpartition("@")[2]) if mail_from else None
    return Message(
        content=content,
        client_ip=client_ip,
        helo=helo,
        reverse_path=path,
        recipient=Path("support", "inbox.test"),
        account_id=account_id,
        listed_by=listed_by,
    )


def scan(dns: DnsServer, content: bytes, **given: Any) -> ScanReport:
    """Return what a fresh scanner makes of this mail."""
    threshold = given.pop("threshold", 5.0)
    changes = given.pop("settings", {})
    settings = settings_for(dns, **changes)
    resolver = Resolver(settings.dns, query_timeout_s=0.2, lookup_timeout_s=0.5)
    scanner = Scanner(settings, resolver=resolver)
    try:
        return scanner.scan(message(content, **given), spam_enabled=True, threshold=threshold)
    finally:
        scanner.close()
