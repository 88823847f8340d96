"""Operations of a developer who listens: an endpoint on their own machine, without a way in from outside."""

from __future__ import annotations

import secrets
from typing import Annotated

import msgspec
import sqlalchemy as sa
from mailchute.alias import Format
from mailchute.store.aliases import lock_alias
from mailchute.store.endpoint_edits import create_endpoint
from mailchute.store.endpoints import enable_endpoint
from mailchute.store.listing import EndpointView, list_aliases, list_domains, list_endpoints

from .calls import Reply
from .listing import shown
from .operation import Id, Operation, Request, note
from .problem import Problem, not_found

TOKEN_OCTETS = 24
WAIT_MAX_S = 25
ANSWER_MAX_CHARACTERS = 4_096  # deliver keeps as much
Address = Annotated[str, msgspec.Meta(min_length=3, max_length=320)]
WaitS = Annotated[int, msgspec.Meta(ge=0, le=WAIT_MAX_S)]
Status = Annotated[int, msgspec.Meta(ge=200, le=599)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=86_400)]
AnswerText = Annotated[str, msgspec.Meta(max_length=ANSWER_MAX_CHARACTERS)]


class NewListener(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An alias to listen to, as its owner wrote it: support@inbox.example, *@inbox.example."""

    address: Address
    format: Format = "native"


class Listener(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An endpoint whose mail waits for whoever listens with this key."""

    endpoint_id: str
    address: str
    secret: str | None  # that signs its calls
    format: str


class Wait(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How long to wait for a call."""

    wait_s: WaitS = 20


class HeldCall(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One attempt, as it would be POSTed: hand it on, and tell what came of it."""

    id: str
    fields: tuple[tuple[str, str], ...]
    body: bytes  # base64 in JSON
    left_s: float  # until nobody waits for the answer any more


class NextCall(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The next call; null when none came."""

    call: HeldCall | None


class CallAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What the developer's program answered: 2xx is delivered, all else comes again by the schedule."""

    call_id: Id
    status: Status
    body: AnswerText = ""
    retry_after_s: Seconds | None = None


def _listen(request: Request, connection: sa.Connection) -> Listener:
    """Make the endpoint, or find the one this key had before: what came meanwhile waits for it."""
    body: NewListener = request.body
    base = _base(request)
    alias_id = _alias_id(request, connection, body.address)
    if alias_id is None or lock_alias(connection, request.account_id, alias_id) is None:
        raise Problem(404, f"{body.address} is no alias here; name one as it stands in the routes")
    own = [
        one
        for one in list_endpoints(connection, request.account_id, alias_id=alias_id)
        if one.url.startswith(f"{base}/{request.key.id}-") and one.format == body.format
    ]
    sealer = request.services.sealer(connection)
    if own:
        endpoint_id = own[0].id
        enable_endpoint(
            connection, account_id=request.account_id, endpoint_id=endpoint_id, is_enabled=True,
            now=request.now,
        )  # fmt: skip
    else:
        url = f"{base}/{request.key.id}-{secrets.token_hex(TOKEN_OCTETS)}"
        endpoint_id, _ = create_endpoint(
            connection, account_id=request.account_id, alias_id=alias_id, url=url,
            columns={"format": body.format}, sealer=sealer, now=request.now,
        )  # fmt: skip
    note(connection, request, "endpoint.listen", endpoint_id, detail=body.address)
    found: EndpointView = shown(connection, request, list_endpoints, endpoint_id, sealer=sealer)
    request.services.calls.dismiss(found.url.rpartition("/")[2])  # of a session that was killed
    return Listener(endpoint_id=found.id, address=found.address, secret=found.secret, format=found.format)


def _alias_id(request: Request, connection: sa.Connection, address: str) -> str | None:
    local_part, _, name = address.rpartition("@")
    for domain in list_domains(connection, request.account_id, name=name.lower()):
        for alias in list_aliases(connection, request.account_id, domain_id=domain.id, name=local_part):
            return alias.id
    return None


def _next(request: Request) -> NextCall:
    wait: Wait = request.body
    calls = request.services.calls
    call = calls.next(_token(request), wait.wait_s)
    if call is None:
        return NextCall(call=None)
    return NextCall(call=HeldCall(id=call.id, fields=call.fields, body=call.body, left_s=calls.left_s(call)))


def _leave(request: Request) -> None:
    request.services.calls.dismiss(_token(request))


def _answer(request: Request) -> None:
    given: CallAnswer = request.body
    reply = Reply(status=given.status, body=given.body, retry_after_s=given.retry_after_s)
    if not request.services.calls.answer(_token(request), given.call_id, reply):
        raise Problem(410, "nobody waits for this answer any more: the call comes again by the schedule")


def _token(request: Request) -> str:
    """Return the token of the listener; only the key it was made with may take its calls."""
    endpoint_id, base = request.path["endpointId"], _base(request)
    with request.services.database.read() as connection:
        found: EndpointView = shown(connection, request, list_endpoints, endpoint_id)
    if not found.url.startswith(f"{base}/{request.key.id}-"):
        raise not_found(endpoint_id)
    return found.url.rpartition("/")[2]


def _base(request: Request) -> str:
    if not request.services.listen_url:
        raise Problem(404, "nobody can listen here: the operator has not set MAILCHUTE_LISTEN_URL")
    return request.services.listen_url


WRITE, MAIL = "routes:write", "emails:read"
CALLS = "/endpoints/{endpointId}/calls"
OPERATIONS = (
    Operation(
        method="POST", path="/listeners", scope=WRITE, answers=Listener, body=NewListener,
        example={"address": "support@inbox.example"}, change=_listen, fails=(404, 422),
        does="Let the mail of an alias go to whoever listens with this key, too.",
    ),
    Operation(
        method="POST", path=f"{CALLS}/next", scope=MAIL, answers=NextCall, body=Wait, example={"waitS": 0},
        work=_next, fails=(404,), does="Wait for the next POST that a listener is owed.",
    ),
    Operation(
        method="POST", path=f"{CALLS}/answer", scope=MAIL, answers=None, body=CallAnswer,
        example={"callId": "cll_…", "status": 200}, work=_answer, fails=(404, 410),
        does="Answer a POST of a listener.",
    ),
    Operation(
        method="POST", path=f"{CALLS}/leave", scope=MAIL, answers=None, work=_leave, fails=(404,),
        does="Listen no more: nothing is handed to who still waits.",
    ),
)  # fmt: skip
