"""`mailchute send`: what it puts together, and what it says when the server refuses."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from click.testing import CliRunner
from mailchute.errors import BadSetting
from mailchute_cli.ports import free_port
from mailchute_cli.send import composed, send, submit, with_fresh_id


class Taker:
    """An SMTP server that takes mail for known@ alone, and keeps it."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: object
    ) -> str:
        if not address.startswith("known@"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken.append(envelope.original_content)
        return "250 2.0.0 accepted"


@pytest.fixture
def taker() -> Iterator[tuple[Taker, tuple[str, int]]]:
    handler = Taker()
    address = ("127.0.0.1", free_port())
    controller = Controller(handler, hostname=address[0], port=address[1])
    controller.start()
    yield handler, address
    controller.stop()


def test_options_make_a_mail(taker: tuple[Taker, tuple[str, int]], tmp_path: Path) -> None:
    handler, (host, port) = taker
    (tmp_path / "a.csv").write_text("a;b\n")
    done = CliRunner().invoke(
        send,
        ["--smtp", f"{host}:{port}", "--to", "known@inbox.test", "--subject", "Grüße", "--text", "Hi\n",
         "--html", "<p>Hi</p>", "--attach", str(tmp_path / "a.csv")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "250 2.0.0 accepted" in done.output
    mail = email.message_from_bytes(handler.taken[0], policy=email.policy.default)
    assert mail["Subject"] == "Grüße"
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/csv",
    ]  # fmt: skip
    assert b"\n" not in handler.taken[0].replace(b"\r\n", b"")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_file_goes_out_as_it_is_with_the_line_ends_of_smtp(
    taker: tuple[Taker, tuple[str, int]], tmp_path: Path, ending: str
) -> None:
    handler, (host, port) = taker
    path = tmp_path / "mail.eml"
    path.write_bytes(ending.join(["Subject: x", "", ".dot", "end", ""]).encode())
    done = CliRunner().invoke(send, ["--smtp", f"{host}:{port}", "--to", "known@inbox.test", str(path)])
    assert done.exit_code == 0, done.output
    assert handler.taken == [b"Subject: x\r\n\r\n.dot\r\nend\r\n"]


def test_a_mail_on_stdin_is_sent(taker: tuple[Taker, tuple[str, int]]) -> None:
    handler, (host, port) = taker
    options = ["--smtp", f"{host}:{port}", "--to", "known@inbox.test", "-"]
    assert CliRunner().invoke(send, options, input=b"Subject: x\n\ny\n").exit_code == 0
    assert handler.taken == [b"Subject: x\r\n\r\ny\r\n"]


def test_a_recipient_that_is_refused_does_not_keep_the_other_from_its_mail(
    taker: tuple[Taker, tuple[str, int]],
) -> None:
    handler, address = taker
    told = submit(address, "ada@example.org", ("known@inbox.test", "other@inbox.test"), b"x\r\n")
    assert [line[:3] for line in told] == ["250", "550", "250"]
    assert len(handler.taken) == 1


def test_when_every_recipient_is_refused_the_replies_are_told(taker: tuple[Taker, tuple[str, int]]) -> None:
    _, address = taker
    with pytest.raises(BadSetting, match=r"550 5\.1\.1 no such mailbox"):
        submit(address, "ada@example.org", ("other@inbox.test",), b"x\r\n")


def test_where_nobody_listens_that_is_said() -> None:
    with pytest.raises(BadSetting, match="is `mailchute up` running"):
        submit(("127.0.0.1", 1), "ada@example.org", ("known@inbox.test",), b"x\r\n")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"attach": (Path("/nowhere/file"),)}, "/nowhere/file cannot be read: No such file or directory"),
        ({"subject": "two\nlines"}, "this cannot stand in a mail"),
    ],
)
def test_what_cannot_be_sent_is_named(changes: dict[str, object], told: str) -> None:
    given: dict[str, object] = {"subject": "x", "text": "y", **changes}
    with pytest.raises(BadSetting, match=told):
        composed("ada@example.org", ("known@inbox.test",), **given)  # type: ignore[arg-type]


def test_a_file_with_a_fresh_id_is_another_mail_and_otherwise_the_same() -> None:
    content = (
        b"From: a@b.test\r\nMessage-Id:\r\n <old@b.test>\r\nSubject: x\r\n y\r\n\r\nMessage-ID: body\r\n"
    )
    first, second = with_fresh_id(content), with_fresh_id(content)
    assert first != second
    assert first.partition(b"\n")[2] == b"From: a@b.test\nSubject: x\n y\n\nMessage-ID: body\n"
    assert email.message_from_bytes(first).get_all("message-id") != email.message_from_bytes(second).get_all(
        "message-id"
    )
    assert len(email.message_from_bytes(first).get_all("message-id") or []) == 1
    assert with_fresh_id(b"Subject: no body").startswith(b"Message-ID: <")
