"""An endpoint's HTTP/1.1 answer, read with every length and the whole time bounded (RFC 9112)."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass

from .faults import EndpointFault, Unanswered

HEAD_MAX_OCTETS = 32 * 1024  # Apache and nginx send less than 8 KB
INTERIM_MAX_COUNT = 8  # 1xx answers before the one that counts (RFC 9110, 15.2)
BODY_MAX_OCTETS = 50 * 1024  # read at most; nobody needs more to find a mistake
KEPT_OCTETS = 4 * 1024
BODY_PATIENCE_S = 1.0  # the status has decided; a slow body must not hold the slot

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the endpoint said."""

    status: int
    fields: dict[str, str]  # names in lower case; of a repeated field the last value
    body: bytes  # its first KEPT_OCTETS, content codings not undone
    is_reusable: bool  # it was read to its end and the connection stays open


class AnswerReader:
    """
    Reads one answer from a socket.

    Args:
        ends_at: When the attempt is over, by time.monotonic(), however many octets still trickle in.
    """

    def __init__(self, connection: socket.socket, ends_at: float) -> None:
        self._socket = connection
        self._ends_at = ends_at
        self._buffer = bytearray()

    def read(self) -> Answer:
        """
        Return the final answer.

        Raises:
            Unanswered: The connection ended before its first octet.
            EndpointFault: It ended within the header section, or this is no HTTP.
            TimeoutError: The time was over.
            OSError: TLS broke.
        """
        for _ in range(INTERIM_MAX_COUNT):
            version, status, fields = self._head()
            if status >= 200:
                break
        else:
            raise EndpointFault("the endpoint sent interim answers (1xx) only")
        self._ends_at = min(self._ends_at, time.monotonic() + BODY_PATIENCE_S)
        body, is_whole = self._body(status, fields)
        closes = version == 0 or "close" in fields.get("connection", "").lower()
        return Answer(
            status=status,
            fields=fields,
            body=body[:KEPT_OCTETS],
            is_reusable=is_whole and not closes and not self._buffer,
        )

    def _head(self) -> tuple[int, int, dict[str, str]]:
        try:
            head = self._until(b"\r\n\r\n", HEAD_MAX_OCTETS)
        except (EOFError, ConnectionError) as error:
            if self._buffer:
                raise EndpointFault("the endpoint ended the connection within its answer") from error
            raise Unanswered("the endpoint ended the connection without an answer") from error
        first, *lines = head.split(b"\r\n")
        status_line = _STATUS.fullmatch(first)
        if status_line is None:
            raise EndpointFault("what answered there does not speak HTTP/1.1")
        fields = {}
        for line in lines:
            name, _, value = line.partition(b":")
            fields[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
        return int(status_line[1]), int(status_line[2]), fields

    def _body(self, status: int, fields: dict[str, str]) -> tuple[bytes, bool]:
        """Return the body's beginning and whether it was all; what breaks here no longer matters."""
        if status in (204, 304):
            return b"", True
        if "transfer-encoding" in fields:
            return self._chunks() if fields["transfer-encoding"].lower() == "chunked" else (b"", False)
        length = fields.get("content-length", "")
        if not length.isdecimal() or not length.isascii():
            return self._up_to(BODY_MAX_OCTETS), False  # it ends with the connection
        wanted = min(int(length[:12]), BODY_MAX_OCTETS + 1)
        body = self._up_to(min(wanted, BODY_MAX_OCTETS))
        return body, len(body) == wanted

    def _chunks(self) -> tuple[bytes, bool]:
        body = bytearray()
        try:
            while len(body) <= BODY_MAX_OCTETS:
                size_line = _CHUNK_SIZE.fullmatch(self._until(b"\r\n", HEAD_MAX_OCTETS))
                if size_line is None:
                    break
                size = int(size_line[1], 16)
                if size == 0:
                    while self._until(b"\r\n", HEAD_MAX_OCTETS):  # the trailer section, up to an empty line
                        pass
                    return bytes(body), True
                chunk = self._up_to(min(size, BODY_MAX_OCTETS))
                body += chunk
                if len(chunk) < size or self._until(b"\r\n", 2):
                    break
        except (EOFError, OSError, EndpointFault):
            pass
        return bytes(body), False

    def _until(self, end: bytes, limit: int) -> bytes:
        """Return what comes before `end`, and step over it. Raises EOFError when it does not come."""
        searched = 0
        while (found := self._buffer.find(end, searched)) < 0:
            if len(self._buffer) > limit:
                raise EndpointFault(f"the endpoint's answer has a header section over {limit} octets")
            searched = max(0, len(self._buffer) - len(end) + 1)
            self._receive()
        before = bytes(self._buffer[:found])
        del self._buffer[: found + len(end)]
        return before

    def _up_to(self, count: int) -> bytes:
        """Return `count` octets, fewer when the connection or the time ends."""
        try:
            while len(self._buffer) < count:
                self._receive()
        except (EOFError, OSError):
            pass
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _receive(self) -> None:
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)
        octets = self._socket.recv(16 * 1024)
        if not octets:
            raise EOFError
        self._buffer += octets
