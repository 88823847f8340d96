"""Operations that reach an endpoint at once: a test, a verification, and "it is back: retry now"."""

from __future__ import annotations

from datetime import datetime

import msgspec
from mailchute.commands import Command
from mailchute.delivery import AttemptOutcome
from mailchute.ids import new_id
from mailchute.store import trials
from mailchute.store.listing import list_endpoints

from .operation import Operation, Request, note
from .problem import Problem, not_found


class Trial(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the endpoint did with one POST."""

    result: str  # delivered, failed, gone, refused (nothing was sent)
    status: int | None  # None: there was no HTTP answer
    reason: str  # what its owner can do; "" when all is well
    started_at: datetime
    duration_s: float
    response: str  # the answer's first 4 KB


def _test(request: Request) -> Trial:
    endpoint_id = request.path["endpointId"]
    with request.services.database.read() as connection:
        order = trials.sample_order(connection, request.account_id, endpoint_id, now=request.now)
    if order is None:
        raise not_found(endpoint_id)
    tried = _tried(request, order)
    with request.services.database.write() as connection:
        note(connection, request, "endpoint.test", endpoint_id, detail=tried.result)
    return tried


def _verify(request: Request) -> Trial:
    endpoint_id = _known(request)
    tried = _tried(request, trials.challenge_order(endpoint_id))
    with request.services.database.write() as connection:
        if tried.result == "delivered":
            trials.note_verified(connection, request.account_id, endpoint_id, now=request.now)
        note(connection, request, "endpoint.verify", endpoint_id, detail=tried.result)
    if tried.result == "delivered":
        _kicked(request, endpoint_id)  # what waited for this
    return tried


def _kick(request: Request) -> None:
    endpoint_id = _known(request)
    _kicked(request, endpoint_id)
    with request.services.database.write() as connection:
        note(connection, request, "endpoint.kick", endpoint_id)


def _kicked(request: Request, endpoint_id: str) -> None:
    request.services.connector.carry_out(Command(id=new_id("cmd"), kind="kick", endpoint_id=endpoint_id))


def _known(request: Request) -> str:
    endpoint_id = request.path["endpointId"]
    with request.services.database.read() as connection:
        if not list_endpoints(connection, request.account_id, only=endpoint_id):
            raise not_found(endpoint_id)
    return endpoint_id


def _tried(request: Request, order: Command) -> Trial:
    outcome: AttemptOutcome | None = request.services.connector.carry_out(order).outcome
    if outcome is None:
        raise Problem(503, "the connector is of an older release: it knows no tests", retry_after_s=60)
    return Trial(
        result=outcome.result,
        status=outcome.status,
        reason=outcome.reason,
        started_at=outcome.started_at,
        duration_s=outcome.duration_s,
        response=outcome.response.decode(errors="replace"),
    )


WRITE = "routes:write"
ONE = "/endpoints/{endpointId}"
OPERATIONS = (
    Operation(
        method="POST", path=f"{ONE}/test", scope=WRITE, answers=Trial, work=_test, fails=(404, 409),
        does="POST a sample mail to an endpoint, signed like any other, and tell what it answered.",
    ),
    Operation(
        method="POST", path=f"{ONE}/verify", scope=WRITE, answers=Trial, work=_verify, fails=(404, 409),
        does="POST a challenge to an endpoint; when it echoes it, mail may go there.",
    ),
    Operation(
        method="POST", path=f"{ONE}/kick", scope=WRITE, answers=None, work=_kick, fails=(404,),
        does="Retry now what waits for an endpoint: it is back.",
    ),
)  # fmt: skip
