"""The endpoints of an alias in a routes file."""

from __future__ import annotations

from functools import partial
from typing import cast, get_args

from mailchute.alias import Format
from mailchute.routes.located import Located, given
from mailchute.routes.units import rate_per_s_of
from mailchute.routes.values import (
    HEADERS_MAX_COUNT,
    check_basic_auth,
    check_client_certificate,
    check_header,
    check_secret,
    check_signing_key,
    check_url,
)
from mailchute.store.wanted import WantedEndpoint

ENDPOINTS_MAX_COUNT = 10  # of one alias: a mail is POSTed to each
INCLUDE = (
    *("text", "html", "markdown", "links", "parts", "attachments", "headers", "reply", "evidence"),
    *("raw", "received", "html_safe", "html_clean"),  # only when named
)
FIELDS = (
    *("url", "secret", "format", "basic_auth", "headers", "include"),
    *("signing_key", "signature", "client_certificate", "rate", "verify"),
)
SIGNATURES = ("v1", "v1a")  # v1a is an Ed25519 signature beside v1, which every POST has
NOT_YET = "is not built yet; take it out"
NOT_BUILT = {
    "residency": f"data residency {NOT_YET}",
    "data_residency": f"data residency {NOT_YET}",
    "storage": f"a storage connection of your own {NOT_YET}",
}


def read_endpoints(place: Located) -> tuple[WantedEndpoint, ...]:
    """Return the endpoints of one alias; what is wrong with them is noted where it stands."""
    places = place.elements("endpoints, such as {url: https://…}")
    if not 1 <= len(places) <= ENDPOINTS_MAX_COUNT:
        place.wrong(f"expected 1 to {ENDPOINTS_MAX_COUNT} endpoints, found {len(places)}")
    found: dict[str, WantedEndpoint] = {}
    for one in places:
        endpoint = _endpoint(one)
        if endpoint is not None and endpoint.url in found:
            one.wrong("the same URL stands here twice: each mail would be POSTed to it twice")
        elif endpoint is not None:
            found[endpoint.url] = endpoint
    return tuple(found.values())


def _endpoint(place: Located) -> WantedEndpoint | None:
    if place.is_text:
        url = place.checked(check_url, "a URL")
        return None if url is None else WantedEndpoint(url=url)
    fields = place.fields(
        FIELDS,
        refused=NOT_BUILT,
    )
    if "url" not in fields:
        place.wrong("url is missing; expected `url: https://…`")
        return None
    url = given(fields, "url", lambda one: one.checked(check_url, "text"))
    kept = given(fields, "format", lambda one: one.choice(get_args(Format)))
    included = fields["include"].elements("renderings") if "include" in fields else []
    endpoint = WantedEndpoint(
        url=url or "",
        secret=given(fields, "secret", lambda one: one.checked(check_secret, "text")),
        format=cast("Format", kept or "native"),
        basic_auth=given(fields, "basic_auth", lambda one: one.checked(check_basic_auth, "text")),
        signing_key=given(fields, "signing_key", lambda one: one.checked(check_signing_key, "text")),
        signs_v1a=given(fields, "signature", lambda one: one.choice(SIGNATURES)) == "v1a",
        client_certificate=_client_certificate(fields, url),
        rate_per_s=given(fields, "rate", lambda one: one.checked(rate_per_s_of, "a rate")),
        wants_challenge=bool(given(fields, "verify", lambda one: one.flag())),
        headers=_headers(fields["headers"]) if "headers" in fields else (),
        include=tuple(sorted({name for one in included if (name := one.choice(INCLUDE))})),
    )
    return None if url is None else endpoint


def _client_certificate(fields: dict[str, Located], url: str | None) -> str | None:
    if "client_certificate" not in fields:
        return None
    if url is not None and not url.lower().startswith("https:"):
        fields["client_certificate"].wrong("nobody sees a certificate over http; expected an https URL")
    return fields["client_certificate"].checked(check_client_certificate, "text")


def _headers(place: Located) -> tuple[tuple[str, str], ...]:
    found: dict[str, tuple[str, str]] = {}
    for name, one in place.entries("a mapping of header fields").items():
        pair = one.checked(partial(check_header, name), "text")
        if pair is not None and name.lower() in found:
            one.wrong_key("stands here a second time; case makes no difference")
        elif pair is not None:
            found[name.lower()] = pair
    if len(found) > HEADERS_MAX_COUNT:
        place.wrong(f"over {HEADERS_MAX_COUNT} header fields")
    return tuple(found.values())
