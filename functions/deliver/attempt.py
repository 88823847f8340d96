"""One attempt: look the endpoint up, sign the exact octets, POST them, answer with the outcome."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mailchute import signing
from mailchute.delivery import AttemptOutcome, AttemptRequest
from mailchute.endpoint import Endpoint
from mailchute.errors import SecretUnreadable
from mailchute.eventlog import event_log
from mailchute.signing import PrivateKey

from . import verdict
from .answer import Answer
from .challenge import challenge_shape, echo_of, waiting_for
from .client import Client
from .destination import Destination, destination_of
from .faults import EndpointFault
from .fit import BodyTooLarge, fitted
from .formats import SHAPES, Mail
from .post import head_of

TIMEOUT_S = 15.0  # Standard Webhooks, "Timeouts": 15 to 30 s
SHORTEST_S = 1.0  # with less time than this no POST is begun

Result = Literal["delivered", "failed", "gone", "refused"]

log = event_log("deliver")


class OutOfTime(EndpointFault):
    """No POST was begun, for it could not have ended in time."""


class _Conclusion(NamedTuple):
    result: Result
    reason: str
    answer: Answer | None = None
    is_unsent: bool = False
    rate_per_s: float | None = None


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
        concluded = self._concluded(request, started_at, began_s)
        answer = concluded.answer
        return AttemptOutcome(
            result=concluded.result,
            status=answer.status if answer else None,
            reason=concluded.reason,
            retry_after_s=verdict.retry_after_s_of(answer, self.now()) if answer else None,
            started_at=started_at,
            duration_s=time.monotonic() - began_s,
            response=answer.body if answer and request.keep_response else b"",
            is_unsent=concluded.is_unsent,
            rate_per_s=concluded.rate_per_s,
        )

    def _concluded(self, request: AttemptRequest, started_at: datetime, began_s: float) -> _Conclusion:
        endpoint_id = request.delivery.endpoint_id
        try:
            endpoint = self.endpoints.endpoint(endpoint_id)
        except SecretUnreadable as error:
            # Of one endpoint, or of all after a rollout with another master key: the mail waits for a person.
            log.error("secret-unreadable", endpoint_id=endpoint_id, reason=str(error))
            reason = "our record of the endpoint's secrets does not open; ask the operator"
            return _Conclusion("failed", reason, is_unsent=True)
        if endpoint is None or endpoint.is_deleted or endpoint.is_disabled:
            return _Conclusion("refused", refusal_of(endpoint), is_unsent=True)
        if endpoint.is_unverified and request.challenge is None:
            return _Conclusion("failed", waiting_for(endpoint_id), is_unsent=True)
        try:
            answer = self._post(request, endpoint, started_at, began_s)
        except BodyTooLarge as fault:
            return _Conclusion("refused", str(fault), is_unsent=True)
        except OutOfTime as fault:
            return _Conclusion("failed", str(fault), is_unsent=True)
        except EndpointFault as fault:
            return _Conclusion("failed", str(fault), rate_per_s=endpoint.rate_per_s)
        if request.challenge is not None:
            return _Conclusion(*echo_of(request.challenge, answer), answer)
        return _Conclusion(
            verdict.result_of(answer.status), verdict.reason_of(answer), answer,
            rate_per_s=endpoint.rate_per_s,
        )  # fmt: skip

    def _post(
        self, request: AttemptRequest, endpoint: Endpoint, started_at: datetime, began_s: float
    ) -> Answer:
        left_s = self.timeout_s
        if request.deadline_at is not None:
            left_s = min(left_s, (request.deadline_at - started_at).total_seconds())
        if left_s < SHORTEST_S:
            raise OutOfTime("the sender's deadline left no time for an attempt")
        destination, head, body = self.composed(request, endpoint, int(started_at.timestamp()))
        return self.client.post(
            destination,
            head,
            body,
            ends_at=began_s + left_s,
            client_certificate=endpoint.client_certificate,
        )

    def composed(
        self, request: AttemptRequest, endpoint: Endpoint, timestamp: int
    ) -> tuple[Destination, bytes, bytes]:
        """
        Return where a POST of this second goes, its request line and header section, and its body.

        Raises:
            EndpointFault: It cannot be made.
        """
        destination = destination_of(endpoint.url)
        keys = _keys_of(endpoint.signing_key) if endpoint.signing_key else self.keys
        mail = Mail(request=request, endpoint=endpoint, timestamp=timestamp, keys=keys)
        if request.challenge is None:
            shape = fitted(SHAPES[endpoint.format], mail)
        else:
            shape = challenge_shape(request.challenge)
        head = head_of(
            destination,
            endpoint,
            request.delivery,
            shape,
            timestamp=timestamp,
            v1a_key=_v1a_key(keys) if endpoint.signs_v1a else None,
        )
        return destination, head, shape.body


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
