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

    Raises:
        TimeoutError: The connection has a timeout and it passed.
        OSError: The connection broke.
    """
    head = _exactly(connection, _HEAD.size)
    if head is None:
        return None
    kind, size = _HEAD.unpack(head)
    if size > _FRAME_MAX_OCTETS:
        raise OSError("a frame that cannot be ours")
    octets = _exactly(connection, size)
    return None if octets is None else (kind, octets)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    first = connection.recv(size) if size else b""
    if len(first) == size:
        return first
    if not first:
        return None
    whole = bytearray(size)
    whole[: len(first)] = first
    view, position = memoryview(whole), len(first)
    while position < size:
        count = connection.recv_into(view[position:])
        if not count:
            return None
        position += count
    return bytes(whole)
