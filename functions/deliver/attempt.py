"""One attempt: look the endpoint up, sign the exact octets, POST them, answer with the outcome."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mailchute import signing
from mailchute.delivery import AttemptOutcome, AttemptRequest
from mailchute.endpoint import Endpoint
from mailchute.errors import SecretUnreadable
from mailchute.eventlog import event_log
from mailchute.signing import PrivateKey

from . import verdict
from .answer import Answer
from .client import Client
from .destination import destination_of
from .faults import EndpointFault
from .fit import BodyTooLarge, fitted
from .formats import SHAPES, Mail
from .post import head_of

TIMEOUT_S = 15.0  # Standard Webhooks, "Timeouts": 15 to 30 s
SHORTEST_S = 1.0  # with less time than this no POST is begun

Result = Literal["delivered", "failed", "gone", "refused"]

log = event_log("deliver")


class Endpoints(Protocol):
    """Where endpoints are known: mailchute.directory.Directory."""

    def endpoint(self, endpoint_id: str) -> Endpoint | None: ...


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """Makes attempts, many at once."""

    endpoints: Endpoints
    client: Client
    keys: tuple[PrivateKey, ...] = ()  # the installation's, for endpoints without one of their own
    timeout_s: float = TIMEOUT_S
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def make(self, request: AttemptRequest) -> AttemptOutcome:
        """
        Return what came of one POST.

        Raises:
            DirectoryUnavailable: Nobody knows the endpoint just now: our fault, not the endpoint's.
            Undecodable: The payload is none.
        """
        started_at, began_s = self.now(), time.monotonic()
        result, reason, answer = self._concluded(request, started_at, began_s)
        return AttemptOutcome(
            result=result,
            status=answer.status if answer else None,
            reason=reason,
            retry_after_s=verdict.retry_after_s_of(answer, self.now()) if answer else None,
            started_at=started_at,
            duration_s=time.monotonic() - began_s,
            response=answer.body if answer and request.keep_response else b"",
        )

    def _concluded(
        self, request: AttemptRequest, started_at: datetime, began_s: float
    ) -> tuple[Result, str, Answer | None]:
        endpoint_id = request.delivery.endpoint_id
        try:
            endpoint = self.endpoints.endpoint(endpoint_id)
        except SecretUnreadable as error:
            # Of one endpoint, or of all after a rollout with another master key: the mail waits for a person.
            log.error("secret-unreadable", endpoint_id=endpoint_id, reason=str(error))
            return "failed", "our record of the endpoint's secrets does not open; ask the operator", None
        if endpoint is None or endpoint.is_deleted or endpoint.is_disabled:
            return "refused", refusal_of(endpoint), None
        try:
            answer = self._post(request, endpoint, started_at, began_s)
        except BodyTooLarge as fault:
            return "refused", str(fault), None
        except EndpointFault as fault:
            return "failed", str(fault), None
        return verdict.result_of(answer.status), verdict.reason_of(answer), answer

    def _post(
        self, request: AttemptRequest, endpoint: Endpoint, started_at: datetime, began_s: float
    ) -> Answer:
        left_s = self.timeout_s
        if request.deadline_at is not None:
            left_s = min(left_s, (request.deadline_at - started_at).total_seconds())
        if left_s < SHORTEST_S:
            raise EndpointFault("the sender's deadline left no time for an attempt")
        destination = destination_of(endpoint.url)
        keys = _keys_of(endpoint.signing_key) if endpoint.signing_key else self.keys
        timestamp = int(started_at.timestamp())
        mail = Mail(request=request, endpoint=endpoint, timestamp=timestamp, keys=keys)
        shape = fitted(SHAPES[endpoint.format], mail)
        head = head_of(
            destination,
            endpoint,
            request.delivery,
            shape,
            timestamp=timestamp,
            v1a_key=_v1a_key(keys) if endpoint.signs_v1a else None,
        )
        return self.client.post(
            destination,
            head,
            shape.body,
            ends_at=began_s + left_s,
            client_certificate=endpoint.client_certificate,
        )


def refusal_of(endpoint: Endpoint | None) -> str:
    """Return why nothing is sent to this endpoint, now or later."""
    if endpoint is None or endpoint.is_deleted:
        return "the endpoint was deleted"
    return f"the endpoint is disabled: {endpoint.disabled_reason or 'nobody said why'}"


@functools.lru_cache(maxsize=1_024)
def _keys_of(pem: str) -> tuple[PrivateKey, ...]:
    try:
        return signing.private_keys(pem)
    except SecretUnreadable as error:
        raise EndpointFault(f"the endpoint's signing_key cannot be used: {error}; set it again") from error


def _v1a_key(keys: tuple[PrivateKey, ...]) -> Ed25519PrivateKey:
    for key in keys:
        if isinstance(key, Ed25519PrivateKey):
            return key
    raise EndpointFault("v1a needs an Ed25519 key: set the endpoint's signing_key, or MAILCHUTE_SIGNING_KEY")
