"""One signed POST: the octets of its header section and body."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mailchute import signing
from mailchute.delivery import WebhookDelivery
from mailchute.endpoint import Endpoint

from .destination import Destination
from .faults import EndpointFault
from .formats import Shape

USER_AGENT = "Mailchute/1"
CUSTOM_MAX_COUNT = 50
CUSTOM_MAX_OCTETS = (
    8 * 1024
)  # what common servers take as one field line (nginx, large_client_header_buffers)

# Fields that frame the request, or that a receiver trusts as ours.
RESERVED = frozenset(
    [
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "upgrade",
        "expect",
        "te",
        "trailer",
        "accept-encoding",
        "content-encoding",
        "user-agent",
        "x-postal-signature",
        "signature",
    ]
)
RESERVED_PREFIXES = ("webhook-", "x-emailconnect-", "proxy-")

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")  # RFC 9110, 5.5: no CR, LF, NUL or other control

Field = tuple[str, str]


def head_of(
    destination: Destination,
    endpoint: Endpoint,
    delivery: WebhookDelivery,
    shape: Shape,
    *,
    timestamp: int,
    v1a_key: Ed25519PrivateKey | None,
) -> bytes:
    """
    Return the request line and header section.

    Args:
        timestamp: Unix time in seconds of this attempt.
        v1a_key: Adds an asymmetric signature; None for none.

    Raises:
        EndpointFault: A custom field of the endpoint cannot be sent.
    """
    fields: list[Field] = [
        ("Host", destination.authority),
        ("User-Agent", USER_AGENT),
        ("Accept-Encoding", "identity"),  # an answer is read as it comes: nothing to unpack, no bombs
        ("Content-Type", shape.content_type),
        ("Content-Length", str(len(shape.body))),
        *_signatures(endpoint, delivery.mail_id, timestamp, shape.body, v1a_key),
        *_marks(delivery),
        *shape.fields,
        *_custom(endpoint),
    ]
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"POST {destination.target} HTTP/1.1\r\n{lines}\r\n".encode()


def _signatures(
    endpoint: Endpoint, mail_id: str, timestamp: int, body: bytes, v1a_key: Ed25519PrivateKey | None
) -> Iterable[Field]:
    yield "webhook-id", mail_id
    yield "webhook-timestamp", str(timestamp)
    entries = [signing.sign_v1(secret, mail_id, timestamp, body) for secret in endpoint.secrets]
    if v1a_key is not None:
        entries.append(signing.sign_v1a(v1a_key, mail_id, timestamp, body))
    if entries:
        yield "webhook-signature", " ".join(entries)
    if endpoint.secrets:
        # One value only: while rotating, the newest secret's.
        yield "X-EmailConnect-Signature", signing.sign_body(endpoint.secrets[0], body)


def _marks(delivery: WebhookDelivery) -> Iterable[Field]:
    if "spam" in delivery.tags:
        yield "X-EmailConnect-Tagged", "spam"
        if delivery.spam_score is not None:
            yield "X-EmailConnect-Spam-Score", f"{delivery.spam_score:g}"


def _custom(endpoint: Endpoint) -> Iterable[Field]:
    if endpoint.basic_auth is not None:
        yield "Authorization", "Basic " + base64.b64encode(endpoint.basic_auth.encode()).decode()
    if len(endpoint.headers) > CUSTOM_MAX_COUNT:
        raise EndpointFault(f"the endpoint has over {CUSTOM_MAX_COUNT} custom header fields; remove some")
    for name, value in endpoint.headers:
        lower = name.lower()
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise EndpointFault("a custom header field holds characters that HTTP forbids; correct it")
        if lower in RESERVED or lower.startswith(RESERVED_PREFIXES):
            raise EndpointFault(f"the custom header field {name} is one we set ourselves; remove it")
        if lower == "authorization" and endpoint.basic_auth is not None:
            raise EndpointFault("the endpoint has both basic_auth and an Authorization field; remove one")
        if len(name) + len(value.encode()) > CUSTOM_MAX_OCTETS:
            raise EndpointFault(
                f"the custom header field {name} is over {CUSTOM_MAX_OCTETS} octets; shorten it"
            )
        yield name, value
