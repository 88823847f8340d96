"""Loopback ports: which are free, and which were ours the last time."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Collection

# Below what the kernel hands out for outgoing connections (ip_local_port_range), so that none of
# those takes a port between our look and the child's bind.
LOWEST, HIGHEST = 20_000, 32_000
RELEASE_S = 2.0  # a child that was just killed may hold its port for a moment


def is_free(host: str, port: int) -> bool:
    """Return whether nobody listens there; SO_REUSEPORT of others does not hide them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
    return True


def becomes_free(host: str, port: int, within_s: float = RELEASE_S) -> bool:
    """Return whether the port is free now or within this time."""
    deadline = time.monotonic() + within_s
    while not is_free(host, port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def free_port(taken: Collection[int] = (), *, host: str = "127.0.0.1", first: int | None = None) -> int:
    """
    Return a port nobody listens on.

    Args:
        taken: Ports promised to others already.
        first: Tried before any other.

    Raises:
        OSError: None of a thousand was free.
    """
    drawn = random.sample(range(LOWEST, HIGHEST), 1_000)
    for port in [first, *drawn] if first else drawn:
        is_ours = port in _promises and port != first
        if port not in taken and not is_ours and is_free(host, port) and _promise(port):
            return port
    raise OSError(f"no port of {host} from {LOWEST} to {HIGHEST} is free")


_promises: dict[int, socket.socket] = {}


def _promise(port: int) -> bool:
    """
    Keep the port for us until this process ends; False when another `up` of this machine has it.

    Between our look and the child's bind another could draw the same one. The names are abstract
    (unix(7)): no file is left behind, whatever ends us.
    """
    if port in _promises:
        return True
    promise = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        promise.bind(f"\0mailchute-port-{port}")
    except OSError:
        promise.close()
        return False
    _promises[port] = promise
    return True
