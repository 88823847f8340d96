"""The real `mailchute up` as a child of a test: what it was sent, what its processes are, how it ends."""

from __future__ import annotations

import os
import re
import signal
import smtplib
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.servers.sink import Sink

READY_WITHIN_S = 90.0  # the suite shares two cores
ENDED_WITHIN_S = 60.0
READY = re.compile(r"^ready  mail to smtp://(\S+):(\d+)(?:  functions at (\S+))?")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # gitleaks:allow - the specification's own example


class System:
    """
    One installation under `home`, started and stopped as often as a test likes.

    Args:
        routes: The routes file's text.
        environ: MAILCHUTE_… beside what every test needs.
    """

    def __init__(
        self, home: Path, *, routes: str, dns: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self.home = home
        self.data = home / "data"
        self.routes = home / "routes.yml"
        self.routes.write_text(routes)
        self.lines: list[str] = []
        self.smtp: tuple[str, int] = ("127.0.0.1", 0)
        self.http = ""
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MAILCHUTE_")},
            "MAILCHUTE_ALLOW_PRIVATE": "127.0.0.0/8",
            "MAILCHUTE_HOSTNAME": "mx.test",
            "MAILCHUTE_DNS": dns,
            **(environ or {}),
        }
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> System:
        """Start it, and return once it says `ready`."""
        self.begin(*options)
        self.until(lambda: self._is_ready() or self._has_ended(), READY_WITHIN_S)
        assert self._is_ready(), "\n".join(self.lines)
        return self

    def begin(self, *options: str, with_smtp: bool = True) -> None:
        """Start it, and wait for nothing."""
        self.lines = []
        host, port = self.smtp
        given = ["--data", str(self.data), "--http", "127.0.0.1:0"]
        given += ["--smtp", f"{host}:{port}"] if with_smtp else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mailchute_cli", "up", *given, "--routes", str(self.routes), *options],
            env=self._environ,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def ended(self, within_s: float = ENDED_WITHIN_S) -> int:
        """Return the status it ends with."""
        assert self._process is not None
        assert self._reader is not None
        status = self._process.wait(within_s)
        self._reader.join(within_s)
        return status

    def stop(self, within_s: float = ENDED_WITHIN_S) -> int:
        """Ask it to end; return its status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self.ended(within_s)

    def signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(which)

    def kill9(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def clear_away(self) -> None:
        """End whatever is left, for the end of a test."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def send(
        self, content: bytes, *recipients: str, sender: str = "ada@example.org"
    ) -> tuple[dict[str, tuple[int, str]], tuple[int, str]]:
        """
        Send one mail over a connection of its own.

        Returns:
            The reply to each RCPT, and to the final dot: (0, "") when none was taken or the server went away.
        """
        try:
            with smtplib.SMTP(*self.smtp, timeout=60) as client:
                client.ehlo("client.example.org")
                client.mail(sender)
                replies = {each: _text(client.rcpt(each)) for each in recipients}
                if not any(code == 250 for code, _ in replies.values()):
                    return replies, (0, "")
                return replies, _text(client.data(content))
        except (OSError, smtplib.SMTPException):
            return {}, (0, "")

    def post(self, path: str, body: bytes, **fields: str) -> tuple[int, bytes]:
        """POST to the HTTP port for people; underscores in field names are hyphens."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        request = urllib.request.Request(f"{self.http}{path}", body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def processes(self) -> dict[int, str]:
        """Return every living process that descends from this `up`, by what it does."""
        parents = {pid: parent for pid in _pids() if (parent := _parent_of(pid))}
        mine = {self.pid}
        while grown := {pid for pid, parent in parents.items() if parent in mine} - mine:
            mine |= grown
        return {pid: _name_of(pid) for pid in mine - {self.pid}}

    def pids(self, name: str) -> list[int]:
        """Return the processes of one program: nats, s3, connector, ingress, front, scan, …, oldest first."""
        return sorted(pid for pid, found in self.processes().items() if found == name)

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    @staticmethod
    def until(holds: Callable[[], object], within_s: float = 30) -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, "it did not come to be in time"
            time.sleep(0.02)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if found := READY.match(line):
                self.smtp = (found[1], int(found[2]))
                self.http = found[3] or ""
            self.lines.append(line.rstrip("\n"))

    def _is_ready(self) -> bool:
        return any(line.startswith("ready") for line in self.lines)

    def _has_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None


NAMES = (
    ("nats-server", "nats"),
    ("/weed ", "s3"),
    ("-m connector", "connector"),
    ("-m smtp_ingress", "ingress"),
    ("mailchute_cli.front", "front"),
    ("functions.parse.worker", "parse-worker"),
)


def _name_of(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        environ = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return "gone"
    for sign, name in NAMES:
        if sign in command:
            return name
    found = re.search(r"(?:^|\0)MAILCHUTE_FUNCTION=functions\.(\w+)", environ)
    return found[1] if found else "other"


def _parent_of(pid: int) -> int | None:
    """Return its parent's process id; None when it has ended, or is about to."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state in "ZX" else int(parent)


def is_alive(pid: int) -> bool:
    return _parent_of(pid) is not None


def routes_to(sink: Sink, *addresses: str) -> str:
    """Return a routes file in which each address posts to the sink's path of its local-part."""
    lines = ["version: 1", "domains:"]
    for domain in dict.fromkeys(address.partition("@")[2] for address in addresses):
        lines.append(f"  {domain}:")
        for name in (address.partition("@")[0] for address in addresses if address.endswith(f"@{domain}")):
            url = sink.url("/" + name.replace("*", "any"))
            lines.append(f'    "{name}": {{endpoints: [{{url: "{url}", secret: {SECRET}}}]}}')
    return "\n".join(lines) + "\n"


def _text(reply: tuple[int, bytes]) -> tuple[int, str]:
    return reply[0], reply[1].decode(errors="replace")


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
