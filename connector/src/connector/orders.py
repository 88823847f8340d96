"""
Carrying out commands: replay, erase, kick, resume, each once by its id, answered when it is safe.

A test or a challenge is made each time that it is asked for.
"""

from __future__ import annotations

import asyncio

from mailchute import subjects, wire
from mailchute.commands import Command, CommandDone
from mailchute.errors import ContentMissing, PermanentError
from mailchute.jetstream import Publisher
from mailchute.mail import MailObject
from mailchute.stored import read_stored

from connector.erased import Erased
from connector.erasing import erase_dead, erase_mail
from connector.expiry import REPLAYED
from connector.lanes import Lanes
from connector.mail import MailStage
from connector.settings import Settings
from connector.shelf import Shelf
from connector.told import NOWHERE
from connector.trials import Trials

REMEMBERED_S = 7 * 86_400


class Malformed(PermanentError):
    """The command lacks what its kind needs."""


class Orders:
    """Carries out commands."""

    def __init__(
        self,
        publisher: Publisher,
        mail: MailStage,
        lanes: Lanes,
        shelf: Shelf,
        erased: Erased,
        settings: Settings,
        trials: Trials,
    ) -> None:
        self._trials = trials
        self._publisher = publisher
        self._mail = mail
        self._lanes = lanes
        self._shelf = shelf
        self._erased = erased
        self._settings = settings
        self._running: dict[str, asyncio.Lock] = {}

    async def carry_out(self, command: Command) -> CommandDone:
        """
        Do it, unless it is done.

        Raises:
            Malformed, Untriable: Something is missing in it.
            ContentMissing: The mail is gone.
            TransientError: Not now; ask again with the same id.
        """
        if command.kind in ("test", "challenge"):  # who asks wants to see it now, each time
            return CommandDone(id=command.id, outcome=await self._trials.make(command))
        lock = self._running.setdefault(command.id, asyncio.Lock())
        try:
            async with lock:
                if await self._shelf.get(f"command.{command.id}") is not None:
                    return CommandDone(id=command.id, repeated=True)
                await self._do(command)
                await self._shelf.put(f"command.{command.id}", command.kind.encode(), for_s=REMEMBERED_S)
                return CommandDone(id=command.id)
        finally:
            self._running.pop(command.id, None)

    async def _do(self, command: Command) -> None:
        if command.kind in ("kick", "resume"):
            if not command.endpoint_id:
                raise Malformed(f"{command.kind} needs an endpoint_id")
            await self._lanes.kick(command.endpoint_id)
            return
        if not command.mail_id or command.mail_sequence is None:
            raise Malformed(f"{command.kind} needs a mail_id and its mail_sequence")
        if command.kind == "replay":
            await self._replay(command, command.mail_id, command.mail_sequence)
        else:
            await self._erase(command.mail_id, command.mail_sequence)

    async def _replay(self, command: Command, mail_id: str, sequence: int) -> None:
        if sequence == NOWHERE:
            raise ContentMissing(
                f"{mail_id} came in mode through, of which no copy is kept: its sender has it"
            )
        stored = await read_stored(self._publisher.client, subjects.MAIL, sequence=sequence)
        mail = None if stored is None else wire.decode(stored.body, MailObject)
        if stored is None or mail is None or mail.id != mail_id or mail_id in self._erased:
            raise ContentMissing(f"{mail_id} is gone: its retention has ended, or it was erased")
        if command.endpoint_id and all(each.id != command.endpoint_id for each in mail.alias.endpoints):
            raise Malformed(f"{mail_id} was not for {command.endpoint_id}")
        await self._shelf.put(
            f"{REPLAYED}.{mail_id}", b"", for_s=int(self._settings.outlived_s(mail.alias.retention_s))
        )
        await self._mail.carry(
            mail,
            stored.body,
            sequence,
            run=command.run or command.id,
            endpoint_id=command.endpoint_id or None,
        )

    async def _erase(self, mail_id: str, sequence: int) -> None:
        """What is owed of it first, then its copies: killed in between, a repetition goes on."""
        client = self._publisher.client
        await self._erased.add(mail_id)
        await erase_dead(client, {mail_id})
        if sequence != NOWHERE:
            await erase_mail(client, mail_id, sequence)
