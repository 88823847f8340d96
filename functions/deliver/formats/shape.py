"""What a format is given, and what it makes of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from mailchute import wire
from mailchute.delivery import AttemptRequest
from mailchute.endpoint import Endpoint
from mailchute.payload import Payload
from mailchute.signing import PrivateKey


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A body, and the header fields that belong to it."""

    body: bytes
    content_type: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One mail on its way to one endpoint."""

    request: AttemptRequest
    endpoint: Endpoint
    timestamp: int  # Unix time of the attempt, in seconds
    keys: tuple[PrivateKey, ...] = ()  # the endpoint's own signing key, else the installation's

    @functools.cached_property
    def payload(self) -> Payload:
        """
        The native payload, decoded when a format first asks for it.

        Raises:
            Undecodable: The octets on the stream are no payload.
        """
        return wire.decode_json(self.request.payload, Payload)

    @property
    def secret(self) -> str:
        """The key text that a peer's signature is made with: the newest secret; "" when there is none."""
        return self.endpoint.secrets[0] if self.endpoint.secrets else ""
