"""What a format is given, and what it makes of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from mailchute import wire
from mailchute.delivery import AttemptRequest
from mailchute.endpoint import Endpoint
from mailchute.errors import ContentMissing
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
    slimmed: Payload | None = None  # the payload with less in it, where all would be over the limit

    @functools.cached_property
    def payload(self) -> Payload:
        """
        The native payload, decoded when a format first asks for it.

        Raises:
            Undecodable: The octets on the stream are no payload.
        """
        return self.slimmed or wire.decode_json(self.request.payload, Payload)

    @property
    def octets(self) -> bytes:
        """The native payload as JSON."""
        return self.request.payload if self.slimmed is None else wire.encode_json(self.slimmed)

    @property
    def secret(self) -> str:
        """The key text that a peer's signature is made with: the newest secret; "" when there is none."""
        return self.endpoint.secrets[0] if self.endpoint.secrets else ""

    @property
    def trace(self) -> bytes:
        """Our own trace fields, which stand above the mail as received."""
        return self._content[: self.request.raw_trace_octets]

    @property
    def raw(self) -> bytes:
        """
        The mail exactly as received.

        Raises:
            ContentMissing: The caller did not bring it along.
        """
        return self._content[self.request.raw_trace_octets :]

    @property
    def _content(self) -> bytes:
        if self.request.raw is None:
            raise ContentMissing("the mail as received was not brought along, and this endpoint wants it")
        return self.request.raw
