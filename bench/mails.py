"""The mail the bench sends: realistic, DKIM-signed with a key made now, no two alike."""

from __future__ import annotations

import base64
import hashlib
import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Kind = Literal["small", "newsletter", "large", "huge", "giant"]
MIX: tuple[tuple[Kind, int], ...] = (
    ("small", 60),
    ("newsletter", 28),
    ("large", 10),
    ("huge", 2),
)  # shares in percent, see docs/bench.md
ATTACHED: dict[Kind, tuple[int, ...]] = {  # octets of each attachment, before base64
    "large": (112 * 1024, 104 * 1024),
    "huge": (2_250 * 1024,),
    "giant": (18_650 * 1024,),  # 24.9 MiB as mail: many servers take 25 at most
}
SENDER_DOMAINS = tuple(f"sender-{number:02}.test" for number in range(20))
SELECTOR = "bench"
SIGNED_FIELDS = (b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type")
TOKEN = re.compile(rb"bench\.[a-z0-9-]+\.\d{6}")  # what the sink looks for in a POST
PARAGRAPH_COUNT = 200
_WORDS = [
    "invoice", "order", "delivery", "customer", "table", "window", "number", "please", "thank", "you",
    "for", "the", "and", "with", "from", "our", "of", "to", "in", "is", "on", "it", "this", "that",
    "we", "have", "your", "new", "account", "information", "service", "product", "offer", "today",
    "week", "month", "summer", "winter", "garden", "kitchen", "music", "travel", "city", "house",
    "team", "project", "meeting", "report", "question", "answer", "time", "place",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One mail ready to be sent."""

    token: str  # stands in its Message-ID, and so in the webhook's JSON
    kind: Kind
    sender: str
    octets: bytes  # CRLF lines, not dot-stuffed


class Writer:
    """Writes signed mails; the same seed gives the same texts under another key."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._paragraphs = [self._paragraph() for _ in range(PARAGRAPH_COUNT)]
        self._filler = self._random.randbytes(3 * 1024 * 1024)

    def public_key(self) -> str:
        """Return the DKIM key record (RFC 6376, 3.6.1)."""
        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"v=DKIM1; p={base64.b64encode(der).decode()}"

    def mails(self, run: str, kinds: Iterator[Kind], recipient: str) -> Iterator[Mail]:
        """Yield one signed mail to `recipient` for each kind; tokens are "bench.<run>.<number>"."""
        for number, kind in enumerate(kinds):
            domain = SENDER_DOMAINS[number % len(SENDER_DOMAINS)]
            token = f"bench.{run}.{number:06}"
            top, body = self._entity(kind, token)
            fields = [
                b"From: Shop Team <news@%b>" % domain.encode(),
                b"To: <%b>" % recipient.encode(),
                b"Subject: %b %d" % (self._words(5), number),
                b"Date: Sat, 21 Nov 2026 10:%02d:%02d +0000" % (number // 60 % 60, number % 60),
                b"Message-ID: <%b@%b>" % (token.encode(), domain.encode()),
                b"MIME-Version: 1.0",
                *top,
            ]
            signature = self._signature(fields, body, domain.encode())
            trace = [
                b"Received: from app-%d.%b (app [192.0.2.%d])\r\n\tby mx.%b with ESMTPS id %s;\r\n"
                b"\tSat, 21 Nov 2026 10:00:0%d +0000"
                % (hop, domain.encode(), hop, domain.encode(), token.encode(), hop)
                for hop in range(3)
            ]
            octets = b"\r\n".join([*trace, b"DKIM-Signature: " + signature, *fields, b"", body])
            yield Mail(token=token, kind=kind, sender=f"news@{domain}", octets=octets)

    def _entity(self, kind: Kind, token: str) -> tuple[list[bytes], bytes]:
        boundary = b"=_" + hashlib.md5(token.encode()).hexdigest().encode()
        if kind == "small":
            return _multipart(b"alternative", boundary, [self._text(3), self._html(6)])
        if kind == "newsletter":
            return _multipart(b"alternative", boundary, [self._text(10), self._html(103)])
        parts = [
            self._text(4),
            *(self._attachment(number, size) for number, size in enumerate(ATTACHED[kind])),
        ]
        return _multipart(b"mixed", boundary, parts)

    def _text(self, paragraphs: int) -> bytes:
        lines = b"\r\n\r\n".join(self._random.choice(self._paragraphs) for _ in range(paragraphs))
        return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + lines

    def _html(self, paragraphs: int) -> bytes:
        cells = [
            b'<tr><td style=3D"padding: 0 12px; font-family: Arial,sans-serif; color=\r\n: #333">'
            b'<p>%b <a href=3D"https://shop.test/p/%d">%b</a></p></td></tr>'
            % (self._random.choice(self._paragraphs), self._random.randrange(10**9), self._words(2))
            for _ in range(paragraphs)
        ]
        page = b'<!DOCTYPE html>\r\n<html><head><title>News</title></head><body>\r\n<table width=3D"600">\r\n'
        page += b"\r\n".join(cells) + b"\r\n</table>\r\n</body></html>"
        kind = (
            b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        )
        return kind + page

    def _attachment(self, number: int, size_octets: int) -> bytes:
        start = self._random.randrange(len(self._filler))
        content = b"%PDF-1.7\n" + (self._filler[start:] + self._filler * 7)[:size_octets]
        return (
            b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
            b'Content-Disposition: attachment; filename="report-%d.pdf"\r\n\r\n' % number
        ) + base64.encodebytes(content).replace(b"\n", b"\r\n").rstrip(b"\r\n")

    def _paragraph(self) -> bytes:
        lines = [self._words(10) for _ in range(4)]
        return b"\r\n".join(lines) + b"."

    def _words(self, count: int) -> bytes:
        return " ".join(self._random.choices(_WORDS, k=count)).encode()

    def _signature(self, fields: list[bytes], body: bytes, domain: bytes) -> bytes:
        """Return the field body of a DKIM-Signature, relaxed/relaxed (RFC 6376, 3.4 and 3.5)."""
        digest = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest())
        unsigned = b"v=1; a=rsa-sha256; c=relaxed/relaxed; d=%b; s=%b; h=%b;\r\n\tbh=%b; b=" % (
            domain, SELECTOR.encode(), b":".join(SIGNED_FIELDS), digest,
        )  # fmt: skip
        by_name = {field.partition(b":")[0].lower(): field for field in fields}
        signed = [_relaxed_field(by_name[name]) for name in SIGNED_FIELDS]
        signed.append(_relaxed_field(b"DKIM-Signature: " + unsigned))
        signature = self._key.sign(b"\r\n".join(signed), padding.PKCS1v15(), hashes.SHA256())
        return unsigned + b"\r\n\t".join(_chunks(base64.b64encode(signature), 70))


def mixed(count: int) -> Iterator[Kind]:
    """Yield `count` kinds in the mix's proportions, evenly interleaved, the same each time."""
    cycle = [kind for kind, share in MIX for _ in range(share)]
    random.Random(12).shuffle(cycle)
    return itertools.islice(itertools.cycle(cycle), count)


def _multipart(subtype: bytes, boundary: bytes, parts: list[bytes]) -> tuple[list[bytes], bytes]:
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts) + b"--%b--\r\n" % boundary
    return [b'Content-Type: multipart/%b; boundary="%b"' % (subtype, boundary)], body


def _relaxed_field(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    return name.strip().lower() + b":" + re.sub(rb"[ \t\r\n]+", b" ", value).strip()


def _relaxed_body(body: bytes) -> bytes:
    lines = re.sub(rb"[ \t]+", b" ", body).replace(b" \r\n", b"\r\n")
    return lines.rstrip(b"\r\n") + b"\r\n"


def _chunks(octets: bytes, size: int) -> Iterator[bytes]:
    return (octets[start : start + size] for start in range(0, len(octets), size))
