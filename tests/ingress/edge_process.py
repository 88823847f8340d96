"""The SMTP edge as a process of its own, beside a real nats-server and a database with aliases."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import smtplib
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import nats
import sqlalchemy as sa
from mailchute import wire
from mailchute.mail import MailObject
from mailchute.subjects import JOURNAL, MAIL
from mailchute.tables import account, alias, domain, metadata

from tests.servers.nats import NatsServer

WAIT_S = 60
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Value = TypeVar("Value")


def until(is_so: Callable[[], Value], what: str) -> Value:
    """Return the first true value; fail after WAIT_S."""
    end = time.monotonic() + WAIT_S
    while not (value := is_so()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)
    return value


class Jet:
    """Streams on a nats-server, asked from synchronous tests."""

    def __init__(self, server: NatsServer) -> None:
        self.server = server
        self._marks: dict[str, int] = {}

    def mark(self) -> None:
        """From here on only what comes new is told."""
        for stream in (MAIL, JOURNAL):
            self._marks[stream] = self._last(stream)

    def ask(self, work: Callable[[Any], Awaitable[Value]]) -> Value:
        async def connected() -> Value:
            client = await nats.connect(self.server.url)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(connected())

    def create(self, name: str, subjects: list[str], **more: Any) -> None:
        config = {
            "name": name,
            "subjects": subjects,
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_bytes": 512 * 1024 * 1024,
            "num_replicas": 1,
            **more,
        }

        async def work(client: Any) -> None:
            answer = await client.request(f"$JS.API.STREAM.CREATE.{name}", json.dumps(config).encode())
            assert "error" not in json.loads(answer.data), answer.data

        self.ask(work)

    def create_all(self, **mail: Any) -> None:
        """Make what the connector makes, as far as the edge needs it."""
        window = {"duplicate_window": 7_200_000_000_000, "allow_atomic": True, "allow_direct": True}
        self.create(MAIL, ["mail.accepted"], **{**window, **mail})
        self.create(JOURNAL, ["journal"])
        self.create(
            "OBJ_content", ["$O.content.C.>", "$O.content.M.>"], allow_rollup_hdrs=True, allow_direct=True
        )

    def delete(self, name: str) -> None:
        async def work(client: Any) -> None:
            await client.request(f"$JS.API.STREAM.DELETE.{name}", b"")

        self.ask(work)

    def delete_all(self) -> None:
        for stream in (MAIL, JOURNAL, "OBJ_content"):
            self.delete(stream)

    def bodies(self, stream: str) -> list[bytes]:
        """Return all that lies on the stream since the mark."""
        first, last = self._marks.get(stream, 0) + 1, self._last(stream)

        async def work(client: Any) -> list[bytes]:
            js = client.jetstream()
            return [(await js.get_msg(stream, number)).data for number in range(first, last + 1)]

        return self.ask(work)

    def count(self, stream: str) -> int:
        """Return how many messages came since the mark."""
        return self._last(stream) - self._marks.get(stream, 0)

    def held(self, stream: str) -> int:
        """Return how many messages the stream holds now."""

        async def work(client: Any) -> int:
            return int((await client.jetstream().stream_info(stream)).state.messages)

        return self.ask(work)

    def _last(self, stream: str) -> int:
        async def work(client: Any) -> int:
            return int((await client.jetstream().stream_info(stream)).state.last_seq)

        return self.ask(work)

    def mails(self) -> list[MailObject]:
        return [wire.decode(body, MailObject) for body in self.bodies(MAIL)]


def add_aliases(url: str, *addresses: str, **more: object) -> None:
    """Write aliases without endpoints: "support@inbox.test", "*@catch.test"."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            account.insert().prefix_with("OR IGNORE"), {"id": "acc_1", "name": "one", "created_at": NOW}
        )
        for address in addresses:
            name, _, domain_name = address.partition("@")
            row = {"id": f"dom_{domain_name}", "account_id": "acc_1", "name": domain_name, "created_at": NOW}
            connection.execute(domain.insert().prefix_with("OR IGNORE"), row)
            connection.execute(
                alias.insert(),
                {
                    "id": f"als_{address}",
                    "account_id": "acc_1",
                    "domain_id": f"dom_{domain_name}",
                    "name": name,
                    "kind": "catch-all" if name == "*" else "exact",
                    "match": "" if name == "*" else name.lower(),
                    "created_at": NOW,
                    **more,
                },
            )
    engine.dispose()


class EdgeProcess:
    """`python -m smtp_ingress` on a free port."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "smtp_ingress"],
            env={"PATH": os.environ["PATH"], **environ},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: list[dict[str, Any]] = []
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0

    def listening(self) -> EdgeProcess:
        self.port = int(self.event("listening")["port"])
        return self

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event and return it."""

        def found() -> dict[str, Any] | None:
            if self.process.poll() is not None and not self._reader.is_alive():
                known = [each for each in self.events if each["event"] == name]
                assert known, f"ended with {self.process.returncode} before {name!r}: {self.lines[-20:]}"
            return next((each for each in self.events if each["event"] == name), None)

        event = until(found, name)
        assert event is not None
        return event

    def client(self, **more: Any) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.test", timeout=WAIT_S, **more)

    def send(self, content: bytes, *to: str, sender: str = "ann@sender.test") -> str:
        """Send one mail, and return the reply to its content."""
        with self.client() as client:
            client.ehlo()
            assert client.mail(sender)[0] == 250
            for each in to:
                assert client.rcpt(each)[0] == 250
            code, text = client.data(content)
            return f"{code} {text.decode()}"

    def rss_octets(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=WAIT_S)

    def kill9(self) -> None:
        self.process.kill()
        self.process.wait(timeout=WAIT_S)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if line.startswith("{"):
                self.events.append(json.loads(line))


def environ_of(server: NatsServer, database: str, **settings: str) -> dict[str, str]:
    return {
        "MAILCHUTE_SMTP": "127.0.0.1:0",
        "MAILCHUTE_HOSTNAME": "mx.test",
        "MAILCHUTE_NATS_URL": server.url,
        "MAILCHUTE_DATABASE_URL": database,
        **{f"MAILCHUTE_{name}": value for name, value in settings.items()},
    }


def new_database(home: Path, *addresses: str) -> str:
    """Return the URL of a database of its own with these aliases."""
    url = f"sqlite:///{home / 'mailchute.db'}"
    engine = sa.create_engine(url)
    metadata.create_all(engine)
    engine.dispose()
    add_aliases(url, *addresses)
    return url


def new_content(text: str = "bye") -> bytes:
    """Return a mail that was never sent before."""
    return (
        f"From: Ann <ann@sender.test>\r\nMessage-ID: <{uuid.uuid4()}@x>\r\n\r\n.dotted\r\n{text}\r\n".encode()
    )
