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
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from mailchute_cli import rooms

BODY_MAX_OCTETS = 64 * 1024 * 1024  # as the function's server has it
CALLS_AT_ONCE = 32  # each may hold a body
ANSWER_S = 60.0
IDLE_S = 30.0
HOP_BY_HOP = ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")  # RFC 9110, 7.6.1
ABOUT = """\
Mailchute. Hand a function a mail:

  curl --data-binary @mail.eml -H 'Content-Type: message/rfc822' {base}/function/scan
  curl --data-binary @mail.eml -H 'Content-Type: message/rfc822' {base}/function/parse
"""


class Front(ThreadingHTTPServer):
    """Listens for people; `functions` are the URLs of the functions by their names."""

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
            self._answer(404, b"there is nothing here; / tells what is\n")

    def do_POST(self) -> None:
        prefix, _, name = self.path.rpartition("/")
        if prefix != "/function" or name not in self.server.functions:
            self.close_connection = True  # the body stays unread
            self._answer(404, b"there is nothing here; / tells what is\n")
        elif not self.headers.get("Content-Length", "").isdecimal():
            self.close_connection = True
            self._answer(411, b"a Content-Length is needed\n")
        elif int(self.headers["Content-Length"]) > BODY_MAX_OCTETS:
            self.close_connection = True
            self._answer(413, b"the body is too large\n")
        elif not self.server.slots.acquire(blocking=False):
            self.close_connection = True
            self._answer(429, b"too many calls at once\n")
        else:
            try:
                self._pass_on(self.server.functions[name])
            finally:
                self.server.slots.release()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: the functions log what matters."""

    def _pass_on(self, url: str) -> None:
        target = urlsplit(url)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fields = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        if not _is_here(self.client_address[0]):
            fields["X-Forwarded-For"] = self.client_address[0]
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=ANSWER_S)
        try:
            connection.request("POST", target.path, body, fields)
            answer = connection.getresponse()
            self._answer(answer.status, answer.read(), answer.headers.get_content_type())
        except (OSError, http.client.HTTPException):
            self._answer(503, b"the function does not answer\n")
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
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
