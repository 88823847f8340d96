"""What may stand in a routes file as a URL, a header field, a domain, a pattern, and why not."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import urlsplit

import re2
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates

from mailchute.envelope import DOMAIN_MAX_OCTETS, LOCAL_PART_MAX_OCTETS
from mailchute.errors import SecretUnreadable
from mailchute.signing import SECRET_PREFIX, private_keys
from mailchute.store.wanted import Kind

URL_MAX_CHARACTERS = 2_000
SECRET_MAX_CHARACTERS = 512
SECRET_OCTETS = (24, 64)  # Standard Webhooks, "Signature scheme"
HEADERS_MAX_COUNT = 20
HEADER_MAX_CHARACTERS = 4_000
PATTERN_MAX_CHARACTERS = 500

_LABEL = re.compile(r"(?!-)[a-z0-9\-_\u0080-\U0010ffff]{1,63}(?<!-)")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_RESERVED = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive",
     "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"}
)  # fmt: skip
_RESERVED_PREFIXES = ("webhook-", "x-emailconnect-")


def check_url(url: str) -> str:
    """Return the URL; raise ValueError saying why nothing can be POSTed to it."""
    if len(url) > URL_MAX_CHARACTERS:
        raise ValueError(f"is longer than {URL_MAX_CHARACTERS} characters")
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError("holds a space or a control character")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{url!r} is no URL; expected https://…")
    if not parts.hostname:
        raise ValueError(f"{url!r} names no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user and password; write them as basic_auth")
    if parts.fragment:
        raise ValueError("holds a fragment (#…), which is never sent")
    if parts.port == 0:
        raise ValueError("names port 0")
    return url


def check_secret(secret: str) -> str:
    """Return the secret; raise ValueError saying why nothing can be signed with it, without showing it."""
    if not secret or len(secret) > SECRET_MAX_CHARACTERS:
        raise ValueError(f"expected 1 to {SECRET_MAX_CHARACTERS} characters")
    if re.search(r"[\x00-\x1f\x7f]", secret):
        raise ValueError("holds a control character")
    if secret.startswith(SECRET_PREFIX):
        encoded = secret[len(SECRET_PREFIX) :]
        try:
            count = len(base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
        except (binascii.Error, ValueError):
            count = 0
        if not SECRET_OCTETS[0] <= count <= SECRET_OCTETS[1]:
            raise ValueError(
                f"what follows {SECRET_PREFIX} must be base64 of {SECRET_OCTETS[0]} to {SECRET_OCTETS[1]} "
                "octets; leave the secret out and one is made"
            )
    return secret


def check_basic_auth(text: str) -> str:
    if ":" not in text or re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError('expected "user:password"')
    return text


def check_signing_key(pem: str) -> str:
    try:
        if not private_keys(pem):
            raise ValueError("expected a PEM private key")
    except SecretUnreadable as error:
        raise ValueError(str(error)) from None
    return pem


def check_client_certificate(pem: str) -> str:
    try:
        leaf = load_pem_x509_certificates(pem.encode())[0]
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(
            "expected PEM: a certificate, its chain, and its private key without a password"
        ) from None
    if key.public_key() != leaf.public_key():
        raise ValueError("the private key is not that of the first certificate")
    return pem


def check_header(name: str, value: str) -> tuple[str, str]:
    if not _TOKEN.fullmatch(name):
        raise ValueError("is no header field name (RFC 9110, 5.6.2)")
    if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_PREFIXES):
        raise ValueError("is set by Mailchute itself")
    if len(value) > HEADER_MAX_CHARACTERS or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        raise ValueError(f"the value holds a control character, or over {HEADER_MAX_CHARACTERS} characters")
    if not value.isascii():
        raise ValueError("the value holds characters outside ASCII")
    return name, value


def check_domain(name: str) -> str:
    """Return the domain in lower case, `*.` before it where it stands for all names below."""
    domain = name.lower()
    labels = domain.removeprefix("*.").split(".")
    if len(domain.encode()) > DOMAIN_MAX_OCTETS or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError('is no domain; expected such as inbox.example or "*.inbox.example"')
    return domain


def read_local_part(name: str) -> tuple[Kind, str]:
    """
    Return what kind of alias this is, and what its local-parts must match.

    `support` is itself, `*` every other, `order-*` and `ticket-?` are patterns, `/ticket-[0-9]+/` is RE2.
    """
    if name == "*":
        return "catch-all", ""
    if name.startswith("/"):
        return "regex", _checked_regex(name)
    if len(name.encode()) > LOCAL_PART_MAX_OCTETS:
        raise ValueError(f"is longer than {LOCAL_PART_MAX_OCTETS} octets (RFC 5321, 4.5.3.1.1)")
    if not name or re.search(r"[\s@<>\x00-\x1f\x7f]", name):
        raise ValueError("is no local-part; write what stands before the @")
    if "*" in name or "?" in name:
        parts = re.split(r"([*?])", name.lower())
        return "glob", "".join({"*": "(.*)", "?": "(.)"}.get(part) or re2.escape(part) for part in parts)
    return "exact", name.lower()


def _checked_regex(name: str) -> str:
    if len(name) < 3 or not name.endswith("/"):
        raise ValueError('is no pattern; expected "/…/" with an RE2 expression between')
    if len(name) > PATTERN_MAX_CHARACTERS:
        raise ValueError(f"is longer than {PATTERN_MAX_CHARACTERS} characters")
    text = name[1:-1]
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise ValueError(f"is no RE2 expression: {reason}") from None
    return text
