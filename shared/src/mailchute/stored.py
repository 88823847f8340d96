"""Messages where they lie on a stream: read by sequence or subject without a consumer (ADR-31), removed."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from mailchute.errors import StreamUnavailable
from mailchute.receipt import TIMEOUT_S

_ABSENT = frozenset({10014, 10037, 10043, 10057, 10059})  # no such consumer, message, sequence, stream


@dataclass(frozen=True, slots=True)
class Stored:
    """One message as it lies."""

    sequence: int
    subject: str
    body: bytes
    at: datetime | None = None  # when it was stored; None where the answer does not say


async def read_stored(
    client: Client, stream: str, *, sequence: int | None = None, subject: str | None = None
) -> Stored | None:
    """
    Return the message at `sequence`, else the last one on `subject`; None when there is none.

    The stream's leader answers, so that None is certain.

    Raises:
        StreamUnavailable: No answer.
    """
    wanted = {"seq": sequence} if sequence is not None else {"last_by_subj": subject}
    answer = await request_api(client, f"STREAM.MSG.GET.{stream}", wanted, absent_ok=True)
    if answer is None:
        return None
    found = answer["message"]
    at = datetime.fromisoformat(found["time"])
    return Stored(found["seq"], found["subject"], base64.b64decode(found.get("data", "")), at)


async def read_run(
    client: Client, stream: str, subject: str, *, from_sequence: int, count: int
) -> list[Stored]:
    """
    Return up to `count` messages on `subject` (wildcards allowed) from a sequence on, in order.

    Any replica answers: an empty list may mean that it lags behind.

    Raises:
        StreamUnavailable: No answer, or one that broke off.
    """
    inbox = client.new_inbox()
    found: list[Stored] = []
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def take(message: Msg) -> None:
        headers = message.headers or {}
        if status := headers.get("Status"):
            if ended.done():
                return
            if status in ("204", "404"):
                ended.set_result(None)
            else:
                ended.set_exception(StreamUnavailable(f"{stream}: status {status}"))
        else:
            at = datetime.fromisoformat(headers["Nats-Time-Stamp"])
            found.append(Stored(int(headers["Nats-Sequence"]), headers["Nats-Subject"], message.data, at))

    wanted = {"seq": from_sequence, "next_by_subj": subject, "batch": count}
    try:
        subscription = await client.subscribe(inbox, cb=take)
        try:
            await client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(wanted).encode(), reply=inbox)
            async with asyncio.timeout(TIMEOUT_S):
                await ended
        finally:
            await subscription.unsubscribe()
    except (NatsError, OSError, TimeoutError) as error:
        raise StreamUnavailable(f"{stream}: {type(error).__name__}") from error
    return found


async def subjects_of(client: Client, stream: str, subject: str) -> dict[str, int]:
    """Return how many messages lie on each subject that matches. Raises: as read_stored."""
    found: dict[str, int] = {}
    total = 1
    while len(found) < total:
        wanted = {"subjects_filter": subject, "offset": len(found)}
        answer = await request_api(client, f"STREAM.INFO.{stream}", wanted)
        page = (answer or {}).get("state", {}).get("subjects") or {}
        total = (answer or {}).get("total", len(page)) if page else 0
        found.update(page)
    return found


async def remove_stored(client: Client, stream: str, sequence: int, *, is_overwritten: bool = True) -> bool:
    """
    Remove one message; False when it was gone already.

    Args:
        is_overwritten: Its octets too, at once: nine times the work (measured: 100 against 900 a second).
            Else they go with their block's file, when enough on it was removed.

    Raises:
        StreamUnavailable: No answer.
    """
    wanted = {"seq": sequence, "no_erase": not is_overwritten}
    return await request_api(client, f"STREAM.MSG.DELETE.{stream}", wanted, absent_ok=True) is not None


async def purge(client: Client, stream: str, subject: str) -> None:
    """Remove every message on `subject`. Raises: as read_stored."""
    await request_api(client, f"STREAM.PURGE.{stream}", {"filter": subject})


async def request_api(
    client: Client, subject: str, wanted: dict[str, Any], *, absent_ok: bool = False
) -> dict[str, Any] | None:
    """
    Ask the JetStream API ($JS.API.<subject>) and return its answer.

    Args:
        absent_ok: Return None where what was asked for is not there, instead of raising.

    Raises:
        StreamUnavailable: No answer, or an error.
    """
    try:
        message = await client.request(f"$JS.API.{subject}", json.dumps(wanted).encode(), timeout=TIMEOUT_S)
    except (NatsError, OSError, TimeoutError) as error:
        raise StreamUnavailable(f"{subject}: {type(error).__name__}") from error
    answer: dict[str, Any] = json.loads(message.data)
    if refusal := answer.get("error"):
        if absent_ok and refusal.get("err_code") in _ABSENT:
            return None
        raise StreamUnavailable(f"{subject}: {refusal.get('description')} ({refusal.get('err_code')})")
    return answer
