"""
The server of a function: Flask under granian, in the image and at the desk alike.

It hosts the modules MAILCHUTE_FUNCTION names (mailchute.function tells what one has), each at
/function/<name>; one alone also at /. Calls and health checks take a way of their own before Flask's:
its request context costs as much CPU as a whole hop may, and its import half a second of every start.
"""

from __future__ import annotations

import ctypes
import functools
import hmac
import importlib
import ipaddress
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.client import responses
from typing import Any

import msgspec
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from hosted import WAITING_MAX, Hosted, refusal
from mailchute import heap, wire
from mailchute.errors import BadSetting
from mailchute.eventlog import start_logging
from mailchute.function import NEVER, RETRY_AFTER_S, Answer, Call
from mailchute.settings import Reader

BODY_MAX_OCTETS = 64 * 1024 * 1024  # NATS carries no larger max_payload; a mail stays far below
PIECE_OCTETS = 256 * 1024
SPARE_THREADS = 4  # say "full" and "healthy" while every call is taken
DRAIN_S = 30  # what runs when SIGTERM comes may take this long to end
PR_SET_PDEATHSIG = 1  # prctl(2)
HEALTH_PATHS = ("/_/health", "/_/ready", "/healthz")
BETWEEN = (  # header fields that a proxy or a browser adds: then a loopback peer is not a person here
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_ORIGIN",
)

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_items = msgspec.msgpack.Decoder(list[bytes])


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What this server was told."""

    functions: tuple[str, ...]  # MAILCHUTE_FUNCTION: modules, comma-separated
    listen: tuple[str, int]  # MAILCHUTE_LISTEN
    internal_token: str  # MAILCHUTE_INTERNAL_TOKEN; "": nobody has it, so only PUBLIC answers
    max_inflight: int  # max_inflight, as OpenFaaS spells it: at most this many; 0 is CONCURRENCY

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        reader = Reader(environ)
        settings = cls(
            functions=tuple(reader.text("MAILCHUTE_FUNCTION", "function").replace(" ", "").split(",")),
            listen=reader.address("MAILCHUTE_LISTEN", "127.0.0.1:8080"),
            internal_token=reader.secret("MAILCHUTE_INTERNAL_TOKEN"),
            max_inflight=reader.whole("max_inflight", 0, low=0, high=65_536),
        )
        reader.check()
        return settings


class FunctionCalls:
    """The WSGI application before Flask's: takes the calls, passes on all else."""

    def __init__(self, hosted: list[Hosted], internal_token: str, otherwise: Application) -> None:
        self._bearer = f"Bearer {internal_token}".encode() if internal_token else None
        self._otherwise = otherwise
        self._at = {f"/function/{one.name}": one for one in hosted}
        if len(hosted) == 1:
            self._at["/"] = hosted[0]

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] in HEALTH_PATHS:
            return _send(start, Answer(status=200, body=b"ok\n", content_type="text/plain"))
        hosted = self._at.get(environ["PATH_INFO"])
        has_token = self._has_token(environ)
        if (
            hosted is None
            or environ["REQUEST_METHOD"] != "POST"
            or not (has_token or _may_call(hosted, environ))
        ):
            return self._otherwise(environ, start)  # which knows no such page: 404
        if not hosted.enter(may_wait=has_token):
            return _send(start, refusal(429, "all slots are taken", "Full", retry_after_s=RETRY_AFTER_S))
        try:
            body = _body_of(environ)
            if _media_type(environ.get("CONTENT_TYPE", "")) == wire.BATCH:
                answers = hosted.batch(_items.decode(body))
                start("200 OK", [("Content-Type", wire.BATCH)])
                return answers
            return _send(start, hosted.answer(_call_of(environ, body)))
        except (msgspec.MsgspecError, ValueError) as error:
            return _send(start, refusal(NEVER, str(error), type(error).__name__))
        finally:
            hosted.leave()

    def _has_token(self, environ: Environ) -> bool:
        given = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
        return self._bearer is not None and hmac.compare_digest(given, self._bearer)


def _may_call(hosted: Hosted, environ: Environ) -> bool:
    """Return whether a stranger may: one on this machine, of a function that is public."""
    if not hosted.is_public or any(name in environ for name in BETWEEN):
        return False
    try:
        peer = ipaddress.ip_address(environ["REMOTE_ADDR"])
    except ValueError:
        return False
    return (getattr(peer, "ipv4_mapped", None) or peer).is_loopback


