"""What may be said of an endpoint, and the columns that come of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from mailchute.alias import Format
from mailchute.routes.units import RATE_MAX_PER_S
from mailchute.routes.values import (
    HEADERS_MAX_COUNT,
    check_basic_auth,
    check_client_certificate,
    check_header,
    check_secret,
    check_signing_key,
    check_url,
)
from mailchute.store.endpoint_edits import create_endpoint
from mailchute.store.listing import EndpointView, list_endpoints

from .fields import BasicAuth, Pem, Secret, Url, checked, given
from .listing import shown
from .operation import Request, note
from .problem import unusable

Unset = msgspec.UnsetType
UNSET = msgspec.UNSET
Include = Literal[
    "text", "html", "markdown", "links", "parts", "attachments", "headers", "reply", "evidence", "raw",
    "received", "html_safe", "html_clean",
]  # fmt: skip
Includes = Annotated[tuple[Include, ...], msgspec.Meta(max_length=13)]
HeaderValue = Annotated[str, msgspec.Meta(max_length=4_000)]
Headers = Annotated[dict[str, HeaderValue], msgspec.Meta(max_length=HEADERS_MAX_COUNT)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=RATE_MAX_PER_S)]
Signature = Literal["v1", "v1a"]  # v1a is an Ed25519 signature beside v1, which every POST has


class EndpointFields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An endpoint that is to be made."""

    url: Url
    secret: Secret | None = None  # "whsec_…" or any text; without it one is made, and shown this once
    format: Format = "native"
    include: Includes = ()
    headers: Headers | None = None  # here and below: kept sealed, never shown again
    basic_auth: BasicAuth | None = None  # "user:password"
    signing_key: Pem | None = None
    client_certificate: Pem | None = None  # its chain and private key with it
    signature: Signature = "v1"
    rate_per_s: Rate | None = None  # POSTs at most; null: as fast as it answers
    verify: bool = False  # nothing is POSTed before it has echoed a challenge


class EndpointEdit(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to be changed of an endpoint; null takes away what it had."""

    url: Url | Unset = UNSET
    format: Format | Unset = UNSET
    include: Includes | Unset = UNSET
    headers: Headers | Unset | None = UNSET
    basic_auth: BasicAuth | Unset | None = UNSET
    signing_key: Pem | Unset | None = UNSET
    client_certificate: Pem | Unset | None = UNSET
    signature: Signature | Unset = UNSET
    rate_per_s: Rate | Unset | None = UNSET
    verify: bool | Unset = UNSET


class NewSecret(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An endpoint's next secret; without it one is made."""

    secret: Secret | None = None


CHECKS = {
    "secret": check_secret,
    "basic_auth": check_basic_auth,
    "signing_key": check_signing_key,
    "client_certificate": check_client_certificate,
    "url": check_url,
}
CAMEL = {"basic_auth": "basicAuth", "signing_key": "signingKey", "client_certificate": "clientCertificate"}


def columns_of(body: EndpointFields | EndpointEdit, url: str) -> dict[str, Any]:
    """
    Return the columns that were given, secrets as text.

    Args:
        url: What the endpoint's URL will be.

    Raises:
        Problem: 422, it names the field.
    """
    fields = EndpointFields if isinstance(body, EndpointFields) else EndpointEdit
    columns = given(body, *fields.__struct_fields__)
    for name, check in CHECKS.items():
        if columns.get(name) is not None:
            columns[name] = checked(CAMEL.get(name, name), check, columns[name])
    if columns.get("client_certificate") and not url.lower().startswith("https:"):
        raise unusable("clientCertificate", ValueError("nobody sees a certificate over http"))
    if "include" in columns:
        columns["include"] = sorted(set(columns["include"]))
    if "headers" in columns:
        columns["headers"] = _headers(columns["headers"] or {})
    if "signature" in columns:
        columns["signs_v1a"] = columns.pop("signature") == "v1a"
    if "verify" in columns:
        columns["wants_challenge"] = columns.pop("verify")
    return columns


def made_endpoint(
    request: Request, connection: sa.Connection, *, alias_id: str, body: EndpointFields
) -> EndpointView:
    """
    Return the new endpoint of an alias that is locked, with its secret.

    Raises:
        Problem: 422, it names the field.
        Taken, OverPlan: The alias has this URL already, or as many endpoints as one can have.
    """
    columns = columns_of(body, body.url)
    url = columns.pop("url")
    sealer = request.services.sealer(connection)
    endpoint_id, _ = create_endpoint(
        connection, account_id=request.account_id, alias_id=alias_id, url=url, columns=columns,
        sealer=sealer, now=request.now,
    )  # fmt: skip
    found: EndpointView = shown(connection, request, list_endpoints, endpoint_id, sealer=sealer)
    note(connection, request, "endpoint.add", endpoint_id, detail=f"{found.address} → {url}")
    return found


def _headers(wanted: dict[str, str]) -> str | None:
    if len({name.lower() for name in wanted}) != len(wanted):
        raise unusable("headers", ValueError("a field stands there twice; case makes no difference"))
    pairs = [checked(f"headers.{name[:100]}", lambda pair: check_header(*pair), (name, value))
             for name, value in wanted.items()]  # fmt: skip
    return msgspec.json.encode(pairs).decode() if pairs else None
