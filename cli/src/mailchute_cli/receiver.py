"""
The demo's webhook endpoint, a process of its own that knows nothing of Mailchute but its secret.

It verifies each POST with the `standardwebhooks` package and writes one JSON line of it to stdout.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError

SHOWN_FIELDS = ("webhook-id", "webhook-timestamp", "webhook-signature", "x-emailconnect-signature")


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to a POST whose signature holds, 401 to any other."""

    webhook: Webhook

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fields = {name.lower(): value for name, value in self.headers.items()}
        try:
            self.webhook.verify(body, fields)
            is_verified = True
        except WebhookVerificationError:
            is_verified = False
        told = {
            "at": time.time(),
            "is_verified": is_verified,
            "fields": {name: fields[name] for name in SHOWN_FIELDS if name in fields},
            "body": body.decode(errors="replace"),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        self._answer(204 if is_verified else 401)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: what came in stands on stdout already."""

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def main() -> None:
    port, secret_file = sys.argv[1:]
    Receiver.webhook = Webhook(Path(secret_file).read_text().strip())
    ThreadingHTTPServer(("127.0.0.1", int(port)), Receiver).serve_forever()


if __name__ == "__main__":
    main()
