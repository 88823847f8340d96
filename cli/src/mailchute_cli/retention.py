"""`mailchute retention`: proof that nothing outlives its time, in the tables, on S3 and on the streams."""

from __future__ import annotations

import asyncio
import base64
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from mailchute import wire
from mailchute.bucket import Bucket
from mailchute.database import Database
from mailchute.errors import MailchuteError, Undecodable
from mailchute.ids import new_id
from mailchute.jetstream import connect
from mailchute.mail import MailObject
from mailchute.settings import NatsSettings, Reader, S3Settings
from mailchute.store import retention as store
from mailchute.store.retention import Finding, Standing
from mailchute.stored import read_run, subjects_of
from mailchute.subjects import CONTENT_BUCKET, MAIL, MAIL_ACCEPTED

from .control import DATA, on_installation, opened
from .home import Home
from .servers import BUCKET, HOST, REGION
from .table import AS_JSON, show, show_json

PAGE = 256
_MAIL_ID = re.compile(r"msg_[0-9A-Z]{26}")


@click.group()
def retention() -> None:
    """How long mail is kept."""


@retention.command()
@AS_JSON
@on_installation
def report(as_json: bool, data: Path | None) -> None:
    """
    Look at every place mail may lie, and say what of it should be gone; exit 1 when something should.

    A mail whose retention ended over an hour ago, or that the log does not know, must lie nowhere.
    """
    now = datetime.now(UTC)
    environ = _environ(data)
    with opened(data) as control:
        with control.database.read() as connection:
            findings = store.of_tables(connection, now)
        findings += _of_bucket(control.database, environ, now)
        findings += _of_streams(control.database, environ, now)
    is_clean = all(one.overdue_count == one.unknown_count == 0 for one in findings)
    if as_json:
        show_json({"at": now, "isClean": is_clean, "findings": findings})
    else:
        show(
            ("place", "looked at", "overdue", "unknown", "held", "such as"),
            [
                (
                    one.place,
                    one.count,
                    one.overdue_count,
                    one.unknown_count,
                    one.held_count,
                    " ".join(one.sample),
                )
                for one in findings
            ],
            nothing="",
        )
        print("nothing has outlived its time" if is_clean else "something has outlived its time")
    if not is_clean:
        raise SystemExit(1)


def _of_bucket(database: Database, environ: dict[str, str], now: datetime) -> list[Finding]:
    settings = S3Settings.read(Reader(environ))
    if not settings.bucket:
        return []
    standings: dict[str, Standing] = {}
    with database.read() as connection:
        for page in _pages(Bucket(settings), now):
            standings |= store.standings_of(connection, page, now)
    return [store.finding_of(f"bucket {settings.bucket}", standings)]


def _pages(bucket: Bucket, now: datetime) -> Iterator[list[str]]:
    page: list[str] = []
    for name in bucket.names("msg_"):
        mail_id = name.partition("/")[0]
        if _is_told(mail_id, now):
            page.append(mail_id)
        if len(page) == PAGE:
            yield page
            page = []
    yield page


def _of_streams(database: Database, environ: dict[str, str], now: datetime) -> list[Finding]:
    reader = Reader(environ)
    if not reader.secret("MAILCHUTE_NATS_URL"):
        return []
    try:
        on_mail, on_content = asyncio.run(_ids_on_streams(NatsSettings.read(reader).url, now))
    except (MailchuteError, OSError) as error:
        raise MailchuteError(f"the streams cannot be read: {error}; is `mailchute up` running?") from None
    with database.read() as connection:
        return [
            store.finding_of(f"stream {MAIL}", store.standings_of(connection, on_mail, now)),
            store.finding_of(f"objects {CONTENT_BUCKET}", store.standings_of(connection, on_content, now)),
        ]


async def _ids_on_streams(url: str, now: datetime) -> tuple[list[str], list[str]]:
    """Return the mails that lie on MAIL and in the Object Store, but for those of the last hour."""
    client = await connect(url, name="mailchute-cli")
    try:
        on_mail: list[str] = []
        sequence = 1
        while page := await read_run(client, MAIL, MAIL_ACCEPTED, from_sequence=sequence, count=PAGE):
            for stored in page:
                if stored.at is None or (now - stored.at).total_seconds() < store.GRACE_S:
                    continue
                try:
                    on_mail.append(wire.decode(stored.body, MailObject).id)
                except Undecodable:
                    on_mail.append(f"sequence {stored.sequence}")
            sequence = page[-1].sequence + 1
        subjects = await subjects_of(client, f"OBJ_{CONTENT_BUCKET}", f"$O.{CONTENT_BUCKET}.M.*")
        names = (base64.urlsafe_b64decode(one.rpartition(".")[2]).decode() for one in subjects)
        found = {match[0] for name in names if (match := _MAIL_ID.search(name))}
        return on_mail, sorted(one for one in found if _is_told(one, now))
    finally:
        await client.close()


def _is_told(mail_id: str, now: datetime) -> bool:
    """Whether the mail is so old that the log must know it: ids sort by time."""
    return mail_id < new_id("msg", now_ms=int((now.timestamp() - store.GRACE_S) * 1_000), entropy=bytes(10))


def _counts(one: Finding) -> tuple[object, ...]:
    return one.place, one.count, one.overdue_count, one.unknown_count, one.held_count


def _environ(data: Path | None) -> dict[str, str]:
    """Return the environment, with what `up` chose for its own servers where nothing else is said."""
    environ = dict(os.environ)
    directory = data or DATA
    home = Home(directory) if directory.is_dir() else None
    ports = home.ports_known() if home else {}
    if home and "nats" in ports and not environ.get("MAILCHUTE_NATS_URL"):
        password = home.secret("nats-password").read_text().strip()
        environ["MAILCHUTE_NATS_URL"] = f"nats://mailchute:{password}@{HOST}:{ports['nats']}"
    if home and "s3.port" in ports and not environ.get("MAILCHUTE_S3_BUCKET"):
        environ |= {
            "MAILCHUTE_S3_ENDPOINT": f"http://{HOST}:{ports['s3.port']}",
            "MAILCHUTE_S3_BUCKET": BUCKET,
            "MAILCHUTE_S3_REGION": REGION,
            "MAILCHUTE_S3_ACCESS_KEY": home.secret("s3-access-key").read_text().strip(),
            "MAILCHUTE_S3_SECRET_KEY": home.secret("s3-secret-key").read_text().strip(),
        }
    return environ
