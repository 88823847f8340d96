"""What passes between the host and a worker: a kind, a length, octets. Nothing is pickled."""

from __future__ import annotations

import socket
import struct

REQUEST = b"R"  # a ParseRequest as MessagePack, as it came in
ANSWER = b"A"  # the finished ParseAnswer as MessagePack
DRAFT = b"D"  # a Draft as MessagePack: octets are to be put on S3, or something is to be logged
REFUSED = b"X"  # the octets are no ParseRequest of a version that can be read

_HEAD = struct.Struct("!cQ")
_FRAME_MAX_OCTETS = 256 * 1024 * 1024
_READ_OCTETS = 64 * 1024  # most frames whole, and several small ones: one system call


def limit(connection: socket.socket, duration_s: float) -> None:
    """
    Let no read or write on this connection wait longer: it raises BlockingIOError then.

    The kernel keeps the time (socket(7), SO_RCVTIMEO); Python's own timeouts ask poll() before every call.
    """
    span = struct.pack("@ll", int(duration_s), int(duration_s % 1 * 1e6))  # struct timeval
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)


def send(connection: socket.socket, kind: bytes, octets: bytes) -> None:
    """Send one frame; small ones in one system call."""
    head = _HEAD.pack(kind, len(octets))
    if len(octets) <= 64 * 1024:
        connection.sendall(head + octets)
    else:
        connection.sendall(head)
        connection.sendall(octets)


class FrameReader:
    """
    Reads frames from one connection, one at a time; what came behind a frame is kept for the next.

    Args:
        connection: Nobody else may read from it.
    """

    __slots__ = ("_connection", "_kept")

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._kept = b""

    def read(self) -> tuple[bytes, bytes] | None:
        """
        Return kind and octets of the next frame, or None when the other end is gone.

        Raises:
            BlockingIOError: The connection has a time limit and it passed.
            OSError: The connection broke.
        """
        got = self._kept
        while len(got) < _HEAD.size:
            more = self._connection.recv(_READ_OCTETS)
            if not more:
                return None
            got += more
        kind, size = _HEAD.unpack_from(got)
        if size > _FRAME_MAX_OCTETS:
            raise OSError("a frame that cannot be ours")
        end = _HEAD.size + size
        if len(got) >= end:
            self._kept = got[end:]
            return kind, got[_HEAD.size : end]
        self._kept = b""
        octets = self._rest(got[_HEAD.size :], size)
        return None if octets is None else (kind, octets)

    def _rest(self, begun: bytes, size: int) -> bytes | None:
        whole = bytearray(size)
        whole[: len(begun)] = begun
        view, position = memoryview(whole), len(begun)
        while position < size:
            count = self._connection.recv_into(view[position:])
            if not count:
                return None
            position += count
        return bytes(whole)
