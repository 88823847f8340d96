"""
Each function as its image has it: the context faas-cli would build from, installed into an environment
of its own from the locked requirements, served from there, and called.

No container is built here; the steps are those of template/python3-mailchute/Dockerfile.
"""

from __future__ import annotations

import base64
import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import yaml
from mailchute import wire
from mailchute.alias import AliasSnapshot, EndpointSnapshot
from mailchute.database import migrate
from mailchute.delivery import AttemptOutcome, AttemptRequest, WebhookDelivery
from mailchute.envelope import Envelope
from mailchute.envelope import Path as MailPath
from mailchute.expiring import ExpireAnswer, ExpireRequest
from mailchute.ids import new_id
from mailchute.journal import JournalBatch, Recorded
from mailchute.mail import MailObject, fingerprint_of
from mailchute.parsed import ParseAnswer, ParseRequest
from mailchute.verdicts import ScanReport

ROOT = Path(__file__).parents[2]
STACK = yaml.safe_load((ROOT / "stack.yml").read_text())
FUNCTIONS = sorted(STACK["functions"])
CONTENT = b"From: ada@example.org\r\nTo: support@inbox.test\r\nSubject: Hello\r\n\r\nHello.\r\n"
OFFLINE = ("dns error", "error sending request", "Connection refused", "network was disabled")  # uv's words
TOKEN = "the installation's own"


def build_context(name: str, target: Path) -> Path:
    """Lay out the build context as faas-cli does: template, then handler, then what is copied."""
    function = STACK["functions"][name]
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "template" / function["lang"], target, ignore=skip)
    shutil.copytree(ROOT / function["handler"], target / "function", ignore=skip, dirs_exist_ok=True)
    for path in STACK["configuration"]["copy"]:
        shutil.copytree(ROOT / path, target / "function" / path, ignore=skip)
    return target


def install(context: Path) -> Path:
    """Install as the Dockerfile does; return the environment's Python."""
    python = context.parent / "venv" / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    for command in (
        ["venv", "--python", sys.executable, str(python.parents[1])],
        ["pip", "install", "--require-hashes", "-r", "requirements.txt"],
        ["pip", "install", "--require-hashes", "-r", "function/requirements.txt"],
        ["pip", "install", "--no-deps", "function/shared"],
    ):
        where = ["--python", str(python)] if command[0] == "pip" else []
        done = subprocess.run(
            [str(uv), *command[:2], *where, *command[2:]] if where else [str(uv), *command],
            cwd=context, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if any(sign in done.stderr for sign in OFFLINE):
            pytest.skip("the package index is not reachable: images cannot be installed")
        assert done.returncode == 0, done.stderr
    shutil.rmtree(context / "function" / "shared")
    return python


class Image:
    """A function served from its context."""

    def __init__(self, name: str, home: Path) -> None:
        context = build_context(name, home / "context")
        python = install(context)
        database = f"sqlite:///{home / 'mailchute.db'}"
        migrate(database)
        (home / "key").write_text(base64.b64encode(b"k" * 32).decode())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.log = home / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(python), "index.py"],
                cwd=context,
                env={
                    "PATH": os.environ["PATH"],
                    "MAILCHUTE_LISTEN": f"127.0.0.1:{self.port}",
                    "MAILCHUTE_INTERNAL_TOKEN": TOKEN,
                    "MAILCHUTE_DATABASE_URL": database,
                    "MAILCHUTE_MASTER_KEY_FILE": str(home / "key"),
                    "MAILCHUTE_DNS": "127.0.0.1:9",  # nobody answers there
                    "MAILCHUTE_SCAN_DEADLINE": "1",
                },
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while self.call("/_/health", b"", method="GET")[0] != 200:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def call(
        self, path: str, body: bytes, content_type: str = wire.MSGPACK, *, method: str = "POST"
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except ConnectionRefusedError:
            return 0, b""
        finally:
            connection.close()


@pytest.fixture(scope="module", params=FUNCTIONS)
def image(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Image]]:
    served = Image(request.param, tmp_path_factory.mktemp(request.param))
    yield request.param, served
    served.process.terminate()
    served.process.wait(30)


def test_an_image_answers_a_single_call_and_a_batch_or_its_pages(image: tuple[str, Image]) -> None:
    name, served = image
    if name == "api":
        assert served.call("/", b"")[0] == 422  # it is pages, and no calls
        assert served.call("/api/v1/emails", b"", method="GET")[0] == 401
        return
    request, expected = REQUESTS[name]
    status, body = served.call("/", wire.encode(request))
    assert status == 200, (body, served.log.read_text())
    wire.decode(body, expected)

    items = msgspec.msgpack.encode([wire.encode(request), b"\xc1 no MessagePack"])
    status, stream = served.call("/", items, wire.BATCH)
    assert status == 200
    answers = {index: (status, body) for index, status, body, _ in _values(stream)}
    assert {index: answer[0] for index, answer in answers.items()} == {0: 200, 1: 422}
    wire.decode(answers[0][1], expected)


def _values(stream: bytes) -> Iterator[tuple[int, int, bytes, float | None]]:
    start = 0
    for end in range(1, len(stream) + 1):
        try:
            value = msgspec.msgpack.decode(stream[start:end])
        except msgspec.DecodeError:
            continue
        start = end
        yield value
    assert start == len(stream)


MAIL = MailObject(
    id=new_id("msg"),
    envelope=Envelope(
        reverse_path=MailPath("ada", "example.org"),
        forward_path=MailPath("support", "inbox.test"),
        client_ip="192.0.2.1",
        helo="client.example.org",
    ),
    alias=AliasSnapshot(
        account_id="acc_1",
        domain_id="dom_1",
        alias_id="als_1",
        address="support@inbox.test",
        endpoints=(EndpointSnapshot(id="end_1"),),
    ),
    received_at=datetime.now(UTC),
    content=CONTENT,
    fingerprint=fingerprint_of(MailPath("ada", "example.org"), MailPath("support", "inbox.test"), b"\0" * 32),
    size_octets=len(CONTENT),
)
DELIVERY = WebhookDelivery(
    id="dlv_1",
    run="0",
    mail_id=MAIL.id,
    account_id="acc_1",
    domain_id="dom_1",
    alias_id="als_1",
    endpoint_id="end_unknown",
    payload=b"{}",
    mail_stream="MAIL",
    mail_sequence=1,
    created_at=datetime.now(UTC),
)
REQUESTS = {
    "scan": (MAIL, ScanReport),
    "parse": (ParseRequest(mail=MAIL, report=ScanReport()), ParseAnswer),
    "deliver": (AttemptRequest(delivery=DELIVERY, payload=b"{}"), AttemptOutcome),
    "record": (JournalBatch(events=()), Recorded),
    "expire": (ExpireRequest(), ExpireAnswer),
}
