"""clamd (docs.clamav.net/manual/Usage/Scanning.html#clamd): the INSTREAM command over TCP or a socket."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time

from mailchute.eventlog import event_log
from mailchute.verdicts import Virus

CHUNK_OCTETS = 256 * 1024
ANSWER_MAX_OCTETS = 4_096
_FOUND = re.compile(rb"stream: (.{1,200}) FOUND")

log = event_log("scan")


class Clamd:
    """
    A client of one clamd.

    Args:
        address: "host:port", or the path of its socket.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def check(self, content: bytes, timeout_s: float) -> Virus | None:
        """Return what clamd says; None when it said nothing in time, or could not look at it."""
        ends_at = time.monotonic() + timeout_s
        try:
            with self._connect(timeout_s) as connection:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have heard enough
                    self._send(connection, memoryview(content), ends_at)
                answer = self._answer(connection, ends_at)
        except OSError as error:
            log.warning("clamd-unavailable", stage="scan", reason=type(error).__name__)
            return None
        if answer == b"stream: OK":
            return Virus(engine="clamav", infected=False)
        found = _FOUND.fullmatch(answer)
        if found is None:
            is_too_much = answer.startswith(b"INSTREAM size limit")
            log.warning(
                "clamd-unavailable", stage="scan", reason="StreamMaxLength" if is_too_much else "answer"
            )
            return None
        return Virus(engine="clamav", infected=True, names=(found[1].decode("utf-8", "replace"),))

    def _connect(self, timeout_s: float) -> socket.socket:
        if "/" in self._address:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(timeout_s)
            connection.connect(self._address)
            return connection
        host, _, port = self._address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s)

    def _send(self, connection: socket.socket, content: memoryview, ends_at: float) -> None:
        connection.sendall(b"zINSTREAM\0")
        for at in range(0, len(content), CHUNK_OCTETS):
            chunk = content[at : at + CHUNK_OCTETS]
            connection.settimeout(_left_s(ends_at))
            connection.sendall(struct.pack("!L", len(chunk)))
            connection.sendall(chunk)
        connection.sendall(struct.pack("!L", 0))

    def _answer(self, connection: socket.socket, ends_at: float) -> bytes:
        answer = b""
        while b"\0" not in answer and len(answer) < ANSWER_MAX_OCTETS:
            connection.settimeout(_left_s(ends_at))
            received = connection.recv(ANSWER_MAX_OCTETS)
            if not received:
                break
            answer += received
        return answer.partition(b"\0")[0].strip()


def _left_s(ends_at: float) -> float:
    left_s = ends_at - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("clamd takes too long")
    return left_s
