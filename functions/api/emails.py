"""Operations on mails, their deliveries and attempts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

import msgspec
import sqlalchemy as sa
from mailchute.commands import Command, replay_command
from mailchute.ids import derived_id, new_id
from mailchute.settings import S3Settings
from mailchute.storage_connection import connection_of
from mailchute.store import mails
from mailchute.store.mails import AttemptView, DeliveryView, MailView
from mailchute.store.retention import hold_mail

from .cursor import cursor_of, parts_of
from .operation import NoQuery, Operation, PageQuery, Request, note
from .problem import Problem, not_found

RunId = Annotated[str, msgspec.Meta(pattern="^run_[0-9A-HJKMNP-TV-Z]{26}$")]


class MailQuery(PageQuery, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which mails."""

    state: Literal["pending", "delivered", "failed", "rejected", "dead"] | None = None
    alias_id: str | None = None
    message_id: str | None = None


class DeliveryQuery(PageQuery, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which deliveries."""

    mail_id: str | None = None
    endpoint_id: str | None = None
    state: Literal["pending", "delivered", "failed", "dead"] | None = None


class Mails(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of mails, the newest first."""

    items: tuple[MailView, ...]
    next_cursor: str | None


class Deliveries(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of deliveries, those of the newest mails first."""

    items: tuple[DeliveryView, ...]
    next_cursor: str | None


class Attempts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Every attempt for one mail, in order."""

    items: tuple[AttemptView, ...]


class ReplayOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What to replay."""

    run: RunId | None = None  # chosen by the caller: the same mail twice in one run is done once
    endpoint_id: str | None = None  # to this endpoint alone


class Replay(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The replay that was ordered."""

    run: str
    repeated: bool  # it had been ordered before


def _list(request: Request) -> Mails:
    query: MailQuery = request.query
    before = parts_of(query.cursor, 1)
    with request.services.database.read() as connection:
        found = mails.list_mails(
            connection, request.account_id, state=query.state, alias_id=query.alias_id,
            message_id=query.message_id, before=before[0] if before else None, limit=query.limit + 1,
        )  # fmt: skip
    page = tuple(found[: query.limit])
    return Mails(items=page, next_cursor=cursor_of(page[-1].id) if len(found) > query.limit else None)


def _show(request: Request) -> MailView:
    with request.services.database.read() as connection:
        found = mails.mail_of(connection, request.account_id, request.path["mailId"])
    if found is None:
        raise not_found(request.path["mailId"])
    return found


def _attempts(request: Request) -> Attempts:
    _show(request)
    with request.services.database.read() as connection:
        return Attempts(
            items=tuple(mails.attempts_of(connection, request.account_id, request.path["mailId"]))
        )


def _replay(request: Request) -> Replay:
    mail, order = _show(request), request.body
    if mail.mail_sequence == 0:
        raise Problem(410, "it came in mode through: no copy of it is kept, its sender has it")
    run = order.run or new_id("run")
    done = request.services.connector.carry_out(
        replay_command(mail.id, _sequence_of(mail), run=run, endpoint_id=order.endpoint_id)
    )
    with request.services.database.write() as connection:
        note(connection, request, "email.replay", mail.id, detail=run)
    return Replay(run=run, repeated=done.repeated)


def _erase(request: Request) -> None:
    """Its copies first, then what we know of it: killed in between, a repetition goes on."""
    mail = _show(request)
    if mail.held_at is not None:
        raise Problem(409, "the mail is held for an investigation: release it first")
    services = request.services
    with services.database.read() as connection:
        keys = mails.objects_of(connection, request.account_id, mail.id)
    services.connector.carry_out(
        Command(
            id=derived_id("cmd", "erase", mail.id),
            kind="erase",
            mail_id=mail.id,
            mail_sequence=_sequence_of(mail),
        )
    )
    services.attachments.delete(keys, partial(_opened, request))
    with services.database.write() as connection:
        mails.erase(connection, request.account_id, mail.id, request.now)
        note(connection, request, "email.erase", mail.id)


def _opened(request: Request, connection_id: str) -> S3Settings | None:
    with request.services.database.write() as connection:
        return connection_of(connection, connection_id, request.services.sealer(connection))


def _hold(*, is_held: bool) -> Callable[[Request, sa.Connection], MailView]:
    def change(request: Request, connection: sa.Connection) -> MailView:
        mail_id, account_id = request.path["mailId"], request.account_id
        if not hold_mail(connection, account_id, mail_id, request.now if is_held else None):
            raise not_found(mail_id)
        note(connection, request, "email.hold" if is_held else "email.release", mail_id)
        found = mails.mail_of(connection, account_id, mail_id)
        assert found is not None, "it was there a moment ago, in the same transaction"
        return found

    return change


def _list_deliveries(request: Request) -> Deliveries:
    query: DeliveryQuery = request.query
    before = parts_of(query.cursor, 2)
    with request.services.database.read() as connection:
        found = mails.list_deliveries(
            connection, request.account_id, mail_id=query.mail_id, endpoint_id=query.endpoint_id,
            state=query.state, before=(before[0], before[1]) if before else None, limit=query.limit + 1,
        )  # fmt: skip
    page = tuple(found[: query.limit])
    more = len(found) > query.limit
    return Deliveries(items=page, next_cursor=cursor_of(page[-1].mail_id, page[-1].id) if more else None)


def _show_delivery(request: Request) -> DeliveryView:
    with request.services.database.read() as connection:
        found = mails.delivery_of(connection, request.account_id, request.path["deliveryId"])
    if found is None:
        raise not_found(request.path["deliveryId"])
    return found


def _sequence_of(mail: MailView) -> int:
    if mail.mail_sequence is None:
        raise Problem(409, "the mail was accepted only just now: try again", retry_after_s=1)
    return mail.mail_sequence


READ, WRITE = "emails:read", "emails:write"
ONE = "/emails/{mailId}"
OPERATIONS = (
    Operation(
        method="GET", path="/emails", scope=READ, does="List mails, the newest first.",
        answers=Mails, query=MailQuery, work=_list,
    ),
    Operation(
        method="GET", path=ONE, scope=READ, answers=MailView, work=_show, fails=(404,),
        does="Show one mail.",
    ),
    Operation(
        method="DELETE", path=ONE, scope=WRITE, answers=None, work=_erase, fails=(404, 409),
        does="Erase a mail: its content, attachments and log, at once and for good.",
    ),
    Operation(
        method="PUT", path=f"{ONE}/hold", scope=WRITE, answers=MailView, change=_hold(is_held=True),
        does="Keep a mail past its retention: an investigation is open.", fails=(404,),
    ),
    Operation(
        method="DELETE", path=f"{ONE}/hold", scope=WRITE, answers=MailView, change=_hold(is_held=False),
        does="Let a mail go when its retention ends, as before.", fails=(404,),
    ),
    Operation(
        method="GET", path=f"{ONE}/attempts", scope=READ, answers=Attempts, work=_attempts, fails=(404,),
        does="List every attempt made for one mail, in order.",
    ),
    Operation(
        method="POST", path=f"{ONE}/replay", scope=WRITE, answers=Replay, body=ReplayOrder, example={},
        work=_replay,
        does="Deliver a stored mail anew, to all its endpoints or one.", fails=(404, 409, 410),
    ),
    Operation(
        method="GET", path="/deliveries", scope=READ, answers=Deliveries, query=DeliveryQuery,
        work=_list_deliveries, does="List deliveries, those of the newest mails first.",
    ),
    Operation(
        method="GET", path="/deliveries/{deliveryId}", scope=READ, answers=DeliveryView,
        work=_show_delivery, does="Show one delivery.", query=NoQuery, fails=(404,),
    ),
)  # fmt: skip
