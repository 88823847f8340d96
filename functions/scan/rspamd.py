"""Rspamd over HTTP (rspamd.com/doc/developers/protocol.html): its verdict, or none in time."""

from __future__ import annotations

import time

import msgspec
import urllib3
from mailchute.eventlog import event_log
from mailchute.verdicts import Spam, Symbol

from .builtin import FOREIGN, verdict_of
from .message import Message

# Its settings module (request_header) can give each account scores, thresholds and checks of its own.
ACCOUNT_FIELD = "Mailchute-Account"
ANSWER_MAX_OCTETS = 4 * 1024 * 1024
PIECE_OCTETS = 64 * 1024
POOL_CONNECTIONS = 64

log = event_log("scan")


class _Symbol(msgspec.Struct):
    name: str = ""
    score: float = 0.0
    description: str | None = None


class _Reply(msgspec.Struct):
    score: float
    action: str
    symbols: dict[str, _Symbol] = {}


class Rspamd:
    """
    A client of one Rspamd.

    Args:
        url: Of its normal worker, such as http://127.0.0.1:11333.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/checkv2"
        self._pool = urllib3.PoolManager(maxsize=POOL_CONNECTIONS, retries=False)

    def judge(self, message: Message, threshold: float, timeout_s: float) -> Spam | None:
        """Return Rspamd's verdict on its own scale; None when it gave none in time."""
        path, ends_at = message.reverse_path, time.monotonic() + timeout_s
        headers = {
            "From": str(path) if path else "",
            "Helo": message.helo,
            "IP": message.client_ip,
            "Rcpt": str(message.recipient or ""),
            ACCOUNT_FIELD: message.account_id,
        }
        headers = {name: value for name, value in headers.items() if value and _is_plain(value)}
        try:
            response = self._pool.request(
                "POST",
                self._url,
                body=message.content,
                headers=headers,
                timeout=urllib3.Timeout(total=max(0.05, timeout_s)),
                redirect=False,
                preload_content=False,
            )
            with response:
                body = _body_of(response, ends_at)
            reply = msgspec.json.decode(body, type=_Reply)
        except (urllib3.exceptions.HTTPError, OSError, msgspec.MsgspecError, ValueError) as error:
            log.warning("rspamd-unavailable", stage="scan", reason=type(error).__name__)
            return None
        if response.status != 200:
            log.warning("rspamd-unavailable", stage="scan", status=response.status)
            return None
        symbols = tuple(
            Symbol(name=name, score=round(symbol.score, 3), description=symbol.description or "")
            for name, symbol in reply.symbols.items()
        )
        return verdict_of(
            symbols, reply.score, threshold, engine="rspamd", action=reply.action, curve=FOREIGN
        )


def _body_of(response: urllib3.BaseHTTPResponse, ends_at: float) -> bytes:
    """Return the body; urllib3's own time limit begins anew with every octet."""
    body = b""
    while len(body) < ANSWER_MAX_OCTETS and (piece := response.read1(PIECE_OCTETS)):
        body += piece
        if time.monotonic() > ends_at:
            raise TimeoutError("Rspamd takes too long")
    return body


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable()
