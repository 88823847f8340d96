"""A stream's receipt for a publish, and the errors it may be instead."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec

from mailchute.errors import PermanentError, StreamFull, StreamUnavailable

TIMEOUT_S = 5.0

# Error codes of nats-server 2.15, server/errors.json
_FULL = frozenset({10002, 10023, 10028, 10047, 10077})  # a limit of the stream, account or server
_TOO_LARGE = 10054  # over max_msg_size
_TOO_LARGE_TEXT = "message too large"  # a file store says so under 10077
_SINGLY = frozenset({10174, 10201})  # atomic publish is not offered; a message id is a duplicate


@dataclass(frozen=True, slots=True)
class Receipt:
    """A stream's PubAck."""

    sequence: int  # where it lies on the stream; of a duplicate, where the first one lies
    is_duplicate: bool  # the same message id had been published within the duplicate window


class _ApiError(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _PubAck(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _ApiError | None = None


_pub_acks = msgspec.json.Decoder(_PubAck)


class Begun:
    """A publish on its way: ask for its receipt once, or forget it."""

    def __init__(self, stream: str, waiting: dict[str, asyncio.Future[bytes]], token: str) -> None:
        self._stream = stream
        self._waiting = waiting
        self._token = token
        self._answer = waiting[token] = asyncio.get_running_loop().create_future()

    async def receipt(self, timeout_s: float = TIMEOUT_S) -> Receipt:
        """Return the receipt. Raises: as Publisher.publish."""
        ack = _checked(await self._answered(timeout_s), self._stream)
        return Receipt(ack.seq, ack.duplicate)

    async def opened(self, timeout_s: float = TIMEOUT_S) -> None:
        """Return once the stream has taken this as the first of a batch. Raises: as Publisher.publish."""
        answer = await self._answered(timeout_s)
        if answer:
            _checked(answer, self._stream)
            raise StreamUnavailable("a batch was answered as a single publish")

    def forget(self) -> None:
        self._waiting.pop(self._token, None)

    async def _answered(self, timeout_s: float) -> bytes:
        timer = asyncio.get_running_loop().call_later(timeout_s, self._expire, timeout_s)
        try:
            answer: bytes = await self._answer
            return answer
        finally:
            timer.cancel()
            self.forget()

    def _expire(self, timeout_s: float) -> None:
        if not self._answer.done():
            self._answer.set_exception(StreamUnavailable(f"no receipt within {timeout_s:g} s"))


class GoSingly(Exception):
    """The batch was refused as such; its messages may go one by one."""


def _checked(answer: bytes, stream: str) -> _PubAck:
    try:
        ack = _pub_acks.decode(answer)
    except msgspec.MsgspecError as error:
        raise StreamUnavailable("what answered is no stream") from error
    if ack.error is not None:
        code, text = ack.error.err_code, ack.error.description
        if code in _SINGLY:
            raise GoSingly
        if code == _TOO_LARGE or text == _TOO_LARGE_TEXT:
            raise PermanentError(f"{stream}: {text}")
        if code in _FULL:
            raise StreamFull(f"{stream}: {text}")
        raise StreamUnavailable(f"{stream}: {text} ({code})")
    if ack.stream != stream:
        raise StreamUnavailable(f"stored on {ack.stream!r}, not on {stream}")
    return ack
