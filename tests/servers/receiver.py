"""
The process behind the sink: an HTTP/1.1 receiver that writes down every request and does as its path says.

It is told over stdin, one JSON line `{"path": …, "steps": [step, …]}` each, and says `ok` on stdout.
The first request to a path meets the first step, and so on; the last step stays. End of stdin ends it.
A step: {"status": 200, "headers": [[name, value]], "body": "", "after_s": 0, "fault": null}. Faults:

    hang      reads the request and never answers
    reset     reads the request and resets the connection
    slow      answers one octet a second
    cut       dies after the status line
    flood     answers with a gigabyte
    continue  answers `100 Continue` for ever, and nothing else
    echo      answers with the request's body
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import socket
import ssl
import struct
import sys
import time
from pathlib import Path
from typing import Any, TextIO

FLOOD_OCTETS = 1 << 30
HEAD_LIMIT_OCTETS = 1 << 20
PLAIN: dict[str, Any] = {"status": 200, "headers": [], "body": "", "after_s": 0.0, "fault": None}


class Receiver:
    """Answers requests by the steps of their path, and journals each before its answer."""

    def __init__(self, journal: TextIO) -> None:
        self._journal = journal
        self._steps: dict[str, list[dict[str, Any]]] = {}
        self._connections = itertools.count(1)

    def program(self, path: str, steps: list[dict[str, Any]]) -> None:
        self._steps[path] = [PLAIN | step for step in steps]

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = next(self._connections)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while await self._serve(connection, reader, writer):
                pass
        writer.close()

    async def _serve(
        self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:-2])]
        body = await _body(reader, {name.lower(): value for name, value in fields})
        line = {"method": method, "path": target, "headers": fields, "at": time.time()}
        line |= {"connection": connection, "body": base64.b64encode(body).decode()}
        self._journal.write(json.dumps(line) + "\n")
        self._journal.flush()
        step = self._step(target)
        if step["fault"] == "echo":
            step = step | {"body": body.decode(errors="replace"), "fault": None}
        return await _answer(step, reader, writer)

    def _step(self, path: str) -> dict[str, Any]:
        steps = self._steps.get(path) or self._steps.get(path.partition("?")[0]) or [PLAIN]
        return steps.pop(0) if len(steps) > 1 else steps[0]


async def _body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if fields.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(fields.get("content-length", "0")))
    chunks = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(chunks)


async def _answer(step: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Do as the step says, and return whether the connection stays open."""
    await asyncio.sleep(step["after_s"])
    body = step["body"].encode()
    fields = "".join(f"{name}: {value}\r\n" for name, value in step["headers"])
    status = f"HTTP/1.1 {step['status']} Programmed\r\n"
    match step["fault"]:
        case "hang":
            while await reader.read(1 << 16):
                pass
        case "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        case "slow":
            for octet in f"{status}Content-Length: {len(body)}\r\n\r\n".encode() + body:
                writer.write(bytes([octet]))
                await writer.drain()
                await asyncio.sleep(1)
        case "cut":
            writer.write(status.encode())
            await writer.drain()
        case "flood":
            writer.write(f"{status}{fields}Content-Length: {FLOOD_OCTETS}\r\n\r\n".encode())
            for _ in range(FLOOD_OCTETS >> 16):
                writer.write(b"x" * (1 << 16))
                await writer.drain()
        case "continue":
            while True:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
                await writer.drain()
        case _:
            writer.write(f"{status}{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            return True
    return False


async def serve(port: int, journal: Path, certificate: str, client_authority: str) -> None:
    """Receive on 127.0.0.1:port (0: a free one, told on stdout) until stdin ends."""
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        if client_authority:
            tls.load_verify_locations(client_authority)
            tls.verify_mode = ssl.CERT_REQUIRED
    with journal.open("a") as lines:
        receiver = Receiver(lines)
        server = await asyncio.start_server(
            receiver.converse, "127.0.0.1", port, ssl=tls, limit=HEAD_LIMIT_OCTETS, backlog=2048
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        while order := await asyncio.to_thread(sys.stdin.readline):
            receiver.program(**json.loads(order))
            print("ok", flush=True)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--journal", type=Path, required=True)
    arguments.add_argument("--certificate", default="")
    arguments.add_argument("--client-authority", default="")
    given = arguments.parse_args()
    asyncio.run(serve(given.port, given.journal, given.certificate, given.client_authority))
