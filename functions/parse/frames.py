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
_FIRST_READ_OCTETS = 128 * 1024  # most frames whole: one system call each


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


def receive(connection: socket.socket) -> tuple[bytes, bytes] | None:
    """
    Return kind and octets of one frame, or None when the other end is gone.

    The other end sends nothing more until this frame is answered.

    Raises:
        BlockingIOError: The connection has a time limit and it passed.
        OSError: The connection broke.
    """
    first = connection.recv(_FIRST_READ_OCTETS)
    while first and len(first) < _HEAD.size:
        more = connection.recv(_HEAD.size - len(first))
        first = first + more if more else b""
    if not first:
        return None
    kind, size = _HEAD.unpack_from(first)
    if size > _FRAME_MAX_OCTETS or len(first) > _HEAD.size + size:
        raise OSError("a frame that cannot be ours")
    if len(first) == _HEAD.size + size:
        return kind, first[_HEAD.size :]
    octets = _rest(connection, first[_HEAD.size :], size)
    return None if octets is None else (kind, octets)


def _rest(connection: socket.socket, begun: bytes, size: int) -> bytes | None:
    whole = bytearray(size)
    whole[: len(begun)] = begun
    view, position = memoryview(whole), len(begun)
    while position < size:
        count = connection.recv_into(view[position:])
        if not count:
            return None
        position += count
    return bytes(whole)
