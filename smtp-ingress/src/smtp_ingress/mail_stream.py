"""The MAIL stream as the edge sees it: what lies on it, and how full it is."""

from __future__ import annotations

import json
from typing import Any

import nats.js.errors
from mailchute import wire
from mailchute.errors import StreamUnavailable, Undecodable
from mailchute.mail import ContentRef, MailObject
from mailchute.objects import delete_object, stream_of
from mailchute.subjects import CONTENT_BUCKET, MAIL
from nats.aio.client import Client
from nats.errors import Error as NatsError

FULL_SHARE = 0.9  # of max_bytes: from here on new mail waits at its sender
ASK_S = 5.0


class MailStream:
    """
    Reads of MAIL and of the bucket for big content.

    `is_ready` and `is_full` say what the last look found.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=ASK_S)
        self.is_ready = False  # MAIL is there and answers
        self.is_full = False

    async def mail_at(self, sequence: int) -> MailObject | None:
        """Return the mail stored there, or None when it is gone. Raises: StreamUnavailable."""
        try:
            message = await self._jetstream.get_msg(MAIL, sequence)
            return wire.decode(message.data or b"", MailObject)
        except (nats.js.errors.NotFoundError, Undecodable):
            return None
        except (NatsError, OSError, TimeoutError) as error:
            raise StreamUnavailable(f"not read: {type(error).__name__}") from error

    async def delete(self, ref: ContentRef) -> None:
        await delete_object(self._client, ref)

    async def look(self) -> None:
        """Ask how full MAIL and its bucket are."""
        try:
            mail = await self._info(MAIL)
            content = await self._info(stream_of(CONTENT_BUCKET))
        except (NatsError, OSError, TimeoutError, ValueError):
            self.is_ready = False
            return
        self.is_ready = "error" not in mail
        self.is_full = _is_full(mail) or _is_full(content)

    async def _info(self, stream: str) -> dict[str, Any]:
        answer = await self._client.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=ASK_S)
        found: dict[str, Any] = json.loads(answer.data)
        return found


def _is_full(info: dict[str, Any]) -> bool:
    max_octets = int(info.get("config", {}).get("max_bytes", -1))
    return max_octets > 0 and int(info.get("state", {}).get("bytes", 0)) >= FULL_SHARE * max_octets
