"""
Claims: who works on a mail whose client waits, and what is known of its earlier copies.

A claim lies there, fsynced, before the first POST is begun: so all copies that a sender sends of one mail
have one id, one connector at a time POSTs it, and a 2xx is remembered for five days.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Literal

import msgspec
from mailchute import subjects, wire
from mailchute.errors import StreamUnavailable
from mailchute.jetstream import Publisher
from mailchute.mail import MailObject
from mailchute.stored import read_stored
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

ALIVE_S = 1.0  # a connector that does not show that it lives in this time is neither dead nor to be asked
KEEP_AGAIN_S = 0.5


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one fingerprint."""

    version: int = 1
    mail_id: str  # of the first copy that came
    owner: str  # the connector that worked on it last
    attempt_count: int = 0
    # open: no 2xx was seen. answered: one was, but what follows from it may not be done. over: it is.
    state: Literal["open", "answered", "over"] = "open"
    endpoint_id: str = ""  # that answered
    is_kept: bool = False  # answered: the mail is owed to others as well, by way of MAIL


@dataclass(frozen=True)
class Held:
    """A claim in this connector's hands."""

    claim: Claim
    revision: int  # under which it lies there


class HeldElsewhere(Exception):
    """Another connector, which lives, works on a copy of this mail, or was the last to do so."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner


class Claims:
    """
    The claims of all connectors, as this one sees them.

    Args:
        owner: Its own name, a new one with each start.
    """

    def __init__(self, publisher: Publisher, owner: str) -> None:
        self.owner = owner
        self._publisher = publisher

    async def take(self, mail: MailObject) -> Held:
        """
        Return this connector's claim, or one that says that a 2xx was seen already.

        Raises:
            HeldElsewhere: Ask its owner.
            StreamUnavailable: It is not known.
        """
        try:
            return await self._take(mail)
        except StreamUnavailable:  # another may just have been faster: then it is the one to ask
            return await self._take(mail)

    async def _take(self, mail: MailObject) -> Held:
        subject = subjects.claim_subject_of(mail.fingerprint)
        stored = await read_stored(self._publisher.client, subjects.THROUGH, subject=subject)
        if stored is None:
            claim, revision = Claim(mail_id=mail.id, owner=self.owner), 0
        else:
            found, revision = wire.decode(stored.body, Claim), stored.sequence
            if found.state != "open" or found.owner == self.owner:
                return Held(found, revision)
            if await is_alive(self._publisher.client, found.owner):
                raise HeldElsewhere(found.owner)
            claim = msgspec.structs.replace(found, owner=self.owner)
        return Held(claim, await self._put(mail.fingerprint, claim, revision))

    async def tried(self, fingerprint: str, held: Held) -> None:
        """Count an attempt that failed; one that is not counted, for the stream is away, does no harm."""
        claim = msgspec.structs.replace(held.claim, attempt_count=held.claim.attempt_count + 1)
        with contextlib.suppress(StreamUnavailable):
            # Not over another's: who held us for dead may have seen a 2xx meanwhile.
            await self._put(fingerprint, claim, held.revision)

    async def keep(self, fingerprint: str, claim: Claim) -> None:
        """
        Return once the claim lies there as it is now, however long that takes.

        Of a 2xx: whoever were told before that could be asked again, and would POST a second time.
        """
        while True:
            try:
                await self._put(fingerprint, claim)
            except StreamUnavailable:
                await asyncio.sleep(KEEP_AGAIN_S)
            else:
                return

    async def _put(self, fingerprint: str, claim: Claim, revision: int | None = None) -> int:
        headers = None if revision is None else {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        receipt = await self._publisher.publish(
            subjects.claim_subject_of(fingerprint),
            wire.encode(claim),
            stream=subjects.THROUGH,
            headers=headers,
        )
        return receipt.sequence


async def is_alive(client: Client, owner: str) -> bool:
    """
    Return whether this connector listens.

    Raises:
        StreamUnavailable: It neither answers nor is it gone: what it did is not known.
    """
    try:
        await client.request(subjects.through_subject_of(owner), b"", timeout=ALIVE_S)
    except NoRespondersError:
        return False
    except (NatsError, OSError, TimeoutError) as error:
        raise StreamUnavailable(f"{owner}: {type(error).__name__}") from error
    return True
