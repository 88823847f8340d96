"""
The HTTP port for people on this machine: passes each call on to its function's own server.

Who may call what is the function's to decide (template/python3-mailchute/index.py); it is told when
the caller is not on this machine.
"""

from __future__ import annotations

import http.client
import ipaddress
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urljoin, urlsplit, urlunsplit

from mailchute_cli import rooms

BODY_MAX_OCTETS = 64 * 1024 * 1024  # as the function's server has it
CALLS_AT_ONCE = 32  # each may hold a body
ANSWER_S = 60.0
IDLE_S = 30.0
API = (
    "/api/",
    "/d/",
    "/.well-known/jwks.json",
    "/.well-known/mta-sts.txt",
)  # what the function `api` answers
LOOK_EVERY_S = 0.05
API_START_S = 30.0  # it starts last: who calls it the moment `up` is ready waits for it so long
EVENT_STREAM = "text/event-stream"
HOP_BY_HOP = ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")  # RFC 9110, 7.6.1
ABOUT = """\
Mailchute. The REST API is under {base}/api/v1 (`mailchute keys create --name N` makes a key).
Hand a function a mail:

  curl --data-binary @mail.eml -H 'Content-Type: message/rfc822' {base}/function/scan
  curl --data-binary @mail.eml -H 'Content-Type: message/rfc822' {base}/function/parse
"""


class Front(ThreadingHTTPServer):
    """Listens for people; `functions` are the URLs of the functions by their names."""

    request_queue_size = 4 * CALLS_AT_ONCE  # connections that come at once; the standard library has 5

    def __init__(self, address: rooms.Address, functions: Mapping[str, str]) -> None:
        self.functions = functions
        self.slots = threading.BoundedSemaphore(CALLS_AT_ONCE)
        super().__init__(address, Caller)


class Caller(BaseHTTPRequestHandler):
    """One connection of a person."""

    server: Front
    protocol_version = "HTTP/1.1"
    server_version = "mailchute"
    sys_version = ""
    timeout = IDLE_S

    def do_GET(self) -> None:
        if self.path in ("/healthz", "/_/health", "/_/ready"):
            self._answer(200, b"ok\n")
        elif self.path == "/":
            self._answer(200, ABOUT.format(base=f"http://{self.headers.get('Host', '')}").encode())
        else:
            self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: the functions log what matters."""

    def _pass_on(self) -> None:
        url = self._target()
        length = self.headers.get("Content-Length", "0" if "Transfer-Encoding" not in self.headers else "")
        if url is None:
            self._refuse(404, b"there is nothing here; / tells what is\n")
        elif not length.isdecimal():
            self._refuse(411, b"a Content-Length is needed\n")
        elif int(length) > BODY_MAX_OCTETS:
            self._refuse(413, b"the body is too large\n")
        elif not self.server.slots.acquire(blocking=False):
            self._refuse(429, b"too many calls at once\n")
        else:
            try:
                self._exchange(url, self.rfile.read(int(length)))
            finally:
                self.server.slots.release()

    def _refuse(self, status: int, text: bytes) -> None:
        self.close_connection = True  # the body stays unread
        self._answer(status, text)

    def _target(self) -> str | None:
        """Return the URL of the server whose this request is; None when it is nobody's."""
        if self.path.startswith(API) and "api" in self.server.functions:
            return urljoin(self.server.functions["api"], self.path)
        prefix, _, name = self.path.rpartition("/")
        is_call = prefix == "/function" and self.command == "POST"
        return self.server.functions.get(name) if is_call else None

    def _exchange(self, url: str, body: bytes) -> None:
        target = urlsplit(url)
        fields = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        if not _is_here(self.client_address[0]):
            fields["X-Forwarded-For"] = self.client_address[0]
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=ANSWER_S)
        try:
            self._dial(connection, wait_s=API_START_S if self.path.startswith(API) else 0)
            connection.request(self.command, urlunsplit(("", "", *target[2:])), body, fields)
            answer = connection.getresponse()
            if answer.headers.get_content_type() == EVENT_STREAM:
                self._pass_stream(answer)
                return
            octets = answer.read()
        except (OSError, http.client.HTTPException):
            self._answer(503, b"the function does not answer\n")
            return
        finally:
            connection.close()
        self._answer(answer.status, octets, answer.getheaders())

    def _dial(self, connection: http.client.HTTPConnection, *, wait_s: float) -> None:
        """Raises: OSError."""
        until = time.monotonic() + wait_s
        while True:
            try:
                connection.connect()
                return
            except ConnectionRefusedError:
                if time.monotonic() > until:
                    raise
                time.sleep(LOOK_EVERY_S)

    def _pass_stream(self, answer: http.client.HTTPResponse) -> None:
        """Pass on what comes as it comes; the end of the connection is the end of the stream."""
        self.close_connection = True
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in (*HOP_BY_HOP, "content-length", "server", "date"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while octets := answer.read1(65_536):
                self.wfile.write(octets)
        except (OSError, http.client.HTTPException):
            """One of the two has gone: whoever follows comes again with the last id."""

    def _answer(
        self, status: int, body: bytes, fields: Sequence[tuple[str, str]] = (("Content-Type", "text/plain"),)
    ) -> None:
        self.send_response(status)
        for name, value in fields:
            if name.lower() not in (*HOP_BY_HOP, "content-length", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _is_here(peer: str) -> bool:
    address = ipaddress.ip_address(peer.partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def main() -> None:
    listen, *functions = sys.argv[1:]
    address = rooms.address("--http", listen)
    Front(address, dict(each.split("=", 1) for each in functions)).serve_forever()


if __name__ == "__main__":
    main()
