"""`mailchute send`: one mail over SMTP, for trying things out."""

from __future__ import annotations

import mimetypes
import re
import smtplib
import sys
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

import click
from mailchute.errors import BadSetting

from mailchute_cli import rooms

TIMEOUT_S = 60
LINE_END = re.compile(rb"\r?\n|\r")  # files here end lines with LF, mail with CRLF (RFC 5321, 2.3.8)


@click.command(short_help="Send one mail, to try things out.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--to", "recipients", multiple=True, required=True, help="An alias; may be given again.")
@click.option(
    "--from", "sender", default="ada@example.org", show_default=True, help="MAIL FROM; '' is a bounce."
)
@click.option("--subject", default="Hello")
@click.option("--text", default="Hello from `mailchute send`.\n")
@click.option("--html", help="An HTML body beside the text.")
@click.option("--attach", multiple=True, type=click.Path(path_type=Path), help="A file; may be given again.")
@click.option(
    "--fresh-id", is_flag=True, help="Give FILE a new Message-ID: the same mail again is no resend then."
)
@click.option("--smtp", default="127.0.0.1:2525", show_default=True, help="Where `mailchute up` takes mail.")
def send(
    file: Path | None,
    recipients: tuple[str, ...],
    sender: str,
    subject: str,
    text: str,
    html: str | None,
    attach: tuple[Path, ...],
    fresh_id: bool,
    smtp: str,
) -> None:
    """Send one mail: FILE as it is (- is stdin), or one made from the options."""
    address = rooms.address("--smtp", smtp)
    if file is not None:
        content = with_fresh_id(read_content(file)) if fresh_id else read_content(file)
    else:
        content = bytes(composed(sender, recipients, subject=subject, text=text, html=html, attach=attach))
    for line in submit(address, sender, recipients, content):
        click.echo(line)


def with_fresh_id(content: bytes) -> bytes:
    """Return the mail with a Message-ID of its own in place of those it had (RFC 5322, 3.6.4)."""
    lines = LINE_END.sub(b"\n", content).split(b"\n")
    end = lines.index(b"") if b"" in lines else len(lines)
    kept, is_dropped = [], False
    for line in lines[:end]:
        is_folded = line[:1] in (b" ", b"\t")
        is_dropped = is_dropped if is_folded else line.lower().startswith(b"message-id:")
        if not is_dropped:
            kept.append(line)
    fresh = b"Message-ID: " + make_msgid(domain="localhost").encode()
    return b"\n".join([fresh, *kept, *lines[end:]])


def composed(
    sender: str,
    recipients: tuple[str, ...],
    *,
    subject: str,
    text: str,
    html: str | None = None,
    attach: tuple[Path, ...] = (),
) -> EmailMessage:
    """
    Return a mail with these parts.

    Raises:
        BadSetting: A file cannot be read, or a header field cannot hold what was given.
    """
    mail = EmailMessage()
    try:
        mail["From"] = sender or "MAILER-DAEMON@localhost"
        mail["To"] = ", ".join(recipients)
        mail["Subject"] = subject
    except ValueError as error:
        raise BadSetting(f"this cannot stand in a mail: {error}") from None
    mail["Date"] = formatdate(localtime=True)
    mail["Message-ID"] = make_msgid(domain="localhost")
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    for path in attach:
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        main, _, sub = kind.partition("/")
        mail.add_attachment(read_content(path), maintype=main, subtype=sub, filename=path.name)
    return mail


def submit(address: tuple[str, int], sender: str, recipients: tuple[str, ...], content: bytes) -> list[str]:
    """
    Send these octets, and return the server's answers as lines for a person.

    Raises:
        BadSetting: Nobody listens there, or the server refused.
    """
    where = f"{address[0]}:{address[1]}"
    try:
        with smtplib.SMTP(*address, timeout=TIMEOUT_S) as client:
            client.ehlo_or_helo_if_needed()
            told = [_said("MAIL FROM", client.mail(sender))]
            told += [_said(f"RCPT TO:<{each}>", client.rcpt(each)) for each in recipients]
            if not any(line.startswith("250") for line in told[1:]):
                raise BadSetting("\n".join((f"{where} took no recipient:", *told[1:])))
            told.append(_said("the mail", client.data(LINE_END.sub(b"\r\n", content))))
    except (OSError, smtplib.SMTPException) as error:
        raise BadSetting(f"{where} did not take the mail: {error}; is `mailchute up` running?") from None
    return told[1:]


def _said(of: str, answer: tuple[int, bytes]) -> str:
    return f"{answer[0]} {answer[1].decode(errors='replace')}   ({of})"


def read_content(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise BadSetting(f"{path} cannot be read: {error.strerror}") from None
