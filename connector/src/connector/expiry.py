"""Expiry: mail whose retention has ended leaves the streams, and expire is told to take away the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from mailchute import subjects, wire
from mailchute.errors import MailchuteError, PermanentError, Undecodable
from mailchute.eventlog import event_log
from mailchute.expiring import DueMail, ExpireAnswer, ExpireRequest
from mailchute.mail import MailObject
from mailchute.stored import Stored, read_run, remove_stored, request_api
from nats.aio.client import Client

from connector.answer import value_of
from connector.erasing import erase_dead, erase_mail
from connector.function import Function, FunctionAway
from connector.lease import Lease
from connector.settings import Settings
from connector.shelf import Shelf
from connector.streams import MAIL_DURABLE
from connector.told import NOWHERE

ERASED_AT_ONCE = 16
SWEEP_EVERY_S = 1_800.0
SWEEP_PAGE = 16
REPLAYED = "replayed"  # on the shelf: mails that count from a new end

log = event_log("connector")


class Expiry:
    """One connector at a time asks, every MAILCHUTE_EXPIRE_INTERVAL_S."""

    def __init__(
        self, client: Client, expire: Function, lease: Lease, shelf: Shelf, settings: Settings
    ) -> None:
        self.expired_count = 0
        self.oldest_due_s = 0.0
        self._client = client
        self._expire = expire
        self._lease = lease
        self._shelf = shelf
        self._settings = settings

    async def run(self) -> None:
        """Look until cancelled."""
        swept_at = time.monotonic()
        while True:
            await asyncio.sleep(self._settings.expire_interval_s)
            try:
                if not await self._lease.hold():
                    continue
                await self.look()
                if time.monotonic() - swept_at > SWEEP_EVERY_S:
                    await self.sweep(datetime.now(UTC))
                    swept_at = time.monotonic()
            except FunctionAway:
                pass  # it was logged when it went; what is due stays due
            except MailchuteError as error:
                log.warning("expiry-waits", stage="expire", reason=str(error))

    async def look(self) -> None:
        """
        Go through all that is due once, a page at a time.

        Raises:
            TransientError, PermanentError: What was not reached is due the next time.
        """
        request = ExpireRequest()
        while True:
            called = await self._expire.call(wire.encode(request), hold_s=0)
            answer = value_of(called, ExpireAnswer, stage="expire")
            self.expired_count += answer.deleted_count
            self.oldest_due_s = answer.oldest_due_s
            if answer.deleted_count:
                log.info("expired", stage="expire", count=answer.deleted_count)
            if not answer.due:
                return
            request = ExpireRequest(erased=await self._erase(answer.due), after=answer.due[-1])
            await self._lease.hold()

    async def _erase(self, due: Sequence[DueMail]) -> tuple[str, ...]:
        """Take them off the streams; returns the ids of those that are."""
        died = {each.mail_id for each in due if each.has_dead_records}
        if died:
            await erase_dead(self._client, died)
        erased: list[str] = []
        for begin in range(0, len(due), ERASED_AT_ONCE):
            some = due[begin : begin + ERASED_AT_ONCE]
            are_gone = await asyncio.gather(*(self._is_gone(each) for each in some))
            erased += [each.mail_id for each, is_gone in zip(some, are_gone, strict=True) if is_gone]
        return tuple(erased)

    async def _is_gone(self, due: DueMail) -> bool:
        if due.mail_sequence in (None, NOWHERE):
            return True
        try:
            # All of its neighbours go as well, so the block's file does: overwriting could not keep up.
            await erase_mail(self._client, due.mail_id, due.mail_sequence, is_overwritten=False)
        except PermanentError as error:
            log.warning("not-erased", mail_id=due.mail_id, stage="expire", reason=str(error))
            return False
        return True

    async def sweep(self, now: datetime) -> int:
        """
        Remove from MAIL what has outlived every window without ever being due, for its journal was lost.

        Returns:
            How many; only what was worked on (below the consumer's ack floor) is looked at.

        Raises:
            StreamUnavailable, ContentUnavailable: Not now.
        """
        count = 0
        async for stored, age_s in self._outlived(now):
            count += await self._remove(stored, age_s)
        if count:
            log.warning("outlived", stage="expire", count=count, reason="no end of it was ever told")
        return count

    async def _outlived(self, now: datetime) -> AsyncIterator[tuple[Stored, float]]:
        info = await request_api(self._client, f"CONSUMER.INFO.{subjects.MAIL}.{MAIL_DURABLE}", {})
        assert info is not None
        floor: int = info["ack_floor"]["stream_seq"]
        sequence = 1
        while page := await read_run(
            self._client, subjects.MAIL, subjects.MAIL_ACCEPTED, from_sequence=sequence, count=SWEEP_PAGE
        ):
            for stored in page:
                age_s = (now - stored.at).total_seconds() if stored.at is not None else 0.0
                if stored.sequence > floor or age_s < self._settings.outlived_s():
                    return
                yield stored, age_s
            sequence = page[-1].sequence + 1

    async def _remove(self, stored: Stored, age_s: float) -> bool:
        try:
            mail = wire.decode(stored.body, MailObject)
        except Undecodable:
            return await remove_stored(self._client, subjects.MAIL, stored.sequence)
        if age_s < self._settings.outlived_s(mail.alias.retention_s):
            return False
        if await self._shelf.get(f"{REPLAYED}.{mail.id}") is not None:
            return False
        if await self._is_held(mail.id):
            return False
        return await erase_mail(self._client, mail.id, stored.sequence)

    async def _is_held(self, mail_id: str) -> bool:
        called = await self._expire.call(wire.encode(ExpireRequest(outlived=(mail_id,))), hold_s=0)
        return mail_id in value_of(called, ExpireAnswer, stage="expire").held