def _body_of(environ: Environ) -> bytes:
    """Return the body. A gateway may send it in chunks, so that Content-Length need not be there."""
    stated_octets = environ.get("CONTENT_LENGTH")
    if stated_octets and int(stated_octets) <= BODY_MAX_OCTETS:
        body: bytes = environ["wsgi.input"].read()  # in one go: each read is a trip to another thread
        return body
    pieces: list[bytes] = []
    room_octets = 0 if stated_octets else BODY_MAX_OCTETS
    while room_octets > 0 and (piece := environ["wsgi.input"].read(PIECE_OCTETS)):
        pieces.append(piece)
        room_octets -= len(piece)
    if room_octets <= 0:
        raise ValueError(f"the body is over {BODY_MAX_OCTETS} octets")
    return b"".join(pieces)


def _call_of(environ: Environ, body: bytes) -> Call:
    accepts = [_media_type(part) for part in environ.get("HTTP_ACCEPT", "").split(",")]
    return Call(
        body=body,
        content_type=_media_type(environ.get("CONTENT_TYPE", "")) or wire.MSGPACK,
        accept=next((kind for kind in accepts if kind in (wire.JSON, wire.MSGPACK)), ""),
        headers={
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_") and name != "HTTP_AUTHORIZATION"
        },
    )


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _send(start: StartResponse, given: Answer) -> list[bytes]:
    headers = [("Content-Type", given.content_type)]
    if given.retry_after_s is not None:
        headers.append(("Retry-After", str(math.ceil(given.retry_after_s))))  # RFC 9110, 10.2.3: whole
    start(f"{given.status} {responses.get(given.status, 'Other')}", headers)
    return [given.body]


def pages(environ: Environ, start: StartResponse) -> Iterable[bytes]:
    """Answer what is neither a call nor a health check, by the Flask application."""
    answered: Iterable[bytes] = _flask()(environ, start)
    return answered


@functools.cache
def _flask() -> Application:
    from flask import Flask  # noqa: PLC0415 - see the top of this file

    return Flask("mailchute")


def application(modules: Mapping[str, Any], *, internal_token: str, max_inflight: int = 0) -> FunctionCalls:
    """Return the WSGI application that hosts these modules by their names."""
    hosted = [Hosted(module, name=name, max_inflight=max_inflight) for name, module in modules.items()]
    own = (module.pages for module in modules.values() if hasattr(module, "pages"))
    return FunctionCalls(hosted, internal_token, next(own, pages))


def load(settings: Settings) -> FunctionCalls:
    """Let each function start, and return the application. Runs once, in the worker granian forks."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the master's handler, inherited, would swallow it
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # its parent is granian's master
    modules = {path.rpartition(".")[2]: _module(path) for path in settings.functions}
    try:
        for module in modules.values():
            module.start()
    except BadSetting as error:
        sys.exit(str(error))
    heap.settle()
    return application(modules, internal_token=settings.internal_token, max_inflight=settings.max_inflight)


def _module(path: str) -> Any:
    """Return a function's module: `path` itself, or the handler in that folder."""
    module = importlib.import_module(path)
    return module if hasattr(module, "handle") else importlib.import_module(f"{path}.handler")


def main() -> None:
    try:
        settings = Settings.read(os.environ)
    except BadSetting as error:
        sys.exit(str(error))
    start_logging("+".join(path.rpartition(".")[2] for path in settings.functions))
    threads = sum(_module(path).CONCURRENCY + WAITING_MAX for path in settings.functions) + SPARE_THREADS
    host, port = settings.listen
    server = Granian(
        "index",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        blocking_threads=threads,  # made as they are needed
        backpressure=2 * threads,  # connections; the rest waits in the listen queue
        workers_kill_timeout=DRAIN_S,
        log_enabled=False,  # it would tell of each start and stop what the supervisor tells better
    )
    try:
        server.serve(target_loader=functools.partial(load, settings), wrap_loader=False)
    except RuntimeError as error:  # granian's word for a port that cannot be had
        sys.exit(f"MAILCHUTE_LISTEN is '{host}:{port}': {str(error).splitlines()[0]}")


if __name__ == "__main__":
    main()
