"""An attempt that is shown and not made: the request, octet by octet, with its signature."""

from __future__ import annotations

from mailchute.delivery import Rehearsal, RehearsalRequest
from mailchute.errors import SecretUnreadable

from .attempt import Attempts, refusal_of
from .challenge import waiting_for
from .faults import EndpointFault

HEADER = "mailchute-rehearsal"  # of the call: says that its body is a RehearsalRequest
HIDDEN = b"(hidden)"


def rehearsed(attempts: Attempts, asked: RehearsalRequest) -> Rehearsal:
    """
    Return the request that would be made now; nothing is resolved, dialled or sent.

    Raises:
        DirectoryUnavailable: Nobody knows the endpoint just now.
        Undecodable: The payload is none.
    """
    request = asked.rehearse
    try:
        endpoint = attempts.endpoints.endpoint(request.delivery.endpoint_id)
    except SecretUnreadable as error:
        return Rehearsal(url="", refusal=f"its secrets do not open: {error}")
    if endpoint is None or endpoint.is_deleted or endpoint.is_disabled:
        return Rehearsal(url=endpoint.url if endpoint else "", refusal=refusal_of(endpoint))
    try:
        _, head, body = attempts.composed(request, endpoint, int(attempts.now().timestamp()))
    except EndpointFault as fault:
        return Rehearsal(url=endpoint.url, refusal=str(fault))
    hidden = {"authorization", *(name.lower() for name, _ in endpoint.headers)}
    refusal = waiting_for(endpoint.id) if endpoint.is_unverified else None
    return Rehearsal(url=endpoint.url, head=_without(hidden, head), body=body, refusal=refusal)


def _without(hidden: set[str], head: bytes) -> bytes:
    """Return the header section without the values of these fields: they are its owner's secrets."""
    first, *lines = head.split(b"\r\n")
    shown = [
        name + b": " + HIDDEN if colon and name.decode("latin-1").lower() in hidden else line
        for line in lines
        for name, colon, _ in [line.partition(b":")]
    ]
    return b"\r\n".join([first, *shown])
