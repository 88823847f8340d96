"""Taking a mail off the streams: its message on MAIL, its content, its dead records."""

from __future__ import annotations

from collections.abc import Collection

from mailchute import subjects, wire
from mailchute.dead import DeadRecord
from mailchute.errors import Undecodable
from mailchute.mail import ContentRef, MailObject
from mailchute.objects import delete_object
from mailchute.stored import read_run, read_stored, remove_stored
from nats.aio.client import Client

PAGE = 256


async def erase_mail(client: Client, mail_id: str, sequence: int, *, is_overwritten: bool = True) -> bool:
    """
    Remove the mail, its content first: killed in between, a repetition goes on.

    Args:
        is_overwritten: As remove_stored.

    Returns:
        Whether it lay there: gone already, or another mail in its place, is no error.

    Raises:
        StreamUnavailable, ContentUnavailable: No answer; do it again.
    """
    stored = await read_stored(client, subjects.MAIL, sequence=sequence)
    mail = None if stored is None else wire.decode(stored.body, MailObject)
    if mail is None or mail.id != mail_id:
        return False
    if isinstance(mail.content, ContentRef):
        await delete_object(client, mail.content)
    return await remove_stored(client, subjects.MAIL, sequence, is_overwritten=is_overwritten)


async def erase_dead(client: Client, mail_ids: Collection[str]) -> None:
    """Remove every dead record of these mails, in one walk over DEAD. Raises: as erase_mail."""
    sequence = 1
    while page := await read_run(
        client, subjects.DEAD, subjects.DEAD_ALL, from_sequence=sequence, count=PAGE
    ):
        for stored in page:
            try:
                dead = wire.decode(stored.body, DeadRecord)
            except Undecodable:
                continue  # it names no mail; the stream lets go of it by age
            if dead.mail_id in mail_ids:
                if isinstance(dead.record, ContentRef):
                    await delete_object(client, dead.record)
                await remove_stored(client, subjects.DEAD, stored.sequence)
        sequence = page[-1].sequence + 1
